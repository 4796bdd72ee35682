"""Whatever is written, parsing ends with a tree of bounded depth or with a ParseError."""

import pytest

from pythanos.errors import BadRequest
from pythanos.promql.syntax.ast import children
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.errors import CHAIN_MAX, DEPTH_MAX, LENGTH_MAX, ParseError
from pythanos.promql.syntax.parser import parse
from pythanos.promql.tree.ast_json import ast_json
from pythanos.promql.tree.at_rewrite import with_at
from pythanos.promql.tree.preprocess import QueryTimes, preprocess
from pythanos.promql.tree.pretty import pretty
from pythanos.promql.tree.printer import print_expr

TOO_DEEP = f"expression is nested deeper than {DEPTH_MAX} levels"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "(" * 100_000 + "1" + ")" * 100_000,
        "-" * 100_000 + "foo",
        "2" + "^2" * 50_000,
        "2^-" * 50_000 + "2",
        "sum(" * 50_000 + "foo" + ")" * 50_000,
        "foo[" + "(" * 50_000 + "5m" + ")" * 50_000 + "]",
        "foo[5m" + "+5m" * 50_000 + "]",
        "foo offset " + "-(" * 50_000 + "5m" + ")" * 50_000,
        "foo offset " + "-" * 50_000 + "5m",
        "foo" + "[5m:]" * 50_000,
    ],
    ids=lambda text: text[:12],
)
def test_nesting_beyond_the_limit_is_a_located_error(text):
    with pytest.raises(ParseError, match=TOO_DEEP):
        parse(text, EVERYTHING)


@pytest.mark.parametrize("operator", ["or", "+", "* on (a)", "== bool"])
def test_operators_in_a_row_are_one_level_for_everything_that_walks_a_tree(operator):
    text = f" {operator} ".join(f"foo{number}" for number in range(3000))
    tree = parse(text, EVERYTHING)
    assert print_expr(tree) == text
    lines = pretty(tree).splitlines()
    assert len(lines) > 3000 and max(map(len, lines)) < 2 * DEPTH_MAX + 100
    assert print_expr(preprocess(with_at(tree, 0), QueryTimes(0, 60_000, 1_000))).count("@ 0.000") == 3000
    with pytest.raises(BadRequest, match="cannot be shown as a tree"):
        ast_json(tree)


def test_operators_in_a_row_are_split_as_nested_ones_are():
    tree = parse(
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb + ccccccccccccccccccccccccc + d"
    )
    assert pretty(tree) == (
        "    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"
        "  +\n    ccccccccccccccccccccccccc\n+\n  d"
    )


def test_the_first_misfit_of_many_operations_is_told():
    with pytest.raises(ParseError, match="1:3004: parse error: comparisons between scalars must use BOOL modifier"):
        parse("foo + " * 500 + "(1 > 2)" + " + foo" * 500)


def test_too_many_operators_in_a_row_are_a_located_error():
    with pytest.raises(ParseError, match="1:1: parse error: expression has more than 10000 operators in a row"):
        parse("foo" + " + foo" * (CHAIN_MAX + 1))


def test_a_long_text_is_refused_before_it_is_read():
    with pytest.raises(ParseError, match=f"1:1: parse error: expression is longer than {LENGTH_MAX} bytes"):
        parse(" " * LENGTH_MAX + "1")


def test_length_without_depth_is_fine():
    assert len(parse("foo{" + 'a="b",' * 20_000 + "}").matchers) == 20_001
    assert parse("-" * 100_000 + "1").value == 1.0


@pytest.mark.parametrize(
    ("opening", "inner", "closing"), [("(", "foo", ")"), ("-", "foo", ""), ("abs(", "foo", ")"), ("foo + (", "1", ")")]
)
def test_everything_that_walks_a_tree_stands_the_deepest_one(opening, inner, closing):
    levels = DEPTH_MAX // (1 + (opening.count("+"))) - 1
    tree = parse(opening * levels + inner + closing * levels, EVERYTHING)
    text = print_expr(tree)
    assert print_expr(parse(pretty(tree), EVERYTHING)) == text
    assert ast_json(tree)["type"]
    assert print_expr(preprocess(with_at(tree, 0), QueryTimes(0, 60_000, 1_000))).count("@") >= 1
    node, depth = tree, 1
    while below := children(node):
        node, depth = below[-1], depth + 1
    assert depth <= DEPTH_MAX


@pytest.mark.parametrize(
    "text",
    [" " * 200_000 + "$", '"' + "\\a" * 100_000, "foo{" + " " * 200_000 + "?", "1" * 100_000 + "q", "#" * 300_000],
)
def test_a_mistake_behind_a_long_run_costs_one_pass(text):
    with pytest.raises(ParseError):
        parse(text)
