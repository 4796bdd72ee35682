"""Opens a block folder on the local disk and reads its series: encoded, in batches, or decoded to samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from pythanos._assemble import assemble
from pythanos._chunks import decode_chunks
from pythanos._postings import intersect, subtract
from pythanos.errors import CorruptData
from pythanos.model.entries import SeriesEntries
from pythanos.model.histogram import HistogramColumns
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.series import SampleBatch, SeriesBatch
from pythanos.model.timerange import ALL_TIME, ClosedRange
from pythanos.tsdb.block_writer import CHUNKS_FOLDER
from pythanos.tsdb.chunk_files import ChunkFiles
from pythanos.tsdb.index_reader import IndexReader
from pythanos.tsdb.index_toc import INDEX_FILENAME
from pythanos.tsdb.meta import META_FILENAME, decode_meta
from pythanos.tsdb.tombstones import TOMBSTONES_FILENAME, Tombstones, decode_tombstones

SERIES_PER_BATCH = 1024


class BlockReader:
    """A block folder: meta.json, index and segment files, the latter two mapped. Safe to use from several threads.

    Raises CorruptData for a file that is broken or missing a part, FileNotFoundError for one that is missing. A block
    without a tombstones file has no tombstones. ``close`` unmaps the segments; batches that were handed out stay
    usable.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meta = decode_meta((folder / META_FILENAME).read_bytes(), str(folder / META_FILENAME))
        self.index = IndexReader.open(folder / INDEX_FILENAME)
        self.tombstones = _tombstones(folder / TOMBSTONES_FILENAME)
        self.chunks = ChunkFiles(folder / CHUNKS_FOLDER)

    def __enter__(self) -> BlockReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.chunks.close()

    def select(self, matchers: Sequence[Matcher] = ()) -> NDArray[np.uint32]:
        """uint32[n]: references of the series that match all matchers, in label order. Raises BadRequest for a bad
        pattern.
        """
        refs = self.index.all_series()
        for matcher in matchers:
            # A matcher that the empty value satisfies also keeps series without the label.
            wanted = matcher.inverse() if matcher.matches_empty else matcher
            values = _matching(wanted, self.index.label_values(matcher.name))
            listed = self.index.series_with(matcher.name, *values)
            refs = subtract(refs, listed) if matcher.matches_empty else intersect([refs, listed])
        return refs

    def batches(
        self,
        refs: NDArray[np.uint32] | None = None,
        within: ClosedRange = ALL_TIME,
        *,
        aggregates: tuple[int, ...] = (),
        external: bytes = b"",
        drop: tuple[bytes, ...] = (),
        check_crc: bool = True,
        series_per_batch: int = SERIES_PER_BATCH,
    ) -> Iterator[SeriesBatch]:
        """Encoded series that have a chunk in the range, at most ``series_per_batch`` at a time; whole chunks,
        tombstones ignored.

        refs: series references in label order (None: all). aggregates: the kinds to take of aggregate chunks, each a
        row of its own; plain chunks always come. external, drop: see ``_index.decode_series``. Raises CorruptData
        naming the file.
        """
        for entries, _ in self._entries(refs, within, series_per_batch, external, drop, check_crc):
            yield self._assembled(entries, aggregates, check_crc)

    def samples(
        self,
        refs: NDArray[np.uint32] | None = None,
        within: ClosedRange = ALL_TIME,
        *,
        series_per_batch: int = SERIES_PER_BATCH,
    ) -> Iterator[SampleBatch]:
        """Decoded series of a raw block that have a chunk in the range; samples outside of it and deleted ones are
        left out.

        Raises CorruptData naming the file.
        """
        for entries, own in self._entries(refs, within, series_per_batch, b"", (), True):
            yield self._decoded(entries, own.astype(np.uint64), within)

    def _entries(
        self,
        refs: NDArray[np.uint32] | None,
        within: ClosedRange,
        size: int,
        external: bytes,
        drop: tuple[bytes, ...],
        check_crc: bool,
    ) -> Iterator[tuple[SeriesEntries, NDArray[np.uint32]]]:
        refs = self.index.all_series() if refs is None else refs
        for at in range(0, len(refs), size):
            part = refs[at : at + size]
            entries = self.index.series(part, within, external=external, drop=drop, check_crc=check_crc)
            if len(entries):
                yield entries, part[entries.rows]

    def _assembled(self, entries: SeriesEntries, aggregates: tuple[int, ...], check_crc: bool) -> SeriesBatch:
        part = (entries.chunk_ref >> np.uint64(32)).astype(np.int32)
        place = (entries.chunk_ref & np.uint64(0xFFFFFFFF)).astype(np.int64)
        parts = [segment.arena for segment in self.chunks.segments]
        files = [segment.file for segment in self.chunks.segments]
        columns = entries.labels, entries.chunk_start, entries.chunk_mint, entries.chunk_maxt
        batch, missing, _ = assemble(
            *columns, parts, part, place, aggregates=aggregates, check_crc=check_crc, files=files
        )
        if batch is None:
            row = missing[0]
            raise CorruptData(files[part[row]], int(place[row]), "chunk goes on behind the end of its segment")
        return batch

    def _decoded(self, entries: SeriesEntries, refs: NDArray[np.uint64], within: ClosedRange) -> SampleBatch:
        batch = self._assembled(entries, (), True)
        columns = batch.labels.arena, batch.chunk_offset, batch.chunk_length, batch.chunk_encoding
        chunks = decode_chunks(*columns, file=str(self.folder / CHUNKS_FOLDER))
        start = chunks.start[batch.chunk_start]
        kept = self._kept(refs, start, chunks.timestamps, within)
        started = chunks.start_timestamps
        histograms = chunks.histograms
        if histograms is not None:
            own = histograms.start[batch.chunk_start]
            histograms = _take_histograms(histograms, own, self._kept(refs, own, histograms.timestamps, within))
        return SampleBatch(
            labels=batch.labels,
            start=_starts(start, kept),
            timestamps=chunks.timestamps[kept],
            values=chunks.values[kept],
            start_timestamps=None if started is None else started[kept],
            histograms=histograms,
        )

    def _kept(
        self, refs: NDArray[np.uint64], start: NDArray[np.int64], timestamps: NDArray[np.int64], within: ClosedRange
    ) -> NDArray[np.bool_]:
        inside = (timestamps >= within.mint) & (timestamps <= within.maxt)
        return inside & self.tombstones.keep(refs, start, timestamps)


