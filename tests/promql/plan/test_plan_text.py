"""A plan printed and read again is the same plan, whatever the expression."""

from __future__ import annotations

import random

import pytest

from pythanos.errors import BadRequest, NotSupported
from pythanos.model.matchers import Matcher, MatchType
from pythanos.promql.plan.build import build_plan
from pythanos.promql.plan.nodes import Node, Select, SelectChanges, change_selects, children
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.parser import parse
from pythanos.promql.tree.of_plan import print_plan
from pythanos.promql.tree.preprocess import QueryTimes, preprocess
from pythanos.testing.promql_grammar import Grammar

TIMES = QueryTimes(1_000_000, 2_000_000, 60_000)


def plan(text: str) -> Node:
    return build_plan(preprocess(parse(text, EVERYTHING), TIMES), 60_000)


def ordered(node: Node) -> Node:
    """With the matchers of selectors sorted, as they are printed."""
    changes: SelectChanges = {}

    def collect(part: Node) -> None:
        if isinstance(part, Select):
            changes[id(part)] = {"matchers": tuple(sorted(part.matchers, key=str))}
        for child in children(part):
            collect(child)

    collect(node)
    return change_selects(node, changes)


@pytest.mark.parametrize("seed", range(4))
def test_a_printed_plan_is_the_same_plan(seed: int) -> None:
    grammar = Grammar(random.Random(seed))
    printed = 0
    for _ in range(250):
        text = grammar.expression()
        try:
            before = plan(text)
        except (BadRequest, NotSupported):
            continue
        again = print_plan(before)
        if "[0s" in again:
            continue
        # Not a number is not equal to itself, nor is what is made of it.
        assert ordered(plan(again)) == ordered(before) or "NaN" in again, (text, again)
        printed += 1
    assert printed > 100


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a + b * c", "a + (b * c)"),
        ("-(a)", "-a"),
        ("--a ^ -2", "-(-(a ^ (-2)))"),
        ("a[5m] offset -1m @ start()", "a[5m] @ 1000.000 offset -1m"),
        ("rate(a[1m + 1m] smoothed)", "rate(a[2m] smoothed)"),
        ("(a + b)[step() * 3:] offset 5m", "(a + b)[3m:1m] offset 5m"),
        ("end() - range() + step()", "(2000 - 1000) + 60"),
        ('{__name__="inf"} + {"with space"}', '{__name__="inf"} + {__name__="with space"}'),
        ("a + on (b) group_left (c) fill (0) d", "a + on (b) group_left (c) fill (0) d"),
        ("a > bool 1", "a > bool 1"),
    ],
)
def test_the_words(text: str, expected: str) -> None:
    """Times have their values; parentheses stand round operations in operations only."""
    assert print_plan(plan(text)) == expected


def test_selectors_are_rewritten() -> None:
    def own(matchers: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
        return (*matchers, Matcher(MatchType.EQ, "tenant", "t"))

    assert print_plan(plan("rate(a[5m]) + b"), own) == ('rate(a{tenant="t"}[5m]) + b{tenant="t"}')
