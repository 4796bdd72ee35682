"""Writes whole blocks: chunk segments, index, meta.json and tombstones, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from pythanos._chunks import join_aggregates
from pythanos._symbols import SymbolTable
from pythanos.errors import CorruptData
from pythanos.model.chunks import AGGREGATE, FLOAT_HISTOGRAM_ST, HISTOGRAM, HISTOGRAM_ST, XOR2
from pythanos.model.resolution import COUNT, RAW
from pythanos.model.series import SeriesBatch
from pythanos.tsdb.chunk_files import SEGMENT_BYTES_MAX, SegmentWriter, sync_folder
from pythanos.tsdb.index_toc import INDEX_FILENAME
from pythanos.tsdb.index_writer import IndexWriter
from pythanos.tsdb.meta import META_FILENAME, BlockMeta, BlockStats, encode_meta
from pythanos.tsdb.tombstones import TOMBSTONES_FILENAME, encode_tombstones

CHUNKS_FOLDER = "chunks"
TEMPORARY_SUFFIX = ".tmp-for-creation"


def write_block(
    folder: Path,
    meta: BlockMeta,
    batches: Iterable[SeriesBatch],
    *,
    symbols: SymbolTable | Iterable[bytes] = (b"",),
    label_indices: bool = False,
    segment_bytes_max: int = SEGMENT_BYTES_MAX,
) -> BlockMeta | None:
    """Writes ``folder/<ULID>`` and returns its meta, or None, and writes nothing, where no series has a chunk.

    meta: ULID, time range, compaction and thanos sections as they shall be; its stats are counted anew. batches:
    series in strict label order, also from one batch to the next; chunks of a series in time order and apart. Rows of
    aggregates are joined to Thanos' aggregate chunks. symbols: to hold besides those of the series (Prometheus' blocks
    hold the empty string). label_indices: as Prometheus 2.x wrote. Raises Halt for series or chunks out of order,
    FileExistsError for a block that exists, OSError; what was written so far is removed.
    """
    with BlockWriter(
        folder, meta, symbols=symbols, label_indices=label_indices, segment_bytes_max=segment_bytes_max
    ) as writer:
        for batch in batches:
            writer.add(batch)
        return writer.finish()


class BlockWriter:
    """One block being written, into ``<ULID>.tmp-for-creation`` until ``finish``; as a context manager it cleans up
    after itself.
    """

    def __init__(
        self,
        folder: Path,
        meta: BlockMeta,
        *,
        symbols: SymbolTable | Iterable[bytes] = (b"",),
        label_indices: bool = False,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
    ) -> None:
        self._final = folder / meta.ulid
        if self._final.exists():
            raise FileExistsError(f"block {self._final} exists")
        self._meta = meta
        self._temporary = folder / (meta.ulid + TEMPORARY_SUFFIX)
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        self._segments = SegmentWriter(self._temporary / CHUNKS_FOLDER, segment_bytes_max=segment_bytes_max)
        self._index = IndexWriter(label_indices=label_indices)
        self._index.add_symbols(symbols)
        self._samples = self._histogram_samples = 0

    def __enter__(self) -> BlockWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._temporary.exists():
            self._segments.abort()
            shutil.rmtree(self._temporary, ignore_errors=True)

    def add(self, batch: SeriesBatch) -> None:
        """Adds the series of a batch that have chunks. Raises Halt where they are out of order; then the block is
        lost.
        """
        if np.any(batch.chunk_aggregate != RAW):
            batch = _joined(batch)
        counts = np.diff(batch.chunk_start)
        labels, start = batch.labels, batch.chunk_start
        if not counts.all():
            rows = np.flatnonzero(counts)
            labels, start = labels.take(rows), np.concatenate([[0], np.cumsum(counts[rows])])
        refs = self._segments.write(
            batch.labels.arena, batch.chunk_offset, batch.chunk_length, batch.chunk_encoding, start
        )
        self._index.add(labels, start, batch.chunk_mint, batch.chunk_maxt, refs)
        samples = chunk_samples(batch)
        self._samples += int(samples.sum())
        self._histogram_samples += int(samples[_is_histogram(batch.chunk_encoding)].sum())

    def finish(self) -> BlockMeta | None:
        """Completes the block; durable when this returns. None where there is nothing to write."""
        if not self._index.series_count:
            return None
        self._segments.close()
        with open(self._temporary / INDEX_FILENAME, "wb") as file:
            self._index.write(file)
            _sync(file)
        stats = BlockStats(
            num_samples=self._samples,
            num_float_samples=self._samples - self._histogram_samples,
            num_histogram_samples=self._histogram_samples,
            num_series=self._index.series_count,
            num_chunks=self._index.chunk_count,
        )
        meta = msgspec.structs.replace(self._meta, stats=stats)
        for name, data in ((META_FILENAME, encode_meta(meta)), (TOMBSTONES_FILENAME, encode_tombstones())):
            with open(self._temporary / name, "wb") as file:
                file.write(data)
                _sync(file)
        sync_folder(self._temporary)
        self._temporary.rename(self._final)
        sync_folder(self._final.parent)
        return meta


def chunk_samples(batch: SeriesBatch) -> NDArray[np.int64]:
    """int64[m]: how many samples each chunk holds by its first two bytes; of an aggregate chunk, its count chunk.

    Raises CorruptData for a chunk that is too short to say.
    """
    if np.any(batch.chunk_length < 2):
        raise CorruptData(CHUNKS_FOLDER, -1, "chunk too short to hold its sample count")
    data = np.frombuffer(batch.labels.arena, np.uint8)
    at = batch.chunk_offset.copy()
    inner = batch.chunk_encoding == AGGREGATE
    # Of an aggregate chunk: behind the length varint and the encoding byte of the count chunk, which comes first.
    long = data[at] >= 0x80
    at[inner] += (2 + long + (long & (data[at + 1] >= 0x80)))[inner]
    if np.any(at - batch.chunk_offset + 2 > batch.chunk_length):
        raise CorruptData(CHUNKS_FOLDER, -1, "aggregate chunk too short to hold its sample count")
    high = data[at].astype(np.int64)
    # The upper two bits of these are flags.
    flags = np.isin(batch.chunk_encoding, (HISTOGRAM_ST, FLOAT_HISTOGRAM_ST))
    return np.where(flags, high & 0x3F, high) << 8 | data[at + 1]


def _is_histogram(encoding: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (encoding >= HISTOGRAM) & (encoding <= FLOAT_HISTOGRAM_ST) & (encoding != XOR2)


def _joined(batch: SeriesBatch) -> SeriesBatch:
    """The batch with the rows of each AggrChunk joined to one aggregate chunk."""
    kind, mint = batch.chunk_aggregate, batch.chunk_mint
    if not np.all(kind >= COUNT):
        raise ValueError("raw chunks and aggregates in one batch")
    first = np.ones(len(kind), np.bool_)
    first[1:] = (kind[1:] <= kind[:-1]) | (mint[1:] != mint[:-1])
    first[batch.chunk_start[:-1][np.diff(batch.chunk_start) > 0]] = True
    start = np.append(np.flatnonzero(first), len(kind))
    arena, offset, length = join_aggregates(
        batch.labels.arena, start, kind, batch.chunk_offset, batch.chunk_length, batch.chunk_encoding
    )
    labels = bytes(batch.labels.arena)
    moved = batch.labels.take(slice(None))
    moved.arena = labels + arena
    chunks = len(start) - 1
    return SeriesBatch(
        labels=moved,
        chunk_start=np.searchsorted(start, batch.chunk_start),
        chunk_mint=mint[start[:-1]],
        chunk_maxt=batch.chunk_maxt[start[:-1]],
        chunk_encoding=np.full(chunks, AGGREGATE, np.uint8),
        chunk_aggregate=np.full(chunks, RAW, np.uint8),
        chunk_offset=offset + len(labels),
        chunk_length=length,
    )


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
