"""Rule groups of all endpoints as one (QU-32): filtered, groups of replicas joined, their rules deduplicated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pythanos.model.matchers import Matcher
from pythanos.model.promapi.rules import AlertingRule, Rule, RuleGroup, RulesRequest, RuleType

MatcherSets = Sequence[Sequence[Matcher]]


def merge_groups(
    groups: Iterable[RuleGroup], request: RulesRequest, matcher_sets: MatcherSets, replica_labels: Iterable[str]
) -> list[RuleGroup]:
    """The groups that ``request`` chooses, by file and name; ``matcher_sets`` are its matchers, parsed.

    Groups of one file and name are one. Rules that differ in replica labels only are one: of alerting rules the most
    severe, then the one evaluated last, is kept. They come in Thanos' order: alerting rules first, then by name, labels
    and query. Raises BadRequest for a bad pattern.
    """
    chosen = _filtered(groups, request, matcher_sets)
    merged: dict[tuple[str, str], RuleGroup] = {}
    for group in chosen:
        known = merged.get((group.file, group.name))
        merged[group.file, group.name] = group if known is None else replace(known, rules=(*known.rules, *group.rules))
    replicas = frozenset(replica_labels)
    ordered = sorted(merged.values(), key=lambda group: f"{group.file};{group.name}")
    return [replace(group, rules=_deduplicated(group.rules, replicas)) for group in ordered]


def _filtered(groups: Iterable[RuleGroup], request: RulesRequest, matcher_sets: MatcherSets) -> list[RuleGroup]:
    """A filter on rules takes away groups that have none left; those that were empty stay without such a filter."""
    keeps: list[Callable[[Rule], bool]] = []
    if request.type is not RuleType.ALL:
        keeps.append(lambda rule: isinstance(rule, AlertingRule) is (request.type is RuleType.ALERT))
    narrows = bool(matcher_sets or request.rule_names or request.groups or request.files)
    if matcher_sets:
        keeps.append(lambda rule: _matches(rule.labels, matcher_sets))
    if request.rule_names:
        keeps.append(lambda rule: rule.name in request.rule_names)
    found = []
    for group in groups:
        if request.groups and group.name not in request.groups:
            continue
        if request.files and group.file not in request.files:
            continue
        if keeps:
            group = replace(group, rules=tuple(rule for rule in group.rules if all(keep(rule) for keep in keeps)))
        if group.rules or not narrows:
            found.append(group)
    return found


def _matches(labels: Mapping[str, str], matcher_sets: MatcherSets) -> bool:
    """All matchers of all sets, as in Thanos. A templated value is as good as none: nobody knows what it becomes."""
    plain = {name: value for name, value in labels.items() if "{{" not in value}
    return all(matcher.matches(plain.get(matcher.name, "")) for matchers in matcher_sets for matcher in matchers)


def _deduplicated(rules: Iterable[Rule], replicas: frozenset[str]) -> tuple[Rule, ...]:
    kept: dict[tuple[Any, ...], Rule] = {}
    for rule in rules:
        labels = {name: value for name, value in sorted(rule.labels.items()) if name not in replicas}
        rule = replace(rule, labels=labels)
        key = _key(rule)
        known = kept.get(key)
        if known is None or _rank(rule) < _rank(known):
            kept[key] = rule
    return tuple(kept[key] for key in sorted(kept))


def _key(rule: Rule) -> tuple[Any, ...]:
    """Equal for rules that are the same; its order is that of the answer."""
    labels = tuple(rule.labels.items())
    if isinstance(rule, AlertingRule):
        return 0, rule.name, labels, rule.query, rule.for_seconds
    return 1, rule.name, labels, rule.query, 0.0


def _rank(rule: Rule) -> tuple[int, int]:
    """The smallest is kept."""
    state = -int(rule.state) if isinstance(rule, AlertingRule) else 0
    return state, -(rule.last_evaluation_ns or 0)
