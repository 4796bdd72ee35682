"""Optimizer: arithmetic between numbers is done once, while planning."""

from __future__ import annotations

import numpy as np

from pythanos import _rows
from pythanos.promql.functions.operators import OPERATORS
from pythanos.promql.plan.nodes import Binary, Negate, Node, Number, StepInvariant, map_children


def fold_constants(plan: Node) -> Node:
    """The plan with every scalar operation between numbers replaced by its result."""
    node = map_children(plan, fold_constants)
    if isinstance(node, StepInvariant) and isinstance(node.expr, Number):
        return node.expr
    if isinstance(node, Negate) and isinstance(node.expr, Number):
        return Number(-node.expr.value, node.start, node.end)
    if (
        isinstance(node, Binary)
        and isinstance(node.lhs, Number)
        and isinstance(node.rhs, Number)
        and node.op in OPERATORS
    ):
        values = np.array([[node.lhs.value]])
        scalar = np.array([node.rhs.value])
        _rows.with_scalar(OPERATORS[node.op], values, scalar, scalar_left=False, keep=_rows.Keep.BOOL)
        return Number(float(values[0, 0]), node.start, node.end)
    return node
