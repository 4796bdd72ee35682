"""A plan as a syntax tree again, to be printed: what was resolved stays so, and parentheses stand where they can.

Only plans as ``plan.build`` makes them, before optimizers put into selectors what no text can say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial

from pythanos.model.matchers import Matcher, MatchType
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
from pythanos.promql.syntax.ast import ValueType
from pythanos.promql.syntax.signatures import FUNCTIONS, X_FUNCTIONS
from pythanos.promql.syntax.tokens import KEYWORDS
from pythanos.promql.tree.printer import print_expr

_PLAIN_METRIC = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
# Words that stand for numbers or operators where a name is not expected.
_OTHER_WORDS = frozenset({*KEYWORDS, "inf", "nan"})

# What a selector's matchers are to become.
Rewrite = Callable[[tuple[Matcher, ...]], tuple[Matcher, ...]]


def print_plan(node: Node, rewrite: Rewrite = tuple) -> str:
    """A plan as text on one line, that any Prometheus parses.

    A range of 0 (what is left of a duration shorter than a millisecond) has no text that does. Raises ValueError for a
    node that is no expression.
    """
    return print_expr(_tree(node, rewrite))


def _tree(node: Node, rewrite: Rewrite) -> ast.Expr:
    below = partial(_tree, rewrite=rewrite)
    match node:
        case Number():
            return ast.NumberLiteral(node.value)
        case Text():
            return ast.StringLiteral(node.value)
        case Select():
            return _selector(node, rewrite)
        case RangeSelect():
            return ast.MatrixSelector(_selector(node.select, rewrite), node.range_ms)
        case Subquery():
            return ast.SubqueryExpr(
                _operand(below(node.expr)),
                node.range_ms,
                step_ms=node.step_ms,
                offset_ms=node.offset_ms,
                at_ms=node.at_ms,
            )
        case RangeCall():
            return _range_call(node, below)
        case Call():
            return ast.Call(FUNCTIONS[node.function], tuple(map(below, node.args)))
        case Aggregate():
            param = None if node.param is None else below(node.param)
            return ast.AggregateExpr(node.op, below(node.expr), param, node.grouping, node.without)
        case Binary():
            lhs, rhs = _operand(below(node.lhs)), _operand(below(node.rhs))
            return ast.BinaryExpr(node.op, lhs, rhs, node.matching, node.return_bool)
        case Negate():
            return ast.UnaryExpr("-", _operand(below(node.expr)))
        case StepInvariant():
            return below(node.expr)
    raise ValueError(f"{type(node).__name__} has no text")


def _operand(expr: ast.Expr) -> ast.Expr:
    """In parentheses where an operator, a sign or brackets behind it could take a part of it."""
    signed = isinstance(expr, ast.NumberLiteral) and not 0 <= expr.value < math.inf
    return ast.ParenExpr(expr) if signed or isinstance(expr, ast.BinaryExpr | ast.UnaryExpr) else expr


def _selector(node: Select, rewrite: Rewrite) -> ast.VectorSelector:
    matchers = rewrite(node.matchers)
    names = [m.value for m in matchers if m.name == "__name__" and m.type is MatchType.EQ]
    name = names[0] if names and _is_plain(names[0]) else ""
    return ast.VectorSelector(
        name,
        matchers,
        node.offset_ms,
        at_ms=node.at_ms,
        anchored=node.modifier == "anchored",
        smoothed=node.modifier == "smoothed",
    )


def _is_plain(name: str) -> bool:
    return _PLAIN_METRIC.fullmatch(name) is not None and name.lower() not in _OTHER_WORDS


def _range_call(node: RangeCall, below: Callable[[Node], ast.Expr]) -> ast.Call:
    """Its arguments in the order of the signature."""
    function = FUNCTIONS.get(node.function) or X_FUNCTIONS[node.function]
    args = [below(scalar) for scalar in node.scalars]
    args.insert(function.arg_types.index(ValueType.MATRIX), below(node.source))
    return ast.Call(function, tuple(args))
