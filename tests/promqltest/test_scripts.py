"""The scripts in the promqltest notation: ours, and Prometheus' own where they lie beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from pythanos.testing.promqltest.runner import Report, run_file

HERE = Path(__file__).parent
UPSTREAM = HERE.parents[2] / "shared" / "promqltest"
OURS = sorted(HERE.glob("*.test"))
THEIRS = sorted(UPSTREAM.glob("*.test"))


def wrong(report: Report) -> list[str]:
    """What came out otherwise than expected, or was refused."""
    return [
        f"{report.path}:{outcome.line}: {outcome.text}: {outcome.problem}"
        for outcome in report.outcomes
        if outcome.problem or outcome.unsupported
    ]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_scripts_pass(path: Path) -> None:
    """Every eval, nothing refused."""
    report = run_file(path)
    assert wrong(report) == []
    assert report.passed == len(report.outcomes) > 0


@pytest.mark.skipif(not THEIRS, reason="Prometheus' scripts are not beside the repository")
@pytest.mark.parametrize("path", THEIRS, ids=lambda path: path.stem)
def test_prometheus_scripts_pass(path: Path) -> None:
    """Every eval, nothing refused."""
    report = run_file(path)
    assert wrong(report) == []
    assert report.passed == len(report.outcomes) > 0
