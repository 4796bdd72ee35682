"""``pythanos tools bucket upload-blocks``: blocks of a local folder into the bucket, once each (TO-22)."""

from __future__ import annotations

import sys

import click

from pythanos.block.shipper import SOURCE_UPLOAD, Shipper, ShipperOptions
from pythanos.runtime.clock import SystemClock
from pythanos.tools.bucket_options import bucket_options, opened, parse_labels


@click.command("upload-blocks")
@bucket_options
@click.option(
    "--path", type=click.Path(file_okay=False), default="./data", show_default=True, help="Folder with the blocks."
)
@click.option(
    "--label", "labels", multiple=True, required=True, metavar='key="value"', help="External labels of the blocks."
)
@click.option("--shipper.upload-compacted", "upload_compacted", is_flag=True, help="Upload compacted blocks too.")
@click.option("--shipper.upload-concurrency", "concurrency", type=click.IntRange(min=1), default=5, show_default=True)
def upload_blocks(
    objstore_config_file: str | None,
    objstore_config: str,
    path: str,
    labels: tuple[str, ...],
    upload_compacted: bool,
    concurrency: int,
) -> None:
    """Upload the blocks of a Prometheus data folder, with external labels."""
    external = parse_labels(labels, "--label")
    options = ShipperOptions(source=SOURCE_UPLOAD, upload_compacted=upload_compacted, concurrency=concurrency)
    with opened(objstore_config_file, objstore_config) as open_bucket:
        shipper = Shipper(
            path,
            open_bucket.bucket,
            lambda: external,
            options,
            fetch=open_bucket.workers.fetch,
            clock=lambda: SystemClock().now_ms() / 1000,
        )
        shipment = shipper.sync(open_bucket.ctx)
    for ulid in shipment.uploaded:
        click.echo(ulid)
    for ulid, reason in sorted(shipment.failed.items()):
        click.echo(f"pythanos: block {ulid} not uploaded: {reason}", err=True)
    click.echo(f"pythanos: {len(shipment.uploaded)} blocks uploaded", err=True)
    if shipment.failed:
        sys.exit(1)