def _tombstones(path: Path) -> Tombstones:
    if not path.exists():
        return Tombstones.of([])
    return decode_tombstones(path.read_bytes(), str(path))


def _matching(matcher: Matcher, values: list[str]) -> list[str]:
    if matcher.type is MatchType.EQ:
        return [matcher.value]
    return [value for value in values if matcher.matches(value)]


def _starts(start: NDArray[np.int64], kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where each series' rows begin among the kept ones."""
    return np.concatenate([[0], np.cumsum(kept)])[start]


def _take_histograms(columns: HistogramColumns, start: NDArray[np.int64], kept: NDArray[np.bool_]) -> HistogramColumns:
    """The kept rows, owned by series (start: int64[k + 1]) instead of by chunks; hints of chunks are lost."""
    sizes = np.diff(columns.bucket_start)
    started = columns.start_timestamps
    return dataclasses.replace(
        columns,
        start=_starts(start, kept),
        chunk_reset=np.zeros(len(start) - 1, np.uint8),
        timestamps=columns.timestamps[kept],
        count=columns.count[kept],
        zero_count=columns.zero_count[kept],
        sum=columns.sum[kept],
        reset_hint=columns.reset_hint[kept],
        layout=columns.layout[kept],
        bucket_start=np.concatenate([[0], np.cumsum(sizes[kept])]),
        buckets=columns.buckets[np.repeat(kept, sizes)],
        start_timestamps=None if started is None else started[kept],
        integers=None,
    )
