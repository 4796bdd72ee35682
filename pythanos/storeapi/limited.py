"""LimitedStore: how many series and samples one Series call may send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter

from pythanos.context import RequestContext
from pythanos.errors import LimitExceeded
from pythanos.storeapi.batches import SeriesBatch, SeriesFrame
from pythanos.storeapi.requests import LabelNamesRequest, LabelsAnswer, LabelValuesRequest, SeriesRequest
from pythanos.storeapi.store import Store, StoreInfo

# As in Thanos a chunk counts as full, so that none need be opened.
SAMPLES_PER_CHUNK = 120


@dataclass(frozen=True, slots=True)
class SelectLimits:
    """The most of one Series call; 0 is no limit."""

    series: int = 0
    samples: int = 0


class SelectTooLarge(LimitExceeded):
    """A Series call would send more than ``store.limits`` allows."""


class LimitMetrics:
    """One instance per registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        dropped = Counter(
            "thanos_store_selects_dropped_total",
            "Number of select queries that were dropped due to configured limits.",
            ("reason",),
            registry=registry,
        )
        self.series, self.chunks = dropped.labels("series"), dropped.labels("chunks")


class LimitedStore:
    """A Store whose Series calls end with SelectTooLarge once they would send more than the limits."""

    def __init__(self, store: Store, limits: SelectLimits, metrics: LimitMetrics) -> None:
        self._store, self._limits, self._metrics = store, limits, metrics

    def info(self) -> StoreInfo:
        return self._store.info()

    def series(self, ctx: RequestContext, request: SeriesRequest) -> Iterator[SeriesFrame]:
        """The frames; what is over a limit is not among them."""
        frames = self._store.series(ctx, request)
        return self._counted(frames) if self._limits.series or self._limits.samples else frames

    def label_names(self, ctx: RequestContext, request: LabelNamesRequest) -> LabelsAnswer:
        return self._store.label_names(ctx, request)

    def label_values(self, ctx: RequestContext, request: LabelValuesRequest) -> LabelsAnswer:
        return self._store.label_values(ctx, request)

    def _counted(self, frames: Iterator[SeriesFrame]) -> Iterator[SeriesFrame]:
        limits, series, samples = self._limits, 0, 0
        try:
            for frame in frames:
                if isinstance(frame, SeriesBatch):
                    series += len(frame)
                    samples += frame.chunk_count * SAMPLES_PER_CHUNK
                    if 0 < limits.series < series:
                        self._metrics.series.inc()
                        raise _exceeded("series", limits.series, series)
                    if 0 < limits.samples < samples:
                        self._metrics.chunks.inc()
                        raise _exceeded("samples", limits.samples, samples)
                yield frame
        finally:
            close = getattr(frames, "close", None)
            if close is not None:
                close()


def _exceeded(what: str, limit: int, got: int) -> SelectTooLarge:
    message = f"failed to send {what}: limit {limit} violated (got {got})"
    return SelectTooLarge(f"store.limits.request_{what}", limit, message)
