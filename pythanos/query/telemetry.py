"""QueryTelemetry: how many queries there are, and how long they take by what they read, as metrics."""

from __future__ import annotations

from bisect import bisect_left
from typing import Annotated

import msgspec
from prometheus_client import CollectorRegistry, Gauge, Summary

from pythanos.config import Section
from pythanos.tally import TallyCounter, TallyGauge, TallyHistogram

Bound = Annotated[float, msgspec.Meta(gt=0)]
# As Thanos labels the metrics of its engines.
_ENGINE = ("thanos", "local")
_LABELS = ("engine", "mode")


class TelemetryConfig(Section, frozen=True):
    """``query.telemetry``: bounds of the histogram of durations, and of the samples and series that it goes by."""

    request_duration_seconds_quantiles: tuple[Bound, ...] = (0.1, 0.25, 0.75, 1.25, 1.75, 2.5, 3, 5, 10)
    request_samples_quantiles: tuple[Bound, ...] = (100, 1000, 10_000, 100_000, 1_000_000)
    request_series_seconds_quantiles: tuple[Bound, ...] = (10, 100, 1000, 10_000, 100_000)

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            bounds = getattr(self, name)
            if list(bounds) != sorted(set(bounds)):
                raise ValueError(f"{name} must rise")


class QueryTelemetry:
    """The metrics of one querier; safe to use from several threads."""

    def __init__(self, config: TelemetryConfig, registry: CollectorRegistry, concurrent_max: int) -> None:
        self._config = config
        # As a context: around the evaluation of a query.
        self.running = TallyGauge(
            "prometheus_engine_queries", "The current number of queries being executed or waiting.", _LABELS,
            registry=registry,
        ).labels(*_ENGINE)  # fmt: skip
        Gauge(
            "prometheus_engine_queries_concurrent_max", "The max number of concurrent queries.", _LABELS,
            registry=registry,
        ).labels(*_ENGINE).set(concurrent_max)  # fmt: skip
        self._samples = TallyCounter(
            "prometheus_engine_query_samples_total", "The total number of samples loaded by all queries.", _LABELS,
            registry=registry,
        ).labels(*_ENGINE)  # fmt: skip
        slices = Summary(
            "prometheus_engine_query_duration_seconds", "Query timings", (*_LABELS, "slice"), registry=registry
        )
        self._inner_eval = slices.labels(*_ENGINE, "inner_eval")
        self._durations = TallyHistogram(
            "thanos_store_api_query_duration_seconds",
            "Duration of the Thanos Store API select phase for a query.",
            ("series_le", "samples_le", "tenant"),
            buckets=config.request_duration_seconds_quantiles,
            registry=registry,
        )

    def ended(self, seconds: float) -> None:
        """The evaluation of a query, whatever came of it."""
        self._inner_eval.observe(seconds)

    def done(self, seconds: float, *, series: int, read: int, scanned: int, tenant: str) -> None:
        """A query that was answered: series and samples that it ``read``, samples ``scanned`` at all steps."""
        self._samples.inc(scanned)
        if series and read:
            config = self._config
            series_le = _bound(series, config.request_series_seconds_quantiles)
            samples_le = _bound(read, config.request_samples_quantiles)
            self._durations.labels(series_le, samples_le, tenant).observe(seconds)


def _bound(value: int, bounds: tuple[float, ...]) -> str:
    """The least bound that is no less, in Go's notation; the greatest stands for itself and beyond as +Inf."""
    if not bounds or value >= bounds[-1]:
        return "+Inf"
    found = bounds[bisect_left(bounds, value)]
    return str(int(found)) if found == int(found) else repr(found)
