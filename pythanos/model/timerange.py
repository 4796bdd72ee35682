"""Time ranges in int milliseconds; a block's end is outside, a chunk's and a request's end is inside."""

from __future__ import annotations

from dataclasses import dataclass

MIN_TIME_MS = -(2**63)
MAX_TIME_MS = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class BlockRange:
    """``[mint, maxt)`` in ms: what a block covers."""

    mint: int
    maxt: int

    def overlaps(self, other: ClosedRange) -> bool:
        return self.mint <= other.maxt and other.mint < self.maxt


@dataclass(frozen=True, slots=True, order=True)
class ClosedRange:
    """``[mint, maxt]`` in ms: what a chunk covers, and what a request asks for."""

    mint: int
    maxt: int

    def overlaps(self, other: ClosedRange) -> bool:
        return self.mint <= other.maxt and other.mint <= self.maxt


ALL_TIME = ClosedRange(MIN_TIME_MS, MAX_TIME_MS)
