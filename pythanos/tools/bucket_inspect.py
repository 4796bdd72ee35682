"""``pythanos tools bucket inspect``: the blocks of a bucket as a table (TO-8)."""

from __future__ import annotations

import csv
import json
import sys
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from pythanos.model.resolution import FIVE_MINUTES_MS, RAW_MS
from pythanos.tools.bucket_ls import go_duration, iso
from pythanos.tools.bucket_options import bucket_options, opened, parse_labels, timeout_option
from pythanos.tsdb.meta import BlockMeta
from pythanos.units import Duration

COLUMNS = (
    "ULID", "FROM", "UNTIL", "RANGE", "UNTIL-DOWN", "#SERIES", "#SAMPLES", "#CHUNKS", "COMP-LEVEL", "COMP-FAILED",
    "LABELS", "RESOLUTION", "SOURCE",
)  # fmt: skip
# A raw block is downsampled once it spans 40 hours, a 5m block once it spans 10 days.
DOWNSAMPLE_RANGE_MS = {RAW_MS: 40 * 3_600_000, FIVE_MINUTES_MS: 10 * 86_400_000}


@click.command()
@bucket_options
@click.option("-l", "--selector", multiple=True, metavar='key="value"', help="Only blocks with all of these labels.")
@click.option(
    "--sort-by",
    type=click.Choice(COLUMNS),
    multiple=True,
    default=("FROM", "UNTIL"),
    help="Columns to sort by, in order.",
)
@click.option("--output", type=click.Choice(["table", "csv", "tsv", "json"]), default="table", show_default=True)
@timeout_option
def inspect(
    objstore_config_file: str | None,
    objstore_config: str,
    selector: tuple[str, ...],
    sort_by: tuple[str, ...],
    output: str,
    timeout: Duration,
) -> None:
    """Show the blocks of a bucket with their ranges, sizes, labels and sources."""
    wanted = parse_labels(selector, "--selector")
    with opened(objstore_config_file, objstore_config, timeout) as open_bucket:
        found = open_bucket.fetch([])
    rows = [row(meta) for meta in found.metas.values() if wanted.items() <= meta.labels.items()]
    rows.sort(key=lambda r: tuple(r[name] for name in (*sort_by, "ULID")))
    show(rows, output)
    for ulid, reason in sorted({**found.partial, **found.unsupported, **found.failed}.items()):
        click.echo(f"pythanos: block {ulid} left out: {reason}", err=True)


def row(meta: BlockMeta) -> dict[str, Any]:
    """One block as values that sort as one would expect; times and durations are milliseconds."""
    span = meta.maxt - meta.mint
    downsample = DOWNSAMPLE_RANGE_MS.get(meta.resolution_ms)
    return {
        "ULID": meta.ulid,
        "FROM": meta.mint,
        "UNTIL": meta.maxt,
        "RANGE": span,
        "UNTIL-DOWN": -1 if downsample is None else downsample - span,
        "#SERIES": meta.stats.num_series,
        "#SAMPLES": meta.stats.num_samples,
        "#CHUNKS": meta.stats.num_chunks,
        "COMP-LEVEL": meta.compaction.level,
        "COMP-FAILED": meta.compaction.failed,
        "LABELS": ",".join(f"{name}={value}" for name, value in sorted(meta.labels.items())),
        "RESOLUTION": meta.resolution_ms,
        "SOURCE": meta.source,
    }


def cells(values: dict[str, Any]) -> list[str]:
    """A row as Thanos prints it."""
    text = {name: str(value) for name, value in values.items()}
    text["FROM"], text["UNTIL"] = iso(values["FROM"]), iso(values["UNTIL"])
    text["RANGE"], text["RESOLUTION"] = go_duration(values["RANGE"]), go_duration(values["RESOLUTION"])
    text["UNTIL-DOWN"] = "-" if values["RESOLUTION"] not in DOWNSAMPLE_RANGE_MS else go_duration(values["UNTIL-DOWN"])
    text["COMP-FAILED"] = str(bool(values["COMP-FAILED"])).lower()
    for name in ("#SERIES", "#SAMPLES", "#CHUNKS"):
        text[name] = f"{values[name]:,}"
    return [text[name] for name in COLUMNS]


def show(rows: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        click.echo(json.dumps([{name: r[name] for name in COLUMNS} for r in rows], indent=2))
    elif output == "table":
        lines = [cells(r) for r in rows]
        widths = [max(map(len, column)) for column in zip(COLUMNS, *lines, strict=True)]
        table = Table(box=box.MARKDOWN)
        for name, width in zip(COLUMNS, widths, strict=True):
            table.add_column(name, no_wrap=True, min_width=width)
        for line in lines:
            table.add_row(*line)
        # A table wider than the terminal stays whole: it is made to be searched and piped.
        Console(width=sum(widths) + 3 * len(widths) + 1).print(table)
    else:
        writer = csv.writer(sys.stdout, delimiter="\t" if output == "tsv" else ",", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(cells(r) for r in rows)
