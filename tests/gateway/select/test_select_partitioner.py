"""Joining byte ranges (ST-17) and cutting them into jobs."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pythanos.gateway.select.partitioner import JUMPING_ITEMS_MIN, cut, partition


def parts_of(ranges, gap):
    start, end = (np.array(column, np.int64) for column in zip(*ranges, strict=True))
    parts = partition(start, end, gap)
    return [
        (int(a), int(b), int(i), int(j))
        for a, b, i, j in zip(parts.start, parts.end, parts.first[:-1], parts.first[1:], strict=True)
    ]


def test_ranges_as_far_apart_as_the_gap_are_joined_and_farther_ones_are_not():
    assert parts_of([(0, 10), (15, 20)], 5) == [(0, 20, 0, 2)]
    assert parts_of([(0, 10), (16, 20)], 5) == [(0, 10, 0, 1), (16, 20, 1, 2)]


def test_a_long_range_hides_those_inside_of_it():
    assert parts_of([(0, 100), (10, 20), (30, 40), (101, 105)], 0) == [(0, 100, 0, 3), (101, 105, 3, 4)]


def test_nothing_to_read_gives_no_parts():
    none = np.empty(0, np.int64)
    assert len(partition(none, none)) == 0
    assert list(cut(none, none, items_max=1, bytes_max=1, parts_max=1)) == []


RANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 500)), min_size=1, max_size=60)


@given(RANGES, st.integers(0, 1000))
def test_each_range_lies_in_its_part_and_parts_are_farther_apart_than_the_gap(ranges, gap):
    ordered = sorted((start, start + size) for start, size in ranges)
    found = parts_of(ordered, gap)
    for start, end, first, stop in found:
        assert first < stop
        assert start == ordered[first][0]
        assert end == max(range_end for _, range_end in ordered[first:stop])
    assert [first for _, _, first, _ in found] == [0] + [stop for _, _, _, stop in found[:-1]]
    assert all(after[0] - before[1] > gap for before, after in itertools.pairwise(found))


@given(
    st.lists(st.integers(0, 10_000), min_size=1),
    st.integers(1, 500),
    st.booleans(),
    st.integers(1, 20),
    st.integers(1, 3000),
    st.integers(1, 4),
    st.integers(0, 1000),
)
def test_slices_cover_all_ranges_once_and_say_what_they_read(
    starts, size, rising, items_max, bytes_max, parts_max, gap
):
    start = np.array(sorted(starts) if rising else starts, np.int64)
    end = start + size
    slices = list(cut(start, end, items_max=items_max, bytes_max=bytes_max, parts_max=parts_max, gap_bytes_max=gap))
    assert [first for first, _, _ in slices] == [0] + [stop for _, stop, _ in slices[:-1]]
    assert slices[-1][1] == len(starts)
    for first, stop, taken in slices:
        assert 0 < stop - first <= max(items_max, JUMPING_ITEMS_MIN)
        order = np.argsort(start[first:stop], kind="stable")
        read = partition(start[first:stop][order], end[first:stop][order], gap)
        if bool((start[1:] >= start[:-1]).all()):
            if stop - first > 1:
                assert taken <= bytes_max
                assert len(read) <= parts_max
        else:
            assert taken == read.bytes


def test_a_run_that_does_not_rise_is_not_cut_into_single_reads():
    """Sorted by other labels, series come from a few places in turn: 300 of them still make one job."""
    places = np.array([base + i * 100 for i in range(100) for base in (0, 10_000_000, 20_000_000)], np.int64)
    slices = list(cut(places, places + 64, items_max=1000, bytes_max=1 << 20, parts_max=2))
    assert [(first, stop) for first, stop, _ in slices] == [(0, 300)]
