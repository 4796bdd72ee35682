"""The optimizers in their order. Each is a function from a plan and what is known of the data to a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pythanos.promql.plan.fold_constants import fold_constants
from pythanos.promql.plan.histogram_statistics import skip_buckets
from pythanos.promql.plan.merge_selects import merge_selects
from pythanos.promql.plan.nodes import Node
from pythanos.promql.plan.project_labels import project_labels
from pythanos.promql.plan.propagate_matchers import propagate_matchers
from pythanos.promql.plan.select_hints import hint_selects


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What optimizers have to know beside the plan.

    ``hidden_labels``: labels by which the stores match, though the series that they give do not have them (replica
    labels, selector labels): a condition on one holds for its own selector alone. ``optimize`` off leaves the plan as
    it was written, with constants folded and hints set.
    """

    hidden_labels: frozenset[str] = frozenset()
    optimize: bool = True


Optimizer = Callable[[Node, PlanOptions], Node]


def _fold(plan: Node, _: PlanOptions) -> Node:
    return fold_constants(plan)


def _hint(plan: Node, _: PlanOptions) -> Node:
    return hint_selects(plan)


def _skip_buckets(plan: Node, _: PlanOptions) -> Node:
    return skip_buckets(plan)


def _propagate(plan: Node, options: PlanOptions) -> Node:
    return propagate_matchers(plan, options.hidden_labels)


def _merge(plan: Node, options: PlanOptions) -> Node:
    return merge_selects(plan, options.hidden_labels)


def _project(plan: Node, _: PlanOptions) -> Node:
    return project_labels(plan)


# Always: stores choose aggregates by the hints, and what is said of counter resets depends on the skipped buckets.
BASIC: tuple[Optimizer, ...] = (_fold, _hint, _skip_buckets)
# Matchers first: they may make two selectors equal.
FURTHER: tuple[Optimizer, ...] = (_propagate, _merge, _project)


def optimize(plan: Node, options: PlanOptions) -> Node:
    """The plan that is evaluated."""
    for optimizer in (*BASIC, *FURTHER) if options.optimize else BASIC:
        plan = optimizer(plan, options)
    return plan
