"""Fixing every selector of an expression to one time by ``@``, as the conformance runner does to test ``@``."""

from __future__ import annotations

from dataclasses import replace

from pythanos.promql.syntax.ast import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    ParenExpr,
    StepInvariantExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
    left_chain,
)
from pythanos.promql.syntax.signatures import AT_UNSAFE_FUNCTIONS


def with_at(expr: Expr, at_ms: int) -> Expr | None:
    """The expression with ``@ at_ms`` on each selector and subquery that has no time yet.

    What is inside a subquery stays as it is. ``@ start()`` and ``@ end()`` give way to the time. None where a function
    outside subqueries makes the result depend on the time of evaluation even so. Positions are those of the original:
    print and parse the result to get its own.
    """
    match expr:
        case VectorSelector() | SubqueryExpr():
            return expr if expr.at_ms is not None else replace(expr, at_ms=at_ms, at_bound="")
        case MatrixSelector():
            selector = with_at(expr.selector, at_ms)
            assert isinstance(selector, VectorSelector)
            return replace(expr, selector=selector)
        case Call():
            if expr.func.name in AT_UNSAFE_FUNCTIONS:
                return None
            args = [fixed for arg in expr.args if (fixed := with_at(arg, at_ms)) is not None]
            return replace(expr, args=tuple(args)) if len(args) == len(expr.args) else None
        case AggregateExpr():
            inner = with_at(expr.expr, at_ms)
            param = expr.param and with_at(expr.param, at_ms)
            if inner is None or (expr.param is not None and param is None):
                return None
            return replace(expr, expr=inner, param=param)
        case BinaryExpr():
            return _operation_with_at(expr, at_ms)
        case ParenExpr() | UnaryExpr() | StepInvariantExpr():
            inner = with_at(expr.expr, at_ms)
            return None if inner is None else replace(expr, expr=inner)
    return expr


def _operation_with_at(expr: BinaryExpr, at_ms: int) -> Expr | None:
    chain = left_chain(expr)
    fixed = with_at(chain[0].lhs, at_ms)
    for operation in chain:
        rhs = with_at(operation.rhs, at_ms)
        if fixed is None or rhs is None:
            return None
        fixed = replace(operation, lhs=fixed, rhs=rhs)
    return fixed
