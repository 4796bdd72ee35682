"""The store gateway's part of a configuration; paths and defaults are those of the ``thanos store`` flags.

Not here, because every daemon has them: ``http``, ``grpc``, ``objstore``, ``log``, ``tracing``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from pythanos.config import FileOrContent, Section
from pythanos.gateway.index_cache import IndexCacheConfig, InMemoryConfig
from pythanos.gateway.select.run import SERIES_BATCH_SIZE, SelectOptions
from pythanos.model.timerange import ClosedRange
from pythanos.objstore.caching.opening import CachingBucketConfig
from pythanos.units import ByteSize, Duration, resolve_time

BEGINNING = "0000-01-01T00:00:00Z"
END = "9999-12-31T23:59:59Z"

Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class GrpcLimits(Section, frozen=True):
    """``store.grpc``: what Series calls may cost. The last two are the old names of ``store.limits``."""

    series_max_concurrency: Count = 20
    downloaded_bytes_limit: ByteSize = ByteSize(0)
    touched_series_limit: Count = 0
    series_sample_limit: Count = 0


class RequestLimitsConfig(Section, frozen=True):
    """``store.limits``: per Series call; 0 is no limit."""

    request_series: Count = 0
    request_samples: Count = 0


class StoreConfig(Section, frozen=True):
    """``store``: how blocks are read."""

    grpc: GrpcLimits = GrpcLimits()
    limits: RequestLimitsConfig = RequestLimitsConfig()
    caching_bucket: FileOrContent[CachingBucketConfig] = FileOrContent[CachingBucketConfig]()
    enable_index_header_lazy_reader: bool = False
    index_header_lazy_reader_idle_timeout: Duration = Duration(300_000)
    index_header_lazy_download_strategy: Literal["eager", "lazy"] = "eager"
    # Accepted for Thanos' sake: offset tables are compact enough to be held whole.
    index_header_posting_offsets_in_mem_sampling: Positive = 32
    enable_lazy_expanded_postings: bool = False
    posting_group_max_key_series_ratio: Annotated[float, msgspec.Meta(ge=0)] = 100.0

    @property
    def series_limit(self) -> int:
        return self.limits.request_series or self.grpc.touched_series_limit

    @property
    def samples_limit(self) -> int:
        return self.limits.request_samples or self.grpc.series_sample_limit


class DebugConfig(Section, frozen=True):
    """``debug``: hidden knobs, and ``name``, which log lines carry."""

    name: str = ""
    series_batch_size: Positive = SERIES_BATCH_SIZE
    estimated_max_series_size: Positive = 64 << 10
    estimated_max_chunk_size: Positive = 16_000


class GatewayConfig(Section, frozen=True):
    """The top-level keys of the store gateway; a daemon's configuration extends it."""

    data_dir: str = "./data"
    cache_index_header: bool = True
    index_cache_size: ByteSize = ByteSize(250 << 20)
    index_cache: FileOrContent[IndexCacheConfig] = FileOrContent[IndexCacheConfig]()
    chunk_pool_size: ByteSize = ByteSize(2 << 30)
    matcher_cache_size: Count = 0
    sync_block_duration: Duration = Duration(900_000)
    block_discovery_strategy: Literal["concurrent", "recursive"] = "concurrent"
    block_sync_concurrency: Positive = 20
    block_meta_fetch_concurrency: Positive = 32
    consistency_delay: Duration = Duration(0)
    ignore_deletion_marks_delay: Duration = Duration(86_400_000)
    min_time: str = BEGINNING
    max_time: str = END
    store: StoreConfig = StoreConfig()
    debug: DebugConfig = DebugConfig()

    def __post_init__(self) -> None:
        for name in ("min_time", "max_time"):
            try:
                resolve_time(getattr(self, name), 0)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        if self.sync_block_duration <= 0:
            raise ValueError("sync_block_duration must be more than 0")
        if resolve_time(self.min_time, 0) > resolve_time(self.max_time, 0):
            raise ValueError(f"min_time {self.min_time} can't be greater than max_time {self.max_time}")

    def window(self, now_ms: int) -> ClosedRange:
        """The time range to serve; its ends may move with the time."""
        return ClosedRange(resolve_time(self.min_time, now_ms), resolve_time(self.max_time, now_ms))

    def index_cache_config(self) -> IndexCacheConfig:
        """``index_cache``, or an in-memory one of ``index_cache_size``."""
        if self.index_cache.config is not None:
            return self.index_cache.config
        default = InMemoryConfig()
        size = InMemoryConfig(
            max_size=self.index_cache_size, max_item_size=ByteSize(min(default.max_item_size, self.index_cache_size))
        )
        return IndexCacheConfig(config=size)

    def select_options(self) -> SelectOptions:
        return SelectOptions(
            series_batch_size=self.debug.series_batch_size,
            lazy_postings=self.store.enable_lazy_expanded_postings,
            key_series_ratio=self.store.posting_group_max_key_series_ratio,
        )
