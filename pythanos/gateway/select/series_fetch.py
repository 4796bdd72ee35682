"""Reads series entries of one block: labels with the external ones merged in, and where the chunks are.

Entries lie in the order of their references, so a run of them is one range read. Ranges are read, and cached, in
whole pages of the index object. An entry longer than was estimated is fetched again (ST-18).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pythanos._index import decode_series
from pythanos._labels import shard_mask, value_index
from pythanos._reads import inside
from pythanos.errors import CorruptData
from pythanos.gateway.index_cache import SERIES
from pythanos.gateway.query_stats import Stopwatch
from pythanos.gateway.select.partitioner import Parts, cut, partition_places
from pythanos.gateway.select.run import SelectableBlock, SelectRun, read_range
from pythanos.model.entries import SeriesEntries
from pythanos.model.matchers import Matcher
from pythanos.storeapi.requests import ShardInfo
from pythanos.tsdb.index_header import IndexHeader

PAGE_BYTES = 32 * 1024
SLICE_PARTS_MAX = 4
ENTRY_ALIGNMENT = 16
REFETCHES_MAX = 3


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries to keep, and what of them.

    ``[mint, maxt]`` ms: series without a chunk in it are left out. ``external``: label block to merge in; ``drop``:
    names to leave out. ``lazy``: matchers on the series' own labels. ``skip_chunks``: labels only.
    """

    mint: int
    maxt: int
    external: bytes = b""
    drop: tuple[bytes, ...] = ()
    lazy: tuple[Matcher, ...] = ()
    shard: ShardInfo | None = None
    skip_chunks: bool = False


