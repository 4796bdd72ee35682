"""BucketStore: the blocks of a bucket served as a Store, without downloading them.

Local disk holds index-headers only; postings, series and chunks are range reads. Everything here runs in the caller's
thread and, for reads, on the fetch pool.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry

from pythanos.block.fetcher import FetchedMetas
from pythanos.context import RequestContext
from pythanos.errors import BadRequest, ObjectNotFound, QueryFailed
from pythanos.gateway.block_set import BlockSets
from pythanos.gateway.block_sync import BlockSync, plan_sync
from pythanos.gateway.bucket_block import BucketBlock
from pythanos.gateway.config import GatewayConfig
from pythanos.gateway.header_pool import HeaderPool
from pythanos.gateway.index_cache import IndexCache, open_index_cache
from pythanos.gateway.label_lookup import LabelLookup
from pythanos.gateway.limits import ChunkBudget, RequestLimits
from pythanos.gateway.metrics import BlockMetrics, HeaderMetrics, SelectMetrics
from pythanos.gateway.query_stats import QueryStats
from pythanos.gateway.select.matcher_cache import MatcherCache
from pythanos.gateway.select.run import SelectRun
from pythanos.gateway.series_answer import SeriesAnswer
from pythanos.model.timerange import MAX_TIME_MS, MIN_TIME_MS, ClosedRange
from pythanos.objstore.bucket import Bucket
from pythanos.storeapi.batches import SeriesFrame
from pythanos.storeapi.requests import LabelNamesRequest, LabelsAnswer, LabelValuesRequest, SeriesRequest
from pythanos.storeapi.store import StoreInfo, TsdbInfo
from pythanos.tsdb.meta import BlockMeta
from pythanos.workers import InlinePool, Pool, ThreadPool, Workers


class Fetcher(Protocol):
    """Finds the blocks to serve; ``block.fetcher.MetaFetcher`` is one."""

    def fetch(self, ctx: RequestContext) -> FetchedMetas: ...


class Gate(Protocol):
    """Admits Series calls; ``runtime.gate.Gate`` is one."""

    def enter(self, ctx: RequestContext) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class _Shared:
    cache: IndexCache
    matchers: MatcherCache
    budget: ChunkBudget
    metrics: SelectMetrics


@dataclass(frozen=True, slots=True)
class _Known:
    """What the loaded blocks hold, as of a version of theirs: every query asks for it, and they seldom change."""

    version: int
    label_sets: tuple[dict[str, str], ...]
    tsdb_infos: tuple[TsdbInfo, ...]
    mint: int
    maxt: int

    @classmethod
    def of(cls, version: int, sets: BlockSets) -> _Known:
        blocks = sets.all()
        return cls(
            version,
            tuple(sets.label_sets()),
            tuple(_tsdb_infos(blocks)),
            min((block.meta.mint for block in blocks), default=MAX_TIME_MS),
            max((block.meta.maxt for block in blocks), default=MIN_TIME_MS),
        )


class BucketStore:
    """A Store over the blocks that ``sync`` loads. Until the first ``sync`` it is empty.

    ``clock`` gives unix seconds. ``gate`` admits Series calls (None: all). ``index_cache`` replaces the configured one.
    """

    def __init__(
        self,
        bucket: Bucket,
        fetcher: Fetcher,
        workers: Workers,
        config: GatewayConfig,
        registry: CollectorRegistry,
        clock: Callable[[], float],
        *,
        gate: Gate | None = None,
        index_cache: IndexCache | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bucket = bucket
        self._fetcher = fetcher
        self._fetch_pool = workers.fetch
        self._config = config
        self._options = config.select_options()
        self._clock = clock
        self._gate = gate
        # Without a folder of its own the gateway keeps headers only for as long as it runs.
        self._temporary = None if config.cache_index_header else tempfile.mkdtemp(prefix="pythanos-index-headers-")
        data_dir = Path(self._temporary or config.data_dir)
        self._shared = _Shared(
            index_cache or open_index_cache(config.index_cache_config(), registry, monotonic=monotonic),
            MatcherCache(config.matcher_cache_size, registry),
            ChunkBudget(config.chunk_pool_size),
            SelectMetrics(registry),
        )
        self._blocks = BlockSets()
        self._sync = BlockSync(
            self._blocks, self._load, data_dir, BlockMetrics(registry), clock=clock, monotonic=monotonic
        )
        store = config.store
        self._headers = HeaderPool(
            bucket,
            data_dir,
            workers.fetch,
            HeaderMetrics(registry),
            lazy=store.enable_index_header_lazy_reader,
            lazy_download=store.index_header_lazy_download_strategy == "lazy",
            idle_timeout_ms=store.index_header_lazy_reader_idle_timeout,
            monotonic=monotonic,
        )
        self._synced = False
        self._known: _Known | None = None
        # An end of the window stands still or moves with the time, a millisecond each: two values tell which.
        self._window_at_zero, self._window_at_one = config.window(0), config.window(1)

    def sync(self, ctx: RequestContext) -> FetchedMetas:
        """Loads new blocks and drops vanished ones; returns what the bucket has.

        A block that cannot be loaded is logged and left for the next time. Raises BucketUnavailable where the bucket
        does not answer; an incomplete view adds blocks and drops none.
        """
        fetched = self._fetcher.fetch(ctx)
        plan = plan_sync([block.ulid for block in self._blocks.all()], fetched)
        pool = self._sync_pool(len(plan.add))
        try:
            self._sync.apply(ctx, plan, pool)
        finally:
            pool.stop()
        if not self._synced and fetched.complete:
            self._sync.remove_stray_folders()
            self._synced = True
        return fetched

    def unload_idle_headers(self) -> int:
        """Unmaps lazy index-headers without recent use; how many. A daemon calls it each tenth of the idle timeout."""
        return self._headers.unload_idle()

    def loaded_metas(self) -> list[BlockMeta]:
        """The metas of the loaded blocks, by time."""
        return sorted((block.meta for block in self._blocks.all()), key=lambda meta: (meta.mint, meta.maxt, meta.ulid))

    def close(self) -> None:
        """Lets go of all blocks, each when the last request that reads it ends; their index-headers stay on disk."""
        for block in self._blocks.all():
            self._blocks.remove(block.ulid)
            block.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def info(self) -> StoreInfo:
        """The time range is that of the blocks, inside of the configured window; empty (mint > maxt) without blocks."""
        version, known = self._blocks.version, self._known
        if known is None or known.version != version:
            known = self._known = _Known.of(version, self._blocks)
        window = self._window()
        return StoreInfo(
            known.label_sets,
            max(known.mint, window.mint),
            min(known.maxt, window.maxt),
            supports_sharding=True,
            supports_without_replica_labels=True,
            tsdb_infos=known.tsdb_infos,
        )

    def series(self, ctx: RequestContext, request: SeriesRequest) -> Iterator[SeriesFrame]:
        """As Store. The last frame is SeriesHints."""
        with self._gate.enter(ctx) if self._gate is not None else nullcontext():
            window = self._window()
            wanted = ClosedRange(max(request.mint, window.mint), min(request.maxt, window.maxt))
            run = self._run(ctx)
            found = self._blocks.select(wanted, request.matchers, request.block_matchers, request.max_resolution_ms)
            with _reading([block for block, _ in found]):
                if any(not matchers for _, matchers in found) or not request.matchers:
                    raise BadRequest("no matchers specified (excluding external labels)")
                yield from SeriesAnswer(run, request, wanted, found)

    def label_names(self, ctx: RequestContext, request: LabelNamesRequest) -> LabelsAnswer:
        return self._labels(ctx, request, None)

    def label_values(self, ctx: RequestContext, request: LabelValuesRequest) -> LabelsAnswer:
        if not request.label:
            raise BadRequest("label name parameter cannot be empty")
        if request.label in request.without_replica_labels:
            return LabelsAnswer(())
        return self._labels(ctx, request, request.label)

    def _labels(
        self, ctx: RequestContext, request: LabelNamesRequest | LabelValuesRequest, label: str | None
    ) -> LabelsAnswer:
        wanted = ClosedRange(request.mint, request.maxt)
        found = self._blocks.select_all(wanted, request.matchers, request.block_matchers)
        run, drop = self._run(ctx), request.without_replica_labels
        with _reading([block for block, _ in found]):
            lookups = [LabelLookup(run, block, wanted, matchers, drop, label=label) for block, matchers in found]
            try:
                for lookup in lookups:
                    lookup.begin()
                values: set[str] = set()
                for lookup in lookups:
                    ctx.check()
                    values |= lookup.finish()
            finally:
                for lookup in lookups:
                    lookup.close()
        ordered = sorted(values, key=lambda value: value.encode("utf-8", "surrogateescape"))
        return LabelsAnswer(
            tuple(ordered[: request.limit or None]), queried_blocks=tuple(sorted(block.ulid for block, _ in found))
        )

    def _run(self, ctx: RequestContext) -> SelectRun:
        shared, store = self._shared, self._config.store
        limits = RequestLimits(
            series=store.series_limit,
            samples=store.samples_limit,
            downloaded_bytes=store.grpc.downloaded_bytes_limit,
            on_exceeded=lambda reason: shared.metrics.queries_dropped.labels(reason, ctx.tenant).inc(),
        )
        return SelectRun(
            ctx,
            self._fetch_pool,
            shared.cache,
            shared.matchers,
            limits,
            shared.budget,
            QueryStats(),
            shared.metrics,
            self._options,
        )

    def _load(self, meta: BlockMeta) -> BucketBlock:
        debug = self._config.debug
        return BucketBlock(
            self._bucket,
            meta,
            self._headers,
            series_bytes_max=debug.estimated_max_series_size,
            chunk_bytes_max=debug.estimated_max_chunk_size,
        )

    def _sync_pool(self, jobs: int) -> Pool:
        """Threads for loading blocks, which wait for the fetch pool and so cannot be of it."""
        if isinstance(self._fetch_pool, InlinePool) or jobs <= 1:
            return InlinePool()
        return ThreadPool("block-sync", min(jobs, self._config.block_sync_concurrency))

    def _window(self) -> ClosedRange:
        now_ms, zero, one = int(self._clock() * 1000), self._window_at_zero, self._window_at_one
        return ClosedRange(zero.mint + (one.mint - zero.mint) * now_ms, zero.maxt + (one.maxt - zero.maxt) * now_ms)


@contextmanager
def _reading(blocks: list[BucketBlock]) -> Iterator[None]:
    """Unpins the blocks at its end. An object of theirs that is gone fails the request, and is no 404 (ST-24)."""
    try:
        yield
    except ObjectNotFound as error:
        raise QueryFailed(f"read a block: {error}") from error
    finally:
        for block in blocks:
            block.unpin()


def _tsdb_infos(blocks: list[BucketBlock]) -> Iterator[TsdbInfo]:
    """One for each run of adjacent or overlapping blocks of one external label set (ST-28)."""
    by_labels: dict[tuple[tuple[str, str], ...], list[BlockMeta]] = {}
    for block in blocks:
        by_labels.setdefault(tuple(sorted(block.labels.items())), []).append(block.meta)
    for key in sorted(by_labels):
        metas = sorted(by_labels[key], key=lambda meta: meta.mint)
        mint, maxt = metas[0].mint, metas[0].maxt
        for meta in metas[1:]:
            if meta.mint > maxt:
                yield TsdbInfo(dict(key), mint, maxt)
                mint, maxt = meta.mint, meta.maxt
            maxt = max(maxt, meta.maxt)
        yield TsdbInfo(dict(key), mint, maxt)
