"""The kernel of native histograms in windows beyond their edges, against that of floats and the definition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from histogram_arithmetic import histograms_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pythanos import _extended, _labels
from pythanos._extended import Function
from pythanos._extended_histograms import extended_histogram_rows, smoothed_histogram_rows
from pythanos._histogram_windows import MIXED, MIXED_SCHEMAS, NOT_COUNTER, NOT_GAUGE
from pythanos.errors import CorruptData
from pythanos.model.histogram import COUNTER_RESET, GAUGE, HistogramColumns
from pythanos.model.series import ABSENT, STALE_NAN_BITS, SampleBatch
from pythanos.testing.promqltest.histogram_columns import to_columns
from pythanos.testing.promqltest.histograms import Histogram

LOOKBACK = 50
Points = list[tuple[int, float]]
points = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 20).map(float)), min_size=1, max_size=30, unique_by=lambda p: p[0]
).map(sorted)


def counted(count: float, hint: int = 0, schema: int = 0) -> Histogram:
    """A histogram whose observations are all in one bucket, the sum half their number."""
    return Histogram(
        schema=schema, count=count, sum=count / 2, positive={1: count}, hint=hint, bounds=(1.0, 2.0) if schema else ()
    )


def columns_of(series: list[list[tuple[int, Histogram]]]) -> HistogramColumns:
    return to_columns([[(at, one, one.hint, 0) for at, one in own] for own in series])


def floats_of(series: list[Points]) -> SampleBatch:
    start = np.cumsum([0, *(len(own) for own in series)]).astype(np.int64)
    times = np.array([p[0] for own in series for p in own], np.int64)
    values = np.array([p[1] for own in series for p in own], np.float64)
    labels = _labels.labels_from_dicts([{"n": str(n)} for n in range(len(series))])
    return SampleBatch(labels, start, times, values)


def run(
    columns: HistogramColumns, floats: SampleBatch | None = None, function: Function | None = None, **arguments: Any
) -> tuple[list[list[Any]], np.ndarray]:
    """Results (a float, Histogram or None) of a function, of a smoothed instant selector without one; what was said."""
    count = len(columns.start) - 1
    floats = floats or floats_of([[] for _ in range(count)])
    steps = arguments.pop("steps", 1)
    out = np.full((count, steps), ABSENT)
    places = (floats, columns, columns.start, columns.timestamps, np.arange(len(columns)), out)
    arguments = {"end_step": 1, "lookback_ms": LOOKBACK, "sizes": np.ones(len(columns), np.int64)} | arguments
    if function is None:
        row, made, said, _, _ = smoothed_histogram_rows(*places, **arguments)
    else:
        row, made, said, _, _ = extended_histogram_rows(function, *places, **arguments)
    found = histograms_of(made)
    there = out.view(np.int64) != STALE_NAN_BITS
    results = [
        [found[r] if r >= 0 else x if t else None for r, x, t in zip(*one, strict=True)]
        for one in zip(row.tolist(), out.tolist(), there.tolist(), strict=True)
    ]
    return results, said


@settings(max_examples=150, deadline=None)
@given(
    st.lists(points, min_size=1, max_size=3),
    st.integers(-20, 250),
    st.integers(1, 80),
    st.integers(1, 90),
    st.sampled_from([Function.RATE, Function.INCREASE, Function.DELTA, Function.CHANGES, Function.RESETS]),
    st.booleans(),
)
def test_a_histogram_of_one_bucket_grows_and_falls_as_its_count(series, begin, span, step, function, smoothed):
    smoothed = smoothed and function not in (Function.CHANGES, Function.RESETS)
    windows = {"first_end": begin + span, "end_step": step, "range_ms": span, "smoothed": smoothed}
    columns = columns_of([[(at, counted(count)) for at, count in own] for own in series])
    found, said = run(columns, function=function, steps=5, **windows)
    out = np.empty((len(series), 5))
    floats = floats_of(series)
    _extended.extended_rows(
        function, floats.start, floats.timestamps, floats.values, out, lookback_ms=LOOKBACK, **windows
    )
    for row, wanted in zip(found, out, strict=True):
        for got, want in zip(row, wanted, strict=True):
            if got is None:
                assert want.view(np.int64) == STALE_NAN_BITS
            elif function in (Function.CHANGES, Function.RESETS):
                assert got == want
            else:
                assert got.hint == GAUGE
                assert (got.count, got.sum) == (pytest.approx(want), pytest.approx(want / 2))
                assert got.positive == ({1: pytest.approx(want)} if got.positive else {})
    given_ = np.array([[isinstance(got, Histogram) for got in row] for row in found])
    assert (said == np.where(given_ & (function == Function.DELTA), NOT_GAUGE, 0)).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(points, min_size=1, max_size=3), st.integers(0, 300), st.integers(1, 60))
def test_a_smoothed_gauge_lies_on_the_line_of_its_count(series, first, step):
    columns = columns_of([[(at, counted(count, GAUGE)) for at, count in own] for own in series])
    found, said = run(columns, steps=4, first_end=first, end_step=step)
    out = np.empty((len(series), 4))
    floats = floats_of(series)
    _extended.smoothed_rows(
        floats.start, floats.timestamps, floats.values, out, first_end=first, end_step=step, lookback_ms=LOOKBACK
    )
    assert not said.any()
    got = [[ABSENT if one is None else one.count for one in row] for row in found]
    np.testing.assert_allclose(np.array(got), out)


def test_a_smoothed_counter_starts_from_nothing_behind_a_reset():
    series = [(0, counted(8)), (10, counted(4)), (20, counted(6, COUNTER_RESET))]
    found, _ = run(columns_of([series]), steps=4, first_end=5, end_step=5)
    assert [one.count for one in found[0]] == [2, 4, 3, 6]


def test_a_value_that_is_carried_on_forgets_its_hint():
    found, _ = run(columns_of([[(0, counted(8, COUNTER_RESET))]]), steps=3, first_end=0, end_step=LOOKBACK - 1)
    assert [one and (one.count, one.hint) for one in found[0]] == [(8, COUNTER_RESET), (8, 0), None]


@pytest.mark.parametrize(
    ("at", "smoothed", "said"),
    [(19, True, MIXED), (19, False, 0), (61, False, MIXED), (95, False, 0), (20, True, MIXED)],
)
def test_floats_in_reach_leave_no_result(at, smoothed, said):
    """Histograms at 10 and 80; a float at 30, in reach of windows of 10 ms that end between it and a lookback on."""
    columns = columns_of([[(10, counted(1)), (80, counted(5)), (84, counted(6))]])
    found, marks = run(
        columns, floats_of([[(30, 1.0)]]), Function.INCREASE, first_end=at, range_ms=10, smoothed=smoothed
    )
    assert marks.tolist() == [[said]]
    if said:
        assert found == [[None]]


def test_kinds_and_hints_are_told():
    columns = columns_of(
        [
            [(0, counted(1)), (10, counted(2, schema=-53))],
            [(0, counted(1)), (5, counted(2, GAUGE)), (10, counted(3))],
        ]
    )
    _, said = run(columns, function=Function.RATE, first_end=10, range_ms=10)
    assert said[:, 0].tolist() == [MIXED_SCHEMAS, NOT_COUNTER]
    _, said = run(columns, first_end=7)
    assert said[:, 0].tolist() == [MIXED_SCHEMAS, 0]


def test_what_does_not_belong_together_is_refused():
    columns = columns_of([[(0, counted(1)), (10, counted(2))]])
    floats, out, rows = floats_of([[]]), np.zeros((1, 1)), np.arange(2)
    good: dict[str, Any] = {"first_end": 0, "end_step": 1, "range_ms": 5, "lookback_ms": 5, "sizes": np.ones(2, int)}

    def ask(function: int, *places: Any, **changed: Any) -> None:
        extended_histogram_rows(function, floats, columns, *places, **good | changed)

    fitting = (columns.start, columns.timestamps, rows)
    with pytest.raises(ValueError, match="not a function of native histograms"):
        ask(Function.XRATE, *fitting, out)
    for start in ([0, 3], [1, 0], [-1, 2]):
        with pytest.raises(ValueError, match="start does not fit"):
            ask(Function.RATE, np.array(start, np.int64), *fitting[1:], out)
    with pytest.raises(ValueError, match="different lengths"):
        ask(Function.RATE, *fitting, np.zeros((2, 1)))
    with pytest.raises(ValueError, match="different lengths"):
        ask(Function.RATE, *fitting, out, sizes=np.ones(1, int))
    with pytest.raises(ValueError, match="different lengths"):
        ask(Function.RESETS, *fitting, out, start_timestamps=np.zeros(1, np.int64))
    with pytest.raises(IndexError, match="row out of range"):
        ask(Function.RATE, columns.start, columns.timestamps, np.array([0, 2]), out)
    columns = replace(columns, layout=np.array([0, 9], np.int32))
    with pytest.raises(CorruptData):
        ask(Function.RATE, *fitting, out)
