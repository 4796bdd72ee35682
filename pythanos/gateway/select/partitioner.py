"""Joins near byte ranges into fewer reads: one request that fetches a gap is cheaper than two that skip it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pythanos._reads import cut_rising, joined, rising

GAP_BYTES_MAX = 512 * 1024
# Ranges that do not rise: how much more a slice of them may read, and how many ranges it has at least.
JUMPING_BYTES_FACTOR = 4
JUMPING_ITEMS_MIN = 64


@dataclass(frozen=True, slots=True)
class Parts:
    """p byte ranges that cover n smaller ones.

    start, end: int64[p] bytes, ``[start, end)``; first: int64[p + 1], part i covers ranges [first[i], first[i + 1]);
    part: int32[n], the part of each range.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    first: NDArray[np.int64]
    part: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.start)

    @property
    def bytes(self) -> int:
        if len(self.start) == 1:
            return int(self.end[0] - self.start[0])
        return int((self.end - self.start).sum())


def partition(start: NDArray[np.int64], end: NDArray[np.int64], gap_bytes_max: int = GAP_BYTES_MAX) -> Parts:
    """Parts for the ranges ``[start[i], end[i])``, sorted by start (they may overlap): a part ends where the next range
    begins more than ``gap_bytes_max`` after everything before it.
    """
    return Parts(*joined(start, end, gap_bytes_max))


def partition_places(place: NDArray[np.int64], size: int) -> Parts:
    """Parts for ranges of one size that begin at ``place``, in any order; ``first`` counts them by their place."""
    if rising(place):
        return partition(place, place + size)
    order = np.argsort(place, kind="stable")
    parts = partition(place[order], place[order] + size)
    part = np.empty_like(parts.part)
    part[order] = parts.part
    return replace(parts, part=part)


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
    slices = cut_rising(start, end, items_max, bytes_max, parts_max, gap_bytes_max)
    if slices is not None:
        return iter(slices)
    return _cut_jumping(start, end, items_max, bytes_max * JUMPING_BYTES_FACTOR, gap_bytes_max)


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
