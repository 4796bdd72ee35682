"""Types and arities of a parsed tree, in Prometheus' order of checks, and the measure of its depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pythanos.model.matchers import MatchType, quote
from pythanos.promql.syntax.ast import (
    COMPARISONS,
    SET_OPERATORS,
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
    StringLiteral,
    SubqueryExpr,
    UnaryExpr,
    ValueType,
    VectorMatching,
    VectorSelector,
    children,
    left_chain,
)
from pythanos.promql.syntax.cursor import Cursor
from pythanos.promql.syntax.errors import CHAIN_MAX, DEPTH_MAX

_SPACES = " \t\n\r"
_SCALAR, _VECTOR, _STRING, _MATRIX = ValueType.SCALAR, ValueType.VECTOR, ValueType.STRING, ValueType.MATRIX
_set = object.__setattr__


def check_depth(expr: Expr, cursor: Cursor) -> None:
    """Raises ParseError if a tree, with its duration expressions, is deeper than DEPTH_MAX. Uses no recursion.

    Operations in a row are one level; more than CHAIN_MAX of them are an error too.
    """
    level = [expr]
    for _ in range(DEPTH_MAX):
        level = [child for node in level for child in (*_operands(node, cursor), *_durations(node))]
        if not level:
            return
    raise cursor.too_deep(level[0].start)


def _operands(node: Expr, cursor: Cursor) -> tuple[Expr, ...]:
    if type(node) is not BinaryExpr:
        return children(node)
    chain = left_chain(node)
    if len(chain) > CHAIN_MAX:
        raise cursor.fail(f"expression has more than {CHAIN_MAX} operators in a row", node.start)
    return (chain[0].lhs, *(operation.rhs for operation in chain))


def _durations(node: Expr) -> list[Expr]:
    found: tuple[DurationOperand | None, ...]
    match node:
        case DurationExpr():
            found = (node.lhs, node.rhs)
        case VectorSelector():
            found = (node.offset_expr,)
        case MatrixSelector():
            found = (node.range_expr,)
        case SubqueryExpr():
            found = (node.range_expr, node.step_expr, node.offset_expr)
        case _:
            return []
    return [duration for duration in found if duration is not None]


def check(expr: Expr, cursor: Cursor) -> ValueType:
    """The type of a tree. Settles the matching of its binary operations. Raises ParseError for the first misfit."""
    return _CHECKS[type(expr)](expr, cursor)


def _check_number(node: NumberLiteral, cursor: Cursor) -> ValueType:
    return _SCALAR


def _check_string(node: StringLiteral, cursor: Cursor) -> ValueType:
    return _STRING


def _check_vector_selector(node: VectorSelector, cursor: Cursor) -> ValueType:
    if node.name:
        for matcher in node.matchers[:-1]:
            if matcher.name == "__name__":
                names = f"{quote(node.name)} or {quote(matcher.value)}"
                raise cursor.fail(f"metric name must not be set twice: {names}", node.start)
        return _VECTOR
    for matcher in node.matchers:
        if (matcher.type is MatchType.EQ and matcher.value) or not matcher.matches_empty:
            return _VECTOR
    raise cursor.fail("vector selector must contain at least one non-empty matcher", node.start)


def _check_matrix_selector(node: MatrixSelector, cursor: Cursor) -> ValueType:
    check(node.selector, cursor)
    return _MATRIX


def _check_subquery(node: SubqueryExpr, cursor: Cursor) -> ValueType:
    found = check(node.expr, cursor)
    if found is not _VECTOR:
        raise cursor.fail(f"subquery is only allowed on instant vector, got {found} instead", node.start)
    return _MATRIX


def _check_paren(node: ParenExpr, cursor: Cursor) -> ValueType:
    return check(node.expr, cursor)


def _check_unary(node: UnaryExpr, cursor: Cursor) -> ValueType:
    found = check(node.expr, cursor)
    if found is not _SCALAR and found is not _VECTOR:
        shown = f'got "{found.documented}"'
        raise cursor.fail(
            f"unary expression only allowed on expressions of type scalar or instant vector, {shown}", node.start
        )
    return found


def _check_aggregate(node: AggregateExpr, cursor: Cursor) -> ValueType:
    _expect(node.expr, _VECTOR, "aggregation expression", cursor)
    if node.param is not None:
        wanted = _STRING if node.op == "count_values" else _SCALAR
        _expect(node.param, wanted, "aggregation parameter", cursor)
    return _VECTOR


def _expect(node: Expr, wanted: ValueType, context: str, cursor: Cursor) -> None:
    found = check(node, cursor)
    if found is not wanted:
        raise cursor.fail(f"expected type {wanted.documented} in {context}, got {found.documented}", node.start)


def _check_call(node: Call, cursor: Cursor) -> ValueType:
    function, args = node.func, node.args
    _check_arity(node, cursor)
    if function.name == "info" and len(args) > 1:
        _check_info_selector(node, args[1], cursor)
        args = args[:1]
    last = len(function.arg_types) - 1
    for index, arg in enumerate(args):
        wanted = function.arg_types[index if index < last else last]
        found = check(arg, cursor)
        if found is not wanted:
            call = f'call to function "{function.name}"'
            raise cursor.fail(f"expected type {wanted.documented} in {call}, got {found.documented}", arg.start)
    return function.returns


def _check_arity(node: Call, cursor: Cursor) -> None:
    function, given = node.func, len(node.args)
    listed = len(function.arg_types)
    if not function.variadic:
        if listed != given:
            raise cursor.fail(f'expected {listed} argument(s) in call to "{function.name}", got {given}', node.start)
        return
    least = listed - 1
    most = least + function.variadic
    if least > given:
        raise cursor.fail(
            f'expected at least {least} argument(s) in call to "{function.name}", got {given}', node.start
        )
    if function.variadic > 0 and most < given:
        raise cursor.fail(f'expected at most {most} argument(s) in call to "{function.name}", got {given}', node.start)


def _check_info_selector(node: Call, arg: Expr, cursor: Cursor) -> None:
    """The second argument of ``info`` is a selector of labels; it may match everything."""
    if arg.type is not _VECTOR:
        shown = f'expected type instant vector in call to function "info", got {arg.type.documented}'
        raise cursor.fail(shown, node.start)
    if type(arg) is not VectorSelector:
        raise cursor.fail("expected label selectors only", arg.start)
    if arg.name:
        raise cursor.fail("expected label selectors only, got vector selector instead", arg.start)


def _check_binary(node: BinaryExpr, cursor: Cursor) -> ValueType:
    chain = left_chain(node)
    found = check(chain[0].lhs, cursor)
    for operation in chain:
        found = _check_operation(operation, found, cursor)
    return found


def _check_operation(node: BinaryExpr, left: ValueType, cursor: Cursor) -> ValueType:
    """The type of an operation whose left operand is known to be of a type."""
    op, matching = node.op, node.matching
    assert matching is not None  # the parser sets one everywhere
    right = check(node.rhs, cursor)
    if node.return_bool and op not in COMPARISONS:
        raise cursor.fail("bool modifier can only be used on comparison operators", _operator_start(node, cursor))
    scalars = left is _SCALAR and right is _SCALAR
    if op in COMPARISONS and not node.return_bool and scalars:
        raise cursor.fail("comparisons between scalars must use BOOL modifier", _operator_start(node, cursor))
    if matching.on:
        for label in matching.labels:
            if label in matching.include:
                message = f"label {quote(label)} must not occur in ON and GROUP clause at once"
                raise cursor.fail(message, _operator_start(node, cursor))
    for operand, found in ((node.lhs, left), (node.rhs, right)):
        if found is not _SCALAR and found is not _VECTOR:
            raise cursor.fail("binary expression must contain only scalar and instant vector types", operand.start)
    if left is _VECTOR and right is _VECTOR:
        if op in SET_OPERATORS:
            _settle_set_operation(node, matching, cursor)
        return _VECTOR
    if matching.labels:
        raise cursor.fail("vector matching only allowed between instant vectors", node.start)
    if matching.fill_left is not None or matching.fill_right is not None:
        raise cursor.fail("filling in missing series only allowed between instant vectors", node.start)
    if op in SET_OPERATORS:
        raise cursor.fail(f'set operator "{op}" not allowed in binary scalar expression', node.start)
    _set(node, "matching", None)
    return _SCALAR if scalars else _VECTOR


def _settle_set_operation(node: BinaryExpr, matching: VectorMatching, cursor: Cursor) -> None:
    if matching.card is not Cardinality.ONE_TO_ONE:
        raise cursor.fail(f'no grouping allowed for "{node.op}" operation', node.start)
    if matching.fill_left is not None or matching.fill_right is not None:
        raise cursor.fail("filling in missing series not allowed for set operators", node.start)
    _set(node, "matching", replace(matching, card=Cardinality.MANY_TO_MANY))


def _operator_start(node: BinaryExpr, cursor: Cursor) -> int:
    position = node.lhs.end
    while cursor.raw[position] in _SPACES:
        position += 1
    return position


# Each takes the nodes of its own type only.
_CHECKS: dict[type[Expr], Callable[[Any, Cursor], ValueType]] = {
    NumberLiteral: _check_number,
    StringLiteral: _check_string,
    VectorSelector: _check_vector_selector,
    MatrixSelector: _check_matrix_selector,
    SubqueryExpr: _check_subquery,
    ParenExpr: _check_paren,
    UnaryExpr: _check_unary,
    AggregateExpr: _check_aggregate,
    Call: _check_call,
    BinaryExpr: _check_binary,
}
