"""The optimizers in their order, each where the plan holds what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from pythanos.promql.plan.fold_constants import fold_constants
from pythanos.promql.plan.histogram_statistics import STATISTICS, skip_buckets
from pythanos.promql.plan.merge_selects import find_merges
from pythanos.promql.plan.nodes import (
    Aggregate,
    Binary,
    Call,
    Chain,
    Negate,
    Node,
    Number,
    Select,
    SelectChanges,
    StepInvariant,
    change_selects,
    children,
)
from pythanos.promql.plan.project_labels import find_projections
from pythanos.promql.plan.propagate_matchers import propagate_matchers
from pythanos.promql.plan.select_hints import find_hints


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What optimizers have to know beside the plan.

    ``hidden_labels``: labels by which the stores match, though the series that they give do not have them (replica
    labels, selector labels): a condition on one holds for its own selector alone. ``optimize`` off leaves the plan as
    it was written, with constants folded and hints set.
    """

    hidden_labels: frozenset[str] = frozenset()
    optimize: bool = True


_BARE = frozenset({Select, Negate, StepInvariant})


@dataclass(slots=True)
class _Contents:
    """What a plan holds, as far as it decides which optimizers have anything to do."""

    arithmetic: bool = False
    selects: int = 0
    statistics: bool = False
    matchings: bool = False
    aggregations: bool = False

    def add(self, node: Node) -> None:
        kind = type(node)
        if kind is Select:
            self.selects += 1
            return
        if isinstance(node, Binary):
            kinds = type(node.lhs), type(node.rhs)
            self.arithmetic |= kinds == (Number, Number)
            # Only what stands bare beside an operator is narrowed.
            self.matchings |= node.matching is not None and not _BARE.isdisjoint(kinds)
        elif kind is Aggregate:
            self.aggregations = True
        elif kind is Call:
            self.statistics |= cast(Call, node).function in STATISTICS
        elif isinstance(node, Negate | StepInvariant):
            self.arithmetic |= type(node.expr) is Number
        elif kind is Chain:
            self.arithmetic = self.matchings = True
        for child in children(node):
            self.add(child)


def optimize(plan: Node, options: PlanOptions) -> Node:
    """The plan that is evaluated.

    Constants, hints and skipped buckets always: stores choose aggregates by the hints, and what is said of counter
    resets depends on the buckets. Matchers are propagated before selectors are merged: they may make two of them equal.
    What concerns selectors alone is found first and done in one pass.
    """
    holds = _Contents()
    holds.add(plan)
    if holds.arithmetic:
        plan = fold_constants(plan)
    if holds.statistics:
        plan = skip_buckets(plan)
    if holds.matchings and options.optimize:
        plan = propagate_matchers(plan, options.hidden_labels)
    changes: SelectChanges = {}
    find_hints(plan, changes)
    if options.optimize:
        if holds.selects > 1:
            find_merges(plan, options.hidden_labels, changes)
        if holds.aggregations:
            find_projections(plan, changes)
    return change_selects(plan, changes)
