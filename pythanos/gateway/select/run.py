"""What the blocks of one request share, and what a block has to offer to be selected from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pythanos.context import RequestContext
from pythanos.errors import CorruptData
from pythanos.gateway.index_cache import IndexCache
from pythanos.gateway.limits import ChunkBudget, RequestLimits
from pythanos.gateway.metrics import SelectMetrics
from pythanos.gateway.query_stats import QueryStats
from pythanos.gateway.select.matcher_cache import MatcherCache
from pythanos.objstore.bucket import Bucket
from pythanos.tsdb.index_header import IndexHeader
from pythanos.workers import Pool

SERIES_BATCH_SIZE = 10_000
SERIES_MATCH_RATIO = 0.5
# Bytes that one request may have on the way from the bucket, or fetched and not yet sent, over all its blocks.
PREFETCH_BYTES_MAX = 16 << 20


@dataclass(frozen=True, slots=True)
class SelectOptions:
    """Settings of selects. ``key_series_ratio`` 0 switches that rule of lazy postings off."""

    series_batch_size: int = SERIES_BATCH_SIZE
    lazy_postings: bool = False
    key_series_ratio: float = 100.0
    series_match_ratio: float = SERIES_MATCH_RATIO
    prefetch_bytes_max: int = PREFETCH_BYTES_MAX


@dataclass(frozen=True, slots=True)
class SelectRun:
    """One request: its deadline, limits, counters, and the parts that do its work."""

    ctx: RequestContext
    fetch: Pool
    cache: IndexCache
    matchers: MatcherCache
    limits: RequestLimits
    budget: ChunkBudget
    stats: QueryStats
    metrics: SelectMetrics
    options: SelectOptions

    @property
    def tenant(self) -> str:
        return self.ctx.tenant


class SelectableBlock(Protocol):
    """A loaded block. ``series_bytes_max`` and ``chunk_bytes_max`` are estimates: larger ones are read twice."""

    ulid: str
    bucket: Bucket
    index_name: str
    segments: tuple[str, ...]
    labels: dict[str, str]
    series_bytes_max: int
    chunk_bytes_max: int

    def open_header(self) -> IndexHeader:
        """The index-header, mapped; downloaded first where a lazy strategy left that to the first query."""


def read_range(bucket: Bucket, name: str, start: int, end: int) -> bytes:
    """Bytes ``[start, end)`` of an object, fewer where it ends before. Raises CorruptData where ``start`` is past its
    end.
    """
    data = bucket.get_range(name, start, end - start)
    if not data:
        raise CorruptData(name, start, "object ends early")
    return data
