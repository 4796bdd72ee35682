"""What a query has used, and the limits on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pythanos.errors import LimitExceeded
from pythanos.promql.sample_counts import Counted, Counts, Place
from pythanos.promql.values import Steps

_ONE_STEP = Steps(0, 1, 1)
_ANYWHERE = Place(_ONE_STEP)


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """``samples_max``: points held in memory at once; ``bytes_max``: bytes of the arrays they are in. 0 is no limit.

    In both count the blocks that an operator holds, groups and accumulators, samples while they are decoded; in the
    bytes also label sets and the encoded batches that wait for a second reader.
    """

    samples_max: int = 50_000_000
    bytes_max: int = 0


@dataclass(frozen=True, slots=True)
class QueryStats:
    """What a query took.

    As Prometheus counts: a sample counts in each step whose window holds it (``total_queryable_samples``), or once
    (``samples_read``). ``peak_samples`` is the most points held at once, ``peak_bytes`` the memory they took.
    ``scanned_steps``, ``read_steps``: the first two by step, int64[steps.count], where that was asked for.
    """

    total_queryable_samples: int = 0
    samples_read: int = 0
    peak_samples: int = 0
    peak_bytes: int = 0
    steps: Steps = _ONE_STEP
    scanned_steps: Counts | None = None
    read_steps: Counts | None = None


class Account:
    """The running figures of one query; used by the thread that evaluates it.

    ``bytes`` are those of blocks, groups and their labels, ``kept`` those of encoded batches that wait for a reader.
    """

    __slots__ = (
        "bytes",
        "kept",
        "limits",
        "peak_bytes",
        "peak_samples",
        "read",
        "read_steps",
        "samples",
        "scanned",
        "scanned_steps",
        "steps",
    )

    def __init__(self, limits: QueryLimits, place: Place = _ANYWHERE) -> None:
        """``place``: that of the whole query."""
        self.limits = limits
        self.scanned_steps = self.read_steps = None
        self.steps = place.steps
        if place.per_step:
            self.scanned_steps, self.read_steps = np.zeros((2, place.steps.count), np.int64)
        self.samples = self.peak_samples = 0
        self.bytes = self.kept = self.peak_bytes = 0
        self.scanned = self.read = 0

    def count(self, counted: Counted) -> None:
        """Adds samples that were looked at."""
        self.scanned += counted.scanned
        self.read += counted.read
        if self.scanned_steps is not None and counted.scanned_steps is not None:
            self.scanned_steps += counted.scanned_steps
        if self.read_steps is not None and counted.read_steps is not None:
            self.read_steps += counted.read_steps

    def hold(self, samples: int, nbytes: int) -> None:
        """Counts points that are kept from now on. Raises LimitExceeded."""
        self.samples += samples
        self.bytes += nbytes
        if self.samples > self.peak_samples:
            self.peak_samples = self.samples
            if self.limits.samples_max and self.samples > self.limits.samples_max:
                raise self._too_many_samples()
        self.room(0)

    def release(self, samples: int, nbytes: int) -> None:
        self.samples -= samples
        self.bytes -= nbytes

    def keep(self, nbytes: int) -> None:
        """Counts encoded batches that are kept, or with a negative number let go. Raises LimitExceeded."""
        self.kept += nbytes
        self.room(0)

    def room(self, nbytes: int) -> None:
        """Raises LimitExceeded where so much more than what is held would be too much."""
        wanted = self.bytes + self.kept + nbytes
        if wanted > self.peak_bytes:
            if self.limits.bytes_max and wanted > self.limits.bytes_max:
                raise self._too_many_bytes()
            self.peak_bytes = self.bytes + self.kept

    def mark(self) -> tuple[int, int]:
        """What is held now, for ``settle``."""
        return self.samples, self.bytes

    def settle(self, mark: tuple[int, int], samples: int = 0, nbytes: int = 0) -> None:
        """What was held since the mark is gone, but for so much."""
        self.samples = mark[0] + samples
        self.bytes = mark[1] + nbytes

    def stats(self) -> QueryStats:
        return QueryStats(
            self.scanned, self.read, self.peak_samples, self.peak_bytes, self.steps, self.scanned_steps, self.read_steps
        )

    def _too_many_samples(self) -> LimitExceeded:
        value = self.limits.samples_max
        return LimitExceeded(
            "query.max_samples",
            value,
            "query processing would load too many samples into memory in query execution"
            f" (query.max_samples is {value}; ask for fewer series, a shorter range or a larger step)",
        )

    def _too_many_bytes(self) -> LimitExceeded:
        value = self.limits.bytes_max
        return LimitExceeded(
            "query.max_bytes",
            value,
            f"query needs more than {value} bytes of memory"
            f" (query.max_bytes is {value}; ask for fewer series, a shorter range or a larger step)",
        )
