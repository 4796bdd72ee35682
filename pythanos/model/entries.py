"""SeriesEntries: what the series section of an index says of some series: their labels and where their chunks are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pythanos.model.series import LabelColumn


@dataclass(slots=True)
class SeriesEntries:
    """k series decoded from n entries of an index, in the order of the entries.

    rows: int64[k], strictly increasing; series i came from entry rows[i] of the n that were asked for. labels:
    LabelColumn of k, external labels merged in and dropped names left out. chunk_start: int64[k + 1], series i owns
    chunk rows [chunk_start[i], chunk_start[i + 1]), ordered by mint. chunk_mint, chunk_maxt: int64[m] ms, both inside
    the chunk; chunk_ref: uint64[m], segment index << 32 | byte offset. refetch: int64[r], entries that ran past the
    end of their part; refetch_length: int64[r] bytes, how long a range from the start of the entry has to be. The
    other columns lack these entries: fetch them, add them as parts, decode again. rising: the series' own labels,
    before external ones came in, are known to be in label order, none the beginning of the next. Arrays and arena are
    never written after the entries were made.
    """

    rows: NDArray[np.int64]
    labels: LabelColumn
    chunk_start: NDArray[np.int64]
    chunk_mint: NDArray[np.int64]
    chunk_maxt: NDArray[np.int64]
    chunk_ref: NDArray[np.uint64]
    refetch: NDArray[np.int64]
    refetch_length: NDArray[np.int64]
    rising: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def chunk_count(self) -> int:
        return len(self.chunk_ref)

    def take(self, rows: NDArray[np.int64]) -> SeriesEntries:
        """The entries at ``rows`` (increasing), sharing the label arena; chunk rows are copied."""
        counts = np.diff(self.chunk_start)[rows]
        start = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(counts, out=start[1:])
        chunks = np.repeat(self.chunk_start[rows] - start[:-1], counts) + np.arange(start[-1])
        return SeriesEntries(
            self.rows[rows],
            self.labels.take(rows),
            start,
            self.chunk_mint[chunks],
            self.chunk_maxt[chunks],
            self.chunk_ref[chunks],
            self.refetch,
            self.refetch_length,
            # What stands between a label set and one that it begins begins with it too, so some of them rise as all do.
            self.rising,
        )