class SeriesFetch:
    """Reads the entries of one block for one request. ``read`` is a leaf job and may run in several threads."""

    def __init__(self, run: SelectRun, block: SelectableBlock, header: IndexHeader, wanted: EntryFilter) -> None:
        self._run = run
        self._block = block
        self._symbols = header.symbols
        self._alignment = ENTRY_ALIGNMENT if header.index_version >= 2 else 1
        self._wanted = wanted
        self._watch = Stopwatch(run.ctx.monotonic)

    def observe(self) -> None:
        """Publishes how long all reads took; for the end of the request."""
        self._run.metrics.series_sum_seconds.labels(self._run.tenant).observe(self._watch.seconds)

    def slices(
        self, refs: NDArray[np.uint32], items_max: int, bytes_max: int
    ) -> Iterator[tuple[NDArray[np.uint32], int]]:
        """(references, bytes that reading their entries takes), small enough for one job each."""
        start = self._places(refs)
        end = start + self._block.series_bytes_max
        for first, stop, size in cut(start, end, items_max=items_max, bytes_max=bytes_max, parts_max=SLICE_PARTS_MAX):
            yield refs[first:stop], size

    def read(self, refs: NDArray[np.uint32]) -> SeriesEntries:
        """The entries of some references, in their order, filtered. Raises CorruptData, LimitExceeded."""
        self._run.ctx.check()
        with self._watch.running():
            return self._read_entries(refs)

    def _read_entries(self, refs: NDArray[np.uint32]) -> SeriesEntries:
        begin = self._run.ctx.monotonic()
        place = self._places(refs)
        parts = partition_places(place, self._block.series_bytes_max)
        data, starts = self._fetch(parts, len(refs))
        entries = self._decode(data, starts, place, parts.part)
        span = int(parts.end[-1] - parts.start[0]) - self._block.series_bytes_max if len(refs) else 0
        self._run.stats.touched("series", len(refs), span)
        entries = self._matching(entries, sum(map(len, data)) // max(1, len(refs)))
        seconds = self._run.ctx.monotonic() - begin
        self._run.metrics.series_seconds.labels(self._run.tenant).observe(seconds)
        return entries

    def _places(self, refs: NDArray[np.uint32]) -> NDArray[np.int64]:
        return refs.astype(np.int64) * self._alignment

    def _fetch(self, parts: Parts, items: int) -> tuple[list[bytes], NDArray[np.int64]]:
        """The bytes of each part and where they begin in the index, which is at the start of a page."""
        if not self._run.cache.keeps(SERIES):
            return [self._read(int(a), int(b), items) for a, b in zip(parts.start, parts.end, strict=True)], parts.start
        first = [start // PAGE_BYTES for start in parts.start.tolist()]
        stop = [-(-end // PAGE_BYTES) for end in parts.end.tolist()]
        wanted = _pages(first, stop)
        pages = self._run.cache.fetch_series(self._block.ulid, wanted, self._run.tenant)
        if pages:
            size = sum(map(len, pages.values()))
            self._run.limits.bytes.take(size, "loading series from index cache")
            self._run.stats.touched("series", 0, size)
        data = [self._join(a, b, pages, items) for a, b in zip(first, stop, strict=True)]
        return data, np.array(first, np.int64) * PAGE_BYTES

    def _join(self, first: int, stop: int, pages: dict[int, bytes], items: int) -> bytes:
        """Pages ``[first, stop)`` as one run of bytes, the missing ones read from the bucket and cached."""
        runs, at = [], first
        while at < stop:
            if at in pages:
                runs.append(pages[at])
                at += 1
                continue
            end = at
            while end < stop and end not in pages:
                end += 1
            data = self._read(at * PAGE_BYTES, end * PAGE_BYTES, items)
            runs.append(data)
            # A page that the object's end cuts short is not kept: the next reader could not tell it from a whole one.
            for page in range(at, at + len(data) // PAGE_BYTES):
                offset = (page - at) * PAGE_BYTES
                pages[page] = data[offset : offset + PAGE_BYTES]
                self._run.cache.store_series(self._block.ulid, page, pages[page], self._run.tenant)
            if len(data) < (end - at) * PAGE_BYTES:
                break
            at = end
        return runs[0] if len(runs) == 1 else b"".join(runs)

    def _read(self, start: int, end: int, items: int) -> bytes:
        self._run.limits.bytes.take(end - start, "fetching series")
        data = read_range(self._block.bucket, self._block.index_name, start, end)
        self._run.stats.fetched("series", items, len(data))
        return data

    def _decode(
        self, data: list[bytes], starts: NDArray[np.int64], place: NDArray[np.int64], part: NDArray[np.int32]
    ) -> SeriesEntries:
        wanted, name = self._wanted, self._block.index_name
        for _ in range(REFETCHES_MAX):
            entries = decode_series(
                data,
                inside(place, part, starts),
                self._symbols,
                wanted.mint,
                wanted.maxt,
                part=part,
                part_start=starts,
                external=wanted.external,
                drop=wanted.drop,
                skip_chunks=wanted.skip_chunks,
                file=name,
            )
            if not len(entries.refetch):
                return entries
            self._run.metrics.series_refetches.labels(self._run.tenant).inc(len(entries.refetch))
            again = place[entries.refetch]
            for start, length in zip(again.tolist(), entries.refetch_length.tolist(), strict=True):
                data.append(self._read(start, start + length, 1))
            part[entries.refetch] = np.arange(len(data) - len(again), len(data), dtype=np.int32)
            starts = np.concatenate((starts, again))
        raise CorruptData(name, int(place[entries.refetch[0]]), "series entry goes on after the end of the index")

    def _matching(self, entries: SeriesEntries, entry_bytes: int) -> SeriesEntries:
        """The entries that pass the lazy matchers and belong to the shard, counted against the limits."""
        wanted, limits = self._wanted, self._run.limits
        if wanted.lazy:
            before = len(entries)
            for matcher in wanted.lazy:
                ready = self._run.matchers.get(matcher)
                index, values = value_index(entries.labels, matcher.name)
                passes = np.fromiter(map(ready.matches, values), np.bool_, len(values))
                entries = entries.take(np.flatnonzero(passes[index]))
            self._run.metrics.lazy_overfetched_bytes.inc((before - len(entries)) * entry_bytes)
            limits.series.take(len(entries))
        shard = wanted.shard
        if shard is not None and shard.total_shards > 0:
            mask = shard_mask(
                entries.labels, shard.labels, by=shard.by, total=shard.total_shards, index=shard.shard_index
            )
            entries = entries.take(np.flatnonzero(mask))
        if not wanted.skip_chunks:
            limits.chunks.take(entries.chunk_count)
        return entries


def _pages(first: list[int], stop: list[int]) -> list[int]:
    """The pages of parts that rise; where one ends in the page that the next begins in, that page once."""
    pages: list[int] = []
    for begin, end in zip(first, stop, strict=True):
        pages.extend(range(max(begin, pages[-1] + 1) if pages else begin, end))
    return pages
