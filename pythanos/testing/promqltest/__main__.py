"""``python -m pythanos.testing.promqltest FILE...``: runs scripts, prints each failure as file:line, and the totals."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pythanos.testing.promqltest.runner import Report, run_file
from pythanos.testing.promqltest.script import ScriptError


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--hide-unsupported", is_flag=True, help="Count, but do not list, what the engine says it does not do.")
def main(files: tuple[Path, ...], hide_unsupported: bool) -> None:
    """Runs promqltest scripts against the engine. A script that cannot be read counts as one failure."""
    reports, unread = [], 0
    for path in files:
        try:
            report = run_file(path)
        except (ScriptError, OSError) as error:
            click.echo(f"{path}: {error}")
            unread += 1
            continue
        reports.append(report)
        _print(report, hide_unsupported)
    failed = sum(len(report.failures) for report in reports) + unread
    click.echo(f"{sum(report.passed for report in reports)} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def _print(report: Report, hide_unsupported: bool) -> None:
    for outcome in report.failures:
        if not (hide_unsupported and outcome.unsupported):
            click.echo(f"{report.path}:{outcome.line}: {outcome.text}\n    {outcome.problem}")
    unsupported = f" ({report.unsupported} not supported)" if report.unsupported else ""
    click.echo(f"{report.path}: {report.passed} passed, {len(report.failures)} failed{unsupported}")


if __name__ == "__main__":
    main()
