"""From a preprocessed syntax tree to a logical plan: parentheses gone, functions of ranges told apart."""

from __future__ import annotations

from dataclasses import dataclass

from pythanos.errors import NotSupported
from pythanos.promql.plan.nodes import (
    Aggregate,
    Before,
    Binary,
    Call,
    Chain,
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
from pythanos.promql.syntax.errors import DEPTH_MAX


@dataclass(frozen=True, slots=True)
class _Shape:
    """The default step of subqueries, and whether operations in a row become a Chain."""

    subquery_step_ms: int
    chained: bool


def build_plan(expr: ast.Expr, subquery_step_ms: int) -> Node:
    """The plan of a checked tree that ``tree.preprocess`` has settled.

    ``subquery_step_ms`` is the default step of subqueries. Raises NotSupported for what is parsed but not evaluated.
    """
    # Optimizers and operators may recurse through any plan, so a deep tree is made flat where it can be.
    # A level takes a character at least, and preprocessing may have doubled them.
    deep = 2 * (expr.end - expr.start) > DEPTH_MAX and ast.depth(expr) > DEPTH_MAX
    return _plan(expr, _Shape(subquery_step_ms, deep))


def _plan(expr: ast.Expr, shape: _Shape) -> Node:
    match expr:
        case ast.ParenExpr():
            return _plan(expr.expr, shape)
        case ast.StepInvariantExpr():
            return StepInvariant(_plan(expr.expr, shape))
        case ast.NumberLiteral():
            return Number(expr.value, expr.start, expr.end)
        case ast.StringLiteral():
            return Text(expr.value, expr.start, expr.end)
        case ast.VectorSelector():
            return _select(expr)
        case ast.MatrixSelector():
            return RangeSelect(_select(expr.selector), expr.range_ms, expr.start, expr.end)
        case ast.SubqueryExpr():
            return _subquery(expr, shape)
        case ast.Call():
            return _call(expr, shape)
        case ast.AggregateExpr():
            param = None if expr.param is None else _plan(expr.param, shape)
            operand = _plan(expr.expr, shape)
            return Aggregate(expr.op, operand, param, expr.grouping, expr.without, expr.start, expr.end)
        case ast.BinaryExpr():
            return _binary(expr, shape)
        case ast.UnaryExpr():
            operand = _plan(expr.expr, shape)
            return operand if expr.op == "+" else Negate(operand, expr.start, expr.end)
    raise NotSupported(f"{type(expr).__name__} is not supported yet")


def _select(node: ast.VectorSelector) -> Select:
    modifier = "anchored" if node.anchored else "smoothed" if node.smoothed else ""
    return Select(node.matchers, node.offset_ms, node.at_ms, modifier=modifier, start=node.start, end=node.end)


def _subquery(node: ast.SubqueryExpr, shape: _Shape) -> Subquery:
    inner = _plan(node.expr, shape)
    step_ms = node.step_ms or shape.subquery_step_ms
    return Subquery(inner, node.range_ms, step_ms, node.offset_ms, node.at_ms, node.start, node.end)


def _call(node: ast.Call, shape: _Shape) -> Node:
    args = tuple(_plan(arg, shape) for arg in node.args)
    for source in args:
        if isinstance(source, RangeSelect | Subquery):
            scalars = tuple(arg for arg in args if arg is not source)
            return RangeCall(node.func.name, source, scalars, node.start, node.end)
    return Call(node.func.name, args, node.func.returns, node.start, node.end)


def _binary(node: ast.BinaryExpr, shape: _Shape) -> Node:
    chain = ast.left_chain(node) if shape.chained else [node]
    first = _plan(chain[0].lhs, shape)
    if len(chain) == 1:
        return _operation(node, first, shape)
    operations: list[Binary] = []
    kind = first.type
    for operation in chain:
        operations.append(_operation(operation, Before(kind), shape))
        kind = operations[-1].type
    return Chain(first, tuple(operations), node.start, node.end)


def _operation(node: ast.BinaryExpr, lhs: Node, shape: _Shape) -> Binary:
    return Binary(node.op, lhs, _plan(node.rhs, shape), node.matching, node.return_bool, node.start, node.end)
