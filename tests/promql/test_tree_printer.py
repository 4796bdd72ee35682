"""Canonical text, pretty text and JSON of a tree."""

import math

import pytest

from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.parser import parse
from pythanos.promql.tree.ast_json import ast_json
from pythanos.promql.tree.at_rewrite import with_at
from pythanos.promql.tree.numbers import plain, short
from pythanos.promql.tree.pretty import pretty
from pythanos.promql.tree.printer import print_expr, print_within


def tree(text):
    return parse(text, EVERYTHING)


CANONICAL = {
    'foo{b="2",a=~"1"}': 'foo{a=~"1",b="2"}',
    '{"a.b"}': '{__name__="a.b"}',
    '{__name__="foo", "x y"!="\\n\\xff"}': '{"x y"!="\\n\\xff",__name__="foo"}',
    "foo offset -90m @ 1.5": "foo @ 1.500 offset -1h30m",
    "foo[26h] offset 2w @ start() anchored": "foo[1d2h] anchored @ start() offset 2w",
    "foo smoothed offset 1s": "foo smoothed offset 1s",
    "foo[365d:90] @ -1": "foo[1y:1m30s] @ -1.000",
    "foo[ 5m*2 : (step()) ]": "foo[5m * 2:(step())]",
    "foo offset +range()": "foo offset range()",
    "foo offset -(5m)": "foo offset -(5m)",
    "foo offset (5m) @ 1": "foo @ 1.000 offset (5m)",
    "foo offset (5m) @ 1 * 2": "foo offset (5m) @ 1.000 * 2",
    "1e3 + 1e-9 + 0x10": "1000 + 0.000000001 + 16",
    "1e25": "10000000000000000000000000",
    "-5m + 1.0": "-5m + 1",
    "1 / -0s": "1 / -0s",
    "Inf ^ 2 - Inf": "Inf ^ 2 - +Inf",
    "-(foo)+ -bar": "-(foo) + -bar",
    "SUM (foo) BY (a,b,)": "sum by (a, b) (foo)",
    "sum by () (foo)": "sum(foo)",
    "sum without () (foo)": "sum without () (foo)",
    'sum by ("x.y", "without") (foo)': 'sum by ("x.y", "without") (foo)',
    "topk(3,foo)": "topk(3, foo)",
    "foo == bool bar": "foo == bool bar",
    "foo + ignoring () bar": "foo + bar",
    "foo + on () bar": "foo + on () bar",
    "foo+ignoring()group_left bar": "foo + ignoring () group_left () bar",
    "foo+on(a)group_right(b,c)fill(1e21) bar": "foo + on (a) group_right (b, c) fill (1e+21) bar",
    "foo + fill_right(1) fill_left (-5m) bar": "foo + fill_left (-300) fill_right (1) bar",
    "foo + fill_left(2) fill_right(2) bar": "foo + fill (2) bar",
    "foo >/ 1 </ 2": "foo >/ 1 </ 2",
    "info( foo , {} )": "info(foo, {})",
    "'it\\'s'": '"it\'s"',
    "time( )": "time()",
}


@pytest.mark.parametrize("text", CANONICAL)
def test_the_canonical_text_is_prometheus_and_prints_as_itself(text):
    printed = print_expr(tree(text))
    assert printed == CANONICAL[text]
    assert print_expr(tree(printed)) == printed


@pytest.mark.parametrize(
    ("value", "always_plain", "shortest"),
    [
        (0.1, "0.1", "0.1"),
        (999999.0, "999999", "999999"),
        (1e6, "1000000", "1e+06"),
        (-123456789.5, "-123456789.5", "-1.234567895e+08"),
        (1e21, "1000000000000000000000", "1e+21"),
        (123456789e20, "12345678900000000000000000000", "1.23456789e+28"),
        (1e-7, "0.0000001", "1e-07"),
        (0.0001, "0.0001", "0.0001"),
        (-0.0, "-0", "-0"),
        (math.inf, "+Inf", "+Inf"),
        (-math.inf, "-Inf", "-Inf"),
        (math.nan, "NaN", "NaN"),
    ],
)
def test_numbers_print_as_in_go(value, always_plain, shortest):
    assert plain(value) == always_plain
    assert short(value) == shortest


