"""Histograms reduced to count and sum, for queries that look at nothing else.

As Prometheus does for selectors inside histogram_count, histogram_sum and histogram_avg
(``promql/histogram_stats_iterator.go``): since later stages cannot see resets without buckets, the hints say them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pythanos._histogram_math import detect_resets
from pythanos._histogram_take import take_rows
from pythanos.model.histogram import (
    COUNTER_RESET,
    NOT_COUNTER_RESET,
    UNKNOWN_RESET,
    HistogramColumns,
    HistogramLayouts,
)
from pythanos.promql.histograms.instant import is_stale


def without_buckets(columns: HistogramColumns, mint: int) -> HistogramColumns:
    """The rows without buckets and zero bucket, and with hints from the row before in the series, from ``mint`` ms on.

    Columns cut into series by ``start``, as they are decoded.
    """
    schemas, bare = np.unique(columns.layouts.schema, return_inverse=True)
    return replace(
        columns,
        zero_count=np.zeros(len(columns)),
        reset_hint=_explicit_hints(columns, mint),
        layout=bare.astype(np.int32)[columns.layout],
        layouts=_bare_layouts(schemas),
        bucket_start=np.zeros(len(columns) + 1, np.int64),
        buckets=np.zeros(0),
        integers=None,
    )


def _explicit_hints(columns: HistogramColumns, mint: int) -> NDArray[np.uint8]:
    seen = (columns.timestamps >= mint) & ~is_stale(columns)
    before = np.zeros(len(columns) + 1, np.int64)
    np.cumsum(seen, out=before[1:])
    start = before[columns.start]
    unknown = columns.reset_hint[seen] == UNKNOWN_RESET
    unknown[start[:-1][np.diff(start) > 0]] = False
    if not unknown.any():
        return columns.reset_hint
    own = columns
    if not seen.all():
        own = replace(take_rows(columns, np.nonzero(seen)[0]), start=start, chunk_reset=columns.chunk_reset)
    resets = detect_resets(own)[unknown]
    hint = columns.reset_hint.copy()
    hint[np.nonzero(seen)[0][unknown]] = np.where(resets, COUNTER_RESET, NOT_COUNTER_RESET)
    return hint


def _bare_layouts(schemas: NDArray[np.int32]) -> HistogramLayouts:
    starts, sizes = np.zeros(len(schemas) + 1, np.int64), np.zeros(len(schemas), np.int64)
    return HistogramLayouts(
        schema=schemas,
        zero_threshold=np.zeros(len(schemas)),
        span_start=starts,
        negative_start=sizes,
        span_offset=np.zeros(0, np.int32),
        span_length=np.zeros(0, np.uint32),
        bound_start=starts,
        bounds=np.zeros(0),
        positive_buckets=sizes,
        negative_buckets=sizes,
    )
