"""The answer to a query: its value, cut where a limit says so; statistics and analysis where they were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from pythanos.model.gojson import go_json
from pythanos.promql.accounting import QueryStats
from pythanos.promql.engine import QueryResult
from pythanos.promql.sample_counts import Counts
from pythanos.promql.values import HistogramRows, Matrix, RangeVector, Value, Vector
from pythanos.runtime.clock import Clock
from pythanos.web.api import params
from pythanos.web.api.query.settings import wants_analysis
from pythanos.web.api.responses import TRUNCATED, success_printed
from pythanos.web.api.results import print_value
from pythanos.web.messages import Args, Response

# Of Thanos, for its other engine.
NOT_ANALYZABLE = "Query not analyzable; change engine to 'thanos'."


class QueryTimer:
    """How long a query waited at the gate and how long it was evaluated, in seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked = self._entered = clock.monotonic()

    def entered(self) -> None:
        self._entered = self._clock.monotonic()

    def timings(self) -> dict[str, float]:
        """Prometheus' timings. Sorting and preparing are not told apart from the evaluation."""
        now = self._clock.monotonic()
        return {
            "evalTotalTime": now - self._entered,
            "resultSortTime": 0.0,
            "queryPreparationTime": 0.0,
            "innerEvalTime": now - self._entered,
            "execQueueTime": self._entered - self._asked,
            "execTotalTime": now - self._asked,
        }


def query_answer(result: QueryResult, args: Args, timer: QueryTimer) -> Response:
    """The envelope. ``limit`` cuts series as in Prometheus. Raises BadRequest for a bad limit."""
    limit = params.parse_limit(args.get("limit"))
    value, is_cut = truncated(result.value, limit)
    warnings = result.warnings() + result.infos()
    if result.analysis is None and wants_analysis(args):
        warnings.append(NOT_ANALYZABLE)
    if is_cut:
        warnings.append(TRUNCATED)
    kind, pieces = print_value(value)
    head = f'{{"resultType":"{kind}","result":'.encode()
    stats = f',"stats":{go_json(_stats(result, timer))}' if args.get("stats") else ""
    analysis = {} if result.analysis is None else result.analysis.to_json()
    tail = f'{stats},"analysis":{go_json(analysis)}}}'.encode()

    def data() -> Iterator[bytes]:
        yield head
        yield from pieces
        yield tail

    return success_printed(data(), warnings)


def truncated(value: Value, limit: int) -> tuple[Value, bool]:
    """The first ``limit`` series (0: all) of a vector or matrix, and whether there were more."""
    if not limit or not isinstance(value, Vector | Matrix | RangeVector):
        return value, False
    if isinstance(value, RangeVector):
        samples = value.samples
        if len(samples) <= limit:
            return value, False
        rows = slice(0, int(samples.start[limit]))
        histograms = samples.histograms
        cut = replace(
            samples,
            labels=samples.labels.take(slice(0, limit)),
            start=samples.start[: limit + 1],
            timestamps=samples.timestamps[rows],
            values=samples.values[rows],
            start_timestamps=None if samples.start_timestamps is None else samples.start_timestamps[rows],
            histograms=None if histograms is None else histograms.part(0, limit),
        )
        return RangeVector(cut), True
    if len(value.labels) <= limit:
        return value, False
    return (
        replace(
            value,
            labels=value.labels.take(slice(0, limit)),
            values=value.values[:limit],
            histograms=_first_rows(value.histograms, limit),
        ),
        True,
    )


def _first_rows(histograms: HistogramRows | None, limit: int) -> HistogramRows | None:
    return (
        None if histograms is None else HistogramRows(np.ascontiguousarray(histograms.row[:limit]), histograms.columns)
    )


def _by_step(stats: QueryStats, counts: Counts) -> list[tuple[float, int]]:
    return list(zip((stats.steps.times() / 1000).tolist(), counts.tolist(), strict=True))


def _stats(result: QueryResult, timer: QueryTimer) -> dict[str, Any]:
    """The shape of Prometheus' query statistics."""
    stats = result.stats
    samples: dict[str, Any] = {}
    if stats.scanned_steps is not None:
        samples["totalQueryableSamplesPerStep"] = _by_step(stats, stats.scanned_steps)
    samples["totalQueryableSamples"] = stats.total_queryable_samples
    if stats.read_steps is not None:
        samples["samplesReadPerStep"] = _by_step(stats, stats.read_steps)
    samples |= {"samplesRead": stats.samples_read, "peakSamples": stats.peak_samples}
    return {"timings": timer.timings(), "samples": samples}
