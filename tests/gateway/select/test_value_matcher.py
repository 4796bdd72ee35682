"""Patterns taken apart give the same answers as RE2, and sets where there is one (ST-15)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos.errors import BadRequest
from pythanos.gateway.select.value_matcher import ValueMatcher
from pythanos.model.matchers import Matcher, MatchType

VALUES = ("", "a", "b", "ab", "abc", "a.c", "axc", "2.5", "2x5", "foo", "foobar", "barfoo", "x\ny", "A", "a|b", "été")


def matcher(value, kind=MatchType.RE):
    return ValueMatcher(Matcher(kind, "name", value))


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("a|b", {"a", "b"}),
        ("(a|b)", {"a", "b"}),
        ("foo(bar|baz)?", {"foobar", "foobaz", "foo"}),
        ("^a$", {"a"}),
        ("[a-c]x", {"ax", "bx", "cx"}),
        (r"2|2\.5", {"2", "2.5"}),
        ("(?:x|y)(1|2)", {"x1", "x2", "y1", "y2"}),
        ("c||d", {"c", "", "d"}),
        ("", {""}),
    ],
)
def test_a_pattern_of_literals_is_a_set(pattern, named):
    assert matcher(pattern).set_matches == frozenset(named)


@pytest.mark.parametrize(
    "pattern", ["a.*", "a+", "a*", "[^a]", "(?i)a", "a{2}", r"\d", "^a|b$", r"a\b", ".", "a.c", "x(.*)y", "[a", "^$|b"]
)
def test_other_patterns_are_no_set(pattern):
    try:
        found = matcher(pattern)
    except BadRequest:
        return
    assert found.set_matches is None


def test_too_many_alternatives_are_no_set():
    assert matcher("[a-z][a-z]").set_matches is None
    assert matcher("[a-z][a-z]").matches("qz")


PATTERNS = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "c",
            "foo",
            "bar",
            ".",
            ".*",
            ".+",
            "|",
            "(",
            ")",
            "(?:",
            "[ab]",
            "[a-c]",
            "?",
            r"\.",
            "^",
            "$",
            "x",
            "+",
            "é",
        ]
    ),
    max_size=7,
).map("".join)


@given(PATTERNS, st.sampled_from(VALUES) | st.text("abcfor.x", max_size=8), st.booleans())
def test_answers_are_those_of_re2(pattern, value, negated):
    plain = Matcher(MatchType.NRE if negated else MatchType.RE, "name", pattern)
    try:
        expected = plain.matches(value)
    except BadRequest:
        with pytest.raises(BadRequest):
            ValueMatcher(plain)
        return
    assert ValueMatcher(plain).matches(value) == expected


@pytest.mark.parametrize("kind", list(MatchType))
def test_select_keeps_the_order_of_the_values(kind):
    found = matcher("a|b|foo.*" if kind in (MatchType.RE, MatchType.NRE) else "a", kind)
    assert found.select(VALUES) == [value for value in VALUES if found.matches(value)]


def test_bytes_that_are_no_utf8_are_matched_by_a_wildcard():
    assert matcher("a.*").matches(b"a\xff".decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [("abc.*", "abc"), ("ab.*|ac.+", "a"), (".*a", ""), ("a|b.*", ""), ("(?i)a.*", ""), ("a", "")],
)
def test_the_prefix_is_what_all_alternatives_begin_with(pattern, prefix):
    assert matcher(pattern).prefix == prefix
    assert matcher(pattern, MatchType.NRE).prefix == ""
