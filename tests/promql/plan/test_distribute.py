"""Plans with parts sent to other engines: what is sent, in which words and for which steps, and that answers agree."""

import math

import numpy as np
import pytest

from pythanos import _labels
from pythanos.context import RequestContext
from pythanos.errors import EndpointUnavailable
from pythanos.model.matchers import Matcher, MatchType
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery, RangeQuery
from pythanos.promql.plan.distribute import REWRITTEN_LABEL
from pythanos.promql.remote import Remotes
from pythanos.promql.syntax.cursor import ParserOptions
from pythanos.promql.tree.preprocess import QueryTimes
from pythanos.promql.values import Matrix, Scalar
from pythanos.testing.fake_engine import FakeEngine
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.workers import Workers

FOREVER = 1 << 60
ENGINE = Engine(EngineOptions(parser=ParserOptions(experimental_functions=True)), Workers.inline())
TIMES = QueryTimes(1_000_000, 2_000_000, 60_000)


def engine(address, *label_sets, mint=0, maxt=FOREVER):
    return FakeEngine(address, tuple(label_sets), ENGINE, MemoryQueryable(), mint, maxt)


def two():
    return engine("eu", {"region": "eu"}), engine("us", {"region": "us"})


def shown(text, engines, times=TIMES, **remotes):
    """The lines of an explained plan; the words "eu: " and times of a query that is for all steps are left out."""

    def lines(node, depth):
        yield "  " * depth + node.name
        for child in node.children:
            yield from lines(child, depth + 1)

    return list(lines(ENGINE.explain(text, times, remotes=Remotes(tuple(engines), **remotes)), 0))


def sent(text, engines=None, times=TIMES, **remotes):
    """(address, text) of what is sent."""
    lines = [line.strip() for line in shown(text, engines or two(), times, **remotes)]
    found = [line.removeprefix("[query] ").rpartition(" @ ")[0] for line in lines if line.startswith("[query]")]
    return [tuple(line.split(": ", 1)) for line in found]


def to_both(*texts):
    return [(address, text) for text in texts for address in ("eu", "us")]


@pytest.mark.parametrize(
    "text, expected",
    [
        ('sum by (job) (rate(c_total{a="b"}[5m]))', 'sum by (job, region) (rate(c_total{a="b"}[5m]))'),
        ("sum without (region, a) (x)", "sum without (a) (x)"),
        ("count(x)", "count by (region) (x)"),
        ("group(x)", "group by (region) (x)"),
        ("topk(3, x)", "topk by (region) (3, x)"),
        ("limitk(1 + 1, x)", "limitk by (region) (1 + 1, x)"),
        ("sum by (region) (x) > 2", "sum by (region) (x) > 2"),
        ("quantile by (region, a) (0.5, x)", "quantile by (region, a) (0.5, x)"),
        ('count_values by (region) ("v", x)', 'count_values by (region) ("v", x)'),
        ("quantile(0.5, x)", "x"),
        ("-x ^ 2 * -1", "(-(x ^ 2)) * (-1)"),
        ("x + on (region, a) group_left (b) y", "x + on (region, a) group_left (b) y"),
        ("x unless ignoring (a) y", "x unless ignoring (a) y"),
        ("histogram_quantile(0.9, rate(b[5m]))", "histogram_quantile(0.9, rate(b[5m]))"),
        ("histogram_quantile(0.9, sum by (le) (rate(b[5m])))", "sum by (le, region) (rate(b[5m]))"),
        ("sort_desc(max by (a) (x))", "max by (a, region) (x)"),
        ("scalar(min(x))", "min by (region) (x)"),
        ("x or vector(0)", "x"),
        ("x * scalar(vector(2))", "x * scalar(vector(2))"),
        ("quantile_over_time(0.5, x[5m] offset 1h)", "quantile_over_time(0.5, x[5m] offset 1h)"),
        ("predict_linear(x[5m], 60)", "predict_linear(x[5m], 60)"),
        ("max_over_time(sum by (region) (x)[10m:1m])", "max_over_time(sum by (region) (x)[10m:1m])"),
        ("max_over_time(sum(x)[10m:1m])", "sum by (region) (x)"),
        ("max_over_time((x + 1)[10m:])", "max_over_time((x + 1)[10m:1m])"),
        ("x @ end() + x @ start()", "x @ 2000.000 + x @ 1000.000"),
        ("timestamp(x)", "timestamp(x)"),
        ("timestamp(max(x))", "max by (region) (x)"),
        ('label_replace(x, "a", "$1", "b", "(.*)")', 'label_replace(x, "a", "$1", "b", "(.*)")'),
        ('label_replace(x, "region", "", "", "")', "x"),
        ("absent_over_time(x[5m])", "absent_over_time(x[5m])"),
        ('{"bool"} + {"a.b", c="d"}', '{__name__="bool"} + {__name__="a.b",c="d"}'),
    ],
)
def test_the_text_that_every_engine_gets(text, expected):
    """The largest part that each engine can evaluate by itself, the partition label in its groups."""
    assert sent(text) == to_both(expected)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("avg by (a) (x)", ["sum by (a, region) (x)", "count by (a, region) (x)"]),
        ("sum(x) / sum(y)", ["sum by (region) (x)", "sum by (region) (y)"]),
        ("x + on (a) y", ["x", "y"]),
        ("x + on (a) group_left (region) y", ["x", "y"]),
        ("avg by (__name__) (x)", ["x"]),
        ('absent(sum(x{a="b"}))', ['sum by (region) (x{a="b"})']),
    ],
)
def test_what_is_sent_in_pieces(text, expected):
    assert sent(text) == to_both(*expected)


