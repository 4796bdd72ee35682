"""Rows of native histograms are gathered whole, and forget what they knew of rows that are gone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from histogram_arithmetic import columns_of, exponential, histograms_of
from hypothesis import given
from hypothesis import strategies as st

from pythanos._histogram_take import take_histograms, take_rows
from pythanos.errors import CorruptData
from pythanos.model.histogram import GAUGE, NOT_COUNTER_RESET, UNKNOWN_RESET
from pythanos.testing.promqltest.histograms import Histogram

HISTOGRAMS = st.lists(exponential(thresholds=(0.0, 0.25)), min_size=1, max_size=6)


@given(HISTOGRAMS, st.data(), st.booleans())
def test_rows_are_those_that_were_asked_for(members: list[Histogram], data: st.DataObject, started: bool) -> None:
    """In any order, any number of times, with times, hints and start timestamps."""
    columns = columns_of(members)
    columns = replace(columns, start_timestamps=np.arange(len(members)) * 7 if started else None)
    rows = data.draw(st.lists(st.integers(0, len(members) - 1), max_size=12))
    taken = take_rows(columns, np.array(rows, np.int64))
    assert histograms_of(taken) == [histograms_of(columns)[row] for row in rows]
    assert taken.timestamps.tolist() == [columns.timestamps[row] for row in rows]
    assert taken.start.tolist() == [0, len(rows)]
    if started:
        assert taken.start_timestamps is not None and taken.start_timestamps.tolist() == [7 * row for row in rows]
    else:
        assert taken.start_timestamps is None


@given(HISTOGRAMS, st.data())
def test_series_are_cut_and_divided(members: list[Histogram], data: st.DataObject) -> None:
    columns = columns_of([replace(one, hint=NOT_COUNTER_RESET) for one in members])
    rows = data.draw(
        st.one_of(st.just(list(range(len(members)))), st.lists(st.integers(0, len(members) - 1), max_size=8))
    )
    cut = data.draw(st.integers(0, len(rows)))
    divisor = data.draw(st.lists(st.sampled_from([1.0, 2.0]), min_size=len(rows), max_size=len(rows)))
    start = np.array([0, cut, len(rows)])
    taken = take_histograms(columns, np.array(rows, np.int64), start, np.array(divisor))
    assert taken.start.tolist() == start.tolist() and len(taken.chunk_reset) == 2
    for i, one in enumerate(histograms_of(taken)):
        whole = members[rows[i]]
        follows = i not in (0, cut) and rows[i] == rows[i - 1] + 1
        assert one.hint == (NOT_COUNTER_RESET if follows else UNKNOWN_RESET)
        assert (one.count, one.sum) == (whole.count / divisor[i], whole.sum / divisor[i])
        assert one.positive == {number: count / divisor[i] for number, count in whole.positive.items()}


def test_what_was_given_stays_as_it_was() -> None:
    """Hints are changed in the answer alone, also where nothing else is copied; gauges stay gauges."""
    columns = columns_of([Histogram(count=1.0, hint=NOT_COUNTER_RESET), Histogram(count=2.0, hint=GAUGE)])
    taken = take_histograms(columns, np.arange(2), np.array([0, 2]))
    assert taken.buckets is columns.buckets
    assert taken.reset_hint.tolist() == [UNKNOWN_RESET, GAUGE]
    assert columns.reset_hint.tolist() == [NOT_COUNTER_RESET, GAUGE]


def test_what_does_not_fit_is_refused() -> None:
    columns = columns_of([Histogram(count=1.0, positive={1: 1.0})])
    for row in (-1, 1):
        with pytest.raises(IndexError):
            take_rows(columns, np.array([row]))
    with pytest.raises(CorruptData):
        take_rows(replace(columns, bucket_start=np.array([0, 2])), np.array([0]))
    with pytest.raises(ValueError, match="different lengths"):
        take_rows(replace(columns, count=np.zeros(2)), np.array([0]))
    with pytest.raises(ValueError, match="different lengths"):
        take_histograms(replace(columns, reset_hint=np.zeros(0, np.uint8)), np.array([0]), np.array([0, 1]))
    for start in ([0, 2], [1, 1], [0, 2, 1], []):
        with pytest.raises(ValueError, match="does not fit"):
            take_histograms(columns, np.array([0]), np.array(start, np.int64))
