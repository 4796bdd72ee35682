"""Arithmetic of native histograms as the definition has it, bucket by bucket in dicts: the reference of the kernels.

Counts in the cases are small whole numbers, so that every order of additions gives the same bits.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from pythanos._histogram_bounds import upper_bounds
from pythanos.model.histogram import (
    COUNTER_RESET,
    CUSTOM_BUCKETS_SCHEMA,
    GAUGE,
    NOT_COUNTER_RESET,
    UNKNOWN_RESET,
    HistogramColumns,
)
from pythanos.testing.promqltest.histogram_columns import from_columns, to_columns
from pythanos.testing.promqltest.histograms import Buckets, Histogram

THRESHOLDS = (0.0, 0.001, 0.25, 0.6, 1.0, 3.0)
BOUNDS = ((1.0, 2.0, 5.0), (1.0, 3.0, 5.0), (0.5, 1.0, 2.0, 4.0, 5.0, 8.0), (-1.0, 2.0), (7.0,), ())


def columns_of(histograms: list[Histogram]) -> HistogramColumns:
    """One series of histograms, a minute apart."""
    return to_columns([[(60_000 * i, one, one.hint, 0) for i, one in enumerate(histograms)]])


def histograms_of(columns: HistogramColumns) -> list[Histogram]:
    return [from_columns(columns, row) for row in range(len(columns))]


def end_of(number: int, schema: int) -> float:
    """Where an exponential bucket ends; from schema 1 on, by the table that is part of the format."""
    if schema <= 0:
        return math.ldexp(1.0, number * 2**-schema)
    return float(upper_bounds(np.array([number], np.int32), schema)[0])


def compacted(one: Histogram) -> Histogram:
    return replace(one, positive=_populated(one.positive), negative=_populated(one.negative))


def added(a: Histogram, b: Histogram, sign: int = 1) -> Histogram | None:
    """a + b or a - b (sign -1), compacted; None where they do not go together."""
    if a.custom != b.custom:
        return None
    hint = GAUGE if sign < 0 or GAUGE in (a.hint, b.hint) else a.hint if a.hint == b.hint else UNKNOWN_RESET
    if a.custom:
        return _custom_sum(a, b, sign, hint)
    threshold = _common_threshold(a, b)
    schema = min(a.schema, b.schema)
    a = _reduced(_with_threshold(a, threshold), schema)
    b = _above(replace(_reduced(b, schema), zero_count=_with_threshold(b, threshold).zero_count), threshold)
    return compacted(
        Histogram(
            schema=schema,
            count=a.count + sign * b.count,
            sum=a.sum + sign * b.sum,
            zero_count=a.zero_count + sign * b.zero_count,
            zero_threshold=threshold,
            positive=_merged(a.positive, b.positive, sign),
            negative=_merged(a.negative, b.negative, sign),
            hint=hint,
        )
    )


def was_reset(now: Histogram, before: Histogram) -> bool:
    """Whether a counter started anew: something that was counted is not counted any more."""
    if now.hint in (COUNTER_RESET, NOT_COUNTER_RESET):
        return now.hint == COUNTER_RESET
    if now.count < before.count or (now.custom and not before.custom):
        return True
    if now.custom and before.custom and now.bounds != before.bounds:
        common = [bound for bound in now.bounds if bound in before.bounds]
        pairs = zip(_mapped(now, common), _mapped(before, common), strict=True)
        return any(a < b for a, b in pairs)
    if now.schema > before.schema or now.zero_threshold < before.zero_threshold:
        return True
    if not now.custom:
        if _common_threshold(before, replace(before, zero_threshold=now.zero_threshold)) != now.zero_threshold:
            return True
        before = _reduced(_with_threshold(before, now.zero_threshold), now.schema)
    if now.zero_count < before.zero_count:
        return True
    return any(
        of_now.get(number, 0) < count
        for of_now, of_before in ((now.positive, before.positive), (now.negative, before.negative))
        for number, count in of_before.items()
    )


def _populated(buckets: Buckets) -> Buckets:
    return {number: count for number, count in buckets.items() if count}


def _merged(a: Buckets, b: Buckets, sign: int) -> Buckets:
    return {number: a.get(number, 0) + sign * b.get(number, 0) for number in sorted({*a, *b})}


def _common_threshold(a: Histogram, b: Histogram) -> float:
    """The least threshold for both that lies inside no populated bucket."""
    threshold = max(a.zero_threshold, b.zero_threshold)
    moved = True
    while moved:
        moved = False
        for one in (a, b):
            for side in (one.positive, one.negative) if one.zero_threshold < threshold else ():
                for number, count in side.items():
                    if count and end_of(number - 1, one.schema) < threshold < end_of(number, one.schema):
                        threshold, moved = end_of(number, one.schema), True
    return threshold


def _with_threshold(one: Histogram, threshold: float) -> Histogram:
    if threshold == one.zero_threshold:
        return one
    inside = [
        {number: count for number, count in side.items() if end_of(number - 1, one.schema) < threshold}
        for side in (one.positive, one.negative)
    ]
    rest = [
        {number: count for number, count in side.items() if number not in gone}
        for side, gone in zip((one.positive, one.negative), inside, strict=True)
    ]
    zero_count = one.zero_count + sum(count for gone in inside for count in gone.values())
    return replace(one, zero_threshold=threshold, zero_count=zero_count, positive=rest[0], negative=rest[1])


def _above(one: Histogram, threshold: float) -> Histogram:
    """Without the buckets that end inside a zero bucket.

    Prometheus asks this of the right operand when it is reduced, so that a merged bucket at the edge is kept whole.
    """
    sides = [
        {number: count for number, count in side.items() if end_of(number, one.schema) > threshold}
        for side in (one.positive, one.negative)
    ]
    return replace(one, positive=sides[0], negative=sides[1])


def _reduced(one: Histogram, schema: int) -> Histogram:
    sides = []
    for side in (one.positive, one.negative):
        merged: Buckets = {}
        for number, count in side.items():
            target = -(-number // 2 ** (one.schema - schema))
            merged[target] = merged.get(target, 0) + count
        sides.append(merged)
    return replace(one, schema=schema, positive=sides[0], negative=sides[1])


def _mapped(one: Histogram, common: list[float]) -> list[float]:
    """The counts between common bounds."""
    counts = [0.0] * (len(common) + 1)
    for number, count in one.positive.items():
        upper = one.bounds[number] if number < len(one.bounds) else math.inf
        counts[next((i for i, bound in enumerate(common) if bound >= upper), len(common))] += count
    return counts


def _custom_sum(a: Histogram, b: Histogram, sign: int, hint: int) -> Histogram:
    common = [bound for bound in a.bounds if bound in b.bounds]
    counts = [x + sign * y for x, y in zip(_mapped(a, common), _mapped(b, common), strict=True)]
    return Histogram(
        schema=CUSTOM_BUCKETS_SCHEMA,
        count=a.count + sign * b.count,
        sum=a.sum + sign * b.sum,
        bounds=tuple(common),
        positive=_populated(dict(enumerate(counts))),
        hint=hint,
    )


_COUNTS = st.integers(0, 9).map(float)
_HINTS = st.sampled_from((UNKNOWN_RESET, UNKNOWN_RESET, COUNTER_RESET, NOT_COUNTER_RESET, GAUGE))


def _sides(first: int, last: int) -> st.SearchStrategy[Buckets]:
    return st.dictionaries(st.integers(first, last), _COUNTS, max_size=6).map(lambda side: dict(sorted(side.items())))


@st.composite
def exponential(draw: st.DrawFn, thresholds: tuple[float, ...] = THRESHOLDS) -> Histogram:
    """A histogram whose count is that of its buckets, none of them inside its zero bucket."""
    schema, threshold = draw(st.integers(-2, 2)), draw(st.sampled_from(thresholds))
    sides = [
        {number: count for number, count in draw(_sides(-6, 9)).items() if end_of(number - 1, schema) >= threshold}
        for _ in range(2)
    ]
    zero_count = draw(_COUNTS)
    count = zero_count + sum(sides[0].values()) + sum(sides[1].values())
    return Histogram(
        schema=schema,
        count=count,
        sum=float(draw(st.integers(-50, 50))),
        zero_count=zero_count,
        zero_threshold=threshold,
        positive=sides[0],
        negative=sides[1],
        hint=draw(_HINTS),
    )


@st.composite
def custom(draw: st.DrawFn) -> Histogram:
    bounds = draw(st.sampled_from(BOUNDS))
    positive = draw(_sides(0, len(bounds)))
    total = sum(positive.values())
    return Histogram(
        schema=CUSTOM_BUCKETS_SCHEMA,
        count=total,
        sum=float(draw(st.integers(-50, 50))),
        bounds=bounds,
        positive=positive,
        hint=draw(_HINTS),
    )


def histograms() -> st.SearchStrategy[Histogram]:
    return st.one_of(exponential(), exponential(), custom())
