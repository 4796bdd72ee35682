"""Properties of the front end over random expressions and random bytes."""

from dataclasses import fields, is_dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from pythanos.promql.syntax.ast import DurationExpr
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.errors import ParseError
from pythanos.promql.syntax.parser import parse
from pythanos.promql.tree.preprocess import QueryTimes, preprocess
from pythanos.promql.tree.pretty import pretty
from pythanos.promql.tree.printer import print_expr
from pythanos.testing.promql_grammar import Grammar, spoil

sources = st.randoms(use_true_random=False)


def parsed(text):
    """The tree, or None for a text that is not valid, which random types may make."""
    try:
        return parse(text, EVERYTHING)
    except ParseError:
        return None


def nodes(node):
    yield node
    for field in fields(node):
        value = getattr(node, field.name)
        for part in value if isinstance(value, tuple) else (value,):
            if is_dataclass(part) and hasattr(part, "start"):
                yield from nodes(part)


@settings(max_examples=400, deadline=None)
@given(sources)
def test_what_is_printed_parses_to_what_prints_the_same(source):
    tree = parsed(Grammar(source).expression(4))
    if tree is None:
        return
    printed = print_expr(tree)
    assert print_expr(parse(printed, EVERYTHING)) == printed
    assert print_expr(parse(pretty(tree), EVERYTHING)) == printed


@settings(max_examples=300, deadline=None)
@given(sources)
def test_positions_of_a_node_enclose_those_of_its_parts(source):
    text = Grammar(source).expression(4)
    tree = parsed(text)
    if tree is None:
        return
    length = len(text.encode())
    for node in nodes(tree):
        assert 0 <= node.start < node.end <= length
        for part in nodes(node):
            # The sign of a duration, or the modifiers of a range's selector, may lie outside; expressions do not.
            if not isinstance(part, DurationExpr):
                assert node.start <= part.start


@settings(max_examples=400, deadline=None)
@given(sources)
def test_a_spoiled_text_is_a_tree_or_a_located_error(source):
    text = spoil(Grammar(source).expression(3), source)
    try:
        parse(text, EVERYTHING)
    except ParseError as error:
        assert 0 <= error.start <= len(text.encode("utf-8", "surrogateescape"))
        assert str(error).startswith((f"{error.line}:{error.column}: parse error: ", "unknown position"))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_tree_or_an_error(data):
    parsed(data.decode("utf-8", "surrogateescape"))


@settings(max_examples=200, deadline=None)
@given(sources)
def test_preprocessing_changes_neither_type_nor_input(source):
    tree = parsed(Grammar(source).expression(4))
    if tree is None:
        return
    before = repr(tree)
    try:
        ready = preprocess(tree, QueryTimes(0, 3_600_000, 60_000))
    except Exception as error:
        assert type(error).__name__ == "BadRequest"
    else:
        assert ready.type is tree.type
    assert repr(tree) == before
