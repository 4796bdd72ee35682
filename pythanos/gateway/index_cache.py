"""The index cache: postings, expanded postings and pages of series entries, kept in memory by last use and by bytes.

Postings are stored in the ``dss`` form (see ``pythanos._postings``). Blocks never change, so an entry is never wrong;
it leaves when room is needed. Series entries are kept as pages of the index object and not one by one, so that a
query over a hundred thousand series touches some hundred items.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import pylru
from prometheus_client import CollectorRegistry

from pythanos.config import Section
from pythanos.context import DEFAULT_TENANT
from pythanos.errors import ConfigError
from pythanos.model.matchers import Matcher
from pythanos.tally import TallyCounter, TallyGauge, TallyHistogram
from pythanos.units import ByteSize, Duration

T = TypeVar("T")

POSTINGS = "Postings"
SERIES = "Series"
EXPANDED_POSTINGS = "ExpandedPostings"
# A label pair, or a name and more words for the union of many lists of one label.
PostingsKey = tuple[str, ...]
ITEM_TYPES = (POSTINGS, SERIES, EXPANDED_POSTINGS)

# What an entry costs beside its bytes, counted as Thanos counts it.
ITEM_OVERHEAD_BYTES = 16
BLOCK_KEY_BYTES = 16

_KB, _MB = 1 << 10, 1 << 20
_SIZE_BUCKETS: tuple[float, ...] = (
    *(32, 256, 512, _KB, 32 * _KB, 256 * _KB, 512 * _KB),
    *(_MB, 32 * _MB, 64 * _MB, 128 * _MB, 256 * _MB, 512 * _MB),
)
_SECONDS_BUCKETS = (0.01, 0.1, 0.3, 0.6, 1, 3, 6, 10, 15, 20, 30, 45, 60, 90, 120)


class InMemoryConfig(Section, frozen=True):
    """``config`` of an IN-MEMORY index cache."""

    max_size: ByteSize = ByteSize(250 << 20)
    max_item_size: ByteSize = ByteSize(125 << 20)


class IndexCacheConfig(Section, frozen=True):
    """``--index-cache.config``. ``enabled_items`` empty means all; ``ttl`` is for remote caches only."""

    type: str = "IN-MEMORY"
    config: InMemoryConfig = InMemoryConfig()
    enabled_items: tuple[str, ...] = ()
    ttl: Duration = Duration(24 * 3600 * 1000)


class IndexCache(Protocol):
    """Bytes by block and key. A miss is never an error; a store may be dropped. Thread-safe."""

    def fetch_postings(self, block: str, keys: Iterable[PostingsKey], tenant: str) -> dict[PostingsKey, bytes]:
        """The hits, in ``dss`` form."""

    def store_postings(self, block: str, key: PostingsKey, value: bytes, tenant: str) -> None: ...

    def fetch_expanded(self, block: str, matchers: tuple[Matcher, ...], tenant: str) -> bytes | None:
        """The references that all matchers together select; ``matchers`` are sorted."""

    def store_expanded(self, block: str, matchers: tuple[Matcher, ...], value: bytes, tenant: str) -> None: ...

    def fetch_series(self, block: str, pages: Iterable[int], tenant: str) -> dict[int, bytes]:
        """The hits among pages of the index object."""

    def store_series(self, block: str, page: int, value: bytes, tenant: str) -> None: ...

    def keeps(self, item_type: str) -> bool:
        """Whether storing items of the type is of any use."""


def open_index_cache(
    config: IndexCacheConfig, registry: CollectorRegistry, *, monotonic: Callable[[], float] = time.monotonic
) -> IndexCache:
    """The cache that the configuration names. Raises ConfigError."""
    if config.type.upper() != "IN-MEMORY":
        raise ConfigError("index_cache", "type", f"index cache type {config.type!r} is not supported; use IN-MEMORY")
    unknown = [item for item in config.enabled_items if item not in ITEM_TYPES]
    if unknown:
        raise ConfigError("index_cache", "enabled_items", f"unknown item type {unknown[0]!r}")
    return InMemoryIndexCache(config.config, registry, enabled_items=config.enabled_items, monotonic=monotonic)


class InMemoryIndexCache:
    """An IndexCache of at most ``max_size`` bytes in this process."""

    def __init__(
        self,
        config: InMemoryConfig,
        registry: CollectorRegistry,
        *,
        enabled_items: Iterable[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if config.max_item_size > config.max_size:
            hint = (
                f"max item size ({config.max_item_size}) cannot be bigger than overall cache size ({config.max_size})"
            )
            raise ConfigError("index_cache", "max_item_size", hint)
        self._max_size = config.max_size
        self._max_item_size = config.max_item_size
        self._enabled = frozenset(enabled_items) or frozenset(ITEM_TYPES)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._size = 0
        # The list is always as long as what it holds: pylru counts items, and the limit here is in bytes.
        self._items = pylru.lrucache(1, self._evicted)
        self._metrics = _Metrics(registry, config)

    def fetch_postings(self, block: str, keys: Iterable[PostingsKey], tenant: str) -> dict[PostingsKey, bytes]:
        return self._fetch(POSTINGS, block, keys, tenant)

    def store_postings(self, block: str, key: PostingsKey, value: bytes, tenant: str) -> None:
        self._store(POSTINGS, block, key, 16 * len(key) + sum(map(len, key)), value, tenant)

    def fetch_expanded(self, block: str, matchers: tuple[Matcher, ...], tenant: str) -> bytes | None:
        return self._fetch(EXPANDED_POSTINGS, block, (matchers,), tenant).get(matchers)

    def store_expanded(self, block: str, matchers: tuple[Matcher, ...], value: bytes, tenant: str) -> None:
        size = 16 + sum(len(one.name) + len(one.value) + 4 for one in matchers)
        self._store(EXPANDED_POSTINGS, block, matchers, size, value, tenant)

    def fetch_series(self, block: str, pages: Iterable[int], tenant: str) -> dict[int, bytes]:
        return self._fetch(SERIES, block, pages, tenant)

    def store_series(self, block: str, page: int, value: bytes, tenant: str) -> None:
        self._store(SERIES, block, page, 8, value, tenant)

    def keeps(self, item_type: str) -> bool:
        return item_type in self._enabled and self._max_size > 0

    def _fetch(self, item_type: str, block: str, keys: Iterable[Any], tenant: str) -> dict[Any, bytes]:
        begin, hits, asked = self._monotonic(), {}, 0
        if item_type in self._enabled:
            with self._lock:
                for key in keys:
                    asked += 1
                    value = self._items.get((item_type, block, key))
                    if value is not None:
                        hits[key] = value[0]
        self._metrics.requests.labels(item_type, tenant).inc(asked)
        self._metrics.hits.labels(item_type, tenant).inc(len(hits))
        self._metrics.fetch_seconds.labels(item_type, tenant).observe(self._monotonic() - begin)
        return hits

    def _store(self, item_type: str, block: str, key: object, key_size: int, value: bytes, tenant: str) -> None:
        if item_type not in self._enabled:
            return
        self._metrics.stored_bytes.labels(item_type, tenant).observe(len(value))
        size = ITEM_OVERHEAD_BYTES + len(value)
        entry = (item_type, block, key)
        with self._lock:
            if entry in self._items:
                return
            if size > self._max_item_size or size > self._max_size:
                self._metrics.overflowed.labels(item_type).inc()
                return
            while self._size + size > self._max_size and len(self._items) > 1:
                self._items.size(len(self._items) - 1)
            # With one item left that must go, the list keeps its length and the new item takes the place.
            if self._items and self._size + size <= self._max_size:
                self._items.size(len(self._items) + 1)
            self._items[entry] = (value, BLOCK_KEY_BYTES + key_size)
            self._size += size
        self._metrics.stored(item_type, size, BLOCK_KEY_BYTES + key_size)

    def _evicted(self, entry: tuple[str, str, object], value: tuple[bytes, int]) -> None:
        """Runs inside ``_store``, under its lock."""
        size = ITEM_OVERHEAD_BYTES + len(value[0])
        self._size -= size
        self._metrics.evicted(entry[0], size, value[1])


class _Metrics:
    """The metrics that the Thanos dashboards read."""

    def __init__(self, registry: CollectorRegistry, config: InMemoryConfig) -> None:
        def named(kind: Callable[..., T], name: str, text: str, labels: tuple[str, ...] = (), **more: Any) -> T:
            return kind(f"thanos_store_index_cache_{name}", text, labels, registry=registry, **more)

        by_type, by_both = ("item_type",), ("item_type", "tenant")
        text = "Total number of items requests to the cache"
        self.requests = named(TallyCounter, "requests_total", f"{text}.", by_both)
        self.hits = named(TallyCounter, "hits_total", f"{text} that were a hit.", by_both)
        text = "Histogram to track item data size stored in index cache"
        self.stored_bytes = named(TallyHistogram, "stored_data_size_bytes", text, by_both, buckets=_SIZE_BUCKETS)
        text = "Histogram to track latency to fetch items from index cache"
        self.fetch_seconds = named(TallyHistogram, "fetch_duration_seconds", text, by_both, buckets=_SECONDS_BUCKETS)
        text = "Total number of items that"
        self._evictions = named(
            TallyCounter, "items_evicted_total", f"{text} were evicted from the index cache.", by_type
        )
        self._added = named(TallyCounter, "items_added_total", f"{text} were added to the index cache.", by_type)
        self.overflowed = named(
            TallyCounter,
            "items_overflowed_total",
            f"{text} could not be added to the cache due to being too big.",
            by_type,
        )
        self._items = named(TallyGauge, "items", "Current number of items in the index cache.", by_type)
        text = "Current byte size of items"
        self._items_bytes = named(TallyGauge, "items_size_bytes", f"{text} in the index cache.", by_type)
        self._total_bytes = named(
            TallyGauge, "total_size_bytes", f"{text} (both value and key) in the index cache.", by_type
        )
        text = "Maximum number of bytes to be held in the index cache."
        named(TallyGauge, "max_size_bytes", text).set(config.max_size)
        text = "Maximum number of bytes for single entry to be held in the index cache."
        named(TallyGauge, "max_item_size_bytes", text).set(config.max_item_size)
        self._show_all()

    def _show_all(self) -> None:
        """Each series exists from the start, as a rate over one that appears is lost."""
        for item_type in ITEM_TYPES:
            self.requests.labels(item_type, DEFAULT_TENANT)
            self.hits.labels(item_type, DEFAULT_TENANT)
            for family in (self._evictions, self._added, self.overflowed):
                family.labels(item_type)
            for gauge in (self._items, self._items_bytes, self._total_bytes):
                gauge.labels(item_type)

    def stored(self, item_type: str, size: int, key_size: int) -> None:
        self._added.labels(item_type).inc()
        self._items.labels(item_type).inc()
        self._items_bytes.labels(item_type).inc(size)
        self._total_bytes.labels(item_type).inc(size + key_size)

    def evicted(self, item_type: str, size: int, key_size: int) -> None:
        self._evictions.labels(item_type).inc()
        self._items.labels(item_type).dec()
        self._items_bytes.labels(item_type).dec(size)
        self._total_bytes.labels(item_type).dec(size + key_size)
