"""Clock: wall time in ms and a monotonic second counter, as an argument and never as a module function."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What core code may know about time."""

    def now_ms(self) -> int:
        """Unix time in ms."""

    def monotonic(self) -> float:
        """Seconds from an unspecified start; never goes back."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is moved; for tests and simulations."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms
        self._moved_ms = 0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._moved_ms / 1000

    def advance(self, seconds: float) -> None:
        """Moves both times forward."""
        self._now_ms += round(seconds * 1000)
        self._moved_ms += round(seconds * 1000)
