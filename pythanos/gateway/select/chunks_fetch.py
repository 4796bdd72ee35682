"""Reads the chunks of series entries and puts them together into batches.

Chunks of neighbouring series lie next to each other in the segment files, so a slice of entries is a few range reads. A
chunk longer than was estimated is fetched again (ST-18).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pythanos._assemble import assemble
from pythanos._reads import chunk_places, inside, series_spans
from pythanos.errors import CorruptData
from pythanos.gateway.query_stats import Stopwatch
from pythanos.gateway.select.partitioner import cut, partition_places
from pythanos.gateway.select.run import SelectableBlock, SelectRun, read_range
from pythanos.model.entries import SeriesEntries
from pythanos.model.series import SeriesBatch

SLICE_PARTS_MAX = 4
REFETCHES_MAX = 3
CRC_BYTES = 4
# Offsets inside a segment are 32 bits wide; the wider step keeps an estimate at a segment's end out of the next one.
SEGMENT_STEP_BITS = 40


class ChunksFetch:
    """Reads the chunks of one block for one request. ``read`` is a leaf job and may run in several threads."""

    def __init__(self, run: SelectRun, block: SelectableBlock, aggregates: tuple[int, ...]) -> None:
        self._run = run
        self._block = block
        self._aggregates = aggregates
        self._estimate = block.chunk_bytes_max + CRC_BYTES
        self._reading = Stopwatch(run.ctx.monotonic)
        self._working = Stopwatch(run.ctx.monotonic)

    def observe(self) -> None:
        """Publishes how long all reads took; for the end of the request."""
        self._run.metrics.chunks_seconds.labels(self._run.tenant).observe(self._reading.seconds)
        self._run.metrics.chunks_sum_seconds.labels(self._run.tenant).observe(self._working.seconds)

    def slices(self, entries: SeriesEntries, items_max: int, bytes_max: int) -> Iterator[tuple[SeriesEntries, int]]:
        """(entries, bytes that reading their chunks takes), small enough for one job each."""
        n = len(entries)
        if not n:
            return
        if not entries.chunk_count:
            yield entries, 0
            return
        start, end = series_spans(self._places(entries.chunk_ref), entries.chunk_start, self._estimate)
        for at, stop, size in cut(start, end, items_max=items_max, bytes_max=bytes_max, parts_max=SLICE_PARTS_MAX):
            yield (entries if (at, stop) == (0, n) else _rows(entries, at, stop)), size

    def read(self, entries: SeriesEntries) -> SeriesBatch:
        """The entries with their chunks. Raises CorruptData naming object and offset, LimitExceeded."""
        self._run.ctx.check()
        with self._working.running():
            return self._read_batch(entries)

    def _read_batch(self, entries: SeriesEntries) -> SeriesBatch:
        place = self._places(entries.chunk_ref)
        parts = partition_places(place, self._estimate)
        self._run.limits.bytes.take(parts.bytes, "fetching chunks")
        data, names = [], []
        for i in range(len(parts)):
            name, start, end = self._object(int(parts.start[i]), int(parts.end[i]))
            data.append(self._read(name, start, end, int(parts.first[i + 1] - parts.first[i])))
            names.append(name)
        return self._assemble(entries, place, parts.part, data, names, parts.start)

    def _assemble(
        self,
        entries: SeriesEntries,
        place: NDArray[np.int64],
        part: NDArray[np.int32],
        data: list[bytes],
        names: list[str],
        starts: NDArray[np.int64],
    ) -> SeriesBatch:
        """Also fetches again what turns out to be longer than its range."""
        offset_mask = (1 << SEGMENT_STEP_BITS) - 1
        for _ in range(REFETCHES_MAX):
            batch, missing, needed = assemble(
                entries.labels,
                entries.chunk_start,
                entries.chunk_mint,
                entries.chunk_maxt,
                data,
                part,
                inside(place, part, starts),
                aggregates=self._aggregates,
                wire=True,
                files=names,
                part_start=starts & offset_mask,
            )
            if batch is not None:
                self._run.stats.touched("chunks", len(place), int(batch.chunk_length.sum()))
                return batch
            self._run.metrics.chunk_refetches.labels(self._run.tenant).inc(len(missing))
            again = place[missing]
            for at, length in zip(again.tolist(), needed.tolist(), strict=True):
                name, start, end = self._object(at, at + length)
                self._run.limits.bytes.take(length, "fetching chunks")
                data.append(self._read(name, start, end, 1))
                names.append(name)
            part[missing] = np.arange(len(data) - len(missing), len(data), dtype=np.int32)
            starts = np.concatenate((starts, again))
        name, start, _ = self._object(int(place[missing[0]]), 0)
        raise CorruptData(name, start, "chunk goes on after the end of the segment")

    def _places(self, refs: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The references as places in one line of all segments."""
        known = len(self._block.segments)
        try:
            return chunk_places(refs, SEGMENT_STEP_BITS, known)
        except IndexError as error:
            reason = f"chunk reference names segment {error} of {known}"
            raise CorruptData(self._block.index_name, -1, reason) from None

    def _object(self, start: int, end: int) -> tuple[str, int, int]:
        """Segment object and byte range of a range of places."""
        segment = start >> SEGMENT_STEP_BITS
        base = segment << SEGMENT_STEP_BITS
        return self._block.segments[segment], start - base, end - base

    def _read(self, name: str, start: int, end: int, items: int) -> bytes:
        with self._reading.running():
            data = read_range(self._block.bucket, name, start, end)
        self._run.stats.fetched("chunks", items, len(data))
        return data


def _rows(entries: SeriesEntries, first: int, stop: int) -> SeriesEntries:
    """A run of entries; nothing is copied."""
    low, high = int(entries.chunk_start[first]), int(entries.chunk_start[stop])
    return SeriesEntries(
        entries.rows[first:stop],
        entries.labels.take(slice(first, stop)),
        entries.chunk_start[first : stop + 1] - low,
        entries.chunk_mint[low:high],
        entries.chunk_maxt[low:high],
        entries.chunk_ref[low:high],
        entries.refetch,
        entries.refetch_length,
    )
