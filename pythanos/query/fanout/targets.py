"""Targets of all endpoints as one: those of replicas that scrape the same are one target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pythanos.model.promapi.targets import ActiveTarget, DroppedTarget, Targets

LabelKey = tuple[tuple[str, str], ...]


def merge_targets(answers: Iterable[Targets], replica_labels: Iterable[str]) -> Targets:
    """Every target once, without replica labels, by scrape URL, pool and labels.

    Of the same active target of several replicas, the one that is down, or else the one scraped last, is shown.
    """
    replicas = frozenset(replica_labels)
    active: dict[tuple[object, ...], ActiveTarget] = {}
    dropped: dict[LabelKey, DroppedTarget] = {}
    for answer in answers:
        for target in answer.active:
            target = replace(
                target,
                discovered_labels=_without(target.discovered_labels, replicas),
                labels=_without(target.labels, replicas),
            )
            key = _key(target)
            known = active.get(key)
            if known is None or _rank(target) < _rank(known):
                active[key] = target
        for found in answer.dropped:
            labels = _without(found.discovered_labels, replicas)
            dropped.setdefault(tuple(labels.items()), DroppedTarget(labels))
    return Targets(tuple(active[key] for key in sorted(active)), tuple(dropped[labels] for labels in sorted(dropped)))


def _key(target: ActiveTarget) -> tuple[object, ...]:
    return target.scrape_url, target.scrape_pool, tuple(target.discovered_labels.items()), tuple(target.labels.items())


def _rank(target: ActiveTarget) -> tuple[int, int]:
    """The smallest is shown: the worse health, then the younger scrape."""
    return int(target.health), -(target.last_scrape_ns or 0)


def _without(labels: Mapping[str, str], replicas: frozenset[str]) -> dict[str, str]:
    return {name: labels[name] for name in sorted(labels) if name not in replicas}
