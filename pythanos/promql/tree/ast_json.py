"""The syntax tree as JSON values, as ``parse_query`` answers it (``prometheus:web/api/v1/translate_ast.go``)."""

from __future__ import annotations

from typing import Any

from pythanos.errors import BadRequest
from pythanos.promql.syntax.ast import (
    AggregateExpr,
    BinaryExpr,
    Call,
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
    depth,
)
from pythanos.promql.syntax.errors import DEPTH_MAX
from pythanos.promql.tree.numbers import plain


def ast_json(expr: Expr) -> dict[str, Any]:
    """Nested dicts, lists, strings, numbers and None; each node has a ``type``. Durations and times are in ms.

    Raises BadRequest for a tree that many operators in a row make deeper than encoders go.
    """
    if depth(expr) > DEPTH_MAX:
        raise BadRequest(f"expressions of more than {DEPTH_MAX} levels cannot be shown as a tree")
    return _json(expr)


def _json(expr: Expr) -> dict[str, Any]:
    match expr:
        case AggregateExpr():
            return {
                "type": "aggregation",
                "op": expr.op,
                "expr": _json(expr.expr),
                "param": None if expr.param is None else _json(expr.param),
                "grouping": list(expr.grouping),
                "without": expr.without,
            }
        case BinaryExpr():
            return {
                "type": "binaryExpr",
                "op": expr.op,
                "lhs": _json(expr.lhs),
                "rhs": _json(expr.rhs),
                "matching": None if expr.matching is None else _matching(expr.matching),
                "bool": expr.return_bool,
            }
        case Call():
            return {"type": "call", "func": _function(expr), "args": [_json(arg) for arg in expr.args]}
        case MatrixSelector():
            return {"type": "matrixSelector", **_selector(expr.selector), **_range(expr)}
        case VectorSelector():
            return {"type": "vectorSelector", **_selector(expr)}
        case SubqueryExpr():
            return {
                "type": "subquery",
                "expr": _json(expr.expr),
                **_range(expr),
                **_times(expr),
                "step": expr.step_ms,
                "stepExpr": _duration(expr.step_expr),
            }
        case ParenExpr():
            return {"type": "parenExpr", "expr": _json(expr.expr)}
        case UnaryExpr():
            return {"type": "unaryExpr", "op": expr.op, "expr": _json(expr.expr)}
        case StepInvariantExpr():
            return _json(expr.expr)
        case StringLiteral():
            return {"type": "stringLiteral", "val": expr.value}
        case NumberLiteral():
            return {"type": "numberLiteral", "val": plain(expr.value)}
    return _arithmetic(expr)


def _function(expr: Call) -> dict[str, Any]:
    function = expr.func
    return {
        "name": function.name,
        "argTypes": [arg_type.value for arg_type in function.arg_types],
        "variadic": function.variadic,
        "returnType": function.returns.value,
    }


def _matching(matching: VectorMatching) -> dict[str, Any]:
    return {
        "card": matching.card.value,
        "labels": list(matching.labels),
        "on": matching.on,
        "include": list(matching.include),
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
    }


def _selector(node: VectorSelector) -> dict[str, Any]:
    return {
        "name": node.name,
        "matchers": [{"name": m.name, "type": m.type.operator, "value": m.value} for m in node.matchers],
        **_times(node),
        "anchored": node.anchored,
        "smoothed": node.smoothed,
    }


def _range(node: MatrixSelector | SubqueryExpr) -> dict[str, Any]:
    return {"range": node.range_ms, "rangeExpr": _duration(node.range_expr)}


def _times(node: VectorSelector | SubqueryExpr) -> dict[str, Any]:
    return {
        "offset": node.offset_ms,
        "offsetExpr": _duration(node.offset_expr),
        "timestamp": node.at_ms,
        "startOrEnd": node.at_bound or None,
    }


def _duration(node: DurationOperand | None) -> dict[str, Any] | None:
    match node:
        case NumberLiteral():
            return {"type": "numberLiteral", "val": plain(node.value), "duration": node.duration}
        case DurationExpr():
            return _arithmetic(node)
    return None


def _arithmetic(node: DurationExpr) -> dict[str, Any]:
    return {
        "type": "durationExpr",
        "op": node.op,
        "lhs": _duration(node.lhs),
        "rhs": _duration(node.rhs),
        "wrapped": node.wrapped,
    }
