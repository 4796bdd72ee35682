"""Plans before and after each optimizer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pythanos.promql.plan.build import build_plan
from pythanos.promql.plan.explain import explain
from pythanos.promql.plan.fold_constants import fold_constants
from pythanos.promql.plan.merge_selects import merge_selects
from pythanos.promql.plan.nodes import Node, Select, children
from pythanos.promql.plan.optimize import PlanOptions, optimize
from pythanos.promql.plan.project_labels import project_labels
from pythanos.promql.plan.propagate_matchers import propagate_matchers
from pythanos.promql.plan.select_hints import hint_selects
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.parser import parse
from pythanos.promql.tree.preprocess import QueryTimes, preprocess

TIMES = QueryTimes(0, 600_000, 60_000)
NOTHING: frozenset[str] = frozenset()


def planned(text: str) -> Node:
    return hint_selects(fold_constants(build_plan(preprocess(parse(text, EVERYTHING), TIMES), 60_000)))


def selects(plan: Node) -> list[str]:
    """The selectors of a plan as explain names them, in order."""
    if isinstance(plan, Select):
        return [explain(plan).name.removeprefix("[select] ")]
    return [name for child in children(plan) for name in selects(child)]


MERGED = [
    (
        'sum(rate(m{a="1"}[5m])) / sum(rate(m[5m]))',
        ['{__name__="m"} filter {a="1"} shared', '{__name__="m"} shared'],
    ),
    ("m / m", ['{__name__="m"} shared', '{__name__="m"} shared']),
    (
        'm{a="1",b="2"} + on () m{b="2"} + on () m',
        [
            '{__name__="m"} filter {a="1",b="2"} shared',
            '{__name__="m"} filter {b="2"} shared',
            '{__name__="m"} shared',
        ],
    ),
    ('m{a=~"1|2"} + on () m{a!~"3"}', ['{a=~"1|2",__name__="m"}', '{a!~"3",__name__="m"}']),
    ("m + on () n", ['{__name__="m"}', '{__name__="n"}']),
    # Other times: offset, range, evaluation inside a subquery, once.
    ("m + on () m offset 1m", ['{__name__="m"}', '{__name__="m"} offset 1m']),
    ("rate(m[5m]) + rate(m[1m])", ['{__name__="m"}', '{__name__="m"}']),
    ("max_over_time(m[5m:1m]) + m", ['{__name__="m"}', '{__name__="m"}']),
    ("m + on () m @ 60", ['{__name__="m"}', '{__name__="m"} @ 60.000']),
    # Another function may read another aggregate.
    ("sum(m) / count(m)", ['{__name__="m"}', '{__name__="m"}']),
    # The labels of absent come from its matchers.
    ('absent(m{a="1"}) or m{a="1"}', ['{a="1",__name__="m"}', '{a="1",__name__="m"}']),
    ('{a="1"} + {a="1",b="2"}', ['{a="1"}', '{a="1",b="2"}']),
]


@pytest.mark.parametrize(("text", "after"), MERGED)
def test_selectors_that_cover_each_other_are_read_once(text: str, after: list[str]) -> None:
    """A narrower one is a filter over the wider one; what looks at other samples is left alone."""
    assert selects(merge_selects(planned(text), NOTHING)) == after


def test_a_label_that_series_do_not_show_cannot_be_filtered() -> None:
    """Replica labels are gone when the series arrive."""
    plan = planned('m{replica="1"} + on () m')
    assert selects(merge_selects(plan, frozenset({"replica"}))) == selects(plan)


def test_a_plan_without_peers_is_the_same_object() -> None:
    """Nothing is copied for nothing."""
    plan = planned("sum(rate(m[5m])) / sum(rate(n[5m]))")
    assert merge_selects(plan, NOTHING) is plan
    assert propagate_matchers(plan, NOTHING) is plan


PROPAGATED = [
    ('a{x="1"} * on (x) b', ['{x="1",__name__="a"}', '{__name__="b",x="1"}']),
    ('a * on (x) group_left () b{x="1"}', ['{__name__="a",x="1"}', '{x="1",__name__="b"}']),
    ('a{x="1",y="2"} * on (y) b', ['{x="1",y="2",__name__="a"}', '{__name__="b",y="2"}']),
    ('a{x="1",y="2"} * ignoring (y) b', ['{x="1",y="2",__name__="a"}', '{__name__="b",x="1"}']),
    ('a{x=~"1|2"} > b{x!="1"}', ['{x=~"1|2",__name__="a",x!="1"}', '{x!="1",__name__="b",x=~"1|2"}']),
    ('a{x="1"} and b', ['{x="1",__name__="a"}', '{__name__="b",x="1"}']),
    ('a and b{x="1"}', ['{__name__="a",x="1"}', '{x="1",__name__="b"}']),
    ('a{x="1"} unless b{y="2"}', ['{x="1",__name__="a"}', '{y="2",__name__="b",x="1"}']),
    ('a{x="1"} or b', ['{x="1",__name__="a"}', '{__name__="b"}']),
    ('a{x="1"} + fill(0) b', ['{x="1",__name__="a"}', '{__name__="b"}']),
    ('a{x="1"} + 1', ['{x="1",__name__="a"}']),
    (
        'sum by (x) (rate(a{x="1",y="2"}[5m])) / on (x) group_right () -b',
        ['{x="1",y="2",__name__="a"}', '{__name__="b",x="1"}'],
    ),
    (
        # A warning of rate may speak of a series that meets nobody.
        'a{x="1"} / on (x) sum by (x) (rate(b[5m]))',
        ['{x="1",__name__="a"}', '{__name__="b"}'],
    ),
    ('sum without (x) (a{x="1"}) + b', ['{x="1",__name__="a"}', '{__name__="b"}']),
    ('topk(1, a{x="1"}) + b', ['{x="1",__name__="a"}', '{__name__="b"}']),
    ('absent_over_time(a{x="1"}[5m]) + b', ['{x="1",__name__="a"}', '{__name__="b"}']),
    ('label_replace(a{x="1"}, "x", "2", "", "") + b', ['{x="1",__name__="a"}', '{__name__="b"}']),
]


@pytest.mark.parametrize(("text", "after"), PROPAGATED)
def test_what_is_said_of_a_matched_label_holds_on_both_sides(text: str, after: list[str]) -> None:
    """With on its labels, with ignoring all others; never where a row can stand alone or has other labels."""
    assert selects(propagate_matchers(planned(text), NOTHING)) == after


def test_replica_labels_are_not_propagated() -> None:
    """One side's choice of a replica is not the other's."""
    plan = planned('a{replica="1"} * b')
    assert propagate_matchers(plan, frozenset({"replica"})) is plan


PROJECTED = [
    ("sum by (x) (m)", ['{__name__="m"} labels (x)']),
    ("sum(m)", ['{__name__="m"} labels ()']),
    ('count by (x) (rate({a="1"}[5m]))', ['{a="1"} labels (x, __name__)']),
    ("sum by (x) (abs(-m) * 2 > 1)", ['{__name__="m"} labels (x)']),
    ("sum by (x) (max by (x, y) (m))", ['{__name__="m"} labels (x, y)']),
    ("sum without (x) (m)", ['{__name__="m"}']),
    ("topk by (x) (1, m)", ['{__name__="m"}']),
    ("sum by (x) (m * on (y) n)", ['{__name__="m"}', '{__name__="n"}']),
    ('sum by (x) (label_replace(m, "x", "$1", "y", "(.*)"))', ['{__name__="m"}']),
    ("sum by (x) (histogram_quantile(0.9, m))", ['{__name__="m"}']),
    ("m", ['{__name__="m"}']),
    ("sum(max_over_time(m[5m:1m]))", ['{__name__="m"}']),
]


@pytest.mark.parametrize(("text", "after"), PROJECTED)
def test_stores_are_told_which_labels_a_query_looks_at(text: str, after: list[str]) -> None:
    """Only below an aggregation by labels, through what works sample by sample."""
    assert selects(project_labels(planned(text))) == after


FOLDED = [("m * (2 ^ 3 - -1)", "[number] 9.0"), ("m > bool (1 < bool 2)", "[number] 1.0")]


@pytest.mark.parametrize(("text", "number"), FOLDED)
def test_arithmetic_between_numbers_is_done_while_planning(text: str, number: str) -> None:
    """One number is left."""
    assert explain(planned(text)).children[1].name == number


def test_what_is_the_same_at_every_step_is_evaluated_once() -> None:
    """The largest such part is marked."""
    plan = explain(planned("sum(m @ 60) + m"))
    assert plan.children[0].name == "[step invariant]"
    assert plan.children[0].children[0].name.startswith("[aggregate]")


@pytest.mark.parametrize("choice", [lambda: True, lambda: False])
def test_without_optimizers_a_plan_stays_as_it_was_written(choice: Callable[[], bool]) -> None:
    """Hints are set all the same: stores choose aggregates by them."""
    text = 'sum(rate(a{x="1"}[5m])) / sum(rate(a[5m]))'
    plan = optimize(build_plan(preprocess(parse(text, EVERYTHING), TIMES), 60_000), PlanOptions(optimize=choice()))
    shared = [name.endswith("shared") for name in selects(plan)]
    assert shared == [choice(), choice()]
