"""Native histograms at a coarser resolution than the one they were written with.

A bucket of schema s holds 2^(s - t) neighbours in a bucket of schema t: bucket i of the finer one lies in bucket
((i - 1) >> (s - t)) + 1 of the coarser one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pythanos.model.histogram import HistogramColumns, HistogramLayouts, IntegerCounts

# The finest resolution that is calculated with; writers may know finer ones, up to 52.
EXPONENTIAL_SCHEMA_MAX = 8


def reduce_resolution(columns: HistogramColumns, schema_max: int = EXPONENTIAL_SCHEMA_MAX) -> HistogramColumns:
    """The same samples with no schema above ``schema_max``, as Prometheus gives them when it reads a chunk.

    Returns ``columns`` itself where nothing is to be done. Counts are added in the order of their buckets; layouts keep
    their numbers, so two of them may become equal.
    """
    layouts = columns.layouts
    high = np.flatnonzero(layouts.schema > schema_max)
    if not len(high):
        return columns
    begins = np.ones(len(columns.buckets), np.bool_)
    sizes = np.diff(columns.bucket_start)
    coarse: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    for layout in high.tolist():
        shift = int(layouts.schema[layout]) - schema_max
        positive, negative = (
            ((numbers.astype(np.int64) - 1) >> shift) + 1
            for numbers in (layouts.positive_index(layout), layouts.negative_index(layout))
        )
        # A stale row has no buckets, whatever its layout.
        rows = np.flatnonzero((columns.layout == layout) & (sizes > 0))
        begins[columns.bucket_start[rows, None] + np.arange(len(positive) + len(negative))] = np.concatenate(
            [_changes(positive), _changes(negative)]
        )
        coarse[layout] = positive[_changes(positive)], negative[_changes(negative)]
    target = np.concatenate([[0], np.cumsum(begins)])
    return replace(
        columns,
        layouts=_with_buckets(layouts, coarse, schema_max),
        bucket_start=target[columns.bucket_start],
        # Added one after another, as floats must be to come out the same.
        buckets=np.bincount(target[1:] - 1, columns.buckets, int(target[-1])).astype(np.float64, copy=False),
        integers=None if columns.integers is None else _reduced(columns.integers, begins),
    )


def _changes(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a number differs from the one before it; the first one does."""
    return np.diff(numbers, prepend=numbers[0] - 1) != 0 if len(numbers) else np.zeros(0, np.bool_)


def _reduced(integers: IntegerCounts, begins: NDArray[np.bool_]) -> IntegerCounts:
    at = np.flatnonzero(begins)
    return replace(integers, buckets=np.add.reduceat(integers.buckets, at) if len(at) else integers.buckets)


def _with_buckets(
    layouts: HistogramLayouts, coarse: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]], schema: int
) -> HistogramLayouts:
    """The table with other buckets, by number, in the layouts named; those get the ``schema``."""
    schemas = layouts.schema.copy()
    positive_count, negative_count = layouts.positive_buckets.copy(), layouts.negative_buckets.copy()
    spans: list[tuple[int, int]] = []
    span_start, negative_start = [0], []
    for layout in range(len(layouts)):
        if layout in coarse:
            positive, negative = (_spans(numbers) for numbers in coarse[layout])
            positive_count[layout], negative_count[layout] = (len(numbers) for numbers in coarse[layout])
            schemas[layout] = schema
        else:
            positive, negative = layouts.positive_spans(layout), layouts.negative_spans(layout)
        negative_start.append(len(spans) + len(positive))
        spans += [*positive, *negative]
        span_start.append(len(spans))
    return replace(
        layouts,
        schema=schemas,
        span_start=np.array(span_start, np.int64),
        negative_start=np.array(negative_start, np.int64),
        span_offset=np.array([offset for offset, _ in spans], np.int64).astype(np.int32),
        span_length=np.array([length for _, length in spans], np.uint32),
        positive_buckets=positive_count,
        negative_buckets=negative_count,
    )


def _spans(numbers: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(offset, length) of runs of bucket numbers."""
    first = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 2) != 1) if len(numbers) else np.zeros(0, np.int64)
    last = np.append(first[1:], len(numbers)) - 1
    before = np.append([-1], numbers[last][:-1]) if len(first) else first
    return [
        (int(numbers[begin] - previous - 1), int(end - begin + 1))
        for begin, end, previous in zip(first, last, before, strict=False)
    ]
