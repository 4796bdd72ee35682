"""Bytes by key in this process, for a time and up to a size; the ones used longest ago leave first."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from pythanos.config import Section
from pythanos.errors import ConfigError
from pythanos.units import ByteSize

_PREFIX = "thanos_cache_inmemory_"


@dataclass(frozen=True, slots=True)
class CacheKey:
    """``verb`` is what was asked of the object ``name``; a subrange has ``start`` and ``end``, in bytes."""

    verb: str
    name: str
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        """As Thanos writes it."""
        return f"{self.verb}:{self.name}" + (f":{self.start}:{self.end}" if self.verb == "subrange" else "")


class Cache(Protocol):
    """A miss is never an error; a store may be dropped. Thread-safe."""

    def fetch(self, keys: Iterable[CacheKey]) -> dict[CacheKey, bytes]:
        """The hits."""

    def store(self, key: CacheKey, value: bytes, ttl_seconds: float) -> None: ...

    def forget(self, name: str) -> None:
        """Drops all entries of the object, which has changed."""


class MemoryCacheConfig(Section, frozen=True):
    """``config`` of an IN-MEMORY cache."""

    max_size: ByteSize = ByteSize(250 << 20)
    max_item_size: ByteSize = ByteSize(125 << 20)


class MemoryCache:
    """A Cache of at most ``max_size`` bytes of values. Raises ConfigError where one item could be larger than that.

    An entry whose time is over leaves when it is asked for, or when room is needed.
    """

    def __init__(
        self,
        config: MemoryCacheConfig,
        registry: CollectorRegistry | None,
        *,
        name: str,
        path: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if config.max_item_size > config.max_size:
            hint = f"{config.max_item_size} is more than max_size, {config.max_size}"
            raise ConfigError(path, "max_item_size", hint)
        self._config = config
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._entries: OrderedDict[CacheKey, tuple[bytes, float]] = OrderedDict()
        self._size = 0
        self._metrics = _Metrics(registry, name, config)

    def fetch(self, keys: Iterable[CacheKey]) -> dict[CacheKey, bytes]:
        now, hits, asked = self._monotonic(), {}, 0
        with self._lock:
            for key in keys:
                asked += 1
                entry = self._entries.get(key)
                if entry is None:
                    continue
                if entry[1] < now:
                    self._metrics.expired.inc()
                    self._drop(key)
                    continue
                self._entries.move_to_end(key)
                hits[key] = entry[0]
        self._metrics.requests.inc(asked)
        self._metrics.hits.inc(len(hits))
        return hits

    def store(self, key: CacheKey, value: bytes, ttl_seconds: float) -> None:
        if ttl_seconds <= 0:
            return
        if len(value) > self._config.max_item_size:
            self._metrics.overflowed.inc()
            return
        until = self._monotonic() + ttl_seconds
        with self._lock:
            if key in self._entries:
                return
            while self._size + len(value) > self._config.max_size:
                self._drop(next(iter(self._entries)))
            self._entries[key] = (value, until)
            self._size += len(value)
            self._metrics.moved(1, len(value), len(str(key)))
        self._metrics.added.inc()

    def forget(self, name: str) -> None:
        # A walk over all keys: who writes through a cache is rare (a deletion mark), who reads is not.
        with self._lock:
            for key in [key for key in self._entries if key.name == name]:
                self._drop(key)

    def _drop(self, key: CacheKey) -> None:
        value, _ = self._entries.pop(key)
        self._size -= len(value)
        self._metrics.evicted.inc()
        self._metrics.moved(-1, -len(value), -len(str(key)))


class _Metrics:
    """The families of Thanos' in-memory cache; ``name`` tells its users apart."""

    def __init__(self, registry: CollectorRegistry | None, name: str, config: MemoryCacheConfig) -> None:
        def counter(metric: str, text: str) -> Counter:
            return Counter(_PREFIX + metric, f"Total number of {text}.", ("name",), registry=registry).labels(name)

        def gauge(metric: str, text: str) -> Gauge:
            return Gauge(_PREFIX + metric, text, ("name",), registry=registry).labels(name)

        self.evicted = counter("items_evicted", "items that were evicted from the inmemory cache")
        self.added = counter("items_added", "items that were added to the inmemory cache")
        self.requests = counter("requests", "requests to the inmemory cache")
        self.hits = counter("hits", "requests to the inmemory cache that were a hit")
        self.expired = counter(
            "hits_on_expired_data",
            "requests to the inmemory cache that were a hit but needed to be evicted due to TTL",
        )
        self.overflowed = counter(
            "items_overflowed", "items that could not be added to the inmemory cache due to being too big"
        )
        self._items = gauge("items", "Current number of items in the inmemory cache.")
        self._bytes = gauge("items_size_bytes", "Current byte size of items in the inmemory cache.")
        self._total_bytes = gauge(
            "total_size_bytes", "Current byte size of items (both value and key) in the inmemory cache."
        )
        gauge("max_size_bytes", "Maximum number of bytes to be held in the inmemory cache.").set(config.max_size)
        gauge("max_item_size_bytes", "Maximum number of bytes for single entry to be held in the inmemory cache.").set(
            config.max_item_size
        )

    def moved(self, items: int, value_bytes: int, key_bytes: int) -> None:
        self._items.inc(items)
        self._bytes.inc(value_bytes)
        self._total_bytes.inc(value_bytes + key_bytes)
