"""Native histograms in columns.

A row is one histogram sample. What many samples share (schema, zero threshold, spans, custom bounds) is a *layout*
and stands once in a table; rows refer to it by number. Bucket counts are absolute, in the order positive buckets
rising, then negative buckets rising in absolute value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CUSTOM_BUCKETS_SCHEMA = -53

# Counter reset hints of a row, numbered as in Prometheus' histogram.CounterResetHint.
UNKNOWN_RESET, COUNTER_RESET, NOT_COUNTER_RESET, GAUGE = range(4)


@dataclass(frozen=True, slots=True)
class HistogramLayouts:
    """The bucket layouts of n kinds of histogram.

    schema: int32[n], -4..8 exponential (9..52 from future writers), -53 custom bounds; zero_threshold: float64[n].
    span_start: int64[n + 1] and negative_start: int64[n]: layout i has the positive spans
    [span_start[i], negative_start[i]) and the negative spans [negative_start[i], span_start[i + 1]).
    span_offset: int32[s], the gap to the bucket after the previous span (to bucket 0 for the first); span_length:
    uint32[s].
    bound_start: int64[n + 1]; bounds: float64[b], the custom upper bounds, none for exponential schemas.
    positive_buckets, negative_buckets: int64[n], the sums of the span lengths.
    """

    schema: NDArray[np.int32]
    zero_threshold: NDArray[np.float64]
    span_start: NDArray[np.int64]
    negative_start: NDArray[np.int64]
    span_offset: NDArray[np.int32]
    span_length: NDArray[np.uint32]
    bound_start: NDArray[np.int64]
    bounds: NDArray[np.float64]
    positive_buckets: NDArray[np.int64]
    negative_buckets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.schema)

    def positive_spans(self, index: int) -> list[tuple[int, int]]:
        """(offset, length) of the positive spans of a layout; for cold paths."""
        return self._spans(int(self.span_start[index]), int(self.negative_start[index]))

    def negative_spans(self, index: int) -> list[tuple[int, int]]:
        """(offset, length) of the negative spans of a layout; for cold paths."""
        return self._spans(int(self.negative_start[index]), int(self.span_start[index + 1]))

    def custom_bounds(self, index: int) -> NDArray[np.float64]:
        """The custom upper bounds of a layout (a view)."""
        return self.bounds[self.bound_start[index] : self.bound_start[index + 1]]

    def positive_index(self, index: int) -> NDArray[np.int32]:
        """int32[positive_buckets]: the bucket numbers of a layout, rising; bucket i ends at 2^(i * 2^-schema)."""
        return self._numbers(int(self.span_start[index]), int(self.negative_start[index]))

    def negative_index(self, index: int) -> NDArray[np.int32]:
        """int32[negative_buckets]: as ``positive_index``, mirrored at zero."""
        return self._numbers(int(self.negative_start[index]), int(self.span_start[index + 1]))

    def _spans(self, begin: int, end: int) -> list[tuple[int, int]]:
        return list(zip(self.span_offset[begin:end].tolist(), self.span_length[begin:end].tolist(), strict=True))

    def _numbers(self, begin: int, end: int) -> NDArray[np.int32]:
        lengths = self.span_length[begin:end].astype(np.int64)
        before = np.cumsum(self.span_offset[begin:end].astype(np.int64))
        return (np.repeat(before, lengths) + np.arange(int(lengths.sum()))).astype(np.int32)


@dataclass(frozen=True, slots=True)
class IntegerCounts:
    """The exact counts of integer histograms, which float64 holds only up to 2^53.

    integer: bool[h], False for the rows of float histograms, whose entries here are zero; count, zero_count: uint64[h];
    buckets: int64[k], absolute, in step with ``HistogramColumns.buckets``.
    """

    integer: NDArray[np.bool_]
    count: NDArray[np.uint64]
    zero_count: NDArray[np.uint64]
    buckets: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class HistogramColumns:
    """h histogram samples of m chunks (or series).

    start: int64[m + 1], chunk i owns rows [start[i], start[i + 1]).
    chunk_reset: uint8[m], the counter reset hint in the header of chunk i; 0 where it is no histogram chunk. It speaks
    of the chunk before it at the time of writing.
    timestamps: int64[h] ms; count, zero_count, sum: float64[h].
    reset_hint: uint8[h]: GAUGE in a gauge chunk; else NOT_COUNTER_RESET, and UNKNOWN_RESET for the first row of a
    chunk.
    layout: int32[h], the row's number in ``layouts``.
    bucket_start: int64[h + 1]; buckets: float64[k], row i has [bucket_start[i], bucket_start[i + 1]), positive then
    negative. A stale row (its sum is the staleness marker) has zero counts and no buckets, whatever its layout.
    start_timestamps: int64[h] ms, 0 where unknown, or None. integers: the exact counts where they were asked for.
    """

    start: NDArray[np.int64]
    chunk_reset: NDArray[np.uint8]
    timestamps: NDArray[np.int64]
    count: NDArray[np.float64]
    zero_count: NDArray[np.float64]
    sum: NDArray[np.float64]
    reset_hint: NDArray[np.uint8]
    layout: NDArray[np.int32]
    layouts: HistogramLayouts
    bucket_start: NDArray[np.int64]
    buckets: NDArray[np.float64]
    start_timestamps: NDArray[np.int64] | None = None
    integers: IntegerCounts | None = None

    def __len__(self) -> int:
        return len(self.timestamps)

    def part(self, start: int, stop: int) -> HistogramColumns:
        """The rows of the chunks (or series) [start, stop), as views; the layouts stay whole. Without exact counts."""
        first, last = int(self.start[start]), int(self.start[stop])
        low, high = int(self.bucket_start[first]), int(self.bucket_start[last])
        rows = slice(first, last)
        return HistogramColumns(
            self.start[start : stop + 1] - first,
            self.chunk_reset[start:stop],
            self.timestamps[rows],
            self.count[rows],
            self.zero_count[rows],
            self.sum[rows],
            self.reset_hint[rows],
            self.layout[rows],
            self.layouts,
            self.bucket_start[first : last + 1] - low,
            self.buckets[low:high],
            None if self.start_timestamps is None else self.start_timestamps[rows],
        )

    def positive_counts(self, row: int) -> NDArray[np.float64]:
        """The positive buckets of one row (a view)."""
        begin, end = int(self.bucket_start[row]), int(self.bucket_start[row + 1])
        return self.buckets[begin : min(end, begin + int(self.layouts.positive_buckets[self.layout[row]]))]

    def negative_counts(self, row: int) -> NDArray[np.float64]:
        """The negative buckets of one row (a view)."""
        begin, end = int(self.bucket_start[row]), int(self.bucket_start[row + 1])
        return self.buckets[min(end, begin + int(self.layouts.positive_buckets[self.layout[row]])) : end]


def concat_histograms(parts: Sequence[HistogramColumns]) -> HistogramColumns:
    """The rows of one part or more after one another, as one series.

    Parts that share a layout table go on sharing it, other tables follow one another. Without exact counts, and without
    start timestamps unless all parts have them.
    """
    tables: list[HistogramLayouts] = []
    shift: dict[int, int] = {}
    for part in parts:
        if id(part.layouts) not in shift:
            shift[id(part.layouts)] = sum(map(len, tables))
            tables.append(part.layouts)
    rows = sum(map(len, parts))
    started = [part.start_timestamps for part in parts if part.start_timestamps is not None]
    return HistogramColumns(
        np.array([0, rows], np.int64),
        np.zeros(1, np.uint8),
        np.concatenate([part.timestamps for part in parts]),
        np.concatenate([part.count for part in parts]),
        np.concatenate([part.zero_count for part in parts]),
        np.concatenate([part.sum for part in parts]),
        np.concatenate([part.reset_hint for part in parts]),
        np.concatenate([part.layout + np.int32(shift[id(part.layouts)]) for part in parts]),
        concat_layouts(tables),
        _joined_starts([part.bucket_start for part in parts]),
        np.concatenate([part.buckets[part.bucket_start[0] : part.bucket_start[-1]] for part in parts]),
        np.concatenate(started) if len(started) == len(parts) else None,
    )


def concat_layouts(tables: Sequence[HistogramLayouts]) -> HistogramLayouts:
    """One table with the layouts of one table or more; those of table i follow those of the tables before it."""
    if len(tables) == 1:
        return tables[0]
    spans = np.cumsum([0, *(table.span_start[-1] for table in tables)])
    return HistogramLayouts(
        np.concatenate([table.schema for table in tables]),
        np.concatenate([table.zero_threshold for table in tables]),
        _joined_starts([table.span_start for table in tables]),
        np.concatenate([table.negative_start + shift for table, shift in zip(tables, spans, strict=False)]),
        np.concatenate([table.span_offset for table in tables]),
        np.concatenate([table.span_length for table in tables]),
        _joined_starts([table.bound_start for table in tables]),
        np.concatenate([table.bounds for table in tables]),
        np.concatenate([table.positive_buckets for table in tables]),
        np.concatenate([table.negative_buckets for table in tables]),
    )


def _joined_starts(starts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    out = np.zeros(sum(len(start) - 1 for start in starts) + 1, np.int64)
    np.cumsum(np.concatenate([np.diff(start) for start in starts]), out=out[1:])
    return out
