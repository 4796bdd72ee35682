"""Decides which posting groups are worth fetching (ST-25).

The postings of a group cost four bytes each; what they save are the series that the groups fetched before would have
let through. Groups are taken in rising size for as long as a group saves more than it costs; the rest are *lazy*: their
matchers are applied to the series that come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from pythanos.gateway.select.posting_groups import PostingGroup

POSTING_BYTES = 4
KEYS_LIMIT, POSTINGS_SIZE = "keys_limit", "postings_size"


@dataclass(frozen=True, slots=True)
class LazyPlan:
    """The groups to use, with ``lazy`` set; ``reasons`` has one (reason, postings bytes not fetched) for each lazy
    one.
    """

    groups: tuple[PostingGroup, ...]
    reasons: tuple[tuple[str, int], ...] = ()


def plan_lazy_groups(
    groups: Sequence[PostingGroup],
    existing_keys: Callable[[PostingGroup], int],
    *,
    series_bytes: int,
    match_ratio: float,
    key_series_ratio: float,
) -> LazyPlan:
    """Which groups to leave to the series. ``groups`` have their cardinality set; at least one that adds stays eager.

    ``existing_keys`` says how many keys of a group the block has.
    """
    ordered = sorted(groups, key=lambda group: (group.cardinality, group.name))
    first = next((i for i, group in enumerate(ordered) if not group.add_all), len(ordered))
    if first >= len(ordered) - 1:
        return LazyPlan(tuple(ordered))
    removed = sum(group.cardinality for group in ordered[:first])
    matched = ordered[first].cardinality - ceil(removed * match_ratio)
    most, at = matched, first + 1
    reasons: list[tuple[str, int]] = []

    def leave(place: int, reason: str) -> None:
        ordered[place] = replace(ordered[place], lazy=True)
        reasons.append((reason, POSTING_BYTES * ordered[place].cardinality))

    while at < len(ordered) and matched > 0:
        group = ordered[at]
        if key_series_ratio > 0 and existing_keys(group) / most > key_series_ratio:
            leave(at, KEYS_LIMIT)
            at += 1
            continue
        if group.add_all:
            saved = ceil(min(group.cardinality, matched) * match_ratio)
            matched -= saved
        else:
            saved = ceil(matched * (1 - match_ratio))
            matched = ceil(matched * match_ratio)
        if group.cardinality * POSTING_BYTES > saved * series_bytes:
            break
        at += 1
    for place in range(at, len(ordered)):
        leave(place, POSTINGS_SIZE)
    return LazyPlan(tuple(ordered), tuple(reasons))