@pytest.mark.parametrize("text", ["vector(1) + time()", "info(x)", "1 + 1", '"text"', "rate(x[1e-9])"])
def test_what_stays_here(text):
    """Numbers, info(), which reads series that no selector names, and a range too short for words."""
    assert sent(text) == []


def test_an_average_is_a_sum_by_a_count():
    assert shown("avg(x)", two())[0] == "[binary] / one-to-one ignoring ()"


def test_absent_is_what_is_absent_everywhere():
    assert shown("absent(x)", two())[0] == "[binary] * one-to-one ignoring ()"
    assert sent("absent(x)") == to_both("absent(x)")


@pytest.mark.parametrize(
    "text",
    [
        'sort(x{region="eu"})',
        'quantile(0.5, x{region="eu"}) + on () sum(y{region=~"e.*"})',
        'absent(x{region="eu"})',
        'x{region="eu"} * scalar(y{region="eu"})',
    ],
)
def test_what_concerns_one_engine_is_sent_whole(text):
    assert sent(text) == [("eu", text)]


def test_an_engine_that_cannot_match_is_not_asked():
    """Nor is anybody where nobody can match."""
    assert sent('sum(x{region!="eu"})') == [("us", 'sum(x{region!="eu"})')]
    assert shown('x{region="asia"}', two()) == ["[nothing]"]


def test_an_engine_is_asked_that_can_match_one_operand_only():
    """Of or and of fill either one, of unless the first one; of the others both."""
    assert len(sent('x{region="eu"} or x')) == 2
    assert len(sent('x unless x{region="eu"}')) == 2
    assert sent('x and x{region="eu"}') == [("eu", 'x and x{region="eu"}')]
    assert sent('x{region="eu"} * x') == [("eu", 'x{region="eu"} * x')]


def test_absent_stays_here_where_engines_share_series():
    """At the edge of its time an engine cannot tell whether something is there."""
    old, new = engine("old", {"r": "1"}, maxt=1_900_000), engine("new", {"r": "1"}, mint=1_130_000)
    assert sent("absent(x)", (old, new)) == []


def test_rewriting_a_partition_label_is_warned_of():
    result = ENGINE.instant(
        RequestContext(), MemoryQueryable(), InstantQuery('label_join(x, "region", "", "a")', 1_000_000), Remotes(two())
    )
    assert REWRITTEN_LABEL in result.store_warnings


def test_the_tenant_stands_in_every_selector():
    tenant = Matcher(MatchType.EQ, "tenant_id", "a")
    assert sent('sum(x{tenant_id="b"} + y)', tenant=tenant) == to_both(
        'sum by (region) (x{tenant_id="a"} + y{tenant_id="a"})'
    )
    # Its result would have the label of the tenant.
    assert sent("absent(x)", tenant=tenant) == []


