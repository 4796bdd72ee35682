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
    left_chain,
)
from pythanos.promql.syntax.errors import DEPTH_MAX
from pythanos.promql.tree.printer import (
    LENGTH_UNBOUNDED,
    aggregation_head,
    operator_text,
    print_within,
    subquery_suffix,
)

# Bytes of a line above which an expression is split.
_LINE_MAX = 100
_INDENT = "  "


def pretty(expr: Expr) -> str:
    """The text of an expression, split where it is longer than 100 bytes, indented by two spaces a level."""
    return _pretty(expr, 0)


def _pretty(node: Expr, level: int, followed: bool = False) -> str:
    """The text at a level of indentation; ``followed`` where an operator comes right behind it."""
    indent = _indent(level)
    match node:
        case StepInvariantExpr():
            return _pretty(node.expr, level, followed)
        case UnaryExpr():
            return f"{indent}{node.op}{_pretty(node.expr, level, followed).strip()}"
    line = print_within(node, _LINE_MAX, followed=followed)
    if line is not None:
        return line if type(node) is SubqueryExpr else indent + line
    inner = level + 1
    match node:
        case AggregateExpr():
            param = "" if node.param is None else f"{_pretty(node.param, inner)},\n"
            return f"{indent}{aggregation_head(node)}(\n{param}{_pretty(node.expr, inner)}\n{indent})"
        case BinaryExpr():
            return _operation(node, level, followed)
        case Call():
            args = ",\n".join([_pretty(arg, inner) for arg in node.args])
            return f"{indent}{node.func.name}(\n{args}\n{indent})"
        case ParenExpr():
            return f"{indent}(\n{_pretty(node.expr, inner)}\n{indent})"
        case SubqueryExpr():
            return _pretty(node.expr, level) + subquery_suffix(node, followed=followed)
    return indent + str(print_within(node, LENGTH_UNBOUNDED, followed=followed))


def _operation(node: BinaryExpr, level: int, followed: bool) -> str:
    """Operations in a row that are too long for a line: each left operand is a level deeper, until one fits."""
    chain = left_chain(node)
    last = len(chain) - 1
    # An operation of more operands than a line has bytes needs no try.
    fitting = min(last - 1, _LINE_MAX)
    line = None
    while fitting >= 0 and (line := print_within(chain[fitting], _LINE_MAX, followed=True)) is None:
        fitting -= 1
    if line is None:
        pieces = [_pretty(chain[0].lhs, level + last + 1, True)]
    else:
        pieces = [_indent(level + last - fitting) + line]
    for number in range(fitting + 1, last + 1):
        operation, depth = chain[number], level + last - number
        pieces.append(_indent(depth) + operator_text(operation))
        pieces.append(_pretty(operation.rhs, depth + 1, followed or number != last))
    return "\n".join(pieces)


def _indent(level: int) -> str:
    """The indentation of a level; thousands of operators in a row go no further than nesting can."""
    return _INDENT * min(level, DEPTH_MAX)
