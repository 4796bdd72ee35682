"""The canonical text of a syntax tree: what parses to the same tree again.

The text is that of ``prometheus:promql/parser/printer.go``, apart from the few forms that do not parse there: an empty
selector, a power of infinity, an offset expression that would swallow an operator, a label named like a keyword or a
number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from pythanos.model.matchers import Matcher, MatchType, quote
from pythanos.promql.syntax.ast import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Cardinality,
    DurationExpr,
    DurationOperand,
    Expr,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    StepInvariantExpr,
    StringLiteral,
    SubqueryExpr,
    UnaryExpr,
    VectorMatching,
    VectorSelector,
    left_chain,
)
from pythanos.promql.tree.numbers import plain, short
from pythanos.units import format_duration

_PLAIN_LABEL = re.compile(r"(?!(?i:without|inf|nan)$)[A-Za-z_][A-Za-z0-9_]*")
LENGTH_UNBOUNDED = 1 << 62
_DURATION_CALLS = frozenset(("step", "range", "min_of", "max_of"))
_GROUPS = {Cardinality.MANY_TO_ONE: "group_left", Cardinality.ONE_TO_MANY: "group_right"}


class _TooLong(Exception):
    """The text has more bytes than the caller wants to see."""


class _Writer:
    """Collects pieces of text; gives up when they are more than ``room`` bytes.

    ``followed``: whether an operator comes right behind what is written now.
    """

    __slots__ = ("followed", "pieces", "room")

    def __init__(self, room: int, followed: bool) -> None:
        self.pieces: list[str] = []
        self.room = room
        self.followed = followed

    def add(self, text: str) -> None:
        self.room -= len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))
        if self.room < 0:
            raise _TooLong
        self.pieces.append(text)


def print_expr(expr: Expr) -> str:
    """The text of an expression on one line."""
    writer = _Writer(LENGTH_UNBOUNDED, followed=False)
    _WRITERS[type(expr)](expr, writer)
    return "".join(writer.pieces)


def print_within(expr: Expr, bytes_max: int, *, followed: bool = False) -> str | None:
    """The text on one line, or None if it is longer; costs no more than what it prints.

    ``followed`` where an operator will come right behind it.
    """
    writer = _Writer(bytes_max, followed)
    try:
        _WRITERS[type(expr)](expr, writer)
    except _TooLong:
        return None
    return "".join(writer.pieces)


def aggregation_head(node: AggregateExpr) -> str:
    """``sum by (a, b) ``, or just ``sum``."""
    if node.without:
        return f"{node.op} without ({print_labels(node.grouping)}) "
    return f"{node.op} by ({print_labels(node.grouping)}) " if node.grouping else node.op


def operator_text(node: BinaryExpr) -> str:
    """The operator with its modifiers: ``> bool on (a) group_left (b)``."""
    text = node.op + (" bool" if node.return_bool else "")
    return text if node.matching is None else text + _matching(node.matching)


def subquery_suffix(node: SubqueryExpr, *, followed: bool) -> str:
    """``[5m:1m] @ 3.000 offset 1h``. ``followed`` as in ``print_within``."""
    step = format_duration(node.step_ms) if node.step_ms else ""
    if not step and node.step_expr is not None:
        step = print_duration(node.step_expr)
    return f"[{_range(node)}:{step}]{_modifiers(node, _at(node), '', followed)}"


def print_labels(labels: tuple[str, ...]) -> str:
    """Label names of a grouping, quoted where they are not plain or would read as something else."""
    return ", ".join(label if _PLAIN_LABEL.fullmatch(label) else quote(label) for label in labels)


def print_number(node: NumberLiteral) -> str:
    """A number, or a duration where it was written as one."""
    if not node.duration:
        return plain(node.value)
    milliseconds = int(abs(node.value) * 1e9) // 1_000_000
    # Of zero, too: a division by it tells the sign.
    return ("-" if math.copysign(1, node.value) < 0 else "") + format_duration(milliseconds)


def print_duration(node: DurationOperand) -> str:
    """A duration or an expression of durations."""
    if type(node) is NumberLiteral:
        return print_number(node)
    op, lhs, rhs = node.op, node.lhs, node.rhs
    if rhs is None:
        text = f"{op}()"
    elif lhs is None:
        # A plus is only there to carry the parentheses of a number.
        text = ("-" if op == "-" else "") + print_duration(rhs)
    elif op in _DURATION_CALLS:
        text = f"{op}({print_duration(lhs)}, {print_duration(rhs)})"
    else:
        text = f"{print_duration(lhs)} {op} {print_duration(rhs)}"
    return f"({text})" if node.wrapped else text


def _matching(matching: VectorMatching) -> str:
    text, group = "", _GROUPS.get(matching.card)
    if matching.labels or matching.on or group:
        text = f" {'on' if matching.on else 'ignoring'} ({print_labels(matching.labels)})"
    if group:
        text += f" {group} ({print_labels(matching.include)})"
    left, right = matching.fill_left, matching.fill_right
    if left is not None and left == right:
        return f"{text} fill ({short(left)})"
    if left is not None:
        text += f" fill_left ({short(left)})"
    if right is not None:
        text += f" fill_right ({short(right)})"
    return text


def _range(node: MatrixSelector | SubqueryExpr) -> str:
    return format_duration(node.range_ms) if node.range_expr is None else print_duration(node.range_expr)


def _at(node: VectorSelector | SubqueryExpr) -> str:
    if node.at_ms is not None:
        return f" @ {node.at_ms / 1000:.3f}"
    return f" @ {node.at_bound}()" if node.at_bound else ""


def _offset(node: VectorSelector | SubqueryExpr) -> str:
    if node.offset_expr is not None:
        return f" offset {print_duration(node.offset_expr)}"
    return f" offset {format_duration(node.offset_ms)}" if node.offset_ms else ""


def _is_closed(offset: DurationExpr | None) -> bool:
    """Whether an operator behind an offset does not read as a part of its arithmetic."""
    if offset is None:
        return True
    if offset.wrapped or offset.op in _DURATION_CALLS:
        return not offset.wrapped
    inner = offset.rhs
    if offset.lhs is not None or type(inner) is not DurationExpr:
        return False
    return inner.wrapped or inner.op in _DURATION_CALLS


def _modifiers(node: VectorSelector | SubqueryExpr, first: str, second: str, followed: bool) -> str:
    """The modifiers in their order, with the offset last unless it would swallow an operator that follows."""
    if followed and (first or second) and not _is_closed(node.offset_expr):
        return _offset(node) + first + second
    return first + second + _offset(node)


def _extended(node: VectorSelector) -> str:
    if node.anchored:
        return " anchored"
    return " smoothed" if node.smoothed else ""


def _series(node: VectorSelector) -> str:
    """Name and matchers, without what was written as the name; ``{}`` for neither, as in ``info(foo, {})``."""
    shown = sorted(str(matcher) for matcher in node.matchers if not _is_name(matcher, node.name))
    if not shown and not node.name:
        return "{}"
    return node.name + (f"{{{','.join(shown)}}}" if shown else "")


def _is_name(matcher: Matcher, name: str) -> bool:
    return matcher.name == "__name__" and matcher.type is MatchType.EQ and matcher.value == name != ""


def _write_number(node: NumberLiteral, out: _Writer) -> None:
    out.add(print_number(node))


def _write_string(node: StringLiteral, out: _Writer) -> None:
    out.add(quote(node.value))


def _write_duration(node: DurationExpr, out: _Writer) -> None:
    out.add(print_duration(node))


def _write_vector_selector(node: VectorSelector, out: _Writer) -> None:
    out.add(_series(node) + _modifiers(node, _at(node), _extended(node), out.followed))


def _write_matrix_selector(node: MatrixSelector, out: _Writer) -> None:
    inner = node.selector
    modifiers = _modifiers(inner, _extended(inner), _at(inner), out.followed)
    out.add(f"{_series(inner)}[{_range(node)}]{modifiers}")


def _write_subquery(node: SubqueryExpr, out: _Writer) -> None:
    _write_enclosed((node.expr,), out)
    out.add(subquery_suffix(node, followed=out.followed))


def _write_enclosed(nodes: tuple[Expr, ...], out: _Writer) -> None:
    """Nodes with commas between, and a bracket behind the last."""
    followed, out.followed = out.followed, False
    for index, node in enumerate(nodes):
        if index:
            out.add(", ")
        _WRITERS[type(node)](node, out)
    out.followed = followed


def _write_call(node: Call, out: _Writer) -> None:
    out.add(node.func.name + "(")
    _write_enclosed(node.args, out)
    out.add(")")


def _write_aggregate(node: AggregateExpr, out: _Writer) -> None:
    out.add(aggregation_head(node) + "(")
    _write_enclosed((node.expr,) if node.param is None else (node.param, node.expr), out)
    out.add(")")


def _write_binary(node: BinaryExpr, out: _Writer) -> None:
    followed, out.followed = out.followed, True
    chain = left_chain(node)
    first = chain[0].lhs
    if chain[0].op == "^" and type(first) is NumberLiteral and first.value == math.inf:
        # With its plus it would read as the sign of the power.
        out.add("Inf")
    else:
        _WRITERS[type(first)](first, out)
    for operation in chain:
        out.add(f" {operator_text(operation)} ")
        out.followed = followed or operation is not node
        _WRITERS[type(operation.rhs)](operation.rhs, out)
    out.followed = followed


def _write_unary(node: UnaryExpr, out: _Writer) -> None:
    out.add(node.op)
    _WRITERS[type(node.expr)](node.expr, out)


def _write_paren(node: ParenExpr, out: _Writer) -> None:
    out.add("(")
    _write_enclosed((node.expr,), out)
    out.add(")")


def _write_step_invariant(node: StepInvariantExpr, out: _Writer) -> None:
    _WRITERS[type(node.expr)](node.expr, out)


# Each takes the nodes of its own type only.
_WRITERS: dict[type[Expr], Callable[[Any, _Writer], None]] = {
    NumberLiteral: _write_number,
    StringLiteral: _write_string,
    DurationExpr: _write_duration,
    VectorSelector: _write_vector_selector,
    MatrixSelector: _write_matrix_selector,
    SubqueryExpr: _write_subquery,
    Call: _write_call,
    AggregateExpr: _write_aggregate,
    BinaryExpr: _write_binary,
    UnaryExpr: _write_unary,
    ParenExpr: _write_paren,
    StepInvariantExpr: _write_step_invariant,
}