def test_labels_that_only_this_process_knows_keep_a_query_here():
    assert sent('sum(x{where="here"})', local_labels=frozenset({"where"})) == []


def steps_sent(text, engines, times=TIMES, lookback_ms=0):
    plan = ENGINE.explain(text, times, remotes=Remotes(tuple(engines)), lookback_ms=lookback_ms)
    lines = [child.name for child in plan.children or ()]
    return [line.rpartition(" @ ")[2] for line in lines if line.startswith("[query]")]


def test_an_engine_that_takes_over_in_time_begins_when_it_has_all_samples():
    """It looks five minutes back, from the first step that has them; the other ends where its samples do."""
    old, new = engine("old", {"r": "1"}, maxt=1_900_000), engine("new", {"r": "1"}, mint=1_130_000)
    assert steps_sent("x", (new, old)) == ["1000.000 to 1900.000 every 1m", "1480.000 to 1960.000 every 1m"]
    assert steps_sent("x offset 5m", (new, old)) == ["1000.000 to 1900.000 every 1m", "1780.000 to 1960.000 every 1m"]


def test_an_engine_of_which_nobody_has_the_series_answers_for_all_times():
    old, other = engine("old", {"r": "1"}), engine("other", {"r": "2"}, mint=1_130_000)
    assert steps_sent("x", (other, old)) == ["1000.000 to 1960.000 every 1m"] * 2


def test_a_query_that_looks_further_back_than_engines_overlap_stays_here():
    old, new = engine("old", {"r": "1"}, maxt=1_600_000), engine("new", {"r": "1"}, mint=1_130_000)
    assert sent("rate(x[7m])", (old, new)) == [("old", "rate(x[7m])"), ("new", "rate(x[7m])")]
    assert sent("rate(x[8m])", (old, new)) == []
    assert sent("rate(x[1m] offset 7m)", (old, new)) == []
    # A range within which no engine takes over is another matter.
    assert sent("rate(x[8m])", (old, new), QueryTimes(1_620_000, 2_000_000, 60_000)) == [("new", "rate(x[8m])")]


def test_a_fixed_time_has_to_lie_within_all_engines_of_the_same_series():
    old, new = engine("old", {"r": "1"}, maxt=1_900_000), engine("new", {"r": "1"}, mint=1_130_000)
    assert sent("x @ 1800", (old, new)) == [("old", "x @ 1800.000"), ("new", "x @ 1800.000")]
    assert sent("x @ 1200", (old, new)) == []
    assert sent("x @ 1950", (old, new)) == []


def test_engines_out_of_time_are_not_asked():
    old, new = engine("old", {"r": "1"}, maxt=500_000), engine("new", {"r": "2"}, mint=600_000)
    assert sent("x", (old, new)) == [("new", "x")]
    assert sent("x offset 12m", (old, new)) == [("old", "x offset 12m"), ("new", "x offset 12m")]


def test_only_whole_seconds_are_sent():
    """A query begins and ends at whole seconds; steps that are none, of it or of a subquery, are evaluated here."""
    assert len(sent("x", times=QueryTimes(1_000_300, 2_000_900, 60_000))) == 2
    assert sent("x", times=QueryTimes(1_000_000, 1_001_000, 500)) == []
    assert sent("max_over_time(sum(x)[1m:500ms])") == []


def filled(engines):
    """Counters and gauges of three jobs in each region, in the engines and all together."""
    whole = MemoryQueryable()
    times = list(range(0, 2_400_000, 15_000))
    for number, one in enumerate(engines):
        for job in range(3):
            labels = {"job": f"j{job}", **one.label_sets[0]}
            counter = [(t / 1000) * (job + 1) + number for t in times]
            gauge = [math.sin(t / 100_000 + job + number) for t in times]
            for name, values in (("c_total", counter), ("g", gauge)):
                for queryable in (whole, one.queryable):
                    queryable.add({"__name__": name, **labels}, times, values)
    return whole


