"""Aggregation kernels against a readable reference that follows Prometheus' engine.go step by step."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pythanos import _aggregate, _labels
from pythanos._aggregate import Kind, Rank
from pythanos.model.series import ABSENT, STALE_NAN_BITS

VALUES = st.one_of(
    st.just(ABSENT),
    st.integers(-3, 9).map(float),
    st.floats(-1e9, 1e9),
    st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 1.2e308, 1e308, -1.5e308]),
)


def is_stale(value: float) -> bool:
    return int(np.float64(value).view(np.int64)) == STALE_NAN_BITS


def same(expected: float | None, got: float) -> bool:
    if expected is None:
        return is_stale(got)
    if math.isnan(expected):
        return math.isnan(got) and not is_stale(got)
    return expected == got and math.copysign(1, expected) == math.copysign(1, got)


def kahan(x: float, total: float, c: float) -> tuple[float, float]:
    t = total + x
    if math.isinf(t):
        return t, 0.0
    if abs(total) >= abs(x):
        return t, c + ((total - t) + x)
    return t, c + ((x - t) + total)


def sum_of(values: list[float]) -> float:
    s, c = values[0], 0.0
    for value in values[1:]:
        s, c = kahan(value, s, c)
    return s + c


def avg_of(values: list[float]) -> float:
    s, c, average, incremental = values[0], 0.0, values[0], False
    for number, value in enumerate(values[1:], 2):
        count = float(number)
        if not incremental:
            new_s, new_c = kahan(value, s, c)
            if not math.isinf(new_s):
                s, c = new_s, new_c
                continue
            incremental = True
            average = s / (count - 1)
            c /= count - 1
        q = (count - 1) / count
        average, c = kahan(value / count, q * average, q * c)
    n = float(len(values))
    return average + c if incremental else s / n + c / n


def extreme_of(values: list[float], sign: int) -> float:
    best = values[0]
    for value in values[1:]:
        if best * sign < value * sign or math.isnan(best):
            best = value
    return best


def variance_of(values: list[float]) -> float:
    count, average = 1.0, values[0]
    aux = 0.0 if math.isfinite(values[0]) else math.nan
    with np.errstate(all="ignore"):
        for value in values[1:]:
            count += 1
            delta = value - average
            average += delta / count
            aux = float(np.float64(aux) + np.float64(delta) * (value - average))
    return aux / count


def root(value: float) -> float:
    return math.nan if math.isnan(value) or value < 0 else math.sqrt(value)


REFERENCE = {
    Kind.SUM: sum_of,
    Kind.AVG: avg_of,
    Kind.MIN: lambda values: extreme_of(values, -1),
    Kind.MAX: lambda values: extreme_of(values, 1),
    Kind.COUNT: lambda values: float(len(values)),
    Kind.GROUP: lambda values: 1.0,
    Kind.STDDEV: lambda values: root(variance_of(values)),
    Kind.STDVAR: variance_of,
}


@st.composite
def matrices(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """(values, group of each row, where the rows are cut into batches)."""
    rows, steps = draw(st.integers(1, 12)), draw(st.integers(1, 19))
    values = np.array(draw(st.lists(VALUES, min_size=rows * steps, max_size=rows * steps))).reshape(rows, steps)
    group = np.array(draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)), np.int64)
    cuts = draw(st.lists(st.integers(0, rows), max_size=3).map(sorted))
    return values, group, [0, *cuts, rows]


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name)
@settings(max_examples=60, deadline=None)
@given(case=matrices())
def test_an_aggregation_gives_the_bits_of_the_reference_however_rows_are_batched(kind: Kind, case: tuple) -> None:
    """Kahan sums in the order of the rows, means that survive overflow, Welford's variance, absence of empty groups."""
    values, group, cuts = case
    accumulator = _aggregate.Accumulator(kind, values.shape[1])
    for first, last in pairwise(cuts):
        accumulator.add(values[first:last].copy(), group[first:last].copy(), int(group.max()) + 1)
    result = accumulator.finish(int(group.max()) + 1)
    for number in range(int(group.max()) + 1):
        for k in range(values.shape[1]):
            chosen = [value for value in values[group == number, k].tolist() if not is_stale(value)]
            expected = REFERENCE[kind](chosen) if chosen else None
            assert same(expected, result[number, k]), (kind, chosen, expected, result[number, k])


