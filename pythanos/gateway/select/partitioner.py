"""Joins near byte ranges into fewer reads: one request that fetches a gap is cheaper than two that skip it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GAP_BYTES_MAX = 512 * 1024
# Ranges that do not rise: how much more a slice of them may read, and how many ranges it has at least.
JUMPING_BYTES_FACTOR = 4
JUMPING_ITEMS_MIN = 64


@dataclass(frozen=True, slots=True)
class Parts:
    """p byte ranges that cover n smaller ones.

    start, end: int64[p] bytes, ``[start, end)``; first: int64[p + 1], part i covers ranges [first[i], first[i + 1]).
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
    if len(start) == 1:
        return Parts(start, end, np.arange(2))
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
) -> Iterator[tuple[int, int, int]]:
    """Slices ``(first, last + 1, bytes)`` of n ranges, in the order given, each to be read as one job.

    A slice has at most ``items_max`` ranges, and takes about ``parts_max`` reads and ``bytes_max`` bytes, gaps that a
    read spans included; a single range may take more. Where the ranges do not rise, a slice may take several times
    that, for else it would be tiny.
    """
    if len(start) == 1:
        return iter([(0, 1, int(end[0] - start[0]))])
    if len(start) and bool((start[1:] >= start[:-1]).all()):
        return _cut_rising(start, end, items_max, bytes_max, parts_max, gap_bytes_max)
    return _cut_jumping(start, end, items_max, bytes_max * JUMPING_BYTES_FACTOR, gap_bytes_max)


def _cut_rising(
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    items_max: int,
    bytes_max: int,
    parts_max: int,
    gap_bytes_max: int,
) -> Iterator[tuple[int, int, int]]:
    n = len(start)
    reach = np.maximum.accumulate(end)
    far = np.ones(n, np.bool_)
    np.greater(start[1:] - reach[:-1], gap_bytes_max, out=far[1:])
    # A near range costs what it adds to the read that it joins; a far one, or the first of a slice, a read of its own.
    size = end - start
    cost = size.copy()
    cost[1:] = np.where(far[1:], size[1:], reach[1:] - reach[:-1])
    bytes_to, reads_to = np.cumsum(cost), np.cumsum(far)
    at = 0
    while at < n:
        bytes_left, reads_left = bytes_max - int(size[at]), parts_max - 1
        by_bytes = int(np.searchsorted(bytes_to, bytes_to[at] + bytes_left, side="right"))
        by_reads = int(np.searchsorted(reads_to, reads_to[at] + reads_left, side="right"))
        stop = max(at + 1, min(at + items_max, by_bytes, by_reads, n))
        yield at, stop, int(bytes_to[stop - 1] - bytes_to[at] + size[at])
        at = stop


def _cut_jumping(
    start: NDArray[np.int64], end: NDArray[np.int64], items_max: int, bytes_max: int, gap_bytes_max: int
) -> Iterator[tuple[int, int, int]]:
    """Halves a slice until its reads, which join what is near in the object, are small enough."""
    at, items = 0, items_max
    while at < len(start):
        stop = min(at + items, len(start))
        order = np.argsort(start[at:stop], kind="stable")
        size = partition(start[at:stop][order], end[at:stop][order], gap_bytes_max).bytes
        if size > bytes_max and stop - at > JUMPING_ITEMS_MIN:
            items = max(JUMPING_ITEMS_MIN, (stop - at) // 2)
            continue
        yield at, stop, size
        at, items = stop, min(items_max, items * 2)
