"""Limits, cancellation, hints, statistics and annotations of queries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pythanos.context import RequestContext
from pythanos.errors import LimitExceeded, QueryCanceled, QueryTimeout
from pythanos.model.matchers import Matcher
from pythanos.promql.accounting import QueryLimits
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery, QueryResult, RangeQuery
from pythanos.promql.queryable import EncodedSeries, SelectHints, Selection
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.tree.preprocess import QueryTimes
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.workers import Workers

MINUTE = 60_000


def gauges(series: int = 20) -> MemoryQueryable:
    queryable = MemoryQueryable(batch_series=4)
    for number in range(series):
        queryable.add({"__name__": "m", "n": str(number)}, [k * MINUTE for k in range(20)], [float(number)] * 20)
    return queryable


def ask(text: str, options: EngineOptions | None = None, queryable: MemoryQueryable | None = None) -> QueryResult:
    engine = Engine(options or EngineOptions(parser=EVERYTHING), Workers.inline())
    query = RangeQuery(text, 10 * MINUTE, 15 * MINUTE, MINUTE)
    return engine.range(RequestContext(), queryable or gauges(), query)


def test_too_many_samples_end_a_query_with_the_limit_and_advice() -> None:
    """Prometheus' words, then what to change."""
    options = EngineOptions(limits=QueryLimits(samples_max=50))
    with pytest.raises(LimitExceeded, match="query processing would load too many samples into memory") as caught:
        ask("m", options)
    assert (caught.value.limit, caught.value.value) == ("query.max_samples", 50)


def test_an_aggregation_is_charged_for_its_groups_and_not_for_its_operand() -> None:
    """20 series of 6 points pass through a limit that they would not fit into together."""
    options = EngineOptions(limits=QueryLimits(samples_max=50))
    assert ask("sum(m)", options).stats.peak_samples <= 50


def test_a_grid_that_no_memory_holds_is_refused_before_it_is_made() -> None:
    """A subquery of a year by seconds: 31 million steps, a few rows of which are gigabytes; and worse."""
    options = EngineOptions(limits=QueryLimits(bytes_max=1_000_000_000))
    for text in ("max_over_time(m[1y:1s])", "max_over_time(m[290y:1ms])"):
        with pytest.raises(LimitExceeded, match=r"query\.max_bytes is 1000000000") as caught:
            ask(text, options)
    engine = Engine(options, Workers.inline())
    with pytest.raises(LimitExceeded, match=r"query\.max_bytes is 1000000000"):
        engine.instant(RequestContext(), gauges(), InstantQuery("m[290y:1ms]", 0))
    assert (caught.value.limit, caught.value.value) == ("query.max_bytes", 1_000_000_000)


def test_what_an_operation_has_read_is_no_longer_held_after_it() -> None:
    """Ten operations in a row need what one needs: both operands and the result."""
    one, many = (ask("m" + " + on (n) m" * count).stats for count in (1, 10))
    assert many.peak_samples <= 2 * one.peak_samples
    assert many.peak_bytes <= 2 * one.peak_bytes


def test_labels_and_waiting_batches_count_as_bytes() -> None:
    """20 series of 6 points are 960 bytes; their label sets are more, and shared selections are kept besides."""
    points = 20 * 6 * 8
    alone = ask("m").stats.peak_bytes
    assert alone > points + 20 * len('__name__="m",n="1"')
    assert ask("m + on (n) m").stats.peak_bytes > 2 * alone


def test_bytes_are_limited_too() -> None:
    """The arrays of a matrix count."""
    with pytest.raises(LimitExceeded, match="more than 500 bytes"):
        ask("m", EngineOptions(limits=QueryLimits(bytes_max=500)))


class Hanging(MemoryQueryable):
    """Cancels the request after its first batch."""

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        batches = super().select(ctx, matchers, hints).batches
        return Selection(self._canceling(ctx, batches))

    def _canceling(self, ctx: RequestContext, batches: Iterator[EncodedSeries]) -> Iterator[EncodedSeries]:
        for number, batch in enumerate(batches):
            if number == 2:
                ctx.cancel()
            self.pulled = number
            yield batch


def test_a_canceled_query_stops_within_a_batch() -> None:
    """The check comes with every block."""
    queryable = Hanging(gauges().series, batch_series=1)
    with pytest.raises(QueryCanceled):
        ask("sum(m)", queryable=queryable)
    assert queryable.pulled == 2


def test_a_query_past_its_deadline_stops() -> None:
    """The clock is the request's."""
    now = [0.0]
    ctx = RequestContext(timeout_seconds=1, monotonic=lambda: now[0])
    now[0] = 2.0
    engine = Engine(EngineOptions(), Workers.inline())
    with pytest.raises(QueryTimeout):
        engine.instant(ctx, gauges(), InstantQuery("m", 0))


