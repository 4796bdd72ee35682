"""StoreQueryable: a Store as the engine reads it, its batches deduplicated while they are decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pythanos._dedup import CHAIN, NAIVE, PENALTY, SeriesDecoder
from pythanos.context import RequestContext
from pythanos.errors import BadRequest, LimitExceeded, PythanosError, StoreFailed
from pythanos.model.matchers import Matcher
from pythanos.model.series import LabelColumn, SampleBatch, SeriesBatch
from pythanos.promql.queryable import EncodedSeries, SelectHints, Selection
from pythanos.query.aggregates import (
    COUNTER_FUNCTIONS,
    aggregate_for,
    doubt_about,
    max_resolution_for,
    requested_aggregates,
)
from pythanos.storeapi.batches import SeriesFrame, StoreUsage, StoreWarning
from pythanos.storeapi.limited import SelectTooLarge
from pythanos.storeapi.merge import slice_batch, take_series
from pythanos.storeapi.requests import PartialResponse, QueryHints, SeriesRequest, ShardInfo
from pythanos.storeapi.store import Store

# The names of ``deduplication.func``.
ALGORITHMS = {"penalty": PENALTY, "chain": CHAIN}

# What tells series apart whose store has left out labels; the name that Thanos gives it.
SERIES_HASH_LABEL = "__cf_series_hash__"

# A batch is to be large enough to be worth a kernel call, and small enough to be held by the dozen.
BATCH_BYTES = 1 << 20
BATCH_SIZE_MIN, BATCH_SIZE_MAX = 64, 1024
LABEL_BYTES, BYTES_PER_SAMPLE, SCRAPE_MS = 300, 2, 15_000


@dataclass(frozen=True, slots=True)
class SelectOptions:
    """How the selects of one query ask the store.

    replica_labels: what tells replicas apart; with ``dedup`` they are dropped and the replicas made one. deduplication:
    a key of ALGORITHMS. max_resolution_ms: the coarsest resolution allowed, 0 for raw.
    """

    dedup: bool = True
    replica_labels: tuple[str, ...] = ()
    deduplication: str = "penalty"
    max_resolution_ms: int = 0
    partial_response: bool = True
    shard: ShardInfo | None = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """How the chunks of a select become samples: the arguments of ``SeriesDecoder``.

    ``doubt``: what to warn of if chunks of downsampled data are among them, "" for nothing.
    """

    mint: int
    maxt: int
    aggregate: int
    algorithm: int
    counter: bool
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """EncodedSeries over one batch of a store's answer."""

    batch: SeriesBatch
    decoding: Decoding

    @property
    def labels(self) -> LabelColumn:
        return self.batch.labels

    def decode(self) -> SampleBatch:
        return self.decoder().samples()

    def decoder(self) -> SeriesDecoder:
        how = self.decoding
        return SeriesDecoder(
            self.batch,
            mint=how.mint,
            maxt=how.maxt,
            aggregate=how.aggregate,
            algorithm=how.algorithm,
            counter=how.counter,
            file="chunk of a series response",
        )

    def part(self, start: int, stop: int) -> EncodedBatch:
        return EncodedBatch(slice_batch(self.batch, start, stop), self.decoding)

    def take(self, rows: NDArray[np.intp]) -> EncodedBatch:
        return EncodedBatch(take_series(self.batch, rows), self.decoding)


class Gate(Protocol):
    """Admits selects to be waited for; ``runtime.gate.Gate`` is one."""

    @property
    def concurrent_max(self) -> int: ...

    def enter(self, ctx: RequestContext) -> AbstractContextManager[None]: ...


class SelectPlaces:
    """Which selects of one query are fetched before somebody reads them, and how many are waited for at once.

    A place of the gate is held only while the first frame of a select is awaited: a reader of two selects would
    otherwise hold the one place that it waits for. Stores know nothing of each other's readers, so the wait ends.
    """

    def __init__(self, gate: Gate | None = None) -> None:
        """Without a gate every select is fetched at once."""
        self._gate = gate
        self._lock = threading.Lock()
        self._ahead = 0

    def take_ahead(self) -> bool:
        """Whether a new select may be fetched now; else it is when it is read."""
        if self._gate is None or self._gate.concurrent_max <= 0:
            return True
        with self._lock:
            has_room = self._ahead < self._gate.concurrent_max
            self._ahead += has_room
        return has_room

    def arrived(self) -> None:
        """The first frame of a select that was fetched ahead is here, or the select ended."""
        with self._lock:
            self._ahead -= 1

    def waiting(self, ctx: RequestContext) -> AbstractContextManager[None]:
        """Within it the first frame of one select is awaited. Raises what ``Gate.enter`` raises."""
        return self._gate.enter(ctx) if self._gate is not None else nullcontext()


