"""Byte ranges of objects in columns, against the same said with numpy (ST-17)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos._reads import chunk_places, cut_rising, inside, joined, rising, row_sums, series_spans


def column(values, dtype=np.int64):
    return np.array(values, dtype)


@given(st.lists(st.integers(-(2**62), 2**62), max_size=20))
def test_a_column_rises_where_sorting_does_not_change_it(values):
    assert rising(column(values)) == (sorted(values) == values)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2**32 - 1)), max_size=20))
def test_a_reference_is_its_offset_behind_the_segments_before_its_own(pairs):
    refs = column([segment << 32 | offset for segment, offset in pairs], np.uint64)
    assert chunk_places(refs, 40, 10).tolist() == [(segment << 40) + offset for segment, offset in pairs]


def test_a_segment_that_is_not_there_is_named():
    with pytest.raises(IndexError, match=r"^3$"):
        chunk_places(column([1 << 32, 3 << 32 | 8, 4 << 32], np.uint64), 40, 3)
    with pytest.raises(IndexError, match=r"^4294967295$"):
        chunk_places(column([2**64 - 1], np.uint64), 40, 3)


@given(st.lists(st.lists(st.integers(0, 10**9), min_size=1, max_size=4), max_size=10), st.integers(1, 1000))
def test_a_series_spans_from_its_first_chunk_to_its_last(series, size):
    starts = np.concatenate(([0], np.cumsum([len(one) for one in series]))).astype(np.int64)
    start, end = series_spans(column([place for one in series for place in one]), starts, size)
    assert start.tolist() == [one[0] for one in series]
    assert end.tolist() == [max(one[0], one[-1]) + size for one in series]


@pytest.mark.parametrize("starts", [[0, 0, 2], [0, 1, 3], [-1, 1, 2], [2, 1, 2]])
def test_spans_of_chunks_that_are_not_there_are_an_error(starts):
    with pytest.raises(ValueError, match="series without a chunk"):
        series_spans(column([5, 6]), column(starts), 10)


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 2)), max_size=20))
def test_a_place_inside_of_its_part_counts_from_where_that_begins(pairs):
    starts = column([7, 1000, 2**40])
    places, parts = column([place for place, _ in pairs]), column([part for _, part in pairs], np.int32)
    assert (inside(places, parts, starts) == places - starts[parts]).all()


@pytest.mark.parametrize("part", [-1, 2])
def test_a_part_that_is_not_there_is_an_error(part):
    with pytest.raises(ValueError, match="part that is not there"):
        inside(column([1]), column([part], np.int32), column([0, 5]))


@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=4), max_size=10))
def test_rows_are_summed_one_by_one_empty_ones_too(rows):
    starts = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    assert row_sums(column([value for row in rows for value in row], np.int32), starts).tolist() == list(map(sum, rows))


@pytest.mark.parametrize("starts", [[0, 3], [-1, 1], [2, 1]])
def test_rows_outside_of_the_values_are_an_error(starts):
    with pytest.raises(ValueError, match="row outside of the values"):
        row_sums(column([1, 2], np.int32), column(starts))


def test_columns_of_different_lengths_are_an_error():
    one, two = column([1]), column([1, 2])
    for call in (lambda: joined(one, two, 0), lambda: cut_rising(one, two, 1, 1, 1, 0)):
        with pytest.raises(ValueError, match="columns of different lengths"):
            call()
    with pytest.raises(ValueError, match="columns of different lengths"):
        inside(one, column([0, 0], np.int32), one)


def test_ranges_that_do_not_rise_are_not_cut():
    assert cut_rising(column([5, 4]), column([6, 5]), 10, 10, 10, 0) is None
