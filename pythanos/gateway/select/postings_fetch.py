"""Expands matchers to series references: groups, cached or fetched postings, set operations.

``begin`` starts all reads, ``finish`` waits for them, so that the reads of several blocks overlap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pythanos._postings import decode_dss, decode_postings, encode_dss, intersect, subtract, union
from pythanos.errors import CorruptData
from pythanos.gateway.index_cache import EXPANDED_POSTINGS, POSTINGS
from pythanos.gateway.select.lazy_postings import POSTING_BYTES, plan_lazy_groups
from pythanos.gateway.select.partitioner import partition
from pythanos.gateway.select.posting_groups import ALL_POSTINGS, LabelValues, PostingGroup, posting_groups
from pythanos.gateway.select.run import SelectableBlock, SelectRun
from pythanos.model.matchers import Matcher
from pythanos.tsdb.index_header import IndexHeader
from pythanos.tsdb.label_tables import encode_text
from pythanos.workers import InlinePool

# A group of more keys than this is fetched and cached as the union of its lists.
KEYS_CACHED_APART_MAX = 64
# Words of many short lists that are decoded in one go.
DECODED_WORDS_MAX = 1 << 20

Key = tuple[str, ...]
_NONE = np.empty(0, np.uint32)


@dataclass(frozen=True, slots=True)
class Expanded:
    """``refs``: uint32[n] series references, rising; ``lazy``: matchers that the series still have to pass."""

    refs: NDArray[np.uint32]
    lazy: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class _List:
    """The union of the postings of some values of one label, and what it is cached as."""

    key: Key
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """One range read, from ``base`` on, of lists at ``[start, end)`` bytes of the index; ``owner``: whose they are."""

    base: int
    owner: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    data: Future[bytes]


def _lists_of(group: PostingGroup) -> list[_List]:
    """What to fetch and cache for a group: the list of each key, or one list of them all."""
    if len(group.keys) <= KEYS_CACHED_APART_MAX:
        return [_List((group.name, key), (key,)) for key in group.keys]
    # The lengths tell keys apart that hold the separator.
    digest = hashlib.blake2b("\0".join(group.keys).encode("utf-8", "surrogateescape"), digest_size=32)
    digest.update(np.fromiter(map(len, group.keys), np.int64, len(group.keys)).tobytes())
    return [_List((group.name, "union", digest.hexdigest()), group.keys)]


def _values_in(header: IndexHeader) -> LabelValues:
    def label_values(name: str, prefix: str) -> list[str]:
        if not prefix:
            return header.label_values(name)
        return header.postings.values(*header.postings.with_prefix(encode_text(name), encode_text(prefix)))

    return label_values


def decode_lists(
    data: bytes, start: NDArray[np.int64], end: NDArray[np.int64], file: str, base: int
) -> NDArray[np.uint32]:
    """The union of postings lists at ``[start, end)`` bytes of ``data``, which begins at ``base`` of ``file``.

    Raises CorruptData for a list that is longer than its range.
    """
    if len(start) == 1 or (start % 4).any():
        view = memoryview(data)
        places = zip(start.tolist(), end.tolist(), strict=True)
        return union([decode_postings(view[a:b], file=file, start=base + a) for a, b in places])
    words = np.frombuffer(data, ">u4", len(data) // 4)
    first, counts = start // 4, words[start // 4].astype(np.int64)
    long = np.flatnonzero(counts > (end - start) // 4 - 1)
    if len(long):
        raise CorruptData(file, base + int(start[long[0]]), "postings list that is longer than its place")
    pieces, at = [], 0
    before = np.concatenate(([0], np.cumsum(counts)))
    while at < len(start):
        stop = max(at + 1, int(np.searchsorted(before, before[at] + DECODED_WORDS_MAX, side="right")) - 1)
        own = counts[at:stop]
        places_of = np.repeat(first[at:stop] + 1 - (before[at:stop] - before[at]), own)
        refs = words[places_of + np.arange(len(places_of))].astype(np.uint32)
        refs.sort()
        pieces.append(refs[np.concatenate(([True], refs[1:] != refs[:-1]))] if len(refs) else refs)
        at = stop
    return union(pieces)


class PostingsFetch:
    """The expansion of one block's matchers (those on external labels removed; at least one)."""

    def __init__(
        self,
        run: SelectRun,
        block: SelectableBlock,
        matchers: tuple[Matcher, ...],
        *,
        eager: frozenset[str],
        alone: bool = False,
    ) -> None:
        """``eager`` names labels whose groups must not become lazy, as series will come without them. ``alone``: no
        other block's reads could run beside a single one of this.
        """
        self._run = run
        self._block = block
        self._matchers = tuple(sorted(matchers, key=lambda one: (one.type, one.name, one.value)))
        self._eager = eager
        self._alone = alone
        self._done: Expanded | None = None
        self._groups: tuple[PostingGroup, ...] = ()
        self._lists: dict[Key, NDArray[np.uint32]] = {}
        self._missing: list[Key] = []
        self._wanted: list[tuple[bool, list[Key]]] = []
        self._reads: list[_Read] = []
        self._begun = 0.0

    def begin(self, header: IndexHeader) -> None:
        """Looks into the cache and starts the reads of what is not there."""
        self._begun = self._run.ctx.monotonic()
        cached = self._run.cache.fetch_expanded(self._block.ulid, self._matchers, self._run.tenant)
        if cached is not None:
            self._run.limits.bytes.take(len(cached), "loading expanded postings from index cache")
            self._run.stats.touched("postings", 1, len(cached))
            found = self._decode(cached)
            if found is not None:
                self._done = Expanded(found)
                return
        groups = posting_groups([self._run.matchers.get(one) for one in self._matchers], _values_in(header))
        if groups is None:
            self._finished(_NONE)
            return
        self._groups = self._plan(groups, header)
        if self._done is None:
            self._start_reads(header)

    def finish(self) -> Expanded:
        """Waits for the reads. Raises CorruptData, LimitExceeded and what the bucket raises."""
        done = self._done
        if done is None:
            self._take_all()
            done = self._finished(self._combined())
        self._run.metrics.postings_seconds.labels(self._run.tenant).observe(self._run.ctx.monotonic() - self._begun)
        if not len(done.refs):
            self._run.metrics.empty_postings.labels(self._run.tenant).inc()
        return done

    def cancel(self) -> None:
        for read in self._reads:
            read.data.cancel()

    def _plan(self, groups: list[PostingGroup], header: IndexHeader) -> tuple[PostingGroup, ...]:
        """The groups to fetch: those without keys say nothing, and without any that adds, all series are the start."""
        adds = any(group.add_keys for group in groups)
        groups = [group for group in groups if group.keys]
        if not adds:
            name, value = ALL_POSTINGS
            return (*groups, PostingGroup(name, False, (value,)))
        options = self._run.options
        if not options.lazy_postings or len(groups) < 2 or self._block.series_bytes_max <= 0:
            return tuple(groups)
        return self._lazy_plan(groups, header)

    def _lazy_plan(self, groups: list[PostingGroup], header: IndexHeader) -> tuple[PostingGroup, ...]:
        sized, existing = [], {}
        for group in groups:
            ranges = header.postings_ranges(group.name, group.keys)
            known = ranges[ranges[:, 0] >= 0]
            existing[group.name] = len(known)
            if group.add_keys and not len(known):
                self._finished(_NONE)
                return ()
            count = int((known[:, 1] - known[:, 0] - POSTING_BYTES).sum()) // POSTING_BYTES
            sized.append(replace(group, cardinality=count))
        options = self._run.options
        plan = plan_lazy_groups(
            [group for group in sized if group.name not in self._eager],
            lambda group: existing[group.name],
            series_bytes=self._block.series_bytes_max,
            match_ratio=options.series_match_ratio,
            key_series_ratio=options.key_series_ratio,
        )
        for reason, size in plan.reasons:
            self._run.metrics.lazy_groups.labels(reason).inc()
            self._run.metrics.lazy_bytes.inc(size)
        if plan.reasons:
            self._run.metrics.lazy_postings.inc()
        return (*plan.groups, *(group for group in sized if group.name in self._eager))

    def _start_reads(self, header: IndexHeader) -> None:
        groups = [(group, _lists_of(group)) for group in self._groups if not group.lazy]
        self._wanted = [(bool(group.add_keys), [one.key for one in wanted]) for group, wanted in groups]
        self._load_cached([one.key for _, wanted in groups for one in wanted])
        owners, ranges = [np.empty(0, np.int64)], [np.empty((0, 2), np.int64)]
        for group, wanted in groups:
            missing = [one for one in wanted if one.key not in self._lists]
            counts = [len(one.values) for one in missing]
            owners.append(np.repeat(np.arange(len(missing)) + len(self._missing), counts))
            ranges.append(header.postings_ranges(group.name, [value for one in missing for value in one.values]))
            self._missing += [one.key for one in missing]
        owner, places = np.concatenate(owners), np.concatenate(ranges)
        known = np.flatnonzero(places[:, 0] >= 0)
        order = known[np.argsort(places[known, 0], kind="stable")]
        owner, start, end = owner[order], places[order, 0], places[order, 1]
        self._run.stats.add(postings_to_fetch=len(order))
        parts = partition(start, end)
        self._run.limits.bytes.take(parts.bytes, "fetching postings")
        pool = InlinePool() if self._alone and len(parts) == 1 else self._run.fetch
        for i in range(len(parts)):
            rows = slice(int(parts.first[i]), int(parts.first[i + 1]))
            base, stop = int(parts.start[i]), int(parts.end[i])
            data = pool.submit(self._block.bucket.get_range, self._block.index_name, base, stop - base)
            self._reads.append(_Read(base, owner[rows], start[rows], end[rows], data))

    def _load_cached(self, keys: Sequence[Key]) -> None:
        cached = self._run.cache.fetch_postings(self._block.ulid, keys, self._run.tenant)
        if not cached:
            return
        size = sum(map(len, cached.values()))
        self._run.limits.bytes.take(size, "loading postings from index cache")
        self._run.stats.touched("postings", len(cached), size)
        for key, data in cached.items():
            found = self._decode(data)
            if found is not None:
                self._lists[key] = found

    def _take_all(self) -> None:
        """Waits for the reads and makes the missing lists of them."""
        pieces: dict[int, list[NDArray[np.uint32]]] = {}
        name = self._block.index_name
        for read in self._reads:
            self._run.ctx.check()
            if not read.data.done():
                self._run.ctx.step_aside()
            data = read.data.result()
            self._run.stats.fetched("postings", len(read.owner), len(data))
            self._run.stats.touched("postings", len(read.owner), int((read.end - read.start).sum()))
            if len(data) < int(read.end.max()) - read.base:
                raise CorruptData(name, read.base + len(data), "object ends early")
            for owner in np.unique(read.owner).tolist():
                rows = read.owner == owner
                found = decode_lists(data, read.start[rows] - read.base, read.end[rows] - read.base, name, read.base)
                pieces.setdefault(owner, []).append(found)
        caching = self._run.cache.keeps(POSTINGS)
        for owner, parts in pieces.items():
            key = self._missing[owner]
            self._lists[key] = refs = parts[0] if len(parts) == 1 else union(parts)
            if caching:
                self._run.cache.store_postings(self._block.ulid, key, self._encode(refs), self._run.tenant)

    def _combined(self) -> NDArray[np.uint32]:
        """(the union of each adding group, intersected) minus everything that is to be removed."""
        adds, removed = [], []
        for adding, keys in self._wanted:
            lists = [self._lists[key] for key in keys if key in self._lists]
            if adding:
                adds.append(union(lists))
            else:
                removed += lists
        refs = intersect(adds)
        return subtract(refs, removed) if removed and len(refs) else refs

    def _finished(self, refs: NDArray[np.uint32]) -> Expanded:
        lazy = tuple(one for group in self._groups if group.lazy for one in group.matchers)
        self._done = done = Expanded(refs, lazy)
        # What lazy matchers will leave is not known yet, so such an expansion is not cached.
        if not lazy and self._run.cache.keeps(EXPANDED_POSTINGS):
            self._run.cache.store_expanded(self._block.ulid, self._matchers, self._encode(refs), self._run.tenant)
        return done

    def _encode(self, refs: NDArray[np.uint32]) -> bytes:
        begin = self._run.ctx.monotonic()
        data = encode_dss(refs)
        self._run.stats.add(
            postings_encoded=1,
            postings_encode_seconds=self._run.ctx.monotonic() - begin,
            postings_original_bytes=POSTING_BYTES * len(refs),
            postings_compressed_bytes=len(data),
        )
        return data

    def _decode(self, data: bytes) -> NDArray[np.uint32] | None:
        """The references of a cached list; None for one that is damaged, which is then fetched again."""
        begin = self._run.ctx.monotonic()
        try:
            return decode_dss(data)
        except CorruptData:
            self._run.stats.add(postings_decode_errors=1)
            return None
        finally:
            self._run.stats.add(postings_decoded=1, postings_decode_seconds=self._run.ctx.monotonic() - begin)