@settings(max_examples=100, deadline=None)
@given(case=matrices(), limit=st.integers(0, 5), rank=st.sampled_from(list(Rank)))
def test_ranking_keeps_the_best_of_each_group_at_each_step(case: tuple, limit: int, rank: Rank) -> None:
    """No value that stays is worse than one that goes, NaN stays only where nothing else is left."""
    values, group, _ = case
    kept = values.copy()
    groups = int(group.max()) + 1
    last = _aggregate.keep_ranked(rank, kept, group, groups, np.full(values.shape[1], float(limit)))
    for number in range(groups):
        for k in range(values.shape[1]):
            before, after = values[group == number, k].tolist(), kept[group == number, k].tolist()
            here = [value for value in before if not is_stale(value)]
            stays = [value for value in after if not is_stale(value)]
            goes = [b for b, a in zip(before, after, strict=True) if not is_stale(b) and is_stale(a)]
            assert len(stays) == min(limit, len(here))
            if rank is Rank.FIRST:
                assert [str(value) for value in stays] == [str(value) for value in here[:limit]]
                continue
            sign = 1 if rank is Rank.TOP else -1
            for value in goes:
                assert math.isnan(value) or all(keep * sign >= value * sign for keep in stays)
    assert sorted(last.tolist()) == np.nonzero([not is_stale(value) for value in kept[:, -1]])[0].tolist()


def test_equal_values_are_ranked_as_by_go_heaps() -> None:
    """Earlier ones stay, and those that stay are in the order of the heap: a replaced root stands first."""
    values = np.array([[1.0], [2.0], [2.0], [2.0], [1.0]])
    last = _aggregate.keep_ranked(Rank.TOP, values, np.zeros(5, np.int64), 1, np.array([2.0]))
    assert last.tolist() == [2, 1]


@settings(max_examples=100, deadline=None)
@given(case=matrices(), q=st.sampled_from([-0.1, 0.0, 0.25, 0.5, 0.9, 1.0, 1.1, math.nan]))
def test_a_quantile_interpolates_between_the_ranks_of_its_group(case: tuple, q: float) -> None:
    """As numpy's linear quantile with NaN sorted first, and infinities outside [0, 1]."""
    values, group, _ = case
    groups = int(group.max()) + 1
    result = _aggregate.quantile_rows(values, group, groups, np.full(values.shape[1], q))
    for number in range(groups):
        for k in range(values.shape[1]):
            here = [value for value in values[group == number, k].tolist() if not is_stale(value)]
            assert same_zero(quantile_of(q, here) if here else None, result[number, k])


def quantile_of(q: float, values: list[float]) -> float:
    if math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return -math.inf if q < 0 else math.inf
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = q * (len(values) - 1)
    lower = math.floor(rank)
    weight = rank - lower
    return ordered[lower] * (1 - weight) + ordered[min(lower + 1, len(values) - 1)] * weight


def same_zero(expected: float | None, got: float) -> bool:
    """As ``same``, but the sign of a zero depends on how equal values were sorted."""
    return same(expected, got) or (expected == 0 and got == 0)


def test_groups_are_numbered_by_first_sight_across_batches() -> None:
    """The same labels give the same number in every batch; the table gives the labels back."""
    table = _aggregate.GroupTable(("g",), by=True)
    first = table.assign(_labels.labels_from_dicts([{"g": "a", "x": "1"}, {"g": "b"}, {"x": "2"}]))
    second = table.assign(_labels.labels_from_dicts([{"g": "b", "x": "3"}, {"g": "c"}, {"g": "a"}]))
    assert (first.tolist(), second.tolist()) == ([0, 1, 2], [1, 3, 0])
    assert _labels.to_dicts(table.labels()) == [{"g": "a"}, {"g": "b"}, {}, {"g": "c"}]


def test_without_leaves_all_other_labels() -> None:
    """Grouping without some labels keeps the rest."""
    table = _aggregate.GroupTable(("x", "__name__"), by=False)
    table.assign(
        _labels.labels_from_dicts([{"__name__": "m", "g": "a", "x": "1"}, {"__name__": "n", "g": "a", "x": "2"}])
    )
    assert _labels.to_dicts(table.labels()) == [{"g": "a"}]


def test_rows_of_groups_that_do_not_exist_are_refused() -> None:
    """A wrong group number is a ValueError, never a write out of bounds."""
    accumulator = _aggregate.Accumulator(Kind.SUM, 2)
    with pytest.raises(ValueError, match="group out of range"):
        accumulator.add(np.ones((1, 2)), np.array([1], np.int64), 1)