def test_a_text_that_is_too_long_is_not_printed_to_its_end():
    assert print_within(tree("foo + bar"), 9) == "foo + bar"
    assert print_within(tree("foo + bar"), 8) is None
    assert print_within(tree('{"\u00e9"}'), 14) is None


LONG = "a" * 60


def test_short_expressions_stay_on_one_line():
    assert pretty(tree("sum( foo )")) == "sum(foo)"


def test_long_expressions_are_split_and_indented():
    text = f"sum by (x) (rate({LONG}[5m]) / on (y) ({LONG} + topk(3, {LONG}))) > bool -abs({LONG})"
    assert pretty(tree(text)).splitlines() == [
        "  sum by (x) (",
        f"      rate({LONG}[5m])",
        "    / on (y)",
        "      (",
        f"          {LONG}",
        "        +",
        f"          topk(3, {LONG})",
        "      )",
        "  )",
        "> bool",
        f"  -abs({LONG})",
    ]
    assert pretty(tree(f"label_replace({LONG}, 'a', 'b', 'c', '{LONG}')[5m:1m] @ 1")).splitlines() == [
        "label_replace(",
        f"  {LONG},",
        '  "a",',
        '  "b",',
        '  "c",',
        f'  "{LONG}"',
        ")[5m:1m] @ 1.000",
    ]


def test_json_has_the_members_of_parse_query():
    found = ast_json(tree('sum by (a) (rate(foo{b!="c"}[5m] offset 1m)) > bool 2'))
    assert found == {
        "type": "binaryExpr",
        "op": ">",
        "bool": True,
        "matching": None,
        "rhs": {"type": "numberLiteral", "val": "2"},
        "lhs": {
            "type": "aggregation",
            "op": "sum",
            "grouping": ["a"],
            "without": False,
            "param": None,
            "expr": {
                "type": "call",
                "func": {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"},
                "args": [
                    {
                        "type": "matrixSelector",
                        "name": "foo",
                        "matchers": [
                            {"name": "b", "type": "!=", "value": "c"},
                            {"name": "__name__", "type": "=", "value": "foo"},
                        ],
                        "range": 300_000,
                        "rangeExpr": None,
                        "offset": 60_000,
                        "offsetExpr": None,
                        "timestamp": None,
                        "startOrEnd": None,
                        "anchored": False,
                        "smoothed": False,
                    }
                ],
            },
        },
    }


def test_json_of_times_matching_and_durations():
    found = ast_json(tree("(-foo)[1h:step()] @ end()"))
    assert (found["type"], found["range"], found["step"], found["startOrEnd"]) == ("subquery", 3_600_000, 0, "end")
    assert found["stepExpr"] == {"type": "durationExpr", "op": "step", "lhs": None, "rhs": None, "wrapped": False}
    assert found["expr"]["expr"]["op"] == "-"
    matching = ast_json(tree("foo * on (a) group_left (b) fill_left (1) bar"))["matching"]
    assert matching == {
        "card": "many-to-one",
        "labels": ["a"],
        "on": True,
        "include": ["b"],
        "fillValues": {"lhs": 1.0, "rhs": None},
    }
    operand = ast_json(tree("foo[1m * 2]"))["rangeExpr"]["lhs"]
    assert operand == {"type": "numberLiteral", "val": "60", "duration": True}


REWRITTEN = {
    "foo + max_over_time(bar[5m:])": "foo @ 10.000 + max_over_time(bar[5m:] @ 10.000)",
    "rate(foo[5m] offset 1m)": "rate(foo[5m] @ 10.000 offset 1m)",
    "foo @ 3 + foo @ start()": "foo @ 3.000 + foo @ 10.000",
    "max_over_time(timestamp(foo)[5m:])": "max_over_time(timestamp(foo)[5m:] @ 10.000)",
    "topk(scalar(foo), -(bar))": "topk(scalar(foo @ 10.000), -(bar @ 10.000))",
    "timestamp(foo)": None,
    "abs(foo) + predict_linear(foo[5m], 1)": None,
}


@pytest.mark.parametrize("text", REWRITTEN)
def test_selectors_outside_subqueries_are_fixed_to_a_time(text):
    fixed = with_at(tree(text), 10_000)
    assert (fixed and print_expr(fixed)) == REWRITTEN[text]
