"""Parsed texts are remembered, and nothing but the tree is."""

from pythanos.promql.engine import TREE_TEXT_MAX, Engine, EngineOptions
from pythanos.promql.plan.explain import explain
from pythanos.promql.tree.preprocess import QueryTimes
from pythanos.workers import Workers


def test_a_remembered_text_is_planned_for_the_times_of_each_query() -> None:
    """Steps, ``@ end()`` and folded constants of one query do not show in the next one of the same text."""
    text = 'sum by (g) (rate(m{g=~"a|b"}[5m] @ end())) / on (g) group_left () sum by (g) (m offset 1m) > 1 + 2'
    engine = Engine(EngineOptions(), Workers.inline())
    asked = [QueryTimes(0, 60_000, 1000), QueryTimes(5000, 90_000, 15_000), QueryTimes(0, 60_000, 1000)]
    for times in asked:
        fresh = Engine(EngineOptions(), Workers.inline()).plan(text, times)
        assert engine.plan(text, times) == fresh
        assert explain(engine.plan(text, times)) == explain(fresh)


def test_long_texts_are_not_kept() -> None:
    """What an engine remembers is bounded by the length of texts, too."""
    engine = Engine(EngineOptions(), Workers.inline())
    engine.plan("1" + " " * TREE_TEXT_MAX, QueryTimes(0, 0))
    assert engine._remembered.cache_info().currsize == 0
    engine.plan("1", QueryTimes(0, 0))
    assert engine._remembered.cache_info().currsize == 1
