"""Optimizer: a selector below an aggregation by labels tells its stores which labels the query will look at.

A hint for stores that can leave the others out; such a store adds a label that tells the series apart, which the
aggregation drops. So only what lies below a ``by`` with nothing but sample-wise operations between is hinted, never
the operand of a matching, and never below ``without``.
"""

from __future__ import annotations

from pythanos.model.matchers import MatchType
from pythanos.promql.functions.elements import DATE_FUNCTIONS, MATH_FUNCTIONS
from pythanos.promql.plan.nodes import (
    Aggregate,
    Binary,
    Call,
    Negate,
    Node,
    RangeCall,
    RangeSelect,
    Select,
    SelectChanges,
    StepInvariant,
    change_selects,
    children,
)

# Those that give whole series want whole label sets.
_BY_GROUP = frozenset({"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile", "count_values"})
_SAMPLE_WISE = frozenset({*MATH_FUNCTIONS, *DATE_FUNCTIONS, "clamp", "clamp_min", "clamp_max", "round", "timestamp"})
_LABELLED_BY_MATCHERS = frozenset({"absent", "absent_over_time"})


def project_labels(plan: Node) -> Node:
    """The plan with ``projection`` set on selectors whose labels are not all needed."""
    changes: SelectChanges = {}
    find_projections(plan, changes)
    return change_selects(plan, changes)


def find_projections(node: Node, changes: SelectChanges, needed: tuple[str, ...] | None = None) -> None:
    """Adds the projections of the selectors of a node.

    ``needed``: the labels that what is above looks at; None: all. Where a selection is shared another one may look at
    more.
    """
    if isinstance(node, Select):
        _project(node, changes, needed)
        return
    if isinstance(node, Aggregate) and node.op in _BY_GROUP and not node.without:
        if node.param is not None:
            find_projections(node.param, changes)
        find_projections(node.expr, changes, node.grouping)
        return
    if needed is not None and not _is_sample_wise(node):
        needed = None
    for child in children(node):
        find_projections(child, changes, needed)


def _project(node: Select, changes: SelectChanges, needed: tuple[str, ...] | None) -> None:
    if needed is None:
        return
    fields = changes.setdefault(id(node), {})
    if not fields.get("shared", node.shared):
        fields["projection"] = _with_name(node, needed)


def _is_sample_wise(node: Node) -> bool:
    """Whether a node gives for each series of its operand one with the same labels, but for the name."""
    match node:
        case RangeCall():
            return node.function not in _LABELLED_BY_MATCHERS and not node.scalars
        case RangeSelect() | Negate() | StepInvariant():
            return True
        case Call():
            return node.function in _SAMPLE_WISE and len(node.args) == 1
        case Binary():
            return node.matching is None
    return False


def _with_name(node: Select, needed: tuple[str, ...]) -> tuple[str, ...]:
    """Annotations speak of metrics by their names, where the matchers leave them open."""
    fixed = any(matcher.name == "__name__" and matcher.type is MatchType.EQ for matcher in node.matchers)
    return needed if fixed or "__name__" in needed else (*needed, "__name__")
