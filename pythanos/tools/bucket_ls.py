"""``pythanos tools bucket ls``: the blocks of a bucket, one a line (TO-7)."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from pythanos.block.filters import DeletionMarkFilter, MetaFilter
from pythanos.tools.bucket_options import bucket_options, opened, selection_filters, selection_options, timeout_option
from pythanos.tsdb.meta import BlockMeta, encode_meta
from pythanos.units import Duration

TIMEOUT_WARNING_MS = 60_000
OUTPUTS = ("", "wide", "json")


@click.command()
@bucket_options
@selection_options
@click.option("-o", "--output", type=click.Choice(OUTPUTS), default="", help="wide, json, or nothing for ULIDs only.")
@click.option("--exclude-delete", is_flag=True, help="Leave out blocks marked for deletion.")
@timeout_option
def ls(
    objstore_config_file: str | None,
    objstore_config: str,
    min_time: str,
    max_time: str,
    relabel_file: str | None,
    relabel: str,
    output: str,
    exclude_delete: bool,
    timeout: Duration,
) -> None:
    """List the blocks of a bucket."""
    if timeout < TIMEOUT_WARNING_MS:
        click.echo("pythanos: a timeout below 1m may be too short for a large bucket", err=True)
    filters: list[MetaFilter] = selection_filters(min_time, max_time, relabel_file, relabel)
    with opened(objstore_config_file, objstore_config, timeout) as open_bucket:
        if exclude_delete:
            filters.append(DeletionMarkFilter(open_bucket.bucket, 0))
        found = open_bucket.fetch(filters)
    for ulid in sorted(found.metas):
        click.echo(line(found.metas[ulid], output), nl=output != "json")
    for ulid, reason in sorted({**found.partial, **found.unsupported, **found.failed}.items()):
        click.echo(f"pythanos: block {ulid} left out: {reason}", err=True)
    click.echo(f"pythanos: {len(found.metas)} blocks", err=True)
    sys.stdout.flush()


def line(meta: BlockMeta, output: str) -> str:
    """One block in one of the OUTPUTS; json is the whole meta.json with its line ends."""
    if output == "json":
        return encode_meta(meta).decode()
    if output == "wide":
        return (
            f"{meta.ulid} -- {iso(meta.mint)} - {iso(meta.maxt)} Diff: {go_duration(meta.maxt - meta.mint)}, "
            f"Compaction: {meta.compaction.level}, Downsample: {meta.resolution_ms}, Source: {meta.source}"
        )
    return meta.ulid


def iso(time_ms: int) -> str:
    """RFC 3339 in UTC, whole seconds; the number itself where no calendar reaches."""
    try:
        return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(time_ms)


def go_duration(milliseconds: int) -> str:
    """As Go prints a duration: ``48h0m0s``, ``1.5s``."""
    sign, rest = ("-", -milliseconds) if milliseconds < 0 else ("", milliseconds)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds = f"{rest / 1000:g}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"
