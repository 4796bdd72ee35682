"""The readable form of an expression over several lines (``prometheus:promql/parser/prettier.go``)."""

from __future__ import annotations

from pythanos.promql.syntax.ast import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    ParenExpr,
    StepInvariantExpr,
    SubqueryExpr,
    UnaryExpr,
)
from pythanos.promql.tree.printer import aggregation_head, operator_text, print_expr, print_within, subquery_suffix

# Bytes of a line above which an expression is split.
_LINE_MAX = 100
_INDENT = "  "


def pretty(expr: Expr) -> str:
    """The text of an expression, split where it is longer than 100 bytes, indented by two spaces a level."""
    return _pretty(expr, 0)


def _pretty(node: Expr, level: int) -> str:
    indent = _INDENT * level
    match node:
        case StepInvariantExpr():
            return _pretty(node.expr, level)
        case UnaryExpr():
            return f"{indent}{node.op}{_pretty(node.expr, level).strip()}"
    line = print_within(node, _LINE_MAX)
    if line is not None:
        return line if type(node) is SubqueryExpr else indent + line
    inner = level + 1
    match node:
        case AggregateExpr():
            param = "" if node.param is None else f"{_pretty(node.param, inner)},\n"
            return f"{indent}{aggregation_head(node)}(\n{param}{_pretty(node.expr, inner)}\n{indent})"
        case BinaryExpr():
            return f"{_pretty(node.lhs, inner)}\n{indent}{operator_text(node)}\n{_pretty(node.rhs, inner)}"
        case Call():
            args = ",\n".join([_pretty(arg, inner) for arg in node.args])
            return f"{indent}{node.func.name}(\n{args}\n{indent})"
        case ParenExpr():
            return f"{indent}(\n{_pretty(node.expr, inner)}\n{indent})"
        case SubqueryExpr():
            return _pretty(node.expr, level) + subquery_suffix(node)
    return indent + print_expr(node)
