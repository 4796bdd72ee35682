"""``pythanos tools bucket verify``: what is wrong with the blocks of a bucket (TO-1, TO-3 to TO-5, looking only)."""

from __future__ import annotations

import json
import sys
import tempfile

import click

from pythanos.block.filters import DeletionMarkFilter
from pythanos.block.verify import DEFAULT_ISSUES, VerifyInput, check_issues, verify_blocks
from pythanos.tools.bucket_options import bucket_options, opened


@click.command()
@bucket_options
@click.option(
    "-i", "--issues", multiple=True, default=DEFAULT_ISSUES, show_default=True, help="Which issues to look for."
)
@click.option("--id", "ids", multiple=True, help="Only these blocks.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def verify(
    objstore_config_file: str | None,
    objstore_config: str,
    issues: tuple[str, ...],
    ids: tuple[str, ...],
    output: str,
) -> None:
    """Look for damaged, overlapping and doubly compacted blocks; change nothing. Exit code 1 where any is found."""
    check_issues(issues, ids)
    with opened(objstore_config_file, objstore_config) as open_bucket, tempfile.TemporaryDirectory() as folder:
        # Blocks marked for deletion are on their way out (TO-1).
        metas = open_bucket.fetch([DeletionMarkFilter(open_bucket.bucket, 0)])
        given = VerifyInput(open_bucket.bucket, metas.metas, folder, open_bucket.workers.fetch, open_bucket.ctx, ids)
        found = list(verify_blocks(given, issues))
    unreadable = {**metas.partial, **metas.unsupported, **metas.failed}
    if output == "json":
        findings = [{"issue": each.issue, "blocks": each.blocks, "text": each.text} for each in found]
        click.echo(json.dumps({"findings": findings, "unreadable": unreadable}, indent=2))
    else:
        for each in found:
            click.echo(f"{each.issue} {' '.join(each.blocks)}: {each.text}")
        for ulid, reason in sorted(unreadable.items()):
            click.echo(f"unreadable {ulid}: {reason}")
        click.echo(
            f"{len(metas.metas)} blocks looked at, {len(found)} findings, {len(unreadable)} unreadable", err=True
        )
    if found or unreadable:
        sys.exit(1)
