"""The classic histogram kernel against a readable reference that follows Prometheus' quantile.go."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pythanos import _buckets
from pythanos._row_parts import RowParts
from pythanos.model.series import ABSENT, STALE_NAN_BITS


def almost(a: float, b: float) -> bool:
    if a == b or (math.isnan(a) and math.isnan(b)):
        return True
    if a == 0 or b == 0:
        return abs(a - b) < 1e-12 * 2.2250738585072014e-308
    return abs(a - b) / min(abs(a) + abs(b), 1.7976931348623157e308) < 1e-12


def coalesced(buckets: list[tuple[float, float]]) -> list[list[float]]:
    out: list[list[float]] = []
    for bound, count in sorted(buckets, key=lambda bucket: bucket[0]):
        if out and out[-1][0] == bound:
            out[-1][1] += count
        else:
            out.append([bound, count])
    return out


def quantile(q: float, buckets: list[tuple[float, float]]) -> tuple[float, bool]:
    if math.isnan(q):
        return math.nan, False
    if q < 0 or q > 1:
        return (-math.inf if q < 0 else math.inf), False
    found = coalesced(buckets)
    if found[-1][0] != math.inf:
        return math.nan, False
    forced, before = False, found[0][1]
    for bucket in found[1:]:
        if bucket[1] == before or almost(before, bucket[1]):
            bucket[1] = before
        elif bucket[1] < before:
            bucket[1], forced = before, True
        else:
            before = bucket[1]
    observations = found[-1][1]
    if len(found) < 2 or observations == 0:
        return math.nan, forced
    rank = q * observations
    at = next((i for i, (_, count) in enumerate(found[:-1]) if count >= rank), len(found) - 1)
    if at == len(found) - 1:
        return found[-2][0], forced
    if at == 0 and found[0][0] <= 0:
        return found[0][0], forced
    start, count = 0.0, found[at][1]
    if at > 0:
        start = found[at - 1][0]
        count -= found[at - 1][1]
        rank -= found[at - 1][1]
    with np.errstate(all="ignore"):
        return float(start + (found[at][0] - start) * (np.float64(rank) / count)), forced


BOUNDS = st.sampled_from([-1.0, 0.0, 0.1, 0.5, 1.0, 2.5, 10.0, math.inf])
COUNTS = st.one_of(st.integers(0, 20).map(float), st.floats(0, 100), st.just(ABSENT))


@settings(max_examples=300, deadline=None)
@given(
    histograms=st.lists(st.lists(st.tuples(BOUNDS, COUNTS, COUNTS), min_size=1, max_size=8), min_size=1, max_size=3),
    q=st.sampled_from([-0.5, 0.0, 0.1, 0.5, 0.99, 1.0, 1.5, math.nan]),
)
def test_quantiles_are_those_of_the_buckets_that_are_present(histograms: list, q: float) -> None:
    """Equal bounds add up, counts are made monotonic (and that is reported), no +Inf bucket gives NaN."""
    rows = [(number, *bucket) for number, buckets in enumerate(histograms) for bucket in buckets]
    values = np.array([[first, second] for _, _, first, second in rows])
    bound = np.array([row[1] for row in rows])
    owner = np.array([row[0] for row in rows])
    order = np.lexsort((bound, owner)).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(np.bincount(owner))]).astype(np.int64)
    got, forced = _buckets.bucket_rows(RowParts([values], values.shape[1]), bound, order, start, np.full(2, q))
    for number, buckets in enumerate(histograms):
        touched = 0
        for step in range(2):
            here = [(bucket[0], bucket[1 + step]) for bucket in buckets if not is_stale(bucket[1 + step])]
            if not here:
                assert is_stale(got[number, step])
                continue
            expected, was_forced = quantile(q, here)
            touched += was_forced
            assert got[number, step] == expected or (math.isnan(expected) and math.isnan(got[number, step]))
        assert forced[number, 0] == touched


@st.composite
def grids(draw: st.DrawFn) -> tuple:
    """Counts of one histogram at many steps: rising or not, nearly equal, and now and then none, or no number."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    buckets, steps = draw(st.integers(1, 12)), draw(st.integers(1, 40))
    bounds = np.sort(rng.choice([-2.5, -1, 0, 0.1, 0.5, 1, 2.5, 5, 10, 25, 50, 100], buckets, replace=False))
    bounds[-1] = draw(st.sampled_from([math.inf, math.inf, math.inf, bounds[-1]]))
    kind = draw(st.sampled_from(["rising", "whole", "falling", "close", "zero"]))
    counts = rng.random((buckets, steps)) * 10
    if kind != "falling":
        counts = np.cumsum(np.floor(counts) if kind in ("whole", "close") else counts, axis=0)
    if kind == "close":
        counts *= 1 + rng.normal(size=counts.shape) * 1e-12
    if kind == "zero":
        counts[:, rng.random(steps) < 0.5] = 0
    odd = rng.random(counts.shape) < draw(st.sampled_from([0, 0, 0.01, 0.2]))
    counts[odd] = rng.choice([ABSENT, math.nan, math.inf, -1.0, -0.0, 1e-310, 1e308], odd.sum())
    q = np.full(steps, draw(st.sampled_from([0.0, 0.5, 0.9, 1.0])))
    strange = rng.random(steps) < draw(st.sampled_from([0, 0, 0.1]))
    q[strange] = rng.choice([-0.5, 1.5, math.nan], strange.sum())
    return bounds, counts, q, draw(st.sampled_from([2, 4, 8]))


