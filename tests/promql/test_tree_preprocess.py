"""A tree made ready for the times of a query."""

import pytest

from pythanos.errors import BadRequest
from pythanos.promql.syntax.ast import NumberLiteral, StepInvariantExpr, children
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.parser import parse
from pythanos.promql.tree.preprocess import QueryTimes, preprocess
from pythanos.promql.tree.printer import print_expr

RANGE = QueryTimes(100_000, 400_000, 30_000)
INSTANT = QueryTimes(100_000, 100_000)


def ready(text, times=RANGE):
    return preprocess(parse(text, EVERYTHING), times)


def marked(node):
    """The text with each marked part in angle brackets."""
    found = []

    def walk(part):
        if isinstance(part, StepInvariantExpr):
            found.append(print_expr(part.expr))
            return
        for child in children(part):
            walk(child)

    walk(node)
    return found


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("foo[5m * 2]", 600_000),
        ("foo[step() + 1]", 31_000),
        ("foo[range() / 7]", 42_857),
        ("foo[min_of(step(), 10s)]", 10_000),
        ("foo[max_of(step(), 2 ^ 6)]", 64_000),
        ("foo[-5s + 7.5]", 2_500),
        ("foo[17 % 5]", 2_000),
        ("foo[(1h - 30m) % 7m]", 120_000),
    ],
)
def test_duration_expressions_become_milliseconds(text, milliseconds):
    node = ready(text)
    assert (node.range_ms, node.range_expr) == (milliseconds, None)


def test_offsets_and_steps_are_resolved_too_and_offsets_may_be_negative():
    node = ready("foo[1h:step() * 2] offset -(step())")
    assert (node.step_ms, node.offset_ms) == (60_000, -30_000)
    assert ready("foo offset (1m - 2m)").offset_ms == -60_000
    assert ready("foo offset step()", INSTANT).offset_ms == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo[step() - 30]", "4:15: duration must be greater than 0"),
        ("foo[step() / (1 - 1)]", "4:19: division by zero"),
        ("foo[1 % (1 - 1)]", "4:14: modulo by zero"),
        ("foo[1h:1 - 1]", "7:12: duration must be greater than 0"),
        ("foo offset (1e9 * 1e9)", "12:21: duration is out of range"),
        ("foo offset (10 ^ 1000)", "12:21: duration is NaN or infinite"),
        ("foo offset (0 - (0 - 1) ^ 0.5)", "12:29: duration is NaN or infinite"),
    ],
)
def test_durations_that_make_no_sense_are_the_callers_mistake(text, message):
    with pytest.raises(BadRequest, match=message.replace("(", "\\(")):
        ready(text)


def test_step_and_range_are_zero_in_an_instant_query():
    with pytest.raises(BadRequest, match="duration must be greater than 0"):
        ready("foo[step()]", INSTANT)


def test_start_and_end_become_times():
    assert print_expr(ready("foo @ end() + foo @ start()")) == "foo @ 400.000 + foo @ 100.000"
    assert ready("foo[5m:] @ end()").at_ms == 400_000


@pytest.mark.parametrize(("name", "value"), [("start", 100.0), ("end", 400.0), ("range", 300.0), ("step", 30.0)])
def test_calls_for_the_times_of_the_query_become_numbers(name, value):
    assert ready(f"{name}()") == NumberLiteral(value)
    assert ready("step()", INSTANT) == NumberLiteral(0.0)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("foo", []),
        ("foo @ 1", ["foo @ 1.000"]),
        ("foo + bar @ 1", ["bar @ 1.000"]),
        ("sum(rate(foo[5m] @ 1)) * 2", ["sum(rate(foo[5m] @ 1.000)) * 2"]),
        ("rate(foo[5m] @ 1) + bar", ["rate(foo[5m] @ 1.000)"]),
        ("foo + 1", []),
        ("1 + 1", ["1 + 1"]),
        ("foo * (1 + 1)", ["(1 + 1)"]),
        ("abs(foo @ 1) + time()", ["abs(foo @ 1.000)"]),
        ("hour(foo @ 1)", ["foo @ 1.000"]),
        ("timestamp(foo @ 1)", ["timestamp(foo @ 1.000)"]),
        ("timestamp((foo @ 1))", ["timestamp(foo @ 1.000)"]),
        ("timestamp(abs(foo @ 1))", ["abs(foo @ 1.000)"]),
        ("predict_linear(foo[5m] @ 1, 60)", []),
        ("max_over_time(foo[5m:] @ 1)", ["max_over_time(foo[5m:] @ 1.000)"]),
        ("max_over_time((foo @ 1)[5m:])", ["(foo @ 1.000)"]),
        ("topk(scalar(foo), bar @ 1)", ["topk(scalar(foo), bar @ 1.000)"]),
        ("vector(end())", ["vector(400)"]),
        ("foo[5m] @ 1", []),
        ("'a'", []),
    ],
)
def test_the_largest_parts_that_do_not_change_are_marked(text, parts):
    assert marked(ready(text)) == parts


def test_parentheses_around_arguments_go():
    assert print_expr(ready("sum((((foo)))) + abs(((foo)))")) == "sum(foo) + abs(foo)"
    assert print_expr(ready("topk((3), (foo))")) == "topk(3, foo)"
