"""Expands matchers to series references: groups, cached or fetched postings, set operations.

``begin`` starts all reads, ``finish`` waits for them, so that the reads of several blocks overlap.
"""

from __future__ import annotations

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
from pythanos.gateway.select.posting_groups import ALL_POSTINGS, PostingGroup, posting_groups
from pythanos.gateway.select.run import SelectableBlock, SelectRun
from pythanos.model.matchers import Matcher
from pythanos.tsdb.index_header import IndexHeader

Key = tuple[str, str]
_NONE = np.empty(0, np.uint32)


@dataclass(frozen=True, slots=True)
class Expanded:
    """``refs``: uint32[n] series references, rising; ``lazy``: matchers that the series still have to pass."""

    refs: NDArray[np.uint32]
    lazy: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """One range read and the lists in it: (key, start, end) in bytes of the index."""

    start: int
    keys: list[tuple[Key, int, int]]
    data: Future[bytes]


class PostingsFetch:
    """The expansion of one block's matchers (those on external labels removed; at least one)."""

    def __init__(
        self, run: SelectRun, block: SelectableBlock, matchers: tuple[Matcher, ...], *, eager: frozenset[str]
    ) -> None:
        """``eager`` names labels whose groups must not become lazy, as series will come without them."""
        self._run = run
        self._block = block
        self._matchers = tuple(sorted(matchers, key=lambda one: (one.type, one.name, one.value)))
        self._eager = eager
        self._done: Expanded | None = None
        self._groups: tuple[PostingGroup, ...] = ()
        self._lists: dict[Key, NDArray[np.uint32]] = {}
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
        groups = posting_groups([self._run.matchers.get(one) for one in self._matchers], header.label_values)
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
            for read in self._reads:
                self._take(read)
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
        groups = [group for group in self._groups if not group.lazy]
        keys = [(group.name, key) for group in groups for key in group.keys]
        self._load_cached(keys)
        wanted, ranges = [], []
        for group in groups:
            missing = [key for key in group.keys if (group.name, key) not in self._lists]
            wanted += [(group.name, key) for key in missing]
            ranges.append(header.postings_ranges(group.name, missing))
        places = np.concatenate(ranges) if ranges else np.empty((0, 2), np.int64)
        known = np.flatnonzero(places[:, 0] >= 0)
        order = known[np.argsort(places[known, 0], kind="stable")]
        places = places[order]
        self._run.stats.add(postings_to_fetch=len(order))
        parts = partition(places[:, 0], places[:, 1])
        self._run.limits.bytes.take(parts.bytes, "fetching postings")
        for i in range(len(parts)):
            rows = range(int(parts.first[i]), int(parts.first[i + 1]))
            inside = [(wanted[order[row]], int(places[row, 0]), int(places[row, 1])) for row in rows]
            start, end = int(parts.start[i]), int(parts.end[i])
            data = self._run.fetch.submit(self._block.bucket.get_range, self._block.index_name, start, end - start)
            self._reads.append(_Read(start, inside, data))

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

    def _take(self, read: _Read) -> None:
        self._run.ctx.check()
        data = memoryview(read.data.result())
        stats, name = self._run.stats, self._block.index_name
        stats.fetched("postings", len(read.keys), len(data))
        caching = self._run.cache.keeps(POSTINGS)
        for key, start, end in read.keys:
            raw = data[start - read.start : end - read.start]
            if len(raw) != end - start:
                raise CorruptData(name, start, "object ends early")
            self._lists[key] = refs = decode_postings(raw, file=name, start=start)
            stats.touched("postings", 1, len(raw))
            if caching:
                self._run.cache.store_postings(self._block.ulid, key, self._encode(refs), self._run.tenant)

    def _combined(self) -> NDArray[np.uint32]:
        """(the union of each adding group, intersected) minus everything that is to be removed."""
        adds, removed = [], []
        for group in self._groups:
            if group.lazy:
                continue
            lists = [self._lists[group.name, key] for key in group.keys if (group.name, key) in self._lists]
            if group.add_keys:
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
