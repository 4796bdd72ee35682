"""Optimizer: selectors of which only the counts and sums of histograms matter learn so."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pythanos.promql.plan.nodes import Binary, Call, Node, Select, Subquery, map_children

STATISTICS = frozenset({"histogram_count", "histogram_sum", "histogram_avg"})
_OF_BUCKETS = frozenset({"histogram_quantile", "histogram_quantiles", "histogram_fraction"})


def skip_buckets(plan: Node) -> Node:
    """The plan with ``statistics`` set on the selectors below a function of counts and sums.

    As Prometheus decides it: not where a function of the buckets, a trimming operator or a subquery stands above the
    selector, and below the function if at all. The subquery needs the buckets to see counter resets.
    """
    return _mark(plan, counted=False, closed=False)


def _mark(node: Node, *, counted: bool, closed: bool) -> Node:
    match node:
        case Select():
            wanted = counted and not closed
            return node if node.statistics is wanted else replace(node, statistics=wanted)
        case Subquery():
            closed = True
        case Call(function=name) if name in _OF_BUCKETS:
            closed = True
        case Binary(op="</" | ">/"):
            closed = True
        case Call(function=name) if name in STATISTICS:
            counted = True
    return map_children(node, partial(_mark, counted=counted, closed=closed))
