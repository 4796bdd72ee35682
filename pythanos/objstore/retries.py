"""Trying again what may pass: exponential backoff with jitter, a number of attempts, and a deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``attempts`` at most, none begun later than ``deadline_seconds`` after the first.

    The pause before attempt n + 1 is random between half and all of ``min(cap, unit * 2**n)`` seconds.
    """

    attempts: int = 10
    deadline_seconds: float = 120.0
    unit_seconds: float = 0.2
    cap_seconds: float = 2.0
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform

    def run(self, operation: Callable[[], T], may_pass: Callable[[Exception], bool]) -> T:
        """What ``operation`` returns. Raises its last error, or the first of which ``may_pass`` says no."""
        start = self.monotonic()
        for attempt in range(1, self.attempts + 1):
            try:
                return operation()
            except Exception as error:
                pause = min(self.cap_seconds, self.unit_seconds * 2 ** (attempt - 1))
                pause = self.uniform(pause / 2, pause)
                late = self.monotonic() - start + pause > self.deadline_seconds
                if attempt == self.attempts or late or not may_pass(error):
                    raise
            self.sleep(pause)
        raise AssertionError("a policy has at least one attempt")
