"""What follows an operand: ``[...]``, ``offset``, ``@``, ``anchored``, ``smoothed``."""

from __future__ import annotations

import math

from pythanos.promql.syntax.ast import DurationExpr, Expr, MatrixSelector, NumberLiteral, SubqueryExpr, VectorSelector
from pythanos.promql.syntax.cursor import Cursor
from pythanos.promql.syntax.durations import parse_literal, parse_offset, parse_range, parse_step, to_ms
from pythanos.promql.syntax.tokens import DURATION, NUMBER

POSTFIX = frozenset(("[", "offset", "@", "anchored", "smoothed"))
_INT64_MAX = 9.223372036854775807e18
_set = object.__setattr__


def parse_postfix(cursor: Cursor, node: Expr) -> Expr:
    """The node with all modifiers that follow; the cursor stands on the first of them."""
    while (kind := cursor.kinds[cursor.index]) in POSTFIX:
        if kind == "[":
            node = _brackets(cursor, node)
        elif kind == "offset":
            _offset(cursor, node)
        elif kind == "@":
            _at(cursor, node)
        else:
            _extended(cursor, node, kind)
    return node


def _brackets(cursor: Cursor, node: Expr) -> Expr:
    kinds, opening = cursor.kinds, cursor.starts[cursor.index]
    cursor.index += 1
    span = parse_range(cursor)
    range_ms, range_expr = _resolved(span)
    if kinds[cursor.index] == "]":
        cursor.index += 1
        return _matrix(cursor, node, opening, range_ms, range_expr)
    if kinds[cursor.index] != ":":
        raise cursor.unexpected("subquery or range", '":" or "]"')
    cursor.index += 1
    step_ms, step_expr = 0, None
    if kinds[cursor.index] != "]":
        step_ms, step_expr = _resolved(parse_step(cursor))
        if kinds[cursor.index] != "]":
            raise cursor.unexpected("subquery selector", '"]"')
    cursor.index += 1
    end = cursor.ends[cursor.index - 1]
    return SubqueryExpr(node, range_ms, range_expr, step_ms, step_expr, start=node.start, end=end)


def _resolved(span: NumberLiteral | DurationExpr) -> tuple[int, DurationExpr | None]:
    return (to_ms(span), None) if type(span) is NumberLiteral else (0, span)


def _matrix(cursor: Cursor, node: Expr, opening: int, range_ms: int, range_expr: DurationExpr | None) -> MatrixSelector:
    if type(node) is not VectorSelector:
        raise cursor.fail("ranges only allowed for vector selectors", opening)
    if node.offset_ms or node.offset_expr is not None:
        raise cursor.fail("no offset modifiers allowed before range", opening)
    if node.at_ms is not None or node.at_bound:
        raise cursor.fail("no @ modifiers allowed before range", opening)
    return MatrixSelector(node, range_ms, range_expr, node.start, cursor.ends[cursor.index - 1])


def _target(cursor: Cursor, node: Expr, modifier: str) -> VectorSelector | SubqueryExpr:
    """The node that holds the times of an operand."""
    if type(node) is MatrixSelector:
        return node.selector
    if type(node) is VectorSelector or type(node) is SubqueryExpr:
        return node
    raise cursor.fail(
        f"{modifier} modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        node.start,
    )


def _offset(cursor: Cursor, node: Expr) -> None:
    cursor.index += 1
    offset = parse_offset(cursor)
    target = _target(cursor, node, "offset")
    if target.offset_ms or target.offset_expr is not None:
        raise cursor.fail("offset may not be set multiple times", node.start)
    if type(offset) is NumberLiteral:
        _set(target, "offset_ms", to_ms(offset))
    else:
        _set(target, "offset_expr", offset)
    _set(node, "end", cursor.ends[cursor.index - 1])


def _at(cursor: Cursor, node: Expr) -> None:
    kinds = cursor.kinds
    cursor.index += 1
    kind = kinds[cursor.index]
    if kind in ("start", "end"):
        cursor.index += 1
        for bracket in "()":
            if kinds[cursor.index] != bracket:
                raise cursor.unexpected("@", "timestamp")
            cursor.index += 1
        _set(_at_target(cursor, node), "at_bound", kind)
    else:
        at_ms = _timestamp(cursor, node)
        _set(_at_target(cursor, node), "at_ms", at_ms)
    _set(node, "end", cursor.ends[cursor.index - 1])


def _timestamp(cursor: Cursor, node: Expr) -> int:
    sign = cursor.kinds[cursor.index]
    if sign in ("+", "-"):
        cursor.index += 1
    if cursor.kinds[cursor.index] not in (NUMBER, DURATION):
        raise cursor.unexpected("@", "timestamp")
    seconds = parse_literal(cursor).value
    if sign == "-":
        seconds = -seconds
    if not abs(seconds) < _INT64_MAX:
        shown = f"{seconds:+f}".title() if math.isinf(seconds) else "NaN" if math.isnan(seconds) else f"{seconds:f}"
        raise cursor.fail(f"timestamp out of bounds for @ modifier: {shown}", node.start)
    scaled = seconds * 1000
    if not abs(scaled) < _INT64_MAX:
        # Go's conversion of a float that int64 cannot hold, on amd64.
        return -(1 << 63)
    return math.floor(scaled + 0.5) if scaled >= 0 else math.ceil(scaled - 0.5)


def _at_target(cursor: Cursor, node: Expr) -> VectorSelector | SubqueryExpr:
    target = _target(cursor, node, "@")
    if target.at_ms is not None or target.at_bound:
        raise cursor.fail("@ <timestamp> may not be set multiple times", node.start)
    return target


def _extended(cursor: Cursor, node: Expr, kind: str) -> None:
    cursor.index += 1
    if not cursor.options.extended_ranges:
        raise cursor.fail(f"{kind} modifier is experimental and not enabled", node.start)
    if type(node) is SubqueryExpr:
        raise cursor.fail(f"{kind} modifier is not supported for subqueries", node.start)
    target = node.selector if type(node) is MatrixSelector else node
    if type(target) is not VectorSelector:
        raise cursor.fail(f"{kind} modifier not implemented", node.start)
    _set(target, kind, True)
    if target.anchored and target.smoothed:
        raise cursor.fail("anchored and smoothed modifiers cannot be used together", node.start)