def test_long_windows_are_looked_through_in_parts() -> None:
    """A query that has ended stays for one part of a block, not for seconds; the parts make one answer."""
    text = "count_over_time((m * 2)[20m:1s])"

    class Ending(RequestContext):
        looks = 0

        def check(self) -> None:
            self.looks += 1
            super().check()

    def asked(step_ms: int) -> tuple[int, list[float]]:
        ctx = Ending()
        query = RangeQuery(text, 10 * MINUTE, 15 * MINUTE, step_ms)
        value = Engine(EngineOptions(parser=EVERYTHING), Workers.inline()).range(ctx, gauges(), query).value
        return ctx.looks, value.values[:, :: MINUTE // step_ms].tolist()

    (few, coarse), (many, fine) = asked(MINUTE), asked(20)
    assert many >= few + 5
    assert coarse == fine


def test_selections_are_closed_when_a_query_fails() -> None:
    """A stream from a store must not stay open behind an error."""
    closed = []

    class Watched(MemoryQueryable):
        def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
            return Selection(watched(super().select(ctx, matchers, hints).batches))

    def watched(batches: Iterator[EncodedSeries]) -> Iterator[EncodedSeries]:
        try:
            yield from batches
        finally:
            closed.append(True)

    with pytest.raises(LimitExceeded):
        ask("m", EngineOptions(limits=QueryLimits(samples_max=30)), Watched(gauges().series))
    assert closed == [True]


@pytest.mark.parametrize(
    ("text", "mint", "maxt", "range_ms", "func", "grouping"),
    [
        ("m", 10 * MINUTE - 300_000 + 1, 15 * MINUTE, 0, "", ()),
        ("rate(m[5m])", 5 * MINUTE + 1, 15 * MINUTE, 300_000, "rate", ()),
        ("sum by (n) (m offset 1m)", 4 * MINUTE + 1, 14 * MINUTE, 0, "sum", ("n",)),
        ("max_over_time(m[2m] @ 120)", 1, 120_000, 120_000, "max_over_time", ()),
        ("sum_over_time(m[3m:2m] offset 1m)", 3 * MINUTE + 1, 14 * MINUTE, 0, "sum_over_time", ()),
        ("m + 1", 5 * MINUTE + 1, 15 * MINUTE, 0, "", ()),
    ],
)
def test_hints_cover_the_samples_that_are_looked_at(
    text: str, mint: int, maxt: int, range_ms: int, func: str, grouping: tuple[str, ...]
) -> None:
    """Ranges are left-open, so the first millisecond is not asked for."""
    queryable = gauges()
    ask(text, queryable=queryable)
    [(_, hints)] = queryable.asked
    assert (hints.mint, hints.maxt, hints.range_ms, hints.func, hints.grouping) == (
        mint, maxt, range_ms, func, grouping,
    )  # fmt: skip


def test_samples_are_counted_per_step_and_once() -> None:
    """5 samples a window at 6 steps make 30 a series; 10 different ones were read."""
    stats = ask("sum_over_time(m[5m])", queryable=gauges(1)).stats
    assert (stats.total_queryable_samples, stats.samples_read) == (30, 10)
    stats = ask("m", queryable=gauges(3)).stats
    assert (stats.total_queryable_samples, stats.samples_read, stats.peak_samples) == (18, 18, 18)


@pytest.mark.parametrize(
    ("text", "warnings", "infos"),
    [
        ("quantile(1.5, m)", ["PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)"], []),
        (
            " quantile_over_time(-1,\nm[5m])",
            ["PromQL warning: quantile value should be between 0 and 1, got -1 (1:21)"],
            [],
        ),
        (
            "sort(m)",
            ["PromQL warning: sort is ineffective for range queries since results are always ordered by labels (1:1)"],
            [],
        ),
        (
            "sum(rate(m[5m]))",
            [],
            ['PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "m" (1:10)'],
        ),
        (
            "histogram_quantile(0.5, m)",
            ['PromQL warning: bucket label "le" is missing or has a malformed value of "" (1:25)'],
            [],
        ),
        ("sum_over_time(m[5m]) + quantile(0.5, m)", [], []),
    ],
)
def test_annotations_have_prometheus_texts_and_positions(text: str, warnings: list[str], infos: list[str]) -> None:
    """Line and column of the expression that they are about; one for each text."""
    result = ask(text, queryable=gauges(2))
    assert (result.warnings(), result.infos()) == (warnings, infos)


def test_more_than_ten_annotations_are_cut_and_counted() -> None:
    """One line says how many are left out."""
    queryable = MemoryQueryable()
    for number in range(13):
        queryable.add({"__name__": f"m{number}"}, [10 * MINUTE - 2, 10 * MINUTE - 1], [0.0, 1.0])
    infos = ask(
        'sum(rate({__name__=~"m.*"}[5m] offset 1ms))', queryable=queryable, options=EngineOptions(delayed_names=True)
    ).infos()
    assert len(infos) == 11
    assert infos[-1] == "3 more info annotations omitted"


def test_warnings_of_stores_come_first_and_once() -> None:
    """A partial answer says so, whatever the evaluation adds."""
    queryable = gauges(1)
    queryable.warnings = ("store a did not answer",)
    assert ask("quantile(2, m) + sum(m)", queryable=queryable).warnings() == [
        "store a did not answer",
        "PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)",
    ]


def test_explain_shows_the_plan_as_a_tree() -> None:
    """Constants are folded, selectors carry their modifiers."""
    engine = Engine(EngineOptions(), Workers.inline())
    plan = engine.explain("sum by (a) (rate(m[5m] offset 1m)) / (2 * 3)", QueryTimes(0, 600_000, 1000))
    assert plan.name == "[binary] /"
    aggregate, number = plan.children
    assert (aggregate.name, number.name) == ("[aggregate] sum by (a)", "[number] 6.0")
    assert aggregate.children[0].children[0].children[0].name == '[select] {__name__="m"} offset 1m labels (a)'
