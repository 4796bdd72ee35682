"""``python -m pythanos.testing.promqltest FILE...``: runs scripts, prints each failure as file:line, and the totals."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pythanos.testing.promqltest.runner import Report, run_file
from pythanos.testing.promqltest.script import ScriptError


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--unsupported", is_flag=True, help="List the evals that are not supported yet, too.")
def main(files: tuple[Path, ...], unsupported: bool) -> None:
    """Runs promqltest scripts against the engine."""
    reports = []
    for path in files:
        try:
            report = run_file(path)
        except ScriptError as error:
            raise click.ClickException(f"{path}: {error}") from error
        reports.append(report)
        _print(report, unsupported)
    failed = sum(len(report.failures) for report in reports)
    missing = sum(report.unsupported for report in reports)
    passed = sum(report.passed for report in reports)
    click.echo(f"{passed} passed, {failed} failed" + (f", {missing} not supported yet" if missing else ""))
    sys.exit(1 if failed or missing else 0)


def _print(report: Report, unsupported: bool) -> None:
    for outcome in report.outcomes:
        if outcome.problem and (unsupported or not outcome.unsupported):
            click.echo(f"{report.path}:{outcome.line}: {outcome.text}\n    {outcome.problem}")
    counts = f"{report.passed} passed, {len(report.failures)} failed, {report.unsupported} not supported"
    click.echo(f"{report.path}: {counts}")


if __name__ == "__main__":
    main()
