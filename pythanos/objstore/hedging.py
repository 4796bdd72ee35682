"""A bucket that asks again what takes long, and takes the answer that comes first.

A second request is sent when the first has taken longer than ``quantile`` of all requests before, a third after as long
again, ``up_to`` of them at most. An answer that is late is read to its end and dropped.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import BinaryIO, TypeVar

from pythanos.config import Section
from pythanos.errors import ObjectNotFound
from pythanos.objstore.bucket import Bucket, ObjectAttributes, check_range
from pythanos.workers import Pool

T = TypeVar("T")

# Before so many requests nothing is known of what takes long.
LEARNED = 20
# Buckets of latencies grow by 2 % from 10 us on; the last one begins at 15 minutes.
_GROWTH, _SHORTEST, _BUCKETS = 1.02, 1e-5, 926


class HedgingConfig(Section, frozen=True):
    """``up_to`` requests at most for one read; another one when ``quantile`` of the latencies is over."""

    enabled: bool = False
    up_to: int = 3
    quantile: float = 0.9

    def __post_init__(self) -> None:
        if self.up_to < 1:
            raise ValueError(f"up_to: {self.up_to} is no number of requests above 0")
        if not 0 < self.quantile < 1:
            raise ValueError(f"quantile: {self.quantile} is not between 0 and 1")


class Latencies:
    """Quantiles of seconds, each within 2 %, of all that was added. Thread-safe."""

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._total = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._total

    def add(self, seconds: float) -> None:
        place = math.ceil(math.log(max(seconds, _SHORTEST) / _SHORTEST) / math.log(_GROWTH))
        with self._lock:
            self._counts[min(place, _BUCKETS - 1)] += 1
            self._total += 1

    def quantile(self, q: float) -> float:
        """Seconds that the share ``q`` of the latencies does not exceed; 0 where there is none."""
        with self._lock:
            rank, seen = q * self._total, 0
            for place, count in enumerate(self._counts):
                seen += count
                if count and seen >= rank:
                    return _SHORTEST * _GROWTH**place
        return 0.0


class HedgedBucket:
    """A Bucket whose reads of one object are hedged. Requests run on ``pool``, on which nobody else runs."""

    def __init__(
        self, bucket: Bucket, config: HedgingConfig, pool: Pool, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = bucket.name
        self._bucket = bucket
        self._config = config
        self._pool = pool
        self._monotonic = monotonic
        self._latencies = Latencies()

    def get(self, name: str) -> bytes:
        return self._hedged(lambda: self._bucket.get(name))

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        check_range(offset, length)
        return self._hedged(lambda: self._bucket.get_range(name, offset, length))

    def iter(self, prefix: str = "", *, recursive: bool = False) -> Iterator[str]:
        return self._bucket.iter(prefix, recursive=recursive)

    def walk(self, prefix: str = "") -> Iterator[tuple[str, ObjectAttributes]]:
        return self._bucket.walk(prefix)

    def exists(self, name: str) -> bool:
        return self._hedged(lambda: self._bucket.exists(name))

    def attributes(self, name: str) -> ObjectAttributes:
        return self._hedged(lambda: self._bucket.attributes(name))

    def upload(self, name: str, body: bytes | BinaryIO) -> None:
        self._bucket.upload(name, body)

    def delete(self, name: str) -> None:
        self._bucket.delete(name)

    def close(self) -> None:
        self._pool.stop()
        self._bucket.close()

    def _hedged(self, read: Callable[[], T]) -> T:
        """The first answer; an absent object is one. The last error, where every request failed."""
        latest = self._pool.submit(self._timed, read)
        running: set[Future[T]] = {latest}
        sent = 1
        while True:
            more = sent < self._config.up_to and len(self._latencies) >= LEARNED
            patience = self._latencies.quantile(self._config.quantile) if more else None
            done, running = wait(running, timeout=patience, return_when=FIRST_COMPLETED)
            for future in done:
                error = future.exception()
                if error is None or isinstance(error, ObjectNotFound) or not running:
                    return future.result()
            if not done:
                running.add(self._pool.submit(self._timed, read))
                sent += 1

    def _timed(self, read: Callable[[], T]) -> T:
        begin = self._monotonic()
        answer = read()
        self._latencies.add(self._monotonic() - begin)
        return answer
