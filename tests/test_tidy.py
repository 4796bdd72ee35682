"""The house rules that a reader would otherwise have to check by eye: sizes, banned calls, stray words."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pythanos"
GENERATED = PACKAGE / "rpc" / "pb"

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
MODULES_PER_PACKAGE_MAX = 12
LINE_LENGTH_MAX = 120

# Calls that hide a dependency which must be a constructor argument.
BANNED_CALLS = {"time.time", "datetime.now", "datetime.utcnow", "random.random", "random.randint", "time.sleep"}
# Where they may stand: the one clock, and waiting between attempts of blocking I/O in a worker thread.
CALLS_ALLOWED_IN = {
    "time.time": {"runtime/clock.py", "tools/cli_clock.py"},
    "time.sleep": {"objstore/retries.py"},
}
STRAY_WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|/work/|/opt/venv|/root/")


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if GENERATED not in path.parents)


def sources() -> list[Path]:
    return modules() + sorted(PACKAGE.glob("*.pyx")) + sorted(PACKAGE.glob("*.pxd")) + sorted(PACKAGE.glob("*.h"))


def relative(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_a_module_is_a_small_room(path):
    """At most 500 lines, functions at most a screen and a bit."""
    text = path.read_text()
    assert text.count("\n") <= MODULE_LINES_MAX
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_a_package_holds_at_most_twelve_modules():
    crowded = {
        relative(folder): count
        for folder in PACKAGE.rglob("*")
        if folder.is_dir()
        and (count := sum(1 for p in folder.glob("*.py") if p.name != "__init__.py")) > MODULES_PER_PACKAGE_MAX
        and folder != GENERATED
    }
    assert crowded == {}


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_a_module_says_what_it_holds(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", sources(), ids=relative)
def test_no_stray_words_and_no_paths_of_a_machine(path):
    found = [
        f"{number}: {line.strip()}"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if STRAY_WORDS.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_time_and_chance_come_in_as_arguments(path):
    name = relative(path)
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            call = f"{node.func.value.id}.{node.func.attr}"
            if call in BANNED_CALLS and name not in CALLS_ALLOWED_IN.get(call, ()):
                found.append(f"{node.lineno}: {call}()")
    assert found == []


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_imports_stand_at_the_top(path):
    """An import inside a function is a layer confessing; only the tools' and plugins' lazy loading may."""
    found = [
        f"{inner.lineno}: in {node.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert found == []


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "docs/glossary.md"])
def test_pages_name_files_that_exist(page):
    """A path in backticks is one of the tree's, from its root or from the package's."""
    named = re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|pyx|pxd|md|proto))`", (ROOT / page).read_text())
    tails = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.*") if ".venv" not in path.parts}
    missing = [name for name in named if not any(f"/{tail}".endswith(f"/{name}") for tail in tails)]
    assert not missing
