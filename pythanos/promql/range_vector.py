"""The value of a bare range selector: samples of series at their own times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels, _windows
from pythanos._histogram_math import supported
from pythanos._histogram_take import take_rows
from pythanos.model.histogram import HistogramColumns, concat_histograms
from pythanos.model.series import LabelColumn, SampleBatch
from pythanos.promql.histograms.instant import is_stale
from pythanos.promql.histograms.rows import sample_sizes
from pythanos.promql.operators.extended.samples import between_edges
from pythanos.promql.operators.operator import Evaluation
from pythanos.promql.operators.scan import beyond, data_steps, open_selection, select_hints
from pythanos.promql.plan.nodes import RangeSelect
from pythanos.promql.values import RangeVector, Steps


def range_vector(evaluation: Evaluation, node: RangeSelect, steps: Steps) -> RangeVector:
    """The samples in the one range of a selector, series in label order. Raises as operators do."""
    ends = data_steps(node.select, steps)
    modifier, lookback_ms = node.select.modifier, evaluation.options.lookback_ms
    hints = select_hints(node.select, ends, node.range_ms + (lookback_ms if modifier else 0), node.range_ms)
    if modifier == "smoothed":
        hints = beyond(hints, lookback_ms)
    selection = open_selection(evaluation, node.select, hints)
    parts = []
    for batch in selection.batches:
        evaluation.ctx.check()
        mint, maxt = ends.start_ms - node.range_ms, ends.start_ms
        if modifier:
            part = between_edges(batch.decode(), modifier, mint, maxt, lookback_ms)
        else:
            part = _within(batch.decode(), mint, maxt)
        count = len(part.timestamps)
        nbytes = 16 * count
        if part.histograms is not None:
            count += int(sample_sizes(part.histograms).sum())
            nbytes += part.histograms.buckets.nbytes + 48 * len(part.histograms)
        evaluation.account.hold(count, nbytes)
        evaluation.account.count(evaluation.place.at_once(count))
        parts.append(part)
    return RangeVector(_in_label_order(_joined(parts)))


def _within(samples: SampleBatch, mint: int, maxt: int) -> SampleBatch:
    """The samples in ``(mint, maxt]`` but for staleness markers, without the series that have none."""
    start, timestamps, values = _windows.select_samples(samples.start, samples.timestamps, samples.values, mint, maxt)
    size = np.diff(start)
    columns = samples.histograms
    if columns is None or not len(columns):
        kept = np.nonzero(size)[0]
        return SampleBatch(samples.labels.take(kept), _starts(size[kept]), timestamps, values)
    columns = supported(columns)
    inside = (columns.timestamps > mint) & (columns.timestamps <= maxt) & ~is_stale(columns)
    before = np.zeros(len(columns) + 1, np.int64)
    np.cumsum(inside, out=before[1:])
    own = np.diff(before[columns.start])
    kept = np.nonzero(size + own)[0]
    taken = _owned(take_rows(columns, np.nonzero(inside)[0]), own[kept])
    return SampleBatch(samples.labels.take(kept), _starts(size[kept]), timestamps, values, histograms=taken)


def _joined(parts: list[SampleBatch]) -> SampleBatch:
    if not parts:
        return SampleBatch(_labels.labels_from_dicts([]), np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))
    columns: list[LabelColumn] = [part.labels for part in parts]
    some = [part.histograms for part in parts if part.histograms is not None]
    histograms = None
    if some:
        sizes = [
            np.zeros(len(part), np.int64) if part.histograms is None else np.diff(part.histograms.start)
            for part in parts
        ]
        histograms = _owned(concat_histograms(some), np.concatenate(sizes))
    return SampleBatch(
        _labels.concat(columns),
        _starts(np.concatenate([np.diff(part.start) for part in parts])),
        np.concatenate([part.timestamps for part in parts]),
        np.concatenate([part.values for part in parts]),
        histograms=histograms,
    )


def _in_label_order(samples: SampleBatch) -> SampleBatch:
    order = _labels.sort_order(samples.labels)
    if (order[1:] > order[:-1]).all():
        return samples
    rows = _gathered(samples.start, order)
    columns = samples.histograms
    if columns is not None:
        columns = _owned(take_rows(columns, _gathered(columns.start, order)), np.diff(columns.start)[order])
    return SampleBatch(
        samples.labels.take(order),
        _starts(np.diff(samples.start)[order]),
        samples.timestamps[rows],
        samples.values[rows],
        histograms=columns,
    )


def _gathered(start: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of the series in another order."""
    size = np.diff(start)[order]
    return np.repeat(start[order] - _starts(size)[:-1], size) + np.arange(int(size.sum()))


def _owned(columns: HistogramColumns, size: NDArray[np.int64]) -> HistogramColumns:
    """Rows as those of series with so many each."""
    return replace(columns, start=_starts(size), chunk_reset=np.zeros(len(size), np.uint8))


def _starts(size: NDArray[np.int64]) -> NDArray[np.int64]:
    start = np.zeros(len(size) + 1, np.int64)
    np.cumsum(size, out=start[1:])
    return start