QUERIES = [
    "g",
    "sum by (job) (rate(c_total[5m]))",
    "avg(g)",
    "avg without (region) (g)",
    "topk(2, g)",
    "bottomk by (job) (1, g)",
    "limitk(2, g)",
    "quantile(0.4, g)",
    'count_values("v", round(g))',
    "stddev by (region) (g)",
    "g > 0.5 or g * 2 < -1",
    "absent(nothing)",
    "absent(g)",
    "absent_over_time(nothing[5m])",
    "max_over_time(sum(g)[10m:1m])",
    "c_total - c_total offset 5m",
    "sum(g @ 1500) + time()",
    "scalar(sum(g)) + g",
    "g / on (job) group_left sum by (job) (c_total)",
    'sum(g{region="eu"}) / sum(g)',
    "count(g) * vector(2)",
    "min(g) - max(g)",
    'label_replace(g, "region", "$1-$1", "region", "(.*)")',
]


@pytest.mark.parametrize("text", QUERIES)
def test_distributed_answers_are_those_of_one_engine(text):
    """Sums are added in another order; all else is equal."""
    engines = two()
    whole = filled(engines)
    query = RangeQuery(text, TIMES.start_ms, TIMES.end_ms, TIMES.step_ms)
    expected = ENGINE.range(RequestContext(), whole, query).value
    # What is read here and not by the engines comes from the same series.
    result = ENGINE.range(RequestContext(), whole, query, Remotes(engines))
    assert by_labels(result.value) == pytest.approx(by_labels(expected), nan_ok=True, rel=1e-12)
    assert any(one.asked for one in engines)
    instant = InstantQuery(text, 1_234_000)
    expected = ENGINE.instant(RequestContext(), whole, instant).value
    result = ENGINE.instant(RequestContext(), whole, instant, Remotes(engines))
    assert by_labels(result.value) == pytest.approx(by_labels(expected), nan_ok=True, rel=1e-12)


def by_labels(value):
    if isinstance(value, Scalar):
        return {"": value.value}
    keys = [str(sorted(labels.items())) for labels in _labels.to_dicts(value.labels)]
    if not isinstance(value, Matrix):
        return dict(zip(keys, value.values.tolist(), strict=True))
    return {
        f"{key} {step}": v for key, row in zip(keys, value.values.tolist(), strict=True) for step, v in enumerate(row)
    }


def test_engines_with_the_same_series_are_laid_over_each_other():
    """Each gives its time, the later one where both do; warnings and samples of both count."""
    old, new = engine("old", {"r": "1"}, maxt=1_500_000), engine("new", {"r": "1"}, mint=1_010_000)
    times = np.arange(0, 2_100_000, 15_000)
    labels = {"__name__": "x", "r": "1"}
    old.queryable.add(labels, times[times <= 1_500_000], np.ones(len(times[times <= 1_500_000])))
    new.queryable.add(labels, times[times >= 1_010_000], np.full(len(times[times >= 1_010_000]), 2.0))
    result = ENGINE.range(
        RequestContext(), MemoryQueryable(), RangeQuery("x", 1_000_000, 2_000_000, 60_000), Remotes((new, old))
    )
    # 1,310,000 is the first time for which the new engine can look back five minutes.
    assert result.value.values[0].tolist() == [1.0] * 6 + [2.0] * 11
    assert sorted(result.store_warnings) == ["said by new", "said by old"]
    assert result.stats.total_queryable_samples == 10


def test_the_analysis_names_the_engines():
    """With the samples that they looked at, and how many batches came."""
    query = InstantQuery("sum(g)", 1_000_000, analyze=True)
    analysis = ENGINE.instant(RequestContext(), MemoryQueryable(), query, Remotes(two())).analysis.to_json()
    (remote,) = analysis["children"]
    assert remote["name"] == "[remote]"
    assert [(one["endpointAddr"], one["samples"], one["numResponses"]) for one in remote["fanout"]] == [
        ("eu", 5, 1),
        ("us", 5, 1),
    ]
    assert analysis["totalSamples"] == 10


def test_an_engine_that_fails_fails_the_query():
    """What becomes a warning is for the engine to say."""
    engines = two()

    class Gone(MemoryQueryable):
        def select(self, ctx, matchers, hints):
            raise EndpointUnavailable("gone")

    engines[1].queryable = Gone()
    with pytest.raises(EndpointUnavailable):
        ENGINE.instant(RequestContext(), MemoryQueryable(), InstantQuery("x", 1_000_000), Remotes(engines))
