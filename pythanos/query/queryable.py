"""StoreQueryable: a Store as the engine's source of samples, with resolution, aggregate and deduplication chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pythanos import _dedup
from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher
from pythanos.model.resolution import COUNT, COUNTER, MAX, MIN, SUM
from pythanos.model.series import LabelColumn, SampleBatch, SeriesBatch
from pythanos.promql.queryable import EncodedSeries, SelectHints, Selection
from pythanos.storeapi.batches import StoreWarning
from pythanos.storeapi.merge import slice_batch
from pythanos.storeapi.requests import PartialResponse, QueryHints, SeriesRequest, ShardInfo
from pythanos.storeapi.store import Store

ALGORITHMS = {"penalty": _dedup.PENALTY, "chain": _dedup.CHAIN}

# Large messages: a batch is a job of the engine, and a job of a millisecond is worth a thread.
BATCH_SERIES = 1024

# These need two samples in their range, so a resolution of more than half of it would starve them (QU-21).
TWO_SAMPLE_FUNCTIONS = frozenset(
    (
        "rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear", "holt_winters",
        "double_exponential_smoothing", "xrate", "xincrease", "xdelta",
    )
)  # fmt: skip
COUNTER_FUNCTIONS = frozenset(("rate", "irate", "increase", "resets", "xrate", "xincrease"))


@dataclass(frozen=True, slots=True)
class SelectOptions:
    """What a request says about how its series are fetched.

    ``replica_labels`` are taken out, and the replicas made one, where ``dedup`` is set. ``deduplication`` is a key of
    ALGORITHMS.
    """

    dedup: bool = True
    replica_labels: tuple[str, ...] = ()
    deduplication: str = "penalty"
    max_resolution_ms: int = 0
    partial_response: bool = True
    shard: ShardInfo | None = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a selection's chunks become samples, in the words of ``_dedup.decode_series``. Times in ms, both inside."""

    mint: int
    maxt: int
    aggregate: int
    algorithm: int
    counter: bool


class EncodedBatch:
    """A SeriesBatch that waits to be decoded; implements ``promql.queryable.EncodedSeries``."""

    __slots__ = ("_batch", "_decoding")

    def __init__(self, batch: SeriesBatch, decoding: Decoding) -> None:
        self._batch = batch
        self._decoding = decoding

    @property
    def labels(self) -> LabelColumn:
        return self._batch.labels

    def part(self, first: int, last: int) -> EncodedBatch:
        """The series [first, last) on their own, sharing the arena."""
        return EncodedBatch(slice_batch(self._batch, first, last), self._decoding)

    def decode(self) -> SampleBatch:
        """The deduplicated samples in the selection's range. Raises CorruptData."""
        how = self._decoding
        return _dedup.decode_series(
            self._batch,
            mint=how.mint,
            maxt=how.maxt,
            aggregate=how.aggregate,
            algorithm=how.algorithm,
            counter=how.counter,
            file="chunk of a series response",
        )


class StoreQueryable:
    """Selects from one Store (a fan-out, a bucket) for one request."""

    def __init__(self, store: Store, options: SelectOptions) -> None:
        self._store = store
        self._options = options

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        request = self.request(matchers, hints)
        decoding = Decoding(
            mint=hints.mint,
            maxt=hints.maxt,
            aggregate=decoded_aggregate(hints.func),
            # Without replicas to tell apart, chunks that overlap are still read without repeating a timestamp.
            algorithm=ALGORITHMS[self._options.deduplication] if self._dedups else _dedup.NAIVE,
            counter=hints.func in COUNTER_FUNCTIONS,
        )
        selection = Selection(iter(()))
        selection.batches = self._batches(ctx, request, decoding, selection.warnings)
        return selection

    @property
    def _dedups(self) -> bool:
        return self._options.dedup and bool(self._options.replica_labels)

    def request(self, matchers: tuple[Matcher, ...], hints: SelectHints) -> SeriesRequest:
        """What the store is asked for one selector."""
        options = self._options
        resolution = options.max_resolution_ms
        if hints.func in TWO_SAMPLE_FUNCTIONS and hints.range_ms:
            resolution = min(resolution, hints.range_ms // 2)
        return SeriesRequest(
            mint=hints.mint,
            maxt=hints.maxt,
            matchers=matchers,
            max_resolution_ms=resolution,
            aggregates=aggregates_of(hints.func),
            partial_response=PartialResponse.WARN if options.partial_response else PartialResponse.ABORT,
            step_ms=hints.step_ms,
            range_ms=hints.range_ms,
            query_hints=QueryHints(
                step_ms=hints.step_ms,
                func=hints.func,
                grouping=hints.grouping,
                grouping_by=hints.grouping_by,
                range_ms=hints.range_ms,
            ),
            shard=options.shard,
            without_replica_labels=options.replica_labels if self._dedups else (),
            limit=hints.limit,
            response_batch_size=BATCH_SERIES,
        )

    def _batches(
        self, ctx: RequestContext, request: SeriesRequest, decoding: Decoding, warnings: list[str]
    ) -> Iterator[EncodedSeries]:
        for frame in self._store.series(ctx, request):
            if isinstance(frame, SeriesBatch):
                yield EncodedBatch(frame, decoding)
            elif isinstance(frame, StoreWarning) and frame.message not in warnings:
                warnings.append(frame.message)


def aggregates_of(func: str) -> tuple[int, ...]:
    """The aggregates that a downsampled block is asked for, by the function round the selector (QU-22)."""
    if func == "min" or func.startswith("min_"):
        return (MIN,)
    if func == "max" or func.startswith("max_"):
        return (MAX,)
    if func == "count" or func.startswith("count_"):
        return (COUNT,)
    if func == "sum_over_time":
        return (SUM,)
    if func in COUNTER_FUNCTIONS:
        return (COUNTER,)
    return (COUNT, SUM)


def decoded_aggregate(func: str) -> int:
    """What one sample of a downsampled block stands for: one of the aggregates, or the average of its window."""
    asked = aggregates_of(func)
    return asked[0] if len(asked) == 1 else _dedup.AVERAGE
