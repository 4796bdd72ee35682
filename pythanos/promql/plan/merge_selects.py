"""Optimizer: selectors that cover each other are read once.

A selector whose matchers include those of another one becomes a filter over what that other one reads anyway, as in
promql-engine's MergeSelects; equal ones share their batches. Only among selectors of the same metric that look at the
same times through the same function, since then they ask a store for the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from pythanos.model.matchers import Matcher, MatchType
from pythanos.promql.plan.nodes import (
    Call,
    Node,
    RangeCall,
    RangeSelect,
    Select,
    StepInvariant,
    Subquery,
    children,
    map_children,
)

# Their results are labelled by the matchers of their selector.
_LABELLED_BY_MATCHERS = frozenset({"absent", "absent_over_time"})
_Key = tuple[Hashable, ...]


@dataclass(slots=True)
class _Peers:
    """The selectors of one key: their distinct matcher sets, and how many there are."""

    sets: list[frozenset[Matcher]] = field(default_factory=list)
    matchers: dict[frozenset[Matcher], tuple[Matcher, ...]] = field(default_factory=dict)
    groupings: set[_Key] = field(default_factory=set)

    def widest(self, own: frozenset[Matcher], hidden: frozenset[str]) -> frozenset[Matcher]:
        """The smallest set of conditions that all series of ``own`` meet, and whose rest can be looked up in labels."""
        found = own
        for candidate in self.sets:
            if len(candidate) < len(found) and candidate < own and not any(m.name in hidden for m in own - candidate):
                found = candidate
        return found


def merge_selects(plan: Node, hidden_labels: frozenset[str]) -> Node:
    """The plan with ``shared`` and ``filters`` set on selectors that can be read together."""
    found: dict[_Key, _Peers] = {}
    count = 0
    for node, context in _selects(plan, ()):
        count += 1
        peers = found.setdefault(_key(node, context), _Peers())
        own = frozenset(node.matchers)
        peers.sets.append(own)
        peers.matchers.setdefault(own, node.matchers)
        peers.groupings.add((node.grouping, node.grouping_by))
    if count < 2:
        return plan
    readers: dict[tuple[_Key, frozenset[Matcher]], int] = {}
    for key, peers in found.items():
        for own in peers.sets:
            wide = (key, peers.widest(own, hidden_labels))
            readers[wide] = readers.get(wide, 0) + 1
    if max(readers.values()) < 2:
        return plan
    return _merged(plan, (), _Merge(found, readers, hidden_labels))


@dataclass(frozen=True, slots=True)
class _Merge:
    peers: dict[_Key, _Peers]
    readers: dict[tuple[_Key, frozenset[Matcher]], int]
    hidden: frozenset[str]

    def select(self, node: Select, context: _Key) -> Select:
        key = _key(node, context)
        peers = self.peers[key]
        own = frozenset(node.matchers)
        wide = peers.widest(own, self.hidden)
        if self.readers[key, wide] < 2:
            return node
        alike = len(peers.groupings) == 1
        return replace(
            node,
            matchers=peers.matchers[wide],
            filters=tuple(matcher for matcher in node.matchers if matcher not in wide),
            shared=True,
            grouping=node.grouping if alike else (),
            grouping_by=node.grouping_by and alike,
        )


def _key(node: Select, context: _Key) -> _Key:
    """What selectors must have in common: the metric, the times, the function.

    A selector of no certain metric has no peer but its equals.
    """
    for matcher in node.matchers:
        if matcher.name == "__name__" and matcher.type is MatchType.EQ:
            metric: Hashable = matcher.value
            break
    else:
        metric = node.matchers
    return (metric, node.offset_ms, node.at_ms, node.func, node.modifier, context)


def _selects(node: Node, context: _Key) -> Iterator[tuple[Select, _Key]]:
    """The selectors that may be merged, each with what says when it is evaluated."""
    if isinstance(node, Select):
        yield node, context
        return
    if isinstance(node, Call | RangeCall) and node.function in _LABELLED_BY_MATCHERS:
        return
    below = _below(node, context)
    for child in children(node):
        yield from _selects(child, below)


def _merged(node: Node, context: _Key, merge: _Merge) -> Node:
    if isinstance(node, Select):
        return merge.select(node, context)
    if isinstance(node, Call | RangeCall) and node.function in _LABELLED_BY_MATCHERS:
        return node
    return map_children(node, partial(_merged, context=_below(node, context), merge=merge))


def _below(node: Node, context: _Key) -> _Key:
    match node:
        case RangeSelect():
            return (*context, node.range_ms)
        case Subquery():
            return (*context, node.range_ms, node.step_ms, node.offset_ms, node.at_ms)
        case StepInvariant():
            return (*context, "once")
    return context
