"""Which of a bucket's blocks this process works with: a chain of filters, each a decision over all metas.

A filter changes nothing; it returns a Verdict, and the fetcher acts on it.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from prometheus_client import CollectorRegistry, Gauge

from pythanos.block.markers import DeletionMark, read_mark
from pythanos.context import RequestContext
from pythanos.errors import CorruptData
from pythanos.model.relabel import RelabelRule, relabel
from pythanos.model.timerange import ClosedRange
from pythanos.objstore.bucket import Bucket
from pythanos.tsdb.meta import BlockMeta, ulid_time_ms
from pythanos.workers import Pool

log = logging.getLogger(__name__)

TOO_FRESH = "too-fresh"
LABEL_EXCLUDED = "label-excluded"
TIME_EXCLUDED = "time-excluded"
DUPLICATE = "duplicate"
MARKED_FOR_DELETION = "marked-for-deletion"

BLOCK_ID_LABEL = "__block_id"
# Blocks of the compactor replace others, so waiting would leave a hole.
EXEMPT_SOURCES = frozenset(("bucket.repair", "compactor", "compactor.repair"))


@dataclass(frozen=True, slots=True)
class FilterInput:
    """What a filter may need besides the metas; ``marked`` are the blocks with a deletion mark, None if unknown."""

    ctx: RequestContext
    fetch: Pool
    marked: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """``excluded``: ULID to the state that is counted. ``changed``: metas to be used instead."""

    excluded: dict[str, str] = field(default_factory=dict)
    changed: dict[str, BlockMeta] = field(default_factory=dict)


class MetaFilter(Protocol):
    """Decides over the metas that the filters before it left over."""

    def decide(self, metas: dict[str, BlockMeta], given: FilterInput) -> Verdict: ...


class TimePartitionFilter:
    """Excludes blocks outside of a window; the window is asked for anew each time, because it may slide."""

    def __init__(self, window: Callable[[], ClosedRange]) -> None:
        self._window = window

    def decide(self, metas: dict[str, BlockMeta], given: FilterInput) -> Verdict:
        window = self._window()
        return Verdict(
            {
                ulid: TIME_EXCLUDED
                for ulid, meta in metas.items()
                if meta.maxt < window.mint or meta.mint > window.maxt
            }
        )  # fmt: skip


class LabelShardFilter:
    """Excludes blocks of whose external labels and ``__block_id`` the rules leave nothing."""

    def __init__(self, rules: Sequence[RelabelRule]) -> None:
        self._rules = tuple(rules)

    def decide(self, metas: dict[str, BlockMeta], given: FilterInput) -> Verdict:
        if not self._rules:
            return Verdict()
        return Verdict(
            {
                ulid: LABEL_EXCLUDED
                for ulid, meta in metas.items()
                if not relabel({BLOCK_ID_LABEL: ulid, **meta.labels}, self._rules)
            }
        )


class ConsistencyDelayFilter:
    """Excludes blocks uploaded less than the delay ago: a listing may not show all of their objects yet."""

    def __init__(
        self, delay_ms: int, registry: CollectorRegistry | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._delay_ms = delay_ms
        self._clock = clock
        gauge = Gauge("thanos_consistency_delay_seconds", "Configured consistency delay in seconds.", registry=registry)
        gauge.set(delay_ms / 1000)

    def decide(self, metas: dict[str, BlockMeta], given: FilterInput) -> Verdict:
        newest = self._clock() * 1000 - self._delay_ms
        return Verdict(
            {
                ulid: TOO_FRESH
                for ulid, meta in metas.items()
                if _upload_time_ms(ulid, meta) > newest and meta.source not in EXEMPT_SOURCES
            }
        )


class DeletionMarkFilter:
    """Excludes blocks marked for deletion longer ago than the delay, in which a replacement can be loaded.

    ``marks`` holds the marks of all blocks that the last decision saw, excluded or not.
    """

    def __init__(self, bucket: Bucket, delay_ms: int, *, clock: Callable[[], float] = time.time) -> None:
        self._bucket = bucket
        self._delay_ms = delay_ms
        self._clock = clock
        self.marks: dict[str, DeletionMark] = {}

    def decide(self, metas: dict[str, BlockMeta], given: FilterInput) -> Verdict:
        asked = [ulid for ulid in metas if given.marked is None or ulid in given.marked]
        marks, excluded = {}, {}
        oldest = self._clock() - self._delay_ms / 1000
        for ulid, mark in zip(asked, given.fetch.map(self._read, asked), strict=True):
            given.ctx.check()
            if mark is not None:
                marks[ulid] = mark
                if mark.deletion_time < oldest:
                    excluded[ulid] = MARKED_FOR_DELETION
        self.marks = marks
        return Verdict(excluded)

    def _read(self, ulid: str) -> DeletionMark | None:
        try:
            return read_mark(self._bucket, ulid, DeletionMark)
        except CorruptData as error:
            # Perhaps half an upload; the block stays until the mark can be read.
            log.warning("deletion mark of block %s ignored: %s", ulid, error)
            return None


class DuplicateFilter:
    """Excludes blocks whose sources are all in another block of the same labels and resolution.

    ``duplicates`` holds the ULIDs that the last decision excluded. Of blocks with equal sources the oldest stays. A
    block that names no sources is never a duplicate.
    """

    def __init__(self) -> None:
        self.duplicates: tuple[str, ...] = ()

    def decide(self, metas: dict[str, BlockMeta], given: FilterInput) -> Verdict:
        groups: dict[tuple[int, frozenset[tuple[str, str]]], list[tuple[str, frozenset[str]]]] = defaultdict(list)
        for ulid, meta in metas.items():
            key = meta.resolution_ms, frozenset(meta.labels.items())
            groups[key].append((ulid, frozenset(meta.compaction.sources)))
        found = [ulid for group in groups.values() for ulid in _covered(group)]
        self.duplicates = tuple(found)
        return Verdict(dict.fromkeys(found, DUPLICATE))


class ReplicaLabelRemover:
    """Takes replica labels out of the metas, so that blocks of replicas fall into one group."""

    def __init__(self, replica_labels: Sequence[str]) -> None:
        self._replica_labels = tuple(replica_labels)

    def decide(self, metas: dict[str, BlockMeta], given: FilterInput) -> Verdict:
        changed = {}
        for ulid, meta in metas.items():
            if meta.thanos is None or not any(name in meta.labels for name in self._replica_labels):
                continue
            labels = {name: value for name, value in meta.labels.items() if name not in self._replica_labels}
            # A block needs labels to be in a group; the name of the first replica label stays, as in Thanos.
            thanos = msgspec.structs.replace(meta.thanos, labels=labels or {self._replica_labels[0]: "deduped"})
            changed[ulid] = msgspec.structs.replace(meta, thanos=thanos)
        return Verdict(changed=changed)


def _upload_time_ms(ulid: str, meta: BlockMeta) -> int:
    uploaded = meta.upload_time_ms
    return ulid_time_ms(ulid) if uploaded is None else uploaded


def _covered(group: list[tuple[str, frozenset[str]]]) -> list[str]:
    """The blocks of a group whose sources another one has too."""
    covering: dict[str, list[frozenset[str]]] = defaultdict(list)
    found = []
    for ulid, sources in sorted(group, key=lambda block: (-len(block[1]), block[0])):
        if not sources:
            continue
        # Whoever covers the block has its first source too.
        if any(sources <= other for other in covering[next(iter(sources))]):
            found.append(ulid)
        else:
            for source in sources:
                covering[source].append(sources)
    return found
