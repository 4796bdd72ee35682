"""Sums and means of native histograms by group (QU-16)."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
from histogram_arithmetic import added, columns_of, custom, exponential, histograms_of
from hypothesis import given
from hypothesis import strategies as st

from pythanos._histogram_sums import INCOMPATIBLE, RECONCILED, RESET_COLLISION, HistogramSums
from pythanos.model.histogram import COUNTER_RESET, CUSTOM_BUCKETS_SCHEMA, NOT_COUNTER_RESET
from pythanos.testing.promqltest.histograms import Histogram


def _summed(members: list[Histogram], *, mean: bool = False, cut: int = 0) -> tuple[Histogram | None, int]:
    """The sum of histograms at one step, added in two calls cut at ``cut``."""
    sums = HistogramSums(1, mean=mean)
    for part in (members[:cut], members[cut:]):
        if part:
            sums.add(columns_of(part), np.arange(len(part)).reshape(-1, 1), np.zeros(len(part), np.int64))
    row, columns, flags = sums.finish(1)
    return (histograms_of(columns)[row[0, 0]] if row[0, 0] >= 0 else None), int(flags[0, 0])


@given(st.lists(exponential(thresholds=(0.25,)), min_size=1, max_size=8), st.integers(0, 8))
def test_a_sum_is_what_adding_one_by_one_gives(members: list[Histogram], cut: int) -> None:
    """Counts are whole numbers here, so compensation has nothing to do; batches do not matter."""
    found, _ = _summed(members, cut=cut)
    expected = functools.reduce(lambda a, b: added(a, b) or a, members[1:], members[0])
    assert found is not None
    assert _without_empty(found) == _without_empty(expected)


@given(st.lists(custom(), min_size=1, max_size=6))
def test_custom_bounds_are_reduced_to_those_all_have(members: list[Histogram]) -> None:
    found, flags = _summed(members)
    common = [bound for bound in members[0].bounds if all(bound in one.bounds for one in members)]
    assert found is not None and list(found.bounds) == common
    assert found.count == sum(one.count for one in members) == sum(found.positive.values())
    assert bool(flags & RECONCILED) == (len({one.bounds for one in members}) > 1)


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=20))
def test_sums_are_compensated(numbers: list[float]) -> None:
    """The bucket's sum is that of Neumaier, as a float's would be."""
    members = [Histogram(count=value, sum=value, zero_count=value, positive={3: value}) for value in numbers]
    found, _ = _summed(members)
    total, lost = numbers[0], 0.0
    for value in numbers[1:]:
        both = total + value
        if math.isinf(both):
            lost = 0.0
        else:
            lost += (total - both) + value if abs(total) >= abs(value) else (value - both) + total
        total = both
    assert found is not None
    assert [found.count, found.sum, found.zero_count] == [total + lost] * 3
    assert found.positive.get(3, 0.0) == total + lost


def test_a_small_count_survives_large_ones() -> None:
    members = [Histogram(count=value, positive={1: value}) for value in (1e100, 1.0, -1e100)]
    found, _ = _summed(members)
    assert found is not None and found.count == 1.0 and found.positive == {1: 1.0}


def test_what_merging_buckets_lost_goes_into_a_missing_bucket_as_it_is() -> None:
    """Half a unit of the last place is not rounded into the count; the figures are of a query to Prometheus 3.14."""
    fine = {-35: 0.005555555555555556, -34: 0.005555555555555556, -33: 0.004666666666666666, -32: 0.005555555555555556}
    members = [Histogram(schema=1, positive={-7: 1.0}), Histogram(schema=3, positive=fine), Histogram(schema=3)]
    found, _ = _summed(members, mean=True)
    assert found is not None and found.positive[-8] == 0.0071111111111111115


def test_a_mean_does_not_overflow() -> None:
    """Where the sum would, the mean is kept from there on."""
    members = [Histogram(count=1.5e308, sum=1.0, positive={1: 1.5e308})] * 4
    found, _ = _summed(members, mean=True)
    assert found is not None
    assert found.count == pytest.approx(1.5e308) and found.positive[1] == pytest.approx(1.5e308) and found.sum == 1.0
    total, _ = _summed(members)
    assert total is not None and math.isinf(total.count)


@given(st.lists(exponential(thresholds=(0.25,)), min_size=1, max_size=8))
def test_a_mean_is_the_sum_by_the_count(members: list[Histogram]) -> None:
    mean, _ = _summed(members, mean=True)
    total, _ = _summed(members)
    assert mean is not None and total is not None
    assert mean.count == total.count / len(members)
    assert mean.positive == {number: count / len(members) for number, count in total.positive.items()}


def test_groups_and_steps_are_apart() -> None:
    columns = columns_of([Histogram(count=1.0), Histogram(count=2.0), Histogram(count=4.0)])
    sums = HistogramSums(2)
    sums.add(columns, np.array([[0, -1], [1, 2], [2, -1]]), np.array([1, 0, 1]))
    row, made, flags = sums.finish(3)
    counts = [[made.count[at] if at >= 0 else None for at in line] for line in row.tolist()]
    assert counts == [[2.0, 4.0], [5.0, None], [None, None]] and not flags.any()


def test_exponential_and_custom_buckets_have_no_sum() -> None:
    whole = Histogram(CUSTOM_BUCKETS_SCHEMA, 1.0, bounds=(1.0,), positive={0: 1.0})
    assert _summed([Histogram(count=1.0), whole, Histogram(count=1.0)]) == (None, INCOMPATIBLE)


def test_contradicting_resets_are_told() -> None:
    members = [Histogram(count=1.0, hint=COUNTER_RESET), Histogram(count=1.0, hint=NOT_COUNTER_RESET)]
    assert _summed(members)[1] == RESET_COLLISION
    assert _summed(members[:1] * 2)[1] == 0


def test_what_does_not_fit_is_refused() -> None:
    sums, columns = HistogramSums(1), columns_of([Histogram()])
    with pytest.raises(IndexError):
        sums.add(columns, np.array([[1]]), np.array([0]))
    with pytest.raises(IndexError):
        sums.add(columns, np.array([[0]]), np.array([-1]))
    with pytest.raises(ValueError, match="do not fit"):
        sums.add(columns, np.array([[0, 0]]), np.array([0]))


def _without_empty(one: Histogram) -> Histogram:
    return replace(
        one,
        positive={number: count for number, count in one.positive.items() if count},
        negative={number: count for number, count in one.negative.items() if count},
    )
