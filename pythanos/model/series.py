"""The columns that series travel in: label sets, samples, and matrices of steps.

A *label block* is one label set in wire form: for each label, sorted by name, the bytes of a protobuf
``labels`` field of a ``thanos.Series`` message: ``0x0A len (0x0A len name) (0x12 len value)``. Labels stay in this form
from the index to the HTTP answer. Absence in a step matrix is the staleness marker's bit pattern.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pythanos.model.histogram import HistogramColumns

STALE_NAN_BITS = 0x7FF0000000000002
NORMAL_NAN_BITS = 0x7FF8000000000001
ABSENT = float(np.uint64(STALE_NAN_BITS).view(np.float64))


@dataclass(slots=True)
class LabelColumn:
    """The label sets of n series: label blocks inside one buffer.

    arena: readable buffer; offset: int64[n] bytes into it; length: int32[n] bytes; hash: uint64[n], XXH64 (seed 0) of
    the label block. The arena is shared, never written again.
    """

    arena: bytes | bytearray | memoryview
    offset: NDArray[np.int64]
    length: NDArray[np.int32]
    hash: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.offset)

    def block(self, index: int) -> bytes:
        """The wire bytes of one label set (a copy); for cold paths."""
        start = int(self.offset[index])
        return bytes(memoryview(self.arena)[start : start + int(self.length[index])])

    def take(self, rows: NDArray[np.intp] | slice) -> LabelColumn:
        """The same arena with some of the rows, in the order given."""
        return LabelColumn(self.arena, self.offset[rows], self.length[rows], self.hash[rows])


@dataclass(slots=True)
class SeriesBatch:
    """Encoded series in label order: n label sets, m chunk rows.

    labels: LabelColumn of n; its arena also holds the chunk bytes.
    chunk_start: int64[n + 1], series i owns chunk rows [chunk_start[i], chunk_start[i + 1]), ordered by mint.
    chunk_mint, chunk_maxt: int64[m] ms, both inside the chunk.
    chunk_encoding: uint8[m], the encoding byte of the chunk format (1 XOR, 2 histogram, 3 float histogram, 4 XOR2...).
    chunk_aggregate: uint8[m], a ``model.resolution`` kind (RAW, COUNT, ...); rows of one AggrChunk are adjacent, in
    rising kind, with the same mint and maxt.
    chunk_offset: int64[m], chunk_length: int32[m]: the chunk's data in the arena, without encoding byte and checksum.
    wire: int64[n, 2] or None: series i is also a whole Series message, its chunks with their XXH64, as the ``series``
    field (key, length, message) of a SeriesBatch or SeriesResponse in arena bytes [wire[i, 0], wire[i, 1]).
    Arrays and arena are never written after the batch was made; slices of them may be shared.
    """

    labels: LabelColumn
    chunk_start: NDArray[np.int64]
    chunk_mint: NDArray[np.int64]
    chunk_maxt: NDArray[np.int64]
    chunk_encoding: NDArray[np.uint8]
    chunk_aggregate: NDArray[np.uint8]
    chunk_offset: NDArray[np.int64]
    chunk_length: NDArray[np.int32]
    wire: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def chunk_count(self) -> int:
        return len(self.chunk_mint)


@dataclass(slots=True)
class SampleBatch:
    """Decoded float samples of n series, in columns.

    start: int64[n + 1], series i owns rows [start[i], start[i + 1]); timestamps: int64[rows] ms, strictly increasing
    in a series; values: float64[rows], staleness markers included as their bit pattern. ``start_timestamps`` is
    int64[rows] ms or None. ``histograms`` is None, or the columns of native histogram samples, kept beside the float
    samples of the same series (see ``model.histogram``).
    """

    labels: LabelColumn
    start: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]
    start_timestamps: NDArray[np.int64] | None = None
    histograms: HistogramColumns | None = None

    def __len__(self) -> int:
        return len(self.start) - 1
