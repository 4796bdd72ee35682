"""Which pieces of an object a range read touches, and which requests fetch the ones that are missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, end) of an object."""

    start: int
    end: int


def cut(start: int, end: int, unit: int, size: int) -> list[Span]:
    """The pieces of ``unit`` bytes that [start, end) touches; the last one of the object may be shorter."""
    first = start - start % unit
    return [Span(at, min(at + unit, size)) for at in range(first, end, unit)]


def requests(missing: Iterable[Span], unit: int, most: int) -> list[Span]:
    """Neighbours as one request; then nearer and farther ones too until there are at most ``most`` (0: any number)."""
    merged = _merge(list(missing), 0)
    gap = unit
    while 0 < most < len(merged):
        merged = _merge(merged, gap)
        gap *= 2
    return merged


def _merge(spans: list[Span], gap: int) -> list[Span]:
    merged: list[Span] = []
    for span in spans:
        if merged and span.start - merged[-1].end <= gap:
            merged[-1] = Span(merged[-1].start, span.end)
        else:
            merged.append(span)
    return merged
