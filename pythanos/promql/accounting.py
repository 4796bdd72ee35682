"""What a query has used, and the limits on it."""

from __future__ import annotations

from dataclasses import dataclass

from pythanos.errors import LimitExceeded


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """``samples_max``: points held in memory at once; ``bytes_max``: bytes of the arrays they are in. 0 is no limit."""

    samples_max: int = 50_000_000
    bytes_max: int = 0


@dataclass(frozen=True, slots=True)
class QueryStats:
    """What a query took.

    As Prometheus counts: a sample counts in each step whose window holds it (``total_queryable_samples``), or once
    (``samples_read``). ``peak_samples`` is the most points held at once, ``peak_bytes`` the memory they took.
    """

    total_queryable_samples: int = 0
    samples_read: int = 0
    peak_samples: int = 0
    peak_bytes: int = 0


class Account:
    """The running figures of one query; used by the thread that evaluates it."""

    __slots__ = ("bytes", "limits", "peak_bytes", "peak_samples", "read", "samples", "scanned")

    def __init__(self, limits: QueryLimits) -> None:
        self.limits = limits
        self.samples = self.peak_samples = 0
        self.bytes = self.peak_bytes = 0
        self.scanned = self.read = 0

    def hold(self, samples: int, nbytes: int) -> None:
        """Counts points that are kept from now on. Raises LimitExceeded."""
        self.samples += samples
        self.bytes += nbytes
        self.peak_samples = max(self.peak_samples, self.samples)
        self.peak_bytes = max(self.peak_bytes, self.bytes)
        limits = self.limits
        if limits.samples_max and self.samples > limits.samples_max:
            raise LimitExceeded(
                "query.max_samples",
                limits.samples_max,
                "query processing would load too many samples into memory in query execution"
                f" (query.max_samples is {limits.samples_max}; ask for fewer series, a shorter range or a larger step)",
            )
        if limits.bytes_max and self.bytes > limits.bytes_max:
            raise LimitExceeded(
                "query.max_bytes",
                limits.bytes_max,
                f"query needs more than {limits.bytes_max} bytes of memory"
                " (query.max_bytes; ask for fewer series, a shorter range or a larger step)",
            )

    def release(self, samples: int, nbytes: int) -> None:
        self.samples -= samples
        self.bytes -= nbytes

    def stats(self) -> QueryStats:
        return QueryStats(self.scanned, self.read, self.peak_samples, self.peak_bytes)
