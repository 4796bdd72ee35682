"""What ``analyze`` measures and ``explain`` shows, and the JSON they give."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pythanos.context import RequestContext
from pythanos.model.usage import StoreUsage
from pythanos.promql.analysis import OperatorUsage
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery, QueryResult, RangeQuery
from pythanos.promql.queryable import EncodedSeries, SelectHints, Selection
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.testing import answers
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.workers import Workers

MINUTE = 60_000


def ticking() -> Iterator[float]:
    """A clock that moves by a second whenever it is read."""
    now = 0.0
    while True:
        now += 1.0
        yield now


def counters() -> MemoryQueryable:
    queryable = MemoryQueryable(batch_series=2)
    for number in range(5):
        labels = {"__name__": "m_total", "n": str(number), "g": str(number % 2)}
        queryable.add(labels, [k * MINUTE for k in range(30)], [float(k) for k in range(30)])
    return queryable


def analyzed(text: str, queryable: MemoryQueryable | None = None, *, analyze: bool = True) -> QueryResult:
    engine = Engine(EngineOptions(parser=EVERYTHING), Workers.inline())
    clock = ticking()
    ctx = RequestContext(monotonic=lambda: next(clock))
    query = RangeQuery(text, 10 * MINUTE, 19 * MINUTE, MINUTE, analyze=analyze)
    return engine.range(ctx, queryable or counters(), query)


def root(result: QueryResult) -> OperatorUsage:
    assert result.analysis is not None
    return result.analysis


def test_without_the_wish_nothing_is_measured() -> None:
    """The clock of the request is not read for it either."""
    assert analyzed("sum(rate(m_total[5m]))", analyze=False).analysis is None


def test_each_operator_is_a_node_with_time_series_and_samples() -> None:
    """QU-26: a tree of the operators that ran, its samples those of the query's statistics."""
    result = analyzed("sum by (g) (rate(m_total[5m]))")
    top = root(result)
    assert top.name == "[aggregate] sum by (g)"
    assert [child.name for child in top.children] == ["[function] rate"]
    rate = top.children[0]
    assert (top.series, rate.series) == (2, 5)
    assert top.total_samples == rate.total_samples == result.stats.total_queryable_samples > 0
    assert (rate.peak_samples, rate.peak_bytes) == (2 * 10, 2 * 10 * 8)
    assert min(top.seconds, rate.seconds) > 0


def test_the_selection_stands_at_the_operator_that_reads_it() -> None:
    """Batches, series, decoded samples and time, as the fan-out of one nameless store where stores are not known."""
    (selection,) = root(analyzed("sum(rate(m_total[5m]))")).children[0].selections
    assert (selection.batches, selection.series) == (3, 5)
    assert selection.samples == 5 * 30
    (usage,) = selection.stores()
    assert (usage.address, usage.series, usage.responses) == ("", 5, 3)
    assert usage.seconds > 0


def test_a_subquery_counts_its_own_samples_and_not_those_inside_again() -> None:
    """As promql-engine sums samples up."""
    result = analyzed("max_over_time(rate(m_total[5m])[5m:1m])")
    top = root(result)
    assert top.total_samples == 5 * 5 * 10
    assert top.children[0].total_samples > 0


@pytest.mark.parametrize(
    "text",
    [
        "m_total",
        "m_total + on (n) m_total",
        "timestamp(m_total)",
        "absent_over_time(m_total[5m])",
        "scalar(sum(m_total)) + m_total",
        "topk(2, m_total) or vector(1)",
        "-abs(m_total) > bool 2",
        "label_replace(m_total, 'x', '$1', 'n', '(.*)')",
        "sum(m_total @ 600)",
        "quantile_over_time(scalar(vector(0.5)), m_total[5m])",
        "histogram_quantile(0.9, m_total)",
        "1 + 2",
    ],
)
def test_analysis_changes_no_answer(text: str) -> None:
    """Values, label sets and statistics are those of the plain query."""
    plain, measured = analyzed(text, analyze=False), analyzed(text)
    assert plain.stats == measured.stats
    assert plain.warnings() == measured.warnings()
    assert answers.plain(plain.value) == answers.plain(measured.value)
    assert root(measured).name


def test_a_bare_range_selector_is_a_node_of_its_own() -> None:
    """It needs no operator, yet it reads."""
    engine = Engine(EngineOptions(), Workers.inline())
    result = engine.instant(RequestContext(), counters(), InstantQuery("m_total[5m]", 20 * MINUTE, analyze=True))
    assert root(result).name == "[range] 5m"
    assert root(result).total_samples == 5 * 30


def test_stores_that_tell_their_usage_are_the_fan_out() -> None:
    """The queryable is asked for it by the hints, and its entries are printed in Thanos' fields."""
    hinted: list[bool] = []

    told: list[StoreUsage] = []

    class Telling(MemoryQueryable):
        def select(self, ctx: RequestContext, matchers: tuple, hints: SelectHints) -> Selection:
            hinted.append(hints.usage)
            selection = super().select(ctx, matchers, hints)
            return Selection(self._told(selection), usage=told)

        def _told(self, selection: Selection) -> Iterator[EncodedSeries]:
            yield from selection.batches
            told.append(StoreUsage("a:10901", 0.0015, 4000, 3, 5, 10, 150))

    top = root(analyzed("m_total", Telling(counters().series)))
    assert hinted == [True]
    assert top.to_json()["fanout"] == [
        {
            "endpointAddr": "a:10901",
            "duration": "1.5ms",
            "bytesProcessed": 4000,
            "numResponses": 3,
            "series": 5,
            "chunks": 10,
            "samples": 150,
        }
    ]


def test_the_tree_is_printed_in_the_fields_of_thanos() -> None:
    """name, executionTime, peakSamples, totalSamples, fanout, children; zeros are left out."""
    printed = json.loads(json.dumps(root(analyzed("sum(m_total) + 1")).to_json()))
    assert printed["name"] == "[binary] +"
    assert printed["executionTime"].endswith("s")
    assert {"peakSamples", "totalSamples", "children"} <= printed.keys()
    number = printed["children"][1]
    assert number["name"] == "[number] 1.0"
    assert "totalSamples" not in number
    assert "children" not in number


def test_explain_is_a_tree_of_names() -> None:
    """The same names as the analysis has, without evaluation."""
    engine = Engine(EngineOptions(), Workers.inline())
    assert engine.explain("sum by (g) (rate(m_total[5m]))").to_json() == {
        "name": "[aggregate] sum by (g)",
        "children": [
            {
                "name": "[function] rate",
                "children": [
                    {"name": "[range] 5m", "children": [{"name": '[select] {__name__="m_total"} labels (g)'}]}
                ],
            }
        ],
    }
