"""The metas of a bucket's blocks: discovered, fetched once, filtered, counted.

A block that cannot be used is left out with a reason and never stops the others. Reasons that may pass (a bucket that
did not answer) make the view incomplete: blocks that it lacks may still be there, so nobody drops one because of it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pythanos.block import filters as states
from pythanos.block.filters import FilterInput, MetaFilter
from pythanos.block.lister import LISTERS, Listing
from pythanos.block.meta_cache import MetaCache
from pythanos.block.paths import meta_path
from pythanos.context import RequestContext
from pythanos.errors import CorruptData, ObjectNotFound, Retryable
from pythanos.objstore.bucket import Bucket
from pythanos.tsdb.meta import BlockMeta, UnsupportedMeta, decode_meta
from pythanos.workers import Pool

log = logging.getLogger(__name__)

LOADED = "loaded"
FAILED = "failed"
NO_META = "no-meta-json"
CORRUPTED_META = "corrupted-meta-json"
STATES = (
    CORRUPTED_META, NO_META, LOADED, states.TOO_FRESH, FAILED, states.LABEL_EXCLUDED, states.TIME_EXCLUDED,
    states.DUPLICATE, states.MARKED_FOR_DELETION, "marked-for-no-compact", "marked-for-no-downsample",
    "parquet-migrated",
)  # fmt: skip
REPLICA_LABEL_REMOVED = "replica-label-removed"
FETCH_AHEAD = 32
DURATION_BUCKETS = (0.01, 1, 10, 100, 300, 600, 1000)


@dataclass(frozen=True, slots=True)
class FetchedMetas:
    """What one look at the bucket found; every dict is keyed by ULID.

    ``metas``: blocks to work with. ``partial``: blocks without a meta.json, or with one that is no meta.json (perhaps
    half an upload), with the reason. ``unsupported``: metas of another version. ``failed``: what could not be read now;
    where it is not empty the view is not ``complete``. ``excluded``: blocks that a filter left out, with the state.
    ``ignored``: root entries of the bucket that are no blocks.
    """

    metas: dict[str, BlockMeta]
    partial: dict[str, str] = field(default_factory=dict)
    unsupported: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    excluded: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether a block that is not here is not in the bucket either (or not for us)."""
        return not self.failed


