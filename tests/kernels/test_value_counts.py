"""Distinct values of groups of rows, and how often each occurs at each step."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pythanos._value_counts import count_numbers, number_values
from pythanos.model.series import ABSENT

VALUES = st.sampled_from([0.0, -0.0, 1.0, 2.5, float("nan"), float("inf"), ABSENT])


def bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.int64)


@given(st.lists(st.tuples(st.integers(0, 2), st.lists(VALUES, min_size=3, max_size=3)), max_size=8))
@settings(max_examples=200, deadline=None)
def test_counts_are_those_of_a_dictionary(rows: list[tuple[int, list[float]]]):
    """Every value of every group has a number, a first row, and at each step the count of its occurrences."""
    values = np.array([row for _, row in rows], np.float64).reshape(len(rows), 3)
    group = np.array([key for key, _ in rows], np.int64)
    index, first, distinct = number_values(values, group)
    counts = count_numbers(index, np.arange(len(first)), len(first))
    expected: Counter[tuple[int, int, int]] = Counter()
    absent = int(bits(np.array([ABSENT]))[0])
    seen: dict[tuple[int, int], int] = {}
    for row, key in enumerate(group.tolist()):
        for step, pattern in enumerate(bits(values)[row].tolist()):
            if pattern != absent:
                expected[key, pattern, step] += 1
                seen.setdefault((key, pattern), row)
    assert list(zip(group[first].tolist(), bits(distinct).tolist(), strict=True)) == list(seen)
    assert first.tolist() == list(seen.values())
    found = {
        (key, pattern, step): int(counts[number, step])
        for number, (key, pattern) in enumerate(seen)
        for step in range(3)
        if bits(counts)[number, step] != absent
    }
    assert found == dict(expected)


def test_many_values_are_told_apart():
    """Tables grow: a hundred thousand values have as many numbers."""
    values = np.arange(100_000, dtype=np.float64).reshape(100, 1000)
    index, first, distinct = number_values(values, np.zeros(100, np.int64))
    assert (index.ravel() == np.arange(100_000)).all()
    assert (distinct == values.ravel()).all()
    assert (first == np.repeat(np.arange(100), 1000)).all()


def test_numbers_that_share_a_place_are_added():
    """Two values of one text are counted together."""
    index = np.array([[0, 1, -1], [1, 1, 0]], np.int32)
    counts = count_numbers(index, np.array([0, 0]), 1)
    assert counts.tolist() == [[2.0, 2.0, 1.0]]


@pytest.mark.parametrize(("index", "place"), [([[5]], [0]), ([[0]], [7]), ([[0]], [-1])])
def test_numbers_and_places_out_of_range_are_refused(index: list[list[int]], place: list[int]):
    """No row outside of the result is written."""
    with pytest.raises(ValueError, match="out of range"):
        count_numbers(np.array(index, np.int32), np.array(place, np.int64), 1)
