"""Optimizer: each selector learns which function or aggregation stands around it, as a hint to the stores."""

from __future__ import annotations

from pythanos.promql.plan.nodes import (
    Aggregate,
    Binary,
    Call,
    Chain,
    Node,
    RangeCall,
    RangeSelect,
    Select,
    SelectChanges,
    change_selects,
    children,
)


def hint_selects(plan: Node) -> Node:
    """The plan with ``func`` and, directly below an aggregation, the grouping set on every Select."""
    changes: SelectChanges = {}
    find_hints(plan, changes)
    return change_selects(plan, changes)


def find_hints(node: Node, changes: SelectChanges, func: str = "", around: Aggregate | None = None) -> None:
    """Adds the hints of the selectors of a node, which stands directly in ``func``, or ``around`` as well."""
    kind = type(node)
    if kind is Select:
        if around is not None:
            changes[id(node)] = {"func": func, "grouping": around.grouping, "grouping_by": not around.without}
        elif func:
            changes[id(node)] = {"func": func}
        return
    if isinstance(node, Aggregate):
        func, around = node.op, node
    elif kind is not RangeSelect:
        around = None
        if isinstance(node, Call | RangeCall):
            func = node.function
        elif isinstance(node, Binary | Chain):
            func = ""
    for child in children(node):
        find_hints(child, changes, func, around)
