"""What a remote read asks for."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pythanos.model.matchers import Matcher


class ReadFormat(enum.IntEnum):
    """Numbered as in ReadRequest.ResponseType."""

    SAMPLES = 0
    STREAMED_XOR_CHUNKS = 1


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """One select: ``[mint, maxt]`` ms, both inside. ``func`` and the steps are hints to the stores."""

    mint: int
    maxt: int
    matchers: tuple[Matcher, ...]
    func: str = ""
    step_ms: int = 0
    range_ms: int = 0


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """The answer is in the first of ``accepted`` that is known; the numbers that are not stay in the list."""

    queries: tuple[ReadQuery, ...]
    accepted: tuple[int, ...] = ()
