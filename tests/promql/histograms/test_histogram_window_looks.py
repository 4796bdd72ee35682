"""A query over windows of native histograms that has ended stays for tens of milliseconds, not for seconds (QU-16)."""

from __future__ import annotations

import pytest

from pythanos.context import RequestContext
from pythanos.errors import QueryCanceled
from pythanos.promql.engine import Engine, EngineOptions, RangeQuery
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.testing.promqltest.histogram_columns import to_columns
from pythanos.testing.promqltest.histograms import Histogram
from pythanos.workers import Workers

SECOND = 1_000
# More than a query of one series looks for any other reason.
LOOKS = 10


class Ending(RequestContext):
    """Is cancelled at a look of its own."""

    __slots__ = ("looks",)

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def check(self) -> None:
        self.looks += 1
        if self.looks == LOOKS:
            self.cancel()
        super().check()


@pytest.fixture(scope="module")
def one_series() -> MemoryQueryable:
    """1,200 samples, a second apart."""
    rows = [
        Histogram(schema=0, count=0.7 * i, sum=float(i), positive={at: 0.7 * i for at in range(12)})
        for i in range(1_200)
    ]
    queryable = MemoryQueryable()
    queryable.add(
        {"__name__": "h"}, histograms=to_columns([[(i * SECOND, one, one.hint, 0) for i, one in enumerate(rows)]])
    )
    return queryable


@pytest.mark.parametrize(
    ("text", "step_ms"),
    [
        ("avg_over_time(h[15m])", 250),
        ("sum_over_time(h[15m])", 250),
        ("histogram_count(avg_over_time(h[15m]))", 250),
        ("avg_over_time(rate(h[1m])[15m:1s])", 250),
        ("rate(h[15m] anchored)", 250),
        ("increase(h[10m] smoothed)", 250),
        ("changes(h[15m])", 25),
        ("resets(h[15m])", 25),
        ("count_over_time(h[15m])", 25),
    ],
)
def test_a_series_of_many_steps_is_left_when_the_query_ends(
    one_series: MemoryQueryable, text: str, step_ms: int
) -> None:
    ctx = Ending()
    query = RangeQuery(text, 0, 1_200 * SECOND, step_ms)
    with pytest.raises(QueryCanceled):
        Engine(EngineOptions(parser=EVERYTHING), Workers.inline()).range(ctx, one_series, query)
    assert ctx.looks == LOOKS


def test_few_steps_are_over_sooner(one_series: MemoryQueryable) -> None:
    ctx = Ending()
    query = RangeQuery("avg_over_time(h[15m])", 0, 1_200 * SECOND, 300 * SECOND)
    Engine(EngineOptions(parser=EVERYTHING), Workers.inline()).range(ctx, one_series, query)
    assert ctx.looks < LOOKS
