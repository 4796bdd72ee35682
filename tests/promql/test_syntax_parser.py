"""What an expression parses to: operands, modifiers, precedence, byte positions."""

import math

import pytest

from pythanos.model.matchers import Matcher, MatchType
from pythanos.promql.syntax.ast import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Cardinality,
    DurationExpr,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    StringLiteral,
    SubqueryExpr,
    UnaryExpr,
    ValueType,
    VectorMatching,
    VectorSelector,
)
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.parser import parse, parse_metric_selector
from pythanos.promql.syntax.signatures import FUNCTIONS


def tree(text):
    return parse(text, EVERYTHING)


def eq(name, value):
    return Matcher(MatchType.EQ, name, value)


def series(name, *matchers, **more):
    return VectorSelector(name, (*matchers, eq("__name__", name)), **more)


FOO, BAR = series("foo"), series("bar")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("-.5e2", -50),
        ("0x1F", 31),
        ("0755", 493),
        ("08", 8),
        ("1_000.5", 1000.5),
        ("+iNf", math.inf),
        ("- -3", 3),
        ("123456789012345678901234567890", 123456789012345678901234567890.0),
        ("0" * 40 + "17", 15),
    ],
)
def test_numbers_are_read_with_their_signs(text, value):
    assert tree(text) == NumberLiteral(float(value))


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300.0), ("1h30m", 5400.0), ("250ms", 0.25), ("-1y2w", -32745600.0)]
)
def test_a_duration_is_a_number_of_seconds(text, seconds):
    assert tree(text) == NumberLiteral(seconds, duration=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a\\n\\x41\\101\\u00e9\\""', 'a\nAA\u00e9"'),
        ("'it\\'s'", "it's"),
        ("`raw \\n\nline`", "raw \\n\nline"),
        ('"\\xff"', "\udcff"),
        ('"\u00e9"', "\u00e9"),
    ],
)
def test_strings_undo_their_escapes_and_keep_raw_bytes(text, value):
    assert tree(text) == StringLiteral(value)


def test_a_name_in_braces_is_a_matcher_and_a_name_before_them_comes_last():
    assert tree('{"a.b", "c d"=~"x|y",}') == VectorSelector(
        "", (eq("__name__", "a.b"), Matcher(MatchType.RE, "c d", "x|y"))
    )
    assert tree('foo{a!="b"}') == series("foo", Matcher(MatchType.NEQ, "a", "b"))


@pytest.mark.parametrize(
    "name", ["sum", "by", "offset", "and", "start", "step", "min_of", "fill", "anchored", "a:b", "without"]
)
def test_words_of_the_language_may_name_a_metric(name):
    assert tree(name) == series(name)


def test_fill_is_a_modifier_only_before_a_parenthesis():
    assert tree("foo + fill") == BinaryExpr("+", FOO, series("fill"), VectorMatching())
    assert tree("foo + fill (1) bar").matching == VectorMatching(fill_left=1.0, fill_right=1.0)


def test_times_of_a_selector_may_come_in_any_order():
    wanted = series("foo", offset_ms=300_000, at_ms=1_500)
    assert tree("foo offset 5m @ 1.5") == wanted == tree("foo @ 1.5 offset 300")
    assert tree("foo @ end()") == series("foo", at_bound="end")
    assert tree("foo offset -1.5") == series("foo", offset_ms=-1_500)


def test_ranges_and_subqueries_keep_their_parts():
    assert tree("foo[5m] anchored @ start() offset 1s") == MatrixSelector(
        series("foo", at_bound="start", anchored=True, offset_ms=1_000), 300_000
    )
    assert tree("foo[1h:30]") == SubqueryExpr(FOO, 3_600_000, step_ms=30_000)
    assert tree("foo[1h:] @ 0") == SubqueryExpr(FOO, 3_600_000, at_ms=0)


def test_duration_expressions_are_kept_as_trees():
    assert tree("foo[5m * 2 + step()]").range_expr == DurationExpr(
        "+", DurationExpr("*", NumberLiteral(300.0, True), NumberLiteral(2.0)), DurationExpr("step")
    )
    assert tree("foo[1m:max_of(step(), 10s)]").step_expr == DurationExpr(
        "max_of", DurationExpr("step"), NumberLiteral(10.0, True)
    )