@settings(max_examples=300, deadline=None)
@given(grid=grids())
def test_many_steps_at_once_give_what_each_gives_alone(grid: tuple) -> None:
    """With vectors of any width, and the same report of what was forced; rows may lie in several matrices."""
    bounds, counts, q, lanes = grid
    buckets, steps = counts.shape
    order, start = np.arange(buckets), np.array([0, buckets])
    _buckets.limit_lanes(lanes)
    try:
        parts = RowParts([counts[:1].copy(), counts[1:].copy()], steps)
        (row,), (told,) = _buckets.bucket_rows(parts, bounds, order, start, q)
    finally:
        _buckets.limit_lanes(0)
    alone = [
        _buckets.bucket_rows(RowParts([counts[:, k : k + 1].copy()], 1), bounds, order, start, q[k : k + 1])
        for k in range(steps)
    ]
    expected = np.array([values[0, 0] for values, _ in alone])
    assert (is_stale_row(row) == is_stale_row(expected)).all()
    assert np.array_equal(row, expected, equal_nan=True)
    forced = np.array([report[0] for _, report in alone])
    touched = np.nonzero(forced[:, 0])[0]
    assert told[0] == len(touched)
    if len(touched):
        assert told[1:4].tolist() == [forced[:, 1].min(), forced[:, 2].max(), forced[:, 3].max()]
        assert told[4:].tolist() == [touched[0], touched[-1]]


def is_stale_row(values: np.ndarray) -> np.ndarray:
    return values.view(np.int64) == STALE_NAN_BITS


def is_stale(value: float) -> bool:
    return int(np.float64(value).view(np.int64)) == STALE_NAN_BITS


def fraction(lower: float, upper: float, buckets: list[tuple[float, float]]) -> float:
    values = np.array([[count] for _, count in buckets])
    bound = np.array([bound for bound, _ in buckets])
    rows = np.arange(len(buckets))
    edges = np.array([0, len(buckets)])
    return float(
        _buckets.bucket_rows(
            RowParts([values], values.shape[1]), bound, rows, edges, np.array([lower]), np.array([upper])
        )[0][0, 0]
    )


def test_a_fraction_is_the_share_between_two_values() -> None:
    """Linear inside a bucket; the lowest bucket begins at 0 where its bound is positive."""
    buckets = [(1.0, 10.0), (2.0, 30.0), (math.inf, 40.0)]
    assert fraction(0.0, 1.0, buckets) == 0.25
    assert fraction(0.5, 1.5, buckets) == (20.0 - 5.0) / 40
    assert fraction(-math.inf, math.inf, buckets) == 1.0
    assert fraction(2.0, 1.0, buckets) == 0.0
    assert math.isnan(fraction(math.nan, 1.0, buckets))
    assert math.isnan(fraction(0.0, 1.0, [(1.0, 3.0)]))


def test_the_forced_report_says_where_and_by_how_much() -> None:
    """Steps touched, bounds touched, the largest decrease, first and last step."""
    values = np.array([[10.0, 1.0, 10.0], [4.0, 2.0, 7.0], [12.0, 3.0, 12.0]])
    bound = np.array([1.0, 2.0, math.inf])
    _, forced = _buckets.bucket_rows(
        RowParts([values], values.shape[1]), bound, np.arange(3), np.array([0, 3]), np.full(3, 0.5)
    )
    assert forced[0].tolist() == [2.0, 2.0, 2.0, 6.0, 0.0, 2.0]
