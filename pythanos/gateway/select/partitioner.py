"""Joins near byte ranges into fewer reads: one request that fetches a gap is cheaper than two that skip it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GAP_BYTES_MAX = 512 * 1024


@dataclass(frozen=True, slots=True)
class Parts:
    """p byte ranges that cover n smaller ones.

    start, end: int64[p] bytes, ``[start, end)``; first: int64[p + 1], part i covers the ranges [first[i], first[i + 1]).
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    first: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    @property
    def bytes(self) -> int:
        return int((self.end - self.start).sum())


def partition(start: NDArray[np.int64], end: NDArray[np.int64], gap_bytes_max: int = GAP_BYTES_MAX) -> Parts:
    """Parts for the ranges ``[start[i], end[i])``, sorted by start (they may overlap): a part ends where the next range
    begins more than ``gap_bytes_max`` after everything before it.
    """
    if not len(start):
        empty = np.empty(0, np.int64)
        return Parts(empty, empty, np.zeros(1, np.int64))
    reach = np.maximum.accumulate(end)
    breaks = np.flatnonzero(reach[:-1] + gap_bytes_max < start[1:]) + 1
    first = np.concatenate(([0], breaks, [len(start)])).astype(np.int64)
    return Parts(start[first[:-1]], reach[first[1:] - 1], first)


def cut(
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    *,
    items_max: int,
    bytes_max: int,
    parts_max: int,
    gap_bytes_max: int = GAP_BYTES_MAX,
) -> list[tuple[int, int, int]]:
    """Slices ``(first, last + 1, bytes)`` of n ranges, in the order given, each to be read as one job.

    A slice has at most ``items_max`` ranges and takes about ``parts_max`` reads and ``bytes_max`` bytes, gaps that a read
    spans included; a single range may take more. Ranges are expected to rise mostly; where they fall, a new read begins.
    """
    n = len(start)
    if not n:
        return []
    step = np.empty(n, np.int64)
    step[0] = 0
    np.subtract(start[1:], end[:-1], out=step[1:])
    size = end - start
    # Overlapping and near ranges cost what they add to the read; far ones, and those before the last one, are a new read.
    near = (step <= gap_bytes_max) & (start >= np.concatenate((start[:1], start[:-1])))
    near[0] = False
    cost = np.where(near, np.maximum(size + step, 0), size)
    bytes_before = np.concatenate(([0], np.cumsum(cost)))
    parts_before = np.concatenate(([0], np.cumsum(~near)))
    slices, at = [], 0
    while at < n:
        by_bytes = int(np.searchsorted(bytes_before, bytes_before[at] + bytes_max, side="right")) - 1
        by_parts = int(np.searchsorted(parts_before, parts_before[at] + parts_max, side="right")) - 1
        stop = max(at + 1, min(at + items_max, by_bytes, by_parts, n))
        slices.append((at, stop, int(bytes_before[stop] - bytes_before[at])))
        at = stop
    return slices
