"""Imports point down. The layers are data; the test reads every module's imports and compares."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "pythanos"

# What each part may import beside itself; nothing upward, nothing sideways.
ROOT = {"root"}
MODEL = ROOT | {"model"}
KERNELS = MODEL | {"kernels"}
ALLOWED = {
    "root": ROOT,
    "model": MODEL,
    "kernels": KERNELS,
    "objstore": KERNELS,
    # An index-header is built by range reads from a bucket.
    "tsdb": KERNELS | {"objstore"},
    "promql": KERNELS,
    "storeapi": KERNELS,
    "block": KERNELS | {"objstore", "tsdb"},
    "gateway": KERNELS | {"objstore", "tsdb", "block", "storeapi"},
    "query": KERNELS | {"storeapi", "promql", "discovery"},
    "discovery": MODEL,
    "runtime": KERNELS,
    "rpc": KERNELS | {"discovery", "storeapi", "promql", "query", "gateway", "runtime"},
    "web": KERNELS | {"objstore", "tsdb", "block", "storeapi", "promql", "query", "gateway", "runtime"},
}
ALLOWED["daemons"] = set().union(*ALLOWED.values()) | {"rpc", "web", "gateway", "query", "runtime"}
ALLOWED["testing"] = ALLOWED["daemons"]
ALLOWED["tools"] = ALLOWED["daemons"] | {"testing"}

# Kernels that know nothing of the model, so that root modules may use them.
ROOT_KERNELS = {"pythanos._tally"}

# Third parties that only some may know.
ONLY_IN = {
    "twisted": {"runtime", "web", "rpc", "daemons"},
    "txaio": {"runtime", "web", "daemons"},
    "grpc": {"rpc"},
    "grpc_health": {"rpc"},
    "grpc_reflection": {"rpc"},
    "google": {"rpc"},
    "cryptography": {"rpc", "web"},
    "OpenSSL": {"web"},
    "bcrypt": {"web"},
    "dns": {"discovery"},
    "botocore": {"objstore"},
    "click": {"tools", "testing"},
    "rich": {"tools"},
}
CIMPORT = re.compile(
    r"^\s*(?:from\s+(pythanos[\w.]*)\s+(?:c?import)\s+(\w+)|c?import\s+(pythanos[\w.]*))", re.MULTILINE
)


def part_of(module: str) -> str:
    """The part that a dotted ``pythanos`` module belongs to."""
    names = module.split(".")
    if module in ROOT_KERNELS:
        return "root"
    if len(names) == 1 or (len(names) == 2 and not (PACKAGE / names[1]).is_dir() and not names[1].startswith("_")):
        return "root"
    return "kernels" if names[1].startswith("_") else names[1]


def imported(path: Path) -> set[str]:
    """Dotted names of all modules that a source file imports, those for type checking too."""
    text = path.read_text()
    if path.suffix in (".pyx", ".pxd"):
        return {
            f"{found[1]}.{found[2]}" if found[1] == "pythanos" else found[1] or found[3]
            for found in CIMPORT.finditer(text)
        }
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"pythanos.{alias.name}" for alias in node.names} if node.module == "pythanos" else {node.module}
    return names


def sources() -> list[Path]:
    found = [path for suffix in ("*.py", "*.pyx", "*.pxd") for path in PACKAGE.rglob(suffix)]
    return sorted(path for path in found if PACKAGE / "rpc" / "pb" not in path.parents)


def dotted(path: Path) -> str:
    names = list(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


@pytest.mark.parametrize("path", sources(), ids=dotted)
def test_a_module_imports_only_what_lies_below(path):
    part = part_of(dotted(path))
    allowed = ALLOWED[part] | {part}
    wrong = {name for name in imported(path) if name.split(".")[0] == "pythanos" and part_of(name) not in allowed}
    assert wrong == set()


@pytest.mark.parametrize("path", sources(), ids=dotted)
def test_a_third_party_stays_at_its_edge(path):
    """Twisted above the data plane, gRPC in rpc, botocore in objstore."""
    part = part_of(dotted(path))
    wrong = {
        name
        for name in imported(path)
        if part not in ONLY_IN.get(name.split(".")[0], {part}) and not name.startswith("pythanos")
    }
    assert wrong == set()


def test_modules_do_not_import_each_other_in_circles():
    graph = {
        dotted(path): {name for name in imported(path) if name.startswith("pythanos")}
        for path in sources()
        if path.suffix == ".py" and path.name != "__init__.py"
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name in graph and name not in done:
            for below in graph[name]:
                visit(below, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())
