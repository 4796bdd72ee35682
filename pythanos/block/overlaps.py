"""Blocks that cover the same time, and blocks that are the same data twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pythanos.model.timerange import BlockRange
from pythanos.tsdb.meta import BlockMeta


@dataclass(frozen=True, slots=True)
class Overlap:
    """``blocks`` ordered by mint, each of which shares some time with the one before; ``range`` is in all of them."""

    range: BlockRange
    blocks: tuple[BlockMeta, ...]

    def __str__(self) -> str:
        blocks = ", ".join(f"{meta.ulid} [{meta.mint}, {meta.maxt})" for meta in self.blocks)
        return f"[{self.range.mint}, {self.range.maxt}): {blocks}"


def overlapping(metas: Iterable[BlockMeta]) -> list[Overlap]:
    """The overlaps among blocks of one group, in order of time; each is extended while the same blocks go on."""
    ordered = sorted(metas, key=lambda meta: (meta.mint, meta.ulid))
    groups: list[list[BlockMeta]] = []
    pending: list[BlockMeta] = []
    unbroken = True
    for meta in ordered:
        still = [other for other in pending if meta.mint < other.maxt]
        unbroken = unbroken and len(still) == len(pending)
        pending = [*still, meta]
        if not still:
            continue
        if unbroken and groups:
            groups[-1].append(meta)
        else:
            groups.append([*still, meta])
            unbroken = True
    return [_overlap(group) for group in groups]


def overlapping_by_group(metas: Iterable[BlockMeta]) -> dict[str, list[Overlap]]:
    """Group key (resolution and labels) to its overlaps; groups without one are left out."""
    groups: dict[str, list[BlockMeta]] = defaultdict(list)
    for meta in metas:
        groups[meta.group_key].append(meta)
    found = {key: overlapping(group) for key, group in sorted(groups.items())}
    return {key: overlaps for key, overlaps in found.items() if overlaps}


def duplicated(blocks: Sequence[BlockMeta]) -> list[list[BlockMeta]]:
    """Sets of two and more blocks of equal range, level, sources and counts, in the order given."""
    sets: dict[tuple[object, ...], list[BlockMeta]] = defaultdict(list)
    for meta in blocks:
        key = (meta.mint, meta.maxt, meta.compaction.level, frozenset(meta.compaction.sources), meta.stats)
        sets[key].append(meta)
    return [same for same in sets.values() if len(same) > 1]


def _overlap(group: list[BlockMeta]) -> Overlap:
    shared = BlockRange(max(meta.mint for meta in group), min(meta.maxt for meta in group))
    return Overlap(shared, tuple(group))
