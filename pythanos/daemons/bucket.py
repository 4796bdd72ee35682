"""A bucket's blocks as a store: bucket, fetcher, gateway and its sync loop; shared by the store and the all-in-one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.threads import deferToThreadPool

from pythanos.block.fetcher import FetcherMetrics, MetaFetcher
from pythanos.block.filters import (
    ConsistencyDelayFilter,
    DeletionMarkFilter,
    DuplicateFilter,
    LabelShardFilter,
    MetaFilter,
    TimePartitionFilter,
)
from pythanos.context import RequestContext
from pythanos.daemons.sections import BlocksServiceConfig
from pythanos.gateway.bucket_store import BucketStore
from pythanos.gateway.config import GatewayConfig
from pythanos.model.relabel import RelabelRule
from pythanos.objstore.bucket import Bucket
from pythanos.objstore.caching.opening import open_caching_bucket
from pythanos.objstore.opening import BucketConfig, open_bucket
from pythanos.runtime.clock import Clock
from pythanos.runtime.gate import Gate
from pythanos.runtime.loops import Loop, LoopMetrics
from pythanos.runtime.platform import Platform
from pythanos.web.api.blocks import BlocksAPI
from pythanos.workers import FETCH_THREADS, Workers

# ST-2: the first sync is tried for so long, then the start has failed.
FIRST_SYNC_SECONDS = 30.0
SERIES_WAITING_MAX = 1000


@dataclass(frozen=True, slots=True)
class BucketParts:
    """sync makes the store ready; headers unmaps idle index-headers, None where they are not lazy."""

    bucket: Bucket
    fetcher: MetaFetcher
    store: BucketStore
    holder: StoreHolder
    sync: Loop
    headers: Loop | None

    def services(self) -> list[Any]:
        return [self.holder, self.sync, *([self.headers] if self.headers is not None else [])]


def build_bucket(
    bucket_config: BucketConfig,
    config: GatewayConfig,
    rules: Sequence[RelabelRule],
    workers: Workers,
    platform: Platform,
    *,
    component: str,
    loops: LoopMetrics,
) -> BucketParts:
    """Raises ConfigError. Nothing is opened."""
    registry, clock = platform.registry, platform.clock

    def seconds() -> float:
        return clock.now_ms() / 1000

    bucket = _open(bucket_config, config, platform, component)
    filters: list[MetaFilter] = [
        TimePartitionFilter(lambda: config.window(clock.now_ms())),
        LabelShardFilter(rules),
        ConsistencyDelayFilter(config.consistency_delay, registry, clock=seconds),
        DeletionMarkFilter(bucket, config.ignore_deletion_marks_delay, clock=seconds),
        DuplicateFilter(),
    ]
    fetcher = MetaFetcher(
        bucket,
        filters,
        config.data_dir if config.cache_index_header else None,
        fetch=workers.fetch,
        metrics=FetcherMetrics(registry),
        discovery=config.block_discovery_strategy,
        concurrency=config.block_meta_fetch_concurrency,
        monotonic=clock.monotonic,
    )
    gate = Gate(
        config.store.grpc.series_max_concurrency,
        registry=registry,
        prefix="thanos_bucket_store_series",
        waiting_max=SERIES_WAITING_MAX,
        limit="store.grpc.series_max_concurrency",
    )
    store = BucketStore(bucket, fetcher, workers, config, registry, seconds, gate=gate, monotonic=clock.monotonic)
    sync = _loop(platform, loops, "block sync", config.sync_block_duration.seconds, lambda ctx: _sync(store, ctx))
    sync.start_window_seconds = FIRST_SYNC_SECONDS
    headers = None
    if config.store.enable_index_header_lazy_reader:
        interval = config.store.index_header_lazy_reader_idle_timeout.seconds / 10
        headers = _loop(platform, loops, "idle headers", max(interval, 0.1), lambda ctx: _unload(store))
    return BucketParts(bucket, fetcher, store, StoreHolder(store, bucket, platform.reactor), sync, headers)


def _open(bucket_config: BucketConfig, config: GatewayConfig, platform: Platform, component: str) -> Bucket:
    """The bucket, behind a cache where one is configured. The requests of a cache come on top of the fetch pool's."""
    caching = config.store.caching_bucket.config
    connections = FETCH_THREADS if caching is None else 2 * FETCH_THREADS
    bucket = open_bucket(bucket_config, platform.registry, component, connections=connections)
    if caching is None:
        return bucket
    return open_caching_bucket(
        bucket, caching, platform.registry, threads=FETCH_THREADS, monotonic=platform.clock.monotonic
    )


def blocks_api(parts: BucketParts, service: BlocksServiceConfig, clock: Clock) -> BlocksAPI:
    """The loaded blocks under ``/api/v1/blocks``."""
    return BlocksAPI(
        parts.store.loaded_metas,
        parts.bucket,
        clock,
        label=service.bucket_web_label,
        disable_admin_operations=service.disable_admin_operations,
    )


class StoreHolder(Service):
    """Closes the store and its bucket after everything that uses them has stopped."""

    def __init__(self, store: BucketStore, bucket: Bucket, reactor: Any) -> None:
        self.setName("bucket")
        self._store, self._bucket, self._reactor = store, bucket, reactor

    def stopService(self) -> defer.Deferred[None]:
        super().stopService()
        # Closing waits for readers, so not in the reactor thread.
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._close)

    def _close(self) -> None:
        self._store.close()
        self._bucket.close()


def _loop(
    platform: Platform, metrics: LoopMetrics, name: str, seconds: float, job: Callable[[RequestContext], None]
) -> Loop:
    return Loop(
        name,
        seconds,
        job,
        reactor=platform.reactor,
        clock=platform.clock,
        metrics=metrics,
        rng=platform.random,
    )


def _sync(store: BucketStore, ctx: RequestContext) -> None:
    store.sync(ctx)


def _unload(store: BucketStore) -> None:
    store.unload_idle_headers()
