"""The kernel of windows beyond their edges, against the same in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pythanos import _extended
from pythanos._extended import Function
from pythanos.model.series import ABSENT, STALE_NAN_BITS

LOOKBACK = 50
Points = list[tuple[int, float]]


def line(before: tuple[int, float], after: tuple[int, float], at: int, counter: bool) -> float:
    first = 0.0 if counter and after[1] < before[1] else before[1]
    return first + (after[1] - first) * (at - before[0]) / (after[0] - before[0])


def rate(points: Points, begin: int, end: int, *, counter: bool, smoothed: bool) -> float | None:
    """increase or delta, written from the definition: the values at both edges, and what resets between them hid."""
    seen = [p for p in points if begin - LOOKBACK < p[0] <= end + (LOOKBACK if smoothed else 0)]
    before = [p for p in seen if p[0] <= begin]
    inside = [p for p in seen if begin < p[0] < end]
    behind = [p for p in seen if p[0] >= end]
    if not any(p[0] > begin for p in seen):
        return None
    if not before and not inside and smoothed and behind[0][0] > end:
        return None
    following = [*inside, *behind]
    if not smoothed:
        left = (before or following)[-1 if before else 0][1]
        right = seen[-1][1]
    else:
        at_begin = before and before[-1][0] < begin
        left = line(before[-1], following[0], begin, counter) if at_begin else (before[-1:] or following)[0][1]
        earlier = [*before, *inside]
        if behind and behind[0][0] > end and earlier:
            right = line(earlier[-1], behind[0], end, counter)
        else:
            right = behind[0][1] if behind else seen[-1][1]
    result = right - left
    if counter:
        previous, hidden = left, 0.0
        for _, value in inside:
            hidden += previous if value < previous else 0.0
            previous = value
        result += hidden + (previous if right < previous else 0.0)
    return result


points = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 20).map(float)), min_size=1, max_size=30, unique_by=lambda p: p[0]
).map(sorted)


def run(
    function: Function, series: list[Points], *, begin: int, span: int, step: int, steps: int, smoothed: bool
) -> list:
    start = np.cumsum([0, *(len(s) for s in series)]).astype(np.int64)
    times = np.array([p[0] for s in series for p in s], np.int64)
    values = np.array([p[1] for s in series for p in s], np.float64)
    out = np.empty((len(series), steps))
    _extended.extended_rows(
        function,
        start,
        times,
        values,
        out,
        first_end=begin + span,
        end_step=step,
        range_ms=span,
        lookback_ms=LOOKBACK,
        smoothed=smoothed,
    )
    there = out.view(np.int64) != STALE_NAN_BITS
    return [
        [x if t else None for x, t in zip(*row, strict=True)] for row in zip(out.tolist(), there.tolist(), strict=True)
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(points, min_size=1, max_size=3),
    st.integers(-20, 250),
    st.integers(1, 80),
    st.integers(1, 90),
    st.sampled_from([(Function.INCREASE, True), (Function.DELTA, False)]),
    st.booleans(),
)
def test_edges_and_resets_are_those_of_the_definition(series, begin, span, step, kind, smoothed):
    function, counter = kind
    found = run(function, series, begin=begin, span=span, step=step, steps=5, smoothed=smoothed)
    for row, own in zip(found, series, strict=True):
        for number, value in enumerate(row):
            at = begin + number * step
            want = rate(own, at, at + span, counter=counter, smoothed=smoothed)
            assert value == (None if want is None else pytest.approx(want))


@settings(max_examples=100, deadline=None)
@given(points, st.integers(0, 300), st.integers(1, 60))
def test_a_smoothed_value_lies_on_the_line_between_its_neighbours(own, first, step):
    out = np.empty((1, 4))
    times, values = np.array([p[0] for p in own], np.int64), np.array([p[1] for p in own])
    start = np.array([0, len(own)], np.int64)
    found = _extended.smoothed_rows(start, times, values, out, first_end=first, end_step=step, lookback_ms=LOOKBACK)
    present = out[0].view(np.int64) != STALE_NAN_BITS
    assert found == present.sum()
    for number, (value, there) in enumerate(zip(out[0].tolist(), present.tolist(), strict=True)):
        at = first + number * step
        exact = [p for p in own if p[0] == at]
        before = [p for p in own if at - LOOKBACK < p[0] < at]
        behind = [p for p in own if at < p[0] <= at + LOOKBACK]
        if exact:
            assert value == exact[0][1]
        elif not before:
            assert not there
        else:
            assert value == pytest.approx(line(before[-1], behind[0], at, False) if behind else before[-1][1])


def test_staleness_markers_are_taken_out_by_series():
    values = np.array([1.0, ABSENT, math.nan, ABSENT, ABSENT])
    start, rows = _extended.without_stale(np.array([0, 2, 2, 5], np.int64), values)
    assert start.tolist() == [0, 1, 1, 2]
    assert rows.tolist() == [0, 2]
    assert _extended.without_stale(np.array([0, 1], np.int64), np.array([math.nan])) is None


@pytest.mark.parametrize("start", [[0, 3], [0, 2, 1], [-1, 2], []])
def test_starts_that_do_not_fit_are_refused(start):
    column, times, values = np.array(start, np.int64), np.zeros(2, np.int64), np.zeros(2)
    rows = max(len(start) - 1, 1)
    with pytest.raises(ValueError, match="start does not fit"):
        _extended.smoothed_rows(column, times, values, np.empty((rows, 1)), first_end=0, end_step=1, lookback_ms=1)
    with pytest.raises(ValueError, match="start does not fit"):
        _extended.extended_samples(column, times, values, 0, 1, lookback_ms=1)