class FetcherMetrics:
    """``<prefix>blocks_meta_*``; the states are those of the last fetch."""

    def __init__(self, registry: CollectorRegistry | None, prefix: str = "thanos_") -> None:
        name = f"{prefix}blocks_meta_"
        self.syncs = Counter(
            f"{name}syncs", "Total blocks metadata synchronization attempts", registry=registry
        )  # fmt: skip
        self.failures = Counter(
            f"{name}sync_failures", "Total blocks metadata synchronization failures", registry=registry
        )
        self.duration = Histogram(
            f"{name}sync_duration_seconds",
            "Duration of the blocks metadata synchronization in seconds",
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self.synced = Gauge(f"{name}synced", "Number of block metadata synced", ("state",), registry=registry)
        self.modified = Gauge(
            f"{name}modified", "Number of blocks whose metadata changed", ("modified",), registry=registry
        )
        self.base_syncs = Counter(
            f"{name}base_syncs",
            "Total blocks metadata synchronization attempts by base Fetcher",
            registry=registry,
        )
        self.cache_busts = Counter(
            f"{name}base_cache_busts", "Total blocks metadata cache busts by base Fetcher", registry=registry
        )
        self.show(Tally(), 0)

    def show(self, counts: Tally[str], modified: int) -> None:
        for state in STATES:
            self.synced.labels(state).set(counts[state])
        self.modified.labels(REPLICA_LABEL_REMOVED).set(modified)


class MetaFetcher:
    """Fetches metas on the fetch pool; safe to call from several threads, one fetch runs at a time.

    ``cache_dir``: where meta.json files are kept between starts (below ``meta-syncer/``), None for nowhere.
    ``discovery``: ``concurrent`` or ``recursive``.
    """

    def __init__(
        self,
        bucket: Bucket,
        filters: Sequence[MetaFilter],
        cache_dir: str | None,
        *,
        fetch: Pool,
        metrics: FetcherMetrics | None = None,
        discovery: str = "concurrent",
        concurrency: int = FETCH_AHEAD,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bucket = bucket
        self._filters = tuple(filters)
        self._cache = MetaCache(cache_dir)
        self._fetch_pool = fetch
        self._metrics = metrics or FetcherMetrics(None)
        self._list = LISTERS[discovery]
        self._concurrency = concurrency
        self._monotonic = monotonic
        self._lock = threading.Lock()

    def fetch(self, ctx: RequestContext | None = None) -> FetchedMetas:
        """The bucket's blocks of now.

        Raises BucketUnavailable where nothing can be said, because a listing or a filter got no answer.
        """
        ctx = ctx or RequestContext()
        with self._lock:
            metrics, start, whole = self._metrics, self._monotonic(), False
            metrics.syncs.inc()
            try:
                found = self._filtered(self._fetch_all(ctx), ctx)
                whole = found.complete
                return found
            finally:
                metrics.duration.observe(self._monotonic() - start)
                if not whole:
                    metrics.failures.inc()

    def _fetch_all(self, ctx: RequestContext) -> tuple[Listing, FetchedMetas]:
        self._metrics.base_syncs.inc()
        listing = self._list(self._bucket, self._fetch_pool, ctx)
        self._metrics.cache_busts.inc(self._cache.forget_changed(listing.complete))
        partial = {ulid: f"block {ulid} has no meta.json" for ulid in listing.partial}
        for ulid in listing.partial:
            # Not a warning: an upload in progress looks like that.
            log.info("block %s left out: it has no meta.json", ulid)
        for name in listing.ignored:
            log.debug("folder %s left out: its name is no ULID", name)
        found = FetchedMetas({}, partial=partial, ignored=listing.ignored)
        blocks = list(listing.complete)
        loaded = self._fetch_pool.map(self._load, blocks, ahead=self._concurrency)
        for ulid, meta in zip(blocks, loaded, strict=True):
            ctx.check()
            if isinstance(meta, BlockMeta):
                found.metas[ulid] = meta
            else:
                _sort(found, ulid, meta)
        if found.complete:
            self._cache.keep_only(found.metas, listing.complete)
        return listing, found

    def _load(self, ulid: str) -> BlockMeta | Exception:
        """The meta of a block, or the error that says why there is none."""
        try:
            return self._cache.find(ulid) or self._download(ulid)
        except (CorruptData, ObjectNotFound, Retryable) as error:
            return error

    def _download(self, ulid: str) -> BlockMeta:
        name = meta_path(ulid)
        data = self._bucket.get(name)
        meta = decode_meta(data, name)
        if meta.ulid != ulid:
            raise CorruptData(name, -1, f"says that it is block {meta.ulid}")
        self._cache.add(ulid, meta, data)
        return meta

    def _filtered(self, fetched: tuple[Listing, FetchedMetas], ctx: RequestContext) -> FetchedMetas:
        listing, found = fetched
        given = FilterInput(ctx, self._fetch_pool, listing.marked)
        metas, modified = found.metas, 0
        for each in self._filters:
            verdict = each.decide(metas, given)
            metas = {ulid: verdict.changed.get(ulid, m) for ulid, m in metas.items() if ulid not in verdict.excluded}
            found.excluded.update(verdict.excluded)
            modified += len(verdict.changed)
        counts = Tally(found.excluded.values())
        counts[LOADED] = len(metas)
        counts[FAILED] = len(found.failed) + len(found.unsupported)
        counts[NO_META] = sum(1 for ulid in found.partial if ulid not in listing.complete)
        counts[CORRUPTED_META] = len(found.partial) - counts[NO_META]
        self._metrics.show(counts, modified)
        return FetchedMetas(
            metas, found.partial, found.unsupported, found.failed, found.excluded, found.ignored
        )  # fmt: skip


def _sort(found: FetchedMetas, ulid: str, error: Exception) -> None:
    """Puts a block without a meta where its reason belongs."""
    log.warning("block %s left out: %s", ulid, error)
    if isinstance(error, UnsupportedMeta):
        found.unsupported[ulid] = str(error)
    elif isinstance(error, CorruptData | ObjectNotFound):
        found.partial[ulid] = str(error)
    else:
        found.failed[ulid] = str(error)
