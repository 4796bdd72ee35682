"""The limits of one request on a store: series, chunks and bytes that it may cost before it is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pythanos.errors import LimitExceeded

SAMPLES_PER_CHUNK = 120

SERIES_LIMIT = "store.limits.request_series"
SAMPLES_LIMIT = "store.limits.request_samples"
BYTES_LIMIT = "store.grpc.downloaded_bytes_limit"
CHUNK_POOL_LIMIT = "chunk_pool_size"


class Limiter:
    """Adds up what one request takes; more than ``limit`` raises LimitExceeded (0: no limit). Thread-safe.

    ``on_exceeded`` is told the kind, once, however many threads run into the limit.
    """

    __slots__ = ("_exceeded", "_key", "_kind", "_limit", "_lock", "_on_exceeded", "_taken")

    def __init__(self, key: str, kind: str, limit: int, on_exceeded: Callable[[str], None]) -> None:
        self._key = key
        self._kind = kind
        self._limit = limit
        self._on_exceeded = on_exceeded
        self._taken = 0
        self._exceeded = False
        self._lock = threading.Lock()

    def take(self, amount: int, doing: str = "") -> None:
        """Counts ``amount``; ``doing`` ("fetching postings") goes into the message."""
        if not self._limit:
            return
        with self._lock:
            self._taken += amount
            taken, first = self._taken, not self._exceeded
            if taken <= self._limit:
                return
            self._exceeded = True
        if first:
            self._on_exceeded(self._kind)
        where = f" while {doing}" if doing else ""
        text = f"exceeded {self._kind} limit{where}: limit {self._limit} violated (got {taken})"
        raise LimitExceeded(self._key, self._limit, text)


class RequestLimits:
    """The three limiters of one request."""

    __slots__ = ("bytes", "chunks", "series")

    def __init__(self, *, series: int, samples: int, downloaded_bytes: int, on_exceeded: Callable[[str], None]) -> None:
        self.series = Limiter(SERIES_LIMIT, "series", series, on_exceeded)
        # A chunk has about 120 samples, so samples are limited without decoding any.
        self.chunks = Limiter(SAMPLES_LIMIT, "chunks", samples // SAMPLES_PER_CHUNK, on_exceeded)
        self.bytes = Limiter(BYTES_LIMIT, "bytes", downloaded_bytes, on_exceeded)


class ChunkBudget:
    """The chunk bytes that all requests together may hold at once. Thread-safe; never waits, so that no two requests
    can wait for each other.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = 0
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        return self._held

    def try_take(self, amount: int) -> bool:
        """Whether the bytes were there, and so are taken (a size of 0 is no limit)."""
        with self._lock:
            if self._size and self._held + amount > self._size:
                return False
            self._held += amount
            return True

    def take(self, amount: int) -> None:
        """Raises LimitExceeded where the bytes are not there."""
        if not self.try_take(amount):
            text = f"chunk pool of {self._size} bytes exhausted: {amount} more wanted"
            raise LimitExceeded(CHUNK_POOL_LIMIT, self._size, text)

    def give_back(self, amount: int) -> None:
        with self._lock:
            self._held -= amount
