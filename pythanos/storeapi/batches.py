"""SeriesBatch: the columnar currency of the StoreAPI, and the other frames of a Series answer.

A batch owns one arena with the label blocks and the chunk bytes of its series. It is filled by one kernel
from a block, sent by slicing, received by one scan of the wire bytes, merged by comparing label blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pythanos.model.series import LabelColumn


@dataclass(slots=True)
class SeriesBatch:
    """Encoded series in label order: n label sets, m chunk rows.

    labels: LabelColumn of n; its arena also holds the chunk bytes.
    chunk_start: int64[n + 1], series i owns chunk rows [chunk_start[i], chunk_start[i + 1]), ordered by mint.
    chunk_mint, chunk_maxt: int64[m] ms, both inside the chunk.
    chunk_encoding: uint8[m], the encoding byte of the chunk format (1 XOR, 2 histogram, 3 float histogram, 4 XOR2, ...).
    chunk_aggregate: uint8[m], a ``model.resolution`` kind (RAW, COUNT, ...); rows of one AggrChunk are adjacent, in rising
    kind, with the same mint and maxt.
    chunk_offset: int64[m], chunk_length: int32[m]: the chunk's data in the arena, without encoding byte and checksum.
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

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def chunk_count(self) -> int:
        return len(self.chunk_mint)


@dataclass(frozen=True, slots=True)
class StoreWarning:
    """Something that makes the answer partial; travels in the stream instead of an error."""

    message: str


@dataclass(frozen=True, slots=True)
class SeriesHints:
    """What a store says about how it answered: queried block ULIDs, and counters by the names of hintspb.QueryStats."""

    queried_blocks: tuple[str, ...] = ()
    query_stats: Mapping[str, int] = field(default_factory=dict)


SeriesFrame = SeriesBatch | StoreWarning | SeriesHints
