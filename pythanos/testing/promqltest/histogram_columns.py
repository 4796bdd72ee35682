"""Histograms of a script to columns and back, with the counter reset hints that a TSDB would give them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pythanos.model.histogram import (
    COUNTER_RESET,
    GAUGE,
    NOT_COUNTER_RESET,
    UNKNOWN_RESET,
    HistogramColumns,
    HistogramLayouts,
)
from pythanos.model.series import STALE_NAN_BITS
from pythanos.testing.promqltest.histograms import Buckets, Histogram

# A head cuts its chunks at multiples of the block range.
_CHUNK_RANGE_MS = 24 * 3_600_000
_Layout = tuple[int, float, tuple[int, ...], tuple[int, ...], tuple[float, ...]]


def is_stale(value: float) -> bool:
    """Whether a float is the staleness marker."""
    return math.isnan(value) and int(np.float64(value).view(np.uint64)) == STALE_NAN_BITS


def stored_hints(samples: Sequence[tuple[int, float | Histogram]]) -> list[int]:
    """The hint of each sample when it is read back; 0 for floats.

    Gauges stay gauges. Of counters, the first in a chunk is unknown and the others are not reset; a chunk ends before
    a float, a reset, another schema, zero threshold or set of bounds, behind stale samples and at the block range.
    """
    hints: list[int] = []
    last: tuple[int, Histogram] | None = None
    for time_ms, sample in samples:
        if not isinstance(sample, Histogram):
            hints.append(UNKNOWN_RESET)
            last = None
            continue
        if sample.hint == GAUGE:
            hints.append(GAUGE)
        else:
            continued = (
                last is not None
                and last[0] // _CHUNK_RANGE_MS == time_ms // _CHUNK_RANGE_MS
                and _continues(last[1], sample)
            )
            hints.append(NOT_COUNTER_RESET if continued else UNKNOWN_RESET)
        last = (time_ms, sample)
    return hints


def _continues(before: Histogram, after: Histogram) -> bool:
    if before.hint == GAUGE or after.hint == COUNTER_RESET:
        return False
    if is_stale(after.sum):
        return True
    same = (before.schema, before.zero_threshold, before.bounds) == (after.schema, after.zero_threshold, after.bounds)
    if is_stale(before.sum) or not same or after.count < before.count or after.zero_count < before.zero_count:
        return False
    return _grows(before.positive, after.positive) and _grows(before.negative, after.negative)


def _grows(before: Buckets, after: Buckets) -> bool:
    return all(after.get(number, 0.0) >= count for number, count in before.items())


def to_columns(series: Sequence[Sequence[tuple[int, Histogram, int, int]]]) -> HistogramColumns:
    """Columns of the histogram samples of m series: (time ms, histogram, hint, start time ms or 0) each."""
    rows = [row for samples in series for row in samples]
    known: dict[_Layout, int] = {}
    layout = [known.setdefault(_layout(histogram), len(known)) for _, histogram, _, _ in rows]
    buckets = [[*histogram.positive.values(), *histogram.negative.values()] for _, histogram, _, _ in rows]
    return HistogramColumns(
        start=_starts([len(samples) for samples in series]),
        chunk_reset=np.zeros(len(series), np.uint8),
        timestamps=np.array([time_ms for time_ms, _, _, _ in rows], np.int64),
        count=np.array([histogram.count for _, histogram, _, _ in rows], np.float64),
        zero_count=np.array([histogram.zero_count for _, histogram, _, _ in rows], np.float64),
        sum=np.array([histogram.sum for _, histogram, _, _ in rows], np.float64),
        reset_hint=np.array([hint for _, _, hint, _ in rows], np.uint8),
        layout=np.array(layout, np.int32),
        layouts=_layouts(list(known)),
        bucket_start=_starts([len(counts) for counts in buckets]),
        buckets=np.array([count for counts in buckets for count in counts], np.float64),
        start_timestamps=np.array([start_ms for _, _, _, start_ms in rows], np.int64),
    )


def from_columns(columns: HistogramColumns, row: int) -> Histogram:
    """One row as a histogram."""
    layouts, number = columns.layouts, int(columns.layout[row])
    positive = zip(layouts.positive_index(number).tolist(), columns.positive_counts(row).tolist(), strict=False)
    negative = zip(layouts.negative_index(number).tolist(), columns.negative_counts(row).tolist(), strict=False)
    return Histogram(
        schema=int(layouts.schema[number]),
        count=float(columns.count[row]),
        sum=float(columns.sum[row]),
        zero_count=float(columns.zero_count[row]),
        zero_threshold=float(layouts.zero_threshold[number]),
        bounds=tuple(layouts.custom_bounds(number).tolist()),
        positive=dict(positive),
        negative=dict(negative),
        hint=int(columns.reset_hint[row]),
    )


def _starts(sizes: list[int]) -> np.ndarray:
    out = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=out[1:])
    return out


def _layout(histogram: Histogram) -> _Layout:
    positive, negative = tuple(histogram.positive), tuple(histogram.negative)
    return histogram.schema, histogram.zero_threshold, positive, negative, histogram.bounds


def _spans(numbers: tuple[int, ...]) -> list[tuple[int, int]]:
    """(offset, length): the gap to the bucket behind the span before, and how many buckets follow one another."""
    if not numbers:
        return []
    breaks = [at for at, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1]
    spans, behind = [], 0
    for first, last in zip([0, *breaks], [*breaks, len(numbers)], strict=True):
        spans.append((numbers[first] - behind, last - first))
        behind = numbers[last - 1] + 1
    return spans


def _layouts(known: list[_Layout]) -> HistogramLayouts:
    positive, negative = [_spans(layout[2]) for layout in known], [_spans(layout[3]) for layout in known]
    spans = [span for both in zip(positive, negative, strict=True) for side in both for span in side]
    span_start = _starts([len(a) + len(b) for a, b in zip(positive, negative, strict=True)])
    return HistogramLayouts(
        schema=np.array([layout[0] for layout in known], np.int32),
        zero_threshold=np.array([layout[1] for layout in known], np.float64),
        span_start=span_start,
        negative_start=span_start[:-1] + np.array([len(side) for side in positive], np.int64),
        span_offset=np.array([offset for offset, _ in spans], np.int32),
        span_length=np.array([length for _, length in spans], np.uint32),
        bound_start=_starts([len(layout[4]) for layout in known]),
        bounds=np.array([bound for layout in known for bound in layout[4]], np.float64),
        positive_buckets=np.array([len(layout[2]) for layout in known], np.int64),
        negative_buckets=np.array([len(layout[3]) for layout in known], np.int64),
    )
