"""Range functions where native histograms are among the samples: beside the floats, in their place, or ignored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pythanos import _histogram_math, _histogram_windows, _labels
from pythanos._windows import Function
from pythanos.model.histogram import (
    COUNTER_RESET,
    NOT_COUNTER_RESET,
    UNKNOWN_RESET,
    HistogramColumns,
    concat_histograms,
)
from pythanos.model.series import STALE_NAN_BITS, LabelColumn, SampleBatch
from pythanos.promql.annotations import Annotation, start_overlap
from pythanos.promql.histograms import texts
from pythanos.promql.histograms.instant import is_stale
from pythanos.promql.histograms.rows import referred, sample_sizes
from pythanos.promql.operators.operator import Block
from pythanos.promql.values import Growth, HistogramRows, Steps


@dataclass(frozen=True, slots=True)
class HistogramSamples:
    """The native histograms of the series of a SampleBatch.

    start int64[n + 1], timestamps int64[h] ms, row int64[h]: series i has the rows row[start[i]:start[i + 1]] of
    ``columns``. start_timestamps: int64[h] ms, or None where they are not to be used.
    """

    start: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    row: NDArray[np.int64]
    columns: HistogramColumns
    start_timestamps: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class WindowResults:
    """``said``: uint16[n, steps], bits of ``_histogram_windows``; scanned, read: as in ``Block``."""

    histograms: HistogramRows | None
    said: NDArray[np.uint16]
    scanned: int
    read: int


def selected(samples: SampleBatch, *, use_starts: bool) -> HistogramSamples | None:
    """The histograms that came with samples; None where there are none."""
    if samples.histograms is None or not len(samples.histograms):
        return None
    columns = _histogram_math.supported(samples.histograms)
    starts = columns.start_timestamps if use_starts else None
    return HistogramSamples(columns.start, columns.timestamps, np.arange(len(columns)), columns, starts)


def sample_times(
    samples: SampleBatch, histograms: HistogramSamples | None
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """(ms, as how many samples each counts or None for one): all samples but for staleness markers, in any order."""
    times = samples.timestamps[samples.values.view(np.int64) != STALE_NAN_BITS]
    if histograms is None:
        return times, None
    sizes = np.where(is_stale(histograms.columns), 0, sample_sizes(histograms.columns))[histograms.row]
    worth = np.concatenate([np.ones(len(times), np.int64), sizes])
    return np.concatenate([times, histograms.timestamps]), worth


def evaluated(block: Block, grid: Steps) -> HistogramSamples | None:
    """The histograms of an inner expression at its steps, as the samples of a subquery.

    Steps may leave resets out or show them twice, so hints about resets are forgotten.
    """
    histograms = block.histograms
    if histograms is None:
        return None
    there = histograms.row >= 0
    start = np.zeros(len(block) + 1, np.int64)
    np.cumsum(there.sum(axis=1), out=start[1:])
    hint = histograms.columns.reset_hint
    hint = np.where((hint == COUNTER_RESET) | (hint == NOT_COUNTER_RESET), np.uint8(UNKNOWN_RESET), hint)
    columns = replace(histograms.columns, reset_hint=hint)
    return HistogramSamples(start, grid.times()[np.nonzero(there)[1]], histograms.row[there], columns)


def histogram_windows(
    kernel: int,
    samples: SampleBatch,
    histograms: HistogramSamples,
    values: NDArray[np.float64],
    ends: Steps,
    range_ms: int,
    *,
    check: Callable[[], None],
    growing: bool = False,
) -> WindowResults:
    """A range function over windows that may hold histograms.

    values: float64[n, steps], what the floats of ``samples`` gave; changed where histograms matter. Start timestamps of
    ``samples`` are used if there are any. check: called every 20 ms or so, ends the work by raising. growing: rates and
    increases may come as a Growth.
    """
    growth = None
    if growing and kernel in (Function.RATE, Function.INCREASE):
        growth = Growth(np.full(values.shape, -1, np.int64), np.empty(values.shape))
    row, made, said, scanned, read = _histogram_windows.histogram_rows(
        kernel,
        samples,
        histograms.columns,
        histograms.start,
        histograms.timestamps,
        histograms.row,
        values,
        first_end=ends.start_ms,
        end_step=ends.step_ms if ends.count > 1 else 0,
        range_ms=range_ms,
        sizes=sample_sizes(histograms.columns),
        start_timestamps=histograms.start_timestamps,
        base=None if growth is None else growth.base,
        factor=None if growth is None else growth.factor,
        check=check,
    )
    columns = made
    if growth is not None:
        columns = concat_histograms([histograms.columns, made]) if len(made) else histograms.columns
    return WindowResults(referred(row, columns, growth), said, scanned, read)


def window_remarks(said: NDArray[np.uint16], labels: LabelColumn, position: int) -> list[Annotation]:
    """What windows (uint16[n, steps]) have to say, by metric where the metric matters."""
    bits = np.bitwise_or.reduce(said, axis=1)
    if not bits.any():
        return []
    found = [text(operation, position) for bit, text, operation in _WITHOUT_NAME if (bits & bit).any()]
    for bit, named in _WITH_NAME:
        rows = np.nonzero(bits & bit)[0]
        if len(rows):
            names = dict.fromkeys(_labels.values_of(labels.take(rows), "__name__"))
            found.extend(named(name, position) for name in names)
    rows = np.nonzero(bits & _histogram_windows.OVERLAP)[0]
    if len(rows):
        windows = np.count_nonzero(said[rows] & _histogram_windows.OVERLAP, axis=1).tolist()
        names_of = _labels.values_of(labels.take(rows), "__name__")
        found.extend(start_overlap(name, position, count) for name, count in zip(names_of, windows, strict=True))
    return found


_Text = Callable[[str, int], Annotation]
_WITH_NAME: tuple[tuple[int, _Text], ...] = (
    (_histogram_windows.MIXED, texts.mixed_range),
    (_histogram_windows.IGNORED, texts.ignored_in_range),
    (_histogram_windows.NOT_COUNTER, texts.not_counter),
    (_histogram_windows.NOT_GAUGE, texts.not_gauge),
    (_histogram_windows.MIXED_SCHEMAS, texts.mixed_schemas),
)
_WITHOUT_NAME: tuple[tuple[int, _Text, str], ...] = (
    (_histogram_windows.COLLISION, texts.colliding_resets, "aggregation"),
    (_histogram_windows.RECONCILED_ADD, texts.reconciled_bounds, "addition"),
    (_histogram_windows.RECONCILED_SUB, texts.reconciled_bounds, "subtraction"),
    (_histogram_windows.RECONCILED_AGG, texts.reconciled_bounds, "aggregation"),
)
