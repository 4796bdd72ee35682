"""What a mistake is called, and where: Prometheus' words and line:col."""

import pytest

from pythanos.errors import BadRequest
from pythanos.promql.syntax.cursor import EVERYTHING, ParserOptions
from pythanos.promql.syntax.errors import ParseError
from pythanos.promql.syntax.parser import parse, parse_metric_selector

# Checked against the parser of Prometheus 3.14, which gives each of these texts.
MESSAGES = {
    # tokens
    "": "unknown position: parse error: no expression found in input",
    "# note": "1:1: parse error: no expression found in input",
    "foo $": "1:5: parse error: unexpected character: '$'",
    "foo =~ 3": "1:5: parse error: unexpected character after '=': '~'",
    "foo !bar": "1:5: parse error: unexpected character after '!': 'b'",
    "foo}": "1:4: parse error: unexpected character: '}'",
    "foo]": "1:4: parse error: unexpected right bracket ']'",
    "(foo": "1:5: parse error: unclosed left parenthesis",
    "foo)": "1:5: parse error: unexpected right parenthesis ')'",
    "'a": "1:1: parse error: unterminated quoted string",
    "`a": "1:1: parse error: unterminated raw string",
    '"\\q"': "1:1: parse error: unknown escape sequence U+0071 'q'",
    '"\\xg0"': "1:1: parse error: illegal character U+0067 'g' in escape sequence",
    '"\\400"': "1:1: parse error: escape sequence is an invalid Unicode code point",
    '"\\ud800"': "1:1: parse error: escape sequence is an invalid Unicode code point",
    '"\\x4': "1:1: parse error: escape sequence not terminated",
    '"\udcff"': "1:1: parse error: invalid UTF-8 rune",
    "1__0": '1:1: parse error: bad number or duration syntax: "1__"',
    "5mm": '1:1: parse error: bad number or duration syntax: "5mm"',
    "1e400": '1:1: parse error: error parsing number: strconv.ParseFloat: parsing "1e400": value out of range',
    "5hs": '1:1: parse error: unknown unit "hs" in duration "5hs"',
    "1s1h": '1:1: parse error: not a valid duration string: "1s1h"',
    "500y": "1:1: parse error: duration out of range",
    # selectors
    "foo{": "1:5: parse error: unexpected end of input inside braces",
    "foo{a": "1:6: parse error: unexpected end of input inside braces",
    "foo{5}": "1:5: parse error: unexpected character inside braces: '5'",
    "foo{=}": '1:5: parse error: unexpected "=" in label matching, expected identifier or "}"',
    "foo{a}": '1:6: parse error: unexpected "}" in label matching, expected label matching operator',
    "foo{a=}": '1:7: parse error: unexpected "}" in label matching, expected string',
    'foo{a="b" c="d"}': '1:11: parse error: unexpected identifier "c" in label matching, expected "," or "}"',
    'foo{a!~"["}': "1:5: parse error: error parsing regexp: missing closing ]: `[`",
    'foo{a=~"*"}': "1:5: parse error: error parsing regexp: missing argument to repetition operator: `*`",
    'foo{__name__="bar"}': '1:1: parse error: metric name must not be set twice: "foo" or "bar"',
    '{a=~".*"}': "1:1: parse error: vector selector must contain at least one non-empty matcher",
    # brackets
    "foo[": "1:5: parse error: unexpected end of input in duration expression",
    "foo[5m": "1:7: parse error: unclosed left bracket",
    "foo[]": '1:5: parse error: unexpected "]" in subquery or range selector, expected number, '
    "duration, step(), or range()",
    "foo[x]": "1:5: parse error: unexpected character in duration expression: 'x'",
    "foo[5m x]": "1:8: parse error: unexpected character: 'x', expected ':'",
    "foo[5m 3]": '1:8: parse error: unexpected number "3" in subquery or range, expected ":" or "]"',
    "foo[5m:3 4]": '1:10: parse error: unexpected number "4" in subquery selector, expected "]"',
    "foo[:5m]": "1:6: parse error: unexpected colon before duration in duration expression",
    "foo[5m::]": "1:8: parse error: unexpected colon ':'",
    "foo[5m[": "1:7: parse error: unexpected left bracket '['",
    "foo[0]": "1:5: parse error: duration must be greater than 0",
    "foo[5m / 0]": "1:8: parse error: division by zero",
    "(foo)[5m]": "1:6: parse error: ranges only allowed for vector selectors",
    "foo offset 1s [5m]": "1:15: parse error: no offset modifiers allowed before range",
    "foo @ 1 [5m]": "1:9: parse error: no @ modifiers allowed before range",
    # times
    "foo offset bar": '1:12: parse error: unexpected identifier "bar" in offset, expected number, duration, '
    "step(), or range()",
    "foo offset 1s offset 2s": "1:1: parse error: offset may not be set multiple times",
    "1 offset 5m": "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector "
    "selector or a subquery",
    "foo @ bar": '1:7: parse error: unexpected identifier "bar" in @, expected timestamp',
    "foo @ Inf": "1:1: parse error: timestamp out of bounds for @ modifier: +Inf",
    "foo @ 1 @ 2": "1:1: parse error: @ <timestamp> may not be set multiple times",
    "foo anchored smoothed": "1:1: parse error: anchored and smoothed modifiers cannot be used together",
    "foo[1m:] smoothed": "1:1: parse error: smoothed modifier is not supported for subqueries",
    # calls and aggregations
    "nope(foo)": '1:1: parse error: unknown function with name "nope"',
    "abs(foo,)": "1:8: parse error: trailing commas not allowed in function call args",
    "abs(foo bar)": '1:9: parse error: unexpected identifier "bar"',
    "abs()": '1:1: parse error: expected 1 argument(s) in call to "abs", got 0',
    "label_join(foo)": '1:1: parse error: expected at least 3 argument(s) in call to "label_join", got 1',
    "round(foo, 1, 2)": '1:1: parse error: expected at most 2 argument(s) in call to "round", got 3',
    "rate(foo)": '1:6: parse error: expected type range vector in call to function "rate", got instant vector',
    "info(foo, bar)": "1:11: parse error: expected label selectors only, got vector selector instead",
    "info(foo, -{a='b'})": "1:11: parse error: expected label selectors only",
    "sum()": "1:1: parse error: no arguments for aggregate expression provided",
    "sum(foo, bar)": "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, got 2",
    "sum(foo bar)": '1:9: parse error: unexpected identifier "bar" in aggregation',
    "sum foo": '1:5: parse error: unexpected identifier "foo"',
    "sum(foo[5m])": "1:5: parse error: expected type instant vector in aggregation expression, got range vector",
    "topk(foo, bar)": "1:6: parse error: expected type scalar in aggregation parameter, got instant vector",
    "sum by foo (bar)": '1:8: parse error: unexpected identifier "foo" in grouping opts, expected "("',
    "sum by (5) (bar)": '1:9: parse error: unexpected number "5" in grouping opts, expected label',
    "sum by (a b) (bar)": '1:11: parse error: unexpected identifier "b" in grouping opts, expected "," or ")"',
    'sum by ("") (bar)': '1:9: parse error: invalid label name for grouping: ""',
    # operators
    "foo +": "1:6: parse error: unexpected end of input",
    "foo + bool bar": "1:5: parse error: bool modifier can only be used on comparison operators",
    "1 == 2": "1:3: parse error: comparisons between scalars must use BOOL modifier",
    "1 and foo": '1:1: parse error: set operator "and" not allowed in binary scalar expression',
    "foo and on (a) group_left bar": '1:1: parse error: no grouping allowed for "and" operation',
    "foo + on (a) 1": "1:1: parse error: vector matching only allowed between instant vectors",
    "foo + fill (1) 2": "1:1: parse error: filling in missing series only allowed between instant vectors",
    "foo or fill (1) bar": "1:1: parse error: filling in missing series not allowed for set operators",
    "foo + on (a) group_left (a) bar": '1:5: parse error: label "a" must not occur in ON and GROUP clause at once',
    "(foo + on (a) group_left )": '1:26: parse error: unexpected ")" in grouping opts, expected "("',
    "foo + group_left bar": "1:7: parse error: unexpected <group_left>",
    "foo + 'a'": "1:7: parse error: binary expression must contain only scalar and instant vector types",
    "-'a'": "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, "
    'got "string"',
    "1[5m:]": "1:1: parse error: subquery is only allowed on instant vector, got scalar instead",
    # places
    "foo\n  bar": '2:3: parse error: unexpected identifier "bar"',
    '{"\u00e9\u00e9"} foo': '1:10: parse error: unexpected identifier "foo"',
    '"0123456789abcdef" 1': '1:20: parse error: unexpected number "1"',
    "foo 'a longer string'": '1:5: parse error: unexpected string "\'a longer "...',
}