def test_an_offset_ends_at_a_literal_and_goes_on_behind_a_parenthesis():
    power = tree("foo offset -2^2")
    assert (power.op, power.lhs, power.rhs) == ("^", series("foo", offset_ms=-2_000), NumberLiteral(2.0))
    product = tree("foo offset (5m) * 2")
    assert product.offset_expr.op == "*" and product.offset_expr.lhs.wrapped


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("a or b and c", "a or (b and c)"),
        ("a and b unless c", "(a and b) unless c"),
        ("a == b + c", "a == (b + c)"),
        ("a - b - c", "(a - b) - c"),
        ("a + b * c", "a + (b * c)"),
        ("a * b % c atan2 d", "((a * b) % c) atan2 d"),
        ("a ^ b ^ c", "a ^ (b ^ c)"),
        ("-a ^ b", "-(a ^ b)"),
        ("-a * b", "(-a) * b"),
        ("a ^ -b * c", "(a ^ (-b)) * c"),
        ("a </ 1 + b", "a </ (1 + b)"),
        ("a + b offset 5m", "a + (b offset 5m)"),
        ("-a offset 5m", "-(a offset 5m)"),
    ],
)
def test_operators_bind_as_in_the_table_of_precedence(text, grouped):
    assert tree(text) == without_parens(tree(grouped))


def without_parens(node):
    match node:
        case ParenExpr():
            return without_parens(node.expr)
        case BinaryExpr():
            return BinaryExpr(
                node.op, without_parens(node.lhs), without_parens(node.rhs), node.matching, node.return_bool
            )
        case UnaryExpr():
            return UnaryExpr(node.op, without_parens(node.expr))
    return node


def test_matching_is_kept_for_vectors_and_dropped_for_scalars():
    node = tree("foo * on (a, sum) group_left (b) bar")
    assert node.matching == VectorMatching(Cardinality.MANY_TO_ONE, ("a", "sum"), True, ("b",))
    assert tree("foo * on () group_right bar").matching.card is Cardinality.ONE_TO_MANY
    assert tree("foo and bar").matching.card is Cardinality.MANY_TO_MANY
    assert tree("foo * 2").matching is None
    assert tree("foo > bool bar").return_bool


def test_an_aggregation_takes_its_clause_before_or_after():
    wanted = AggregateExpr("sum", FOO, grouping=("a", "by"))
    assert tree("SUM BY (a, by) (foo)") == wanted == tree("sum(foo) by (a, by,)")
    assert tree("sum without () (foo)") == AggregateExpr("sum", FOO, without=True)
    assert tree('count_values("v", foo)') == AggregateExpr("count_values", FOO, StringLiteral("v"))


def test_calls_name_their_signature():
    assert tree("rate(foo[5m])") == Call(FUNCTIONS["rate"], (MatrixSelector(FOO, 300_000),))
    assert tree("time()").type is ValueType.SCALAR
    assert tree("start()") == Call(FUNCTIONS["start"], ())
    assert tree("info(foo, {})").args[1] == VectorSelector("", ())


def test_positions_are_byte_offsets_of_the_utf8_text():
    node = tree('sum({"\u00e9\u00e9"}) # \u00e9\n + abs( foo{a="b"} )')
    spans = [(n.start, n.end) for n in (node, node.lhs, node.lhs.expr, node.rhs, node.rhs.args[0])]
    assert spans == [(0, 39), (0, 13), (4, 12), (22, 39), (27, 37)]
    assert [(n.start, n.end) for n in (tree("- 5"), tree(" foo[5m] offset 1m "))] == [(0, 3), (1, 18)]


@pytest.mark.parametrize("text", ["# note\nfoo", "foo # note", "foo{ # note\n}", "\tfoo\r\n"])
def test_comments_and_spaces_mean_nothing(text):
    assert tree(text) == FOO


def test_a_metric_selector_may_match_everything():
    assert parse_metric_selector("{}") == VectorSelector("", ())
    assert parse_metric_selector('sum{a=~".*"}').matchers[0] == Matcher(MatchType.RE, "a", ".*")


def test_there_are_ninety_functions_of_which_seventeen_are_experimental():
    assert len(FUNCTIONS) == 90
    assert sum(function.experimental for function in FUNCTIONS.values()) == 17
