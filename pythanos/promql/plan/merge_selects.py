"""Optimizer: selectors that cover each other are read once.

A selector whose matchers include those of another one becomes a filter over what that other one reads anyway, as in
promql-engine's MergeSelects; equal ones share their batches. Only among selectors of the same metric that look at the
same times through the same function, since then they ask a store for the same.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from pythanos.model.matchers import Matcher, MatchType
from pythanos.promql.plan.nodes import (
    Call,
    Node,
    RangeCall,
    RangeSelect,
    Select,
    SelectChanges,
    StepInvariant,
    Subquery,
    change_selects,
    children,
)

# Their results are labelled by the matchers of their selector.
_LABELLED_BY_MATCHERS = frozenset({"absent", "absent_over_time"})
_Key = tuple[Hashable, ...]
# A matcher as a plain value, which is much cheaper to hash.
_Condition = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class _Site:
    """A selector, what it asks for, and its conditions."""

    node: Select
    matchers: tuple[Matcher, ...]
    conditions: frozenset[_Condition]


def merge_selects(plan: Node, hidden_labels: frozenset[str]) -> Node:
    """The plan with ``shared`` and ``filters`` set on selectors that can be read together."""
    changes: SelectChanges = {}
    find_merges(plan, hidden_labels, changes)
    return change_selects(plan, changes)


def find_merges(plan: Node, hidden_labels: frozenset[str], changes: SelectChanges) -> None:
    """Adds what makes the selectors of a plan share their reads; ``changes`` holds their hints."""
    peers: dict[_Key, list[Select]] = {}
    _collect(plan, (), changes, peers)
    for nodes in peers.values():
        if len(nodes) > 1:
            sites = [_Site(node, node.matchers, frozenset(map(_condition, node.matchers))) for node in nodes]
            _merge(sites, hidden_labels, changes)


def _merge(sites: list[_Site], hidden: frozenset[str], changes: SelectChanges) -> None:
    """Lets those of one key share that can."""
    readers: dict[frozenset[_Condition], list[_Site]] = {}
    for site in sites:
        readers.setdefault(_widest(site, sites, hidden).conditions, []).append(site)
    for wide, group in readers.items():
        if len(group) < 2:
            continue
        matchers = next(site.matchers for site in sites if site.conditions == wide)
        groupings = {_grouping(site.node, changes) for site in group}
        for site in group:
            fields = changes.setdefault(id(site.node), {})
            fields["matchers"] = matchers
            fields["shared"] = True
            if len(site.conditions) > len(wide):
                fields["filters"] = tuple(one for one in site.matchers if _condition(one) not in wide)
            if len(groupings) > 1:
                fields["grouping"], fields["grouping_by"] = (), False


def _widest(site: _Site, sites: list[_Site], hidden: frozenset[str]) -> _Site:
    """The one with the fewest conditions, all of which the site has, and whose rest can be looked up in labels."""
    found = site
    for other in sites:
        if len(other.conditions) < len(found.conditions) and other.conditions < site.conditions:
            rest = site.conditions - other.conditions
            if not any(name in hidden for name, _, _ in rest):
                found = other
    return found


def _condition(matcher: Matcher) -> _Condition:
    return matcher.name, matcher.value, matcher.type + 0


def _grouping(node: Select, changes: SelectChanges) -> _Key:
    fields = changes.get(id(node), {})
    return fields.get("grouping", node.grouping), fields.get("grouping_by", node.grouping_by)


def _collect(node: Node, context: _Key, changes: SelectChanges, peers: dict[_Key, list[Select]]) -> None:
    """Groups the selectors that may be merged by what they must have in common: the metric, the times, the function.

    ``context`` says when a part of the plan is evaluated. A selector of no certain metric has no peer but its equals.
    """
    if isinstance(node, Select):
        func = changes.get(id(node), {}).get("func", node.func)
        key = (_metric(node), node.offset_ms, node.at_ms, func, node.modifier, context)
        peers.setdefault(key, []).append(node)
        return
    if isinstance(node, RangeSelect):
        context = (*context, node.range_ms)
    elif isinstance(node, Call | RangeCall):
        if node.function in _LABELLED_BY_MATCHERS:
            return
    elif isinstance(node, Subquery):
        context = (*context, node.range_ms, node.step_ms, node.offset_ms, node.at_ms)
    elif isinstance(node, StepInvariant):
        context = (*context, "once")
    for child in children(node):
        _collect(child, context, changes, peers)


def _metric(node: Select) -> Hashable:
    for matcher in node.matchers:
        if matcher.name == "__name__" and matcher.type is MatchType.EQ:
            return matcher.value
    return node.matchers
