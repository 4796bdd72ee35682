"""Native histograms as Prometheus prints them in texts, as in the labels of count_values."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pythanos._histogram_bounds import upper_bounds
from pythanos.model.histogram import CUSTOM_BUCKETS_SCHEMA, HistogramColumns, HistogramLayouts
from pythanos.promql.annotations import format_g
from pythanos.promql.tree.numbers import short


def print_histogram(columns: HistogramColumns, row: int) -> str:
    """``{count:4, sum:7, [-2,-1):1, [-0.001,0.001]:1, (1,2]:2}``: the buckets that hold something, rising."""
    layouts, layout = columns.layouts, int(columns.layout[row])
    parts = [f"{{count:{format_g(float(columns.count[row]))}, sum:{format_g(float(columns.sum[row]))}"]
    negative = _buckets(layouts, layout, layouts.negative_index(layout), columns.negative_counts(row))
    parts += [_bucket(-upper, -lower, count) for lower, upper, count in reversed(list(negative))]
    if columns.zero_count[row] != 0:
        width = float(layouts.zero_threshold[layout])
        parts.append(f"[{format_g(-width)},{format_g(width)}]:{short(float(columns.zero_count[row]))}")
    positive = _buckets(layouts, layout, layouts.positive_index(layout), columns.positive_counts(row))
    if layouts.schema[layout] == CUSTOM_BUCKETS_SCHEMA:
        parts += [_custom_bucket(lower, upper, count) for lower, upper, count in positive]
    else:
        parts += [_bucket(lower, upper, count) for lower, upper, count in positive]
    return ", ".join(parts) + "}"


def _buckets(
    layouts: HistogramLayouts, layout: int, index: NDArray[np.int32], counts: NDArray[np.float64]
) -> Iterator[tuple[float, float, float]]:
    """(lower, upper, count) of the buckets of one side that hold something, as if positive."""
    index, schema = index[: len(counts)], int(layouts.schema[layout])
    if schema == CUSTOM_BUCKETS_SCHEMA:
        bounds = np.concatenate(([-math.inf], layouts.custom_bounds(layout), [math.inf]))
        lower, upper = bounds[index], bounds[index + 1]
    else:
        lower, upper = upper_bounds(index - np.int32(1), schema), upper_bounds(index, schema)
    held = counts != 0
    return zip(lower[held].tolist(), upper[held].tolist(), counts[held].tolist(), strict=True)


def _bucket(lower: float, upper: float, count: float) -> str:
    left, right = "[" if lower < 0 else "(", "]" if upper > 0 else ")"
    return f"{left}{format_g(lower)},{format_g(upper)}{right}:{short(count)}"


def _custom_bucket(lower: float, upper: float, count: float) -> str:
    left = "[" if lower == -math.inf else "("
    return f"{left}{format_g(lower)},{format_g(upper)}]:{short(count)}"