class StoreQueryable:
    """The series of a store for one query; what varies between queries stands in the options."""

    def __init__(
        self,
        store: Store,
        options: SelectOptions,
        selector_labels: Iterable[str] = (),
        places: SelectPlaces | None = None,
    ) -> None:
        """``selector_labels``: names that the store matches by itself, without its series having them."""
        self._places = places or SelectPlaces()
        self._store = store
        self._options = options
        replica_labels = options.replica_labels if options.dedup else ()
        self.hidden_labels = frozenset((*replica_labels, *selector_labels))

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        """The series that match, asked for at once where there is a place, else when they are read.

        Raises what ``Store.series`` raises, here or while it is read.
        """
        decoding = Decoding(
            hints.mint,
            hints.maxt,
            aggregate_for(hints.func),
            ALGORITHMS[self._options.deduplication] if self._dedups else NAIVE,
            self._dedups and hints.func in COUNTER_FUNCTIONS,
            doubt_about(hints.func, hints.range_ms) if self._options.max_resolution_ms > 0 else "",
        )
        request = self.request(matchers, hints)
        frames = self._frames(ctx, request)
        selection = Selection(iter(()))
        selection.batches = _batches(ctx, frames, decoding, selection)
        return selection

    def _frames(self, ctx: RequestContext, request: SeriesRequest) -> Iterator[SeriesFrame]:
        if not self._places.take_ahead():
            return self._fetched(ctx, request, None)
        return self._fetched(ctx, request, self._asked(ctx, request))

    def _asked(self, ctx: RequestContext, request: SeriesRequest) -> Iterator[SeriesFrame]:
        try:
            return self._store.series(ctx, request)
        except (StoreFailed, LimitExceeded) as error:
            raise told(error, "proxy Series()") from error

    def _fetched(
        self, ctx: RequestContext, request: SeriesRequest, ahead: Iterator[SeriesFrame] | None
    ) -> Iterator[SeriesFrame]:
        """The frames of a select, the first one awaited in its turn; ``ahead``: where it has been asked for already."""
        frames = ahead
        try:
            try:
                with self._places.waiting(ctx):
                    if frames is None:
                        frames = self._asked(ctx, request)
                    first = next(iter(frames), None)
            finally:
                if ahead is not None:
                    self._places.arrived()
            if first is not None:
                yield first
                yield from frames
        finally:
            close = getattr(frames, "close", None)
            if close is not None:
                close()

    @property
    def _dedups(self) -> bool:
        return self._options.dedup and bool(self._options.replica_labels)

    def request(self, matchers: tuple[Matcher, ...], hints: SelectHints) -> SeriesRequest:
        """What the store is asked for one selector."""
        options = self._options
        return SeriesRequest(
            hints.mint,
            hints.maxt,
            matchers,
            max_resolution_ms=max_resolution_for(hints.func, hints.range_ms, options.max_resolution_ms),
            aggregates=requested_aggregates(aggregate_for(hints.func)),
            partial_response=PartialResponse.WARN if options.partial_response else PartialResponse.ABORT,
            step_ms=hints.step_ms,
            range_ms=hints.range_ms,
            query_hints=QueryHints(
                step_ms=hints.step_ms,
                func=hints.func,
                grouping=hints.grouping,
                grouping_by=hints.grouping_by,
                range_ms=hints.range_ms,
                projection_labels=hints.projection or (),
                projection_include=hints.projection is not None,
                series_hash_label_name=SERIES_HASH_LABEL,
            ),
            shard=options.shard,
            without_replica_labels=options.replica_labels if self._dedups else (),
            limit=hints.limit,
            response_batch_size=batch_size_for(hints.maxt - hints.mint),
            usage=hints.usage,
        )


def told(error: PythanosError, call: str) -> PythanosError:
    """The end of ``call``, such as ``proxy Series()``, as Thanos' querier tells it: whatever stores refuse or fail to
    do, a query over them cannot be evaluated. What is no failure of stores, or was turned away, is returned as it is.
    """
    if isinstance(error, StoreFailed):
        return StoreFailed(f"{call}: {error.told()}")
    if isinstance(error, BadRequest | LimitExceeded) and not getattr(error, "admission", False):
        aborted = call.endswith("Series()") and not isinstance(error, SelectTooLarge)
        return StoreFailed(f"{call}: {StoreFailed(str(error), aborted=aborted).told()}")
    return error


def batch_size_for(range_ms: int) -> int:
    """Series per batch, so that a batch of raw samples of a usual scrape interval is about BATCH_BYTES."""
    series_bytes = LABEL_BYTES + BYTES_PER_SAMPLE * max(range_ms, 0) // SCRAPE_MS
    return max(BATCH_SIZE_MIN, min(BATCH_SIZE_MAX, BATCH_BYTES // series_bytes))


def _batches(
    ctx: RequestContext, frames: Iterator[SeriesFrame], decoding: Decoding, selection: Selection
) -> Iterator[EncodedSeries]:
    """Batches as they come; warnings, each text once, and the usage of stores are added to the selection's."""
    doubt = decoding.doubt
    try:
        for frame in frames:
            ctx.check()
            if isinstance(frame, SeriesBatch):
                if doubt and frame.chunk_aggregate.any():
                    selection.warnings.append(doubt)
                    doubt = ""
                selection.sizes.append(len(frame))
                yield EncodedBatch(frame, decoding)
            elif isinstance(frame, StoreWarning) and frame.message not in selection.warnings:
                selection.warnings.append(frame.message)
            elif isinstance(frame, StoreUsage):
                selection.usage.append(frame)
    except (StoreFailed, BadRequest, LimitExceeded) as error:
        raise told(error, "proxy Series()") from error
    finally:
        close = getattr(frames, "close", None)
        if close is not None:
            close()
