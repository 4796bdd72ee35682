"""From a preprocessed syntax tree to a logical plan: parentheses gone, functions of ranges told apart."""

from __future__ import annotations

from pythanos.errors import NotSupported
from pythanos.promql.plan.nodes import (
    Aggregate,
    Binary,
    Call,
    Negate,
    Node,
    Number,
    RangeCall,
    RangeSelect,
    Select,
    StepInvariant,
    Subquery,
    Text,
)
from pythanos.promql.syntax import ast


def build_plan(expr: ast.Expr, subquery_step_ms: int) -> Node:
    """The plan of a checked tree that ``tree.preprocess`` has settled.

    ``subquery_step_ms`` is the default step of subqueries. Raises NotSupported for what is parsed but not evaluated.
    """
    match expr:
        case ast.ParenExpr():
            return build_plan(expr.expr, subquery_step_ms)
        case ast.StepInvariantExpr():
            return StepInvariant(build_plan(expr.expr, subquery_step_ms))
        case ast.NumberLiteral():
            return Number(expr.value, expr.start, expr.end)
        case ast.StringLiteral():
            return Text(expr.value, expr.start, expr.end)
        case ast.VectorSelector():
            return _select(expr)
        case ast.MatrixSelector():
            return RangeSelect(_select(expr.selector), expr.range_ms, expr.start, expr.end)
        case ast.SubqueryExpr():
            return _subquery(expr, subquery_step_ms)
        case ast.Call():
            return _call(expr, subquery_step_ms)
        case ast.AggregateExpr():
            param = None if expr.param is None else build_plan(expr.param, subquery_step_ms)
            operand = build_plan(expr.expr, subquery_step_ms)
            return Aggregate(expr.op, operand, param, expr.grouping, expr.without, expr.start, expr.end)
        case ast.BinaryExpr():
            return _binary(expr, subquery_step_ms)
        case ast.UnaryExpr():
            operand = build_plan(expr.expr, subquery_step_ms)
            return operand if expr.op == "+" else Negate(operand, expr.start, expr.end)
    raise NotSupported(f"{type(expr).__name__} is not supported yet")


def _select(node: ast.VectorSelector) -> Select:
    modifier = "anchored" if node.anchored else "smoothed" if node.smoothed else ""
    return Select(node.matchers, node.offset_ms, node.at_ms, modifier=modifier, start=node.start, end=node.end)


def _subquery(node: ast.SubqueryExpr, subquery_step_ms: int) -> Subquery:
    inner = build_plan(node.expr, subquery_step_ms)
    step_ms = node.step_ms or subquery_step_ms
    return Subquery(inner, node.range_ms, step_ms, node.offset_ms, node.at_ms, node.start, node.end)


def _call(node: ast.Call, subquery_step_ms: int) -> Node:
    args = tuple(build_plan(arg, subquery_step_ms) for arg in node.args)
    for source in args:
        if isinstance(source, RangeSelect | Subquery):
            scalars = tuple(arg for arg in args if arg is not source)
            return RangeCall(node.func.name, source, scalars, node.start, node.end)
    return Call(node.func.name, args, node.func.returns, node.start, node.end)


def _binary(node: ast.BinaryExpr, subquery_step_ms: int) -> Binary:
    lhs, rhs = build_plan(node.lhs, subquery_step_ms), build_plan(node.rhs, subquery_step_ms)
    return Binary(node.op, lhs, rhs, node.matching, node.return_bool, node.start, node.end)
