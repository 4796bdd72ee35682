"""Optimizer: a selector below an aggregation by labels tells its stores which labels the query will look at.

A hint for stores that can leave the others out; such a store adds a label that tells the series apart, which the
aggregation drops. So only what lies below a ``by`` with nothing but sample-wise operations between is hinted, never
the operand of a matching, and never below ``without``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

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
    StepInvariant,
    Subquery,
    map_children,
)

# Those that give whole series want whole label sets.
_BY_GROUP = frozenset({"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile", "count_values"})
_SAMPLE_WISE = frozenset({*MATH_FUNCTIONS, *DATE_FUNCTIONS, "clamp", "clamp_min", "clamp_max", "round", "timestamp"})
_LABELLED_BY_MATCHERS = frozenset({"absent", "absent_over_time"})


def project_labels(plan: Node) -> Node:
    """The plan with ``projection`` set on selectors whose labels are not all needed."""
    return _project(plan, None)


def _project(node: Node, needed: tuple[str, ...] | None) -> Node:
    """``needed``: the labels that what is above looks at; None: all."""
    match node:
        case Select():
            return node if needed is None or node.shared else replace(node, projection=_with_name(node, needed))
        case Aggregate() if node.op in _BY_GROUP and not node.without:
            param = node.param and _project(node.param, None)
            inner = _project(node.expr, node.grouping)
            unchanged = inner is node.expr and param is node.param
            return node if unchanged else replace(node, expr=inner, param=param)
        case RangeCall() if node.function not in _LABELLED_BY_MATCHERS and not node.scalars:
            return map_children(node, partial(_project, needed=needed))
        case RangeSelect() | Negate() | StepInvariant():
            return map_children(node, partial(_project, needed=needed))
        case Call() if node.function in _SAMPLE_WISE and len(node.args) == 1:
            return map_children(node, partial(_project, needed=needed))
        case Binary() if node.matching is None:
            return map_children(node, partial(_project, needed=needed))
        case Subquery():
            return map_children(node, partial(_project, needed=None))
    return map_children(node, partial(_project, needed=None))


def _with_name(node: Select, needed: tuple[str, ...]) -> tuple[str, ...]:
    """Annotations speak of metrics by their names, where the matchers leave them open."""
    fixed = any(matcher.name == "__name__" and matcher.type is MatchType.EQ for matcher in node.matchers)
    return needed if fixed or "__name__" in needed else (*needed, "__name__")
