"""Real servers as fixtures. ``.ci/install-real.sh`` fetches what pip does not bring; REAL_DIR says where it put it.

A server that is absent skips its tests with the reason; under CI=true that is a failure.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from real.both import Both, serving_both
from real.prometheus import Prometheus, running_prometheus
from real.seaweed import Seaweed, running_seaweed
from real.served import EXPERIMENTAL

HERE = Path(__file__).parent
REAL_DIR = Path(os.environ.get("REAL_DIR") or HERE.parent.parent / ".real")
CHROMIUM_ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)


def missing(what: str) -> NoReturn:
    """Skips the test, or fails it where everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is absent", pytrace=False)
    pytest.skip(f"{what} is absent")


def executable(*places: Path, name: str) -> str:
    """The first of the places that is there."""
    for place in places:
        if os.access(place, os.X_OK):
            return str(place)
    found = shutil.which(name)
    return found or missing(f"{name} (see .ci/install-real.sh)")


def thanos_binary() -> str:
    """A real Thanos. It is not packaged anywhere: a test that wants it is skipped where nobody put it, in CI too."""
    place = REAL_DIR / "thanos"
    if not os.access(place, os.X_OK):
        pytest.skip(f"thanos is absent: build it and put it at {place.parent.name}/thanos")
    return str(place)


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A SeaweedFS server for the whole run; each test makes its own bucket or prefix."""
    weed = executable(Path(sys.executable).parent / "weed", name="weed")
    if shutil.which("openssl") is None:
        missing("openssl")
    with running_seaweed(weed, tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@dataclass(frozen=True)
class PrometheusPeer:
    """One version of Prometheus: ``start(...)`` runs a server that ends with the test, ``promtool`` is its path."""

    generation: str
    promtool: str
    start: Callable[..., Prometheus]


def prometheus_binaries(generation: str) -> tuple[str, str]:
    """prometheus and promtool, ``old`` or ``new``."""
    root = REAL_DIR / f"prometheus-{generation}" / "usr" / "bin"
    for name in ("prometheus", "promtool"):
        if not os.access(root / name, os.X_OK):
            missing(f"{root / name} (see .ci/install-real.sh)")
    return str(root / "prometheus"), str(root / "promtool")


def _peer(generation: str, folder: Path, stack: ExitStack) -> PrometheusPeer:
    binary, promtool = prometheus_binaries(generation)

    def start(**options: object) -> Prometheus:
        home = folder / f"prometheus{len(list(folder.glob('prometheus*')))}"
        home.mkdir()
        return stack.enter_context(running_prometheus(binary, home, **options))

    return PrometheusPeer(generation, promtool, start)


@pytest.fixture(params=["old", "new"])
def prometheus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PrometheusPeer]:
    """Prometheus 2.42, then the newest one that Debian has (3.5 or later)."""
    with ExitStack() as stack:
        yield _peer(request.param, tmp_path, stack)


@pytest.fixture
def new_prometheus(tmp_path: Path) -> Iterator[PrometheusPeer]:
    """The newest Prometheus only: its ranges are left-open, as ours are."""
    with ExitStack() as stack:
        yield _peer("new", tmp_path, stack)


@pytest.fixture(scope="session")
def both(seaweed: Seaweed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The plant in the newest Prometheus, and behind our daemons; one pair for all tests that only ask."""
    binary, promtool = prometheus_binaries("new")
    bucket = {"type": "S3", "config": seaweed.section(seaweed.make_bucket("differential"))}
    with serving_both(binary, promtool, bucket, tmp_path_factory.mktemp("both")) as pair:
        yield pair


@pytest.fixture(scope="session")
def both_next(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The plant in a Prometheus 3.14, with what it has behind feature flags, and in a folder behind our daemons.

    No distribution packages one: its tests are skipped where nobody put it.
    """
    programs = [REAL_DIR / "prometheus-next" / "usr" / "bin" / name for name in ("prometheus", "promtool")]
    if not all(os.access(program, os.X_OK) for program in programs):
        pytest.skip(f"Prometheus 3.14 is absent: build it and put it into {programs[0].parent}")
    home = tmp_path_factory.mktemp("next")
    (home / "bucket").mkdir()
    bucket = {"type": "FILESYSTEM", "config": {"directory": str(home / "bucket")}}
    features = (EXPERIMENTAL, "promql-extended-range-selectors", "promql-per-step-stats")
    with serving_both(str(programs[0]), str(programs[1]), bucket, home, features=features) as pair:
        yield pair


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A Chromium through Playwright; each test opens its own context."""
    chromium = executable(Path("/usr/bin/chromium"), name="chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS.split())
        yield found
        found.close()
