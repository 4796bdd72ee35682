"""Optimizer: each selector learns which function or aggregation stands around it, as a hint to the stores."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pythanos.promql.plan.nodes import (
    Aggregate,
    Binary,
    Call,
    Chain,
    Node,
    RangeCall,
    RangeSelect,
    Select,
    map_children,
)


def hint_selects(plan: Node) -> Node:
    """The plan with ``func`` and, directly below an aggregation, the grouping set on every Select."""
    return _hint(plan, "", None)


def _hint(node: Node, func: str, around: Aggregate | None) -> Node:
    match node:
        case Select():
            grouping = () if around is None else around.grouping
            by = around is not None and not around.without
            return replace(node, func=func, grouping=grouping, grouping_by=by)
        case RangeSelect():
            return map_children(node, partial(_hint, func=func, around=around))
        case Aggregate():
            return map_children(node, partial(_hint, func=node.op, around=node))
        case Call() | RangeCall():
            return map_children(node, partial(_hint, func=node.function, around=None))
        case Binary() | Chain():
            return map_children(node, partial(_hint, func="", around=None))
    return map_children(node, partial(_hint, func=func, around=None))
