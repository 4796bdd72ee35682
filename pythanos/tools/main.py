"""The entry point ``pythanos``: one group of commands per subject."""

from __future__ import annotations

import logging
import sys

import click

from pythanos.errors import PythanosError
from pythanos.tools.bucket_inspect import inspect
from pythanos.tools.bucket_ls import ls
from pythanos.tools.bucket_upload import upload_blocks
from pythanos.tools.bucket_verify import verify
from pythanos.tools.demo import demo
from pythanos.version import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="pythanos")
@click.option("--log.level", "log_level", type=click.Choice(["debug", "info", "warn", "error"]), default="warn")
def cli(log_level: str) -> None:
    """Tools for buckets of Prometheus blocks. The daemons are started with twistd."""
    level = {"warn": "WARNING"}.get(log_level, log_level.upper())
    logging.basicConfig(stream=sys.stderr, level=level, format="level=%(levelname)s component=%(name)s msg=%(message)r")


@cli.group()
def tools() -> None:
    """Commands that work on a bucket and end."""


@tools.group()
def bucket() -> None:
    """Commands on the blocks of a bucket."""


cli.add_command(demo)
bucket.add_command(ls)
bucket.add_command(inspect)
bucket.add_command(verify)
bucket.add_command(upload_blocks)


def main() -> None:
    """Runs the command line; an error that has a name is one line on stderr and exit code 1."""
    try:
        cli(prog_name="pythanos")
    except PythanosError as error:
        click.echo(f"pythanos: {error}", err=True)
        sys.exit(1)
