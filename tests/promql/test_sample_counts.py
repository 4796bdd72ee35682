"""Samples counted by step, beside a count that looks at each sample and each window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos.context import RequestContext
from pythanos.promql.accounting import QueryStats
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery, RangeQuery
from pythanos.promql.sample_counts import window_counts
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.values import Steps
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.workers import Workers

MINUTE = 60_000
START, STEPS = 10 * MINUTE, 6


def engine() -> Engine:
    return Engine(EngineOptions(parser=EVERYTHING), Workers.inline())


def series() -> MemoryQueryable:
    queryable = MemoryQueryable(batch_series=2)
    for number in range(3):
        queryable.add({"__name__": "m", "n": str(number)}, [k * MINUTE for k in range(30)], [1.0] * 30)
    return queryable


def stats(text: str, *, step: int = MINUTE, per_step: bool = True) -> QueryStats:
    query = RangeQuery(text, START, START + (STEPS - 1) * step, step, per_step=per_step)
    return engine().range(RequestContext(), series(), query).stats


@given(
    st.lists(st.integers(0, 400), max_size=30),
    st.integers(1, 90),
    st.integers(1, 70),
    st.integers(1, 8),
    st.integers(0, 200),
)
def test_windows_are_counted_as_one_by_one(times: list[int], range_ms: int, step: int, count: int, first: int) -> None:
    """Queryable in each window that holds them, left-open; read in the first of these."""
    ends = Steps(first, step, count)
    scanned, read = window_counts(np.array(times, np.int64), None, ends, count, range_ms)
    windows = [[t for t in times if end - range_ms < t <= end] for end in ends.times().tolist()]
    assert scanned.tolist() == [len(window) for window in windows]
    new = [[t for t in window if not k or t > ends.start_ms + (k - 1) * step] for k, window in enumerate(windows)]
    assert read.tolist() == [len(window) for window in new]


def test_samples_may_count_for_several() -> None:
    """As native histograms do."""
    scanned, read = window_counts(np.array([3, 1]), np.array([5, 10]), Steps(1, 1, 3), 3, 2)
    assert (scanned.tolist(), read.tolist()) == ([10, 10, 5], [10, 0, 5])


@pytest.mark.parametrize(
    ("text", "scanned", "read"),
    [
        ("m", [3] * 6, [3] * 6),
        ("sum_over_time(m[5m])", [15] * 6, [15, 3, 3, 3, 3, 3]),
        ("sum(m) + m", [6] * 6, [6] * 6),
        # Evaluated once, true at every step.
        ("sum_over_time(m[5m] @ 600)", [15] * 6, [15, 0, 0, 0, 0, 0]),
        # The points of a subquery are queryable; what they were made of was read.
        ("sum_over_time(sum(m)[5m:1m])", [5] * 6, [15, 3, 3, 3, 3, 3]),
        ("sum_over_time((m @ 600)[5m:1m])", [15] * 6, [3, 0, 0, 0, 0, 0]),
        ("time()", [0] * 6, [0] * 6),
    ],
)
def test_steps_of_a_query_are_charged_for_what_they_look_at(text: str, scanned: list[int], read: list[int]) -> None:
    """QU-26: as Prometheus does; the totals are the sums, asked for by step or not."""
    found = stats(text)
    assert found.scanned_steps is not None
    assert found.read_steps is not None
    assert (found.scanned_steps.tolist(), found.read_steps.tolist()) == (scanned, read)
    totals = [(one.total_queryable_samples, one.samples_read) for one in (found, stats(text, per_step=False))]
    assert totals == [(sum(scanned), sum(read))] * 2


def test_points_between_the_windows_of_a_subquery_are_not_read() -> None:
    """Windows of two minutes every four: the other two minutes are evaluated for nothing."""
    found = stats("sum_over_time(m[2m:1m])", step=4 * MINUTE)
    assert found.read_steps is not None
    assert found.read_steps.tolist() == [6] * STEPS
    assert stats("sum_over_time(m[2m:1m])", step=4 * MINUTE, per_step=False).samples_read == found.samples_read


def test_a_query_that_is_a_subquery_is_charged_at_its_one_step() -> None:
    query = InstantQuery("sum_over_time(m[2m])[3m:1m]", START, per_step=True)
    found = engine().instant(RequestContext(), series(), query).stats
    assert found.scanned_steps is not None
    assert (found.scanned_steps.tolist(), found.total_queryable_samples, found.samples_read) == ([18], 18, 12)
