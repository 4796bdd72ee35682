"""Optimizer: what one operand of a binary operation says of a matched label, the other one's selectors say too.

Rows meet only where the labels of their match group are equal, so a series that cannot meet one of the other side need
not be read: ``a{x="1"} * on (x) b`` reads ``b{x="1"}``. As promql-engine's PropagateMatchers, with two differences:
functions and aggregations over selectors tell what they know, too, and comparisons take part. Like there, only
selectors of one certain metric are narrowed, and an operation that would fail for several series in one match group
does not fail where those meet nobody.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pythanos.model.matchers import Matcher, MatchType
from pythanos.promql.plan.nodes import (
    Aggregate,
    Binary,
    Negate,
    Node,
    RangeCall,
    RangeSelect,
    Select,
    StepInvariant,
    VectorMatching,
    map_children,
)

_NAMES = frozenset({"__name__", "__type__", "__unit__"})
# Each group's value depends on the series of the group alone.
_BY_GROUP = frozenset({"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile"})


def propagate_matchers(plan: Node, hidden_labels: frozenset[str]) -> Node:
    """The plan with matchers added to selectors; ``hidden_labels`` are never spoken of."""
    node = map_children(plan, partial(propagate_matchers, hidden_labels=hidden_labels))
    if not isinstance(node, Binary) or node.matching is None or node.op == "or":
        return node
    matching = node.matching
    if matching.fill_left is not None or matching.fill_right is not None:
        return node
    from_left = _told(node.lhs, matching, hidden_labels)
    # What is subtracted says nothing of what it is subtracted from.
    from_right = () if node.op == "unless" else _told(node.rhs, matching, hidden_labels)
    lhs, rhs = _narrowed(node.lhs, from_right), _narrowed(node.rhs, from_left)
    if lhs is node.lhs and rhs is node.rhs:
        return node
    return replace(node, lhs=lhs, rhs=rhs)


def _told(node: Node, matching: VectorMatching, hidden: frozenset[str]) -> tuple[Matcher, ...]:
    """What holds for the matched labels of every row of an operand."""
    return tuple(
        matcher
        for matcher in _known(node)
        if matcher.name not in hidden
        and matcher.name not in _NAMES
        and (matcher.name in matching.labels) is matching.on
    )


def _known(node: Node) -> tuple[Matcher, ...]:
    """Conditions that every row of a node meets by its labels."""
    match node:
        case Select():
            return node.matchers
        case RangeCall(source=RangeSelect(select=select)) if node.function != "absent_over_time":
            return select.matchers
        case Negate() | StepInvariant():
            return _known(node.expr)
        case Aggregate() if node.op in _BY_GROUP:
            return tuple(matcher for matcher in _known(node.expr) if _kept(node, matcher.name))
    return ()


def _narrowed(node: Node, matchers: tuple[Matcher, ...]) -> Node:
    """The node with the conditions put to its selector.

    Only where the selector stands for itself: functions and aggregations may warn of any series that they see.
    """
    if not matchers:
        return node
    match node:
        case Select():
            if not any(matcher.name == "__name__" and matcher.type is MatchType.EQ for matcher in node.matchers):
                return node
            new = tuple(matcher for matcher in matchers if matcher not in node.matchers)
            return replace(node, matchers=node.matchers + new) if new else node
        case Negate() | StepInvariant():
            return map_children(node, partial(_narrowed, matchers=matchers))
    return node


def _kept(node: Aggregate, name: str) -> bool:
    """Whether the groups of an aggregation have a label of its operand."""
    return (name in node.grouping) is not node.without
