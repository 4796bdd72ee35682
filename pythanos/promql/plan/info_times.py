"""The time at which info() looks at info series: that of the first selector in its argument."""

from __future__ import annotations

from pythanos.promql.plan.nodes import Aggregate, Node, Select, Subquery, children


def first_selected_time(plan: Node) -> tuple[int | None, int]:
    """(at ms or None, offset ms) of the first selector of a plan with the subqueries around it.

    Offsets add up from the selector outwards until an ``@`` fixes the time (None, 0 without a selector).
    """
    return _first(plan) or (None, 0)


def _first(node: Node) -> tuple[int | None, int] | None:
    if isinstance(node, Select):
        return node.at_ms, node.offset_ms
    below = children(node)
    if isinstance(node, Aggregate):
        # In the order of the text's tree: the operand before the parameter.
        below = below[::-1]
    found = next((time for child in below if (time := _first(child)) is not None), None)
    if found is not None and found[0] is None and isinstance(node, Subquery):
        return node.at_ms, found[1] + node.offset_ms
    return found
