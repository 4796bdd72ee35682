"""What the bucket commands share: which bucket, which of its blocks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import click

from pythanos import config
from pythanos.block.fetcher import FetchedMetas, MetaFetcher
from pythanos.block.filters import LabelShardFilter, MetaFilter, TimePartitionFilter
from pythanos.context import RequestContext
from pythanos.errors import ConfigError
from pythanos.model.relabel import RelabelRule, check_rules
from pythanos.model.timerange import MAX_TIME_MS, MIN_TIME_MS, ClosedRange
from pythanos.objstore.bucket import Bucket
from pythanos.objstore.opening import BucketConfig, open_bucket
from pythanos.runtime.clock import SystemClock
from pythanos.units import Duration, parse_duration
from pythanos.workers import Workers

SELECTOR_ACTIONS = ("keep", "drop", "hashmod")
MIN_TIME_DEFAULT = "0000-01-01T00:00:00Z"
MAX_TIME_DEFAULT = "9999-12-31T23:59:59Z"


@dataclass(frozen=True, slots=True)
class OpenBucket:
    """A bucket for the length of one command, with the pools to read it."""

    bucket: Bucket
    workers: Workers
    ctx: RequestContext

    def fetch(self, filters: list[MetaFilter]) -> FetchedMetas:
        """The bucket's metas. Raises BucketUnavailable."""
        return MetaFetcher(self.bucket, filters, None, fetch=self.workers.fetch).fetch(self.ctx)


def bucket_options(command: Callable[..., None]) -> Callable[..., None]:
    """``--objstore.config-file`` and ``--objstore.config``."""
    command = click.option(
        "--objstore.config", "objstore_config", default="", help="YAML of the bucket, instead of a file."
    )(command)
    return click.option(
        "--objstore.config-file",
        "objstore_config_file",
        type=click.Path(dir_okay=False),
        help="Path of the YAML file that configures the bucket.",
    )(command)


class DurationParam(click.ParamType):
    """A duration such as ``5m``."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Duration:
        if isinstance(value, Duration):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


timeout_option = click.option(
    "--timeout", type=DurationParam(), default="5m", show_default=True, help="How long reading metadata may take."
)


def bucket_config(config_file: str | None, content: str) -> BucketConfig:
    """The bucket's configuration from exactly one of the two flags. Raises ConfigError."""
    if bool(config_file) == bool(content):
        raise ConfigError("command line", "objstore", "give one of --objstore.config-file and --objstore.config")
    environment = dict(os.environ)
    if config_file:
        return config.load(config_file, BucketConfig, environment=environment)
    return config.loads(content, BucketConfig, path="--objstore.config", environment=environment)


@contextlib.contextmanager
def opened(config_file: str | None, content: str, timeout: Duration | None = None) -> Iterator[OpenBucket]:
    """The bucket for one command; closed with its threads at the end."""
    bucket = open_bucket(bucket_config(config_file, content), None, "tools")
    workers = Workers.threaded()
    try:
        yield OpenBucket(bucket, workers, RequestContext(timeout_seconds=timeout.seconds if timeout else None))
    finally:
        workers.stop()
        bucket.close()


def parse_time(text: str, now_ms: int) -> int:
    """Milliseconds of an RFC 3339 time or of a duration relative to now. Raises click.BadParameter."""
    with contextlib.suppress(ValueError):
        return now_ms + parse_duration(text)
    if text.startswith("0000-"):
        return MIN_TIME_MS
    if text == MAX_TIME_DEFAULT:
        return MAX_TIME_MS
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is neither an RFC 3339 time nor a duration") from error
    if moment.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no time zone")
    return round(moment.timestamp() * 1000)


def selection_filters(min_time: str, max_time: str, relabel_file: str | None, relabel: str) -> list[MetaFilter]:
    """The filters of ``--min-time``, ``--max-time`` and ``--selector.relabel-config``. Raises ConfigError."""
    now_ms = SystemClock().now_ms()
    window = ClosedRange(parse_time(min_time, now_ms), parse_time(max_time, now_ms))
    if window.mint > window.maxt:
        raise ConfigError("command line", "min-time", f"is after --max-time ({min_time} > {max_time})")
    rules: list[RelabelRule] = []
    if relabel_file:
        rules = config.load(relabel_file, list[RelabelRule], environment=dict(os.environ))
    elif relabel:
        rules = config.loads(relabel, list[RelabelRule], path="--selector.relabel-config")
    check_rules(rules, relabel_file or "--selector.relabel-config", actions=SELECTOR_ACTIONS)
    return [TimePartitionFilter(lambda: window), LabelShardFilter(rules)]


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """``--min-time``, ``--max-time`` and ``--selector.relabel-config[-file]``."""
    for option in (
        click.option("--min-time", default=MIN_TIME_DEFAULT, show_default=True, help="Blocks from this time on."),
        click.option("--max-time", default=MAX_TIME_DEFAULT, show_default=True, help="Blocks up to this time."),
        click.option("--selector.relabel-config-file", "relabel_file", help="YAML file of relabel rules on blocks."),
        click.option("--selector.relabel-config", "relabel", default="", help="YAML of relabel rules on blocks."),
    ):
        command = option(command)
    return command


def parse_labels(pairs: tuple[str, ...], flag: str) -> dict[str, str]:
    """``key="value"`` pairs, as Thanos' flags write them. Raises click.BadParameter."""
    labels = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or len(value) < 2 or value[0] != '"' or value[-1] != '"':
            raise click.BadParameter(f'{flag} wants key="value", not {pair!r}')
        labels[name] = value[1:-1]
    return labels