@pytest.mark.parametrize("text", MESSAGES)
def test_a_mistake_is_named_and_placed_as_in_prometheus(text):
    with pytest.raises(ParseError) as caught:
        parse(text, EVERYTHING)
    assert str(caught.value) == MESSAGES[text]
    assert isinstance(caught.value, BadRequest)


GATED = {
    "sort_by_label(foo)": '1:1: parse error: function "sort_by_label" is not enabled',
    "limitk(1, foo)": "1:1: parse error: limitk() is experimental and must be enabled with "
    "--enable-feature=promql-experimental-functions",
    "foo smoothed": "1:1: parse error: smoothed modifier is experimental and not enabled",
    "foo + fill (1) bar": "1:1: parse error: binop fill modifiers are experimental and not enabled",
    "xrate(foo[5m])": '1:1: parse error: unknown function with name "xrate"',
}


@pytest.mark.parametrize("text", GATED)
def test_what_a_flag_turns_on_is_refused_without_it(text):
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert str(caught.value) == GATED[text]
    parse(text, EVERYTHING)


def test_duration_expressions_are_on_and_can_be_turned_off():
    parse("foo[5m * 2]")
    with pytest.raises(ParseError, match="experimental duration expression is not enabled"):
        parse("foo[5m * 2]", ParserOptions(duration_expressions=False))


def test_a_metric_selector_takes_nothing_but_a_selector():
    with pytest.raises(ParseError, match="1:5: parse error: unexpected <op:\\+>"):
        parse_metric_selector("foo + bar")
    with pytest.raises(ParseError, match='1:1: parse error: unexpected number "1"'):
        parse_metric_selector("1")


def test_an_error_knows_its_place():
    with pytest.raises(ParseError) as caught:
        parse("foo +\n\u00e9")
    error = caught.value
    assert (error.line, error.column, error.start) == (2, 1, 6)
    assert error.message == "unexpected character: '\u00e9'"
