"""The ``thanos_store_bucket_cache_*`` metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

_PREFIX = "thanos_store_bucket_cache_"


class CachingMetrics:
    """``operations`` are the (operation, config) pairs that occur: each exists from the start."""

    def __init__(
        self, registry: CollectorRegistry | None, operations: tuple[tuple[str, str], ...], ranges: str
    ) -> None:
        labels = ("operation", "config")
        self._requests = Counter(
            f"{_PREFIX}operation_requests", "Number of requested operations matching given config.", labels,
            registry=registry,
        )  # fmt: skip
        self._hits = Counter(
            f"{_PREFIX}operation_hits", "Number of operations served from cache for given config.", labels,
            registry=registry,
        )  # fmt: skip
        for operation, config in operations:
            self._requests.labels(operation, config)
            self._hits.labels(operation, config)
        self.requested_bytes = Counter(
            f"{_PREFIX}getrange_requested_bytes", "Total number of bytes requested via GetRange.", ("config",),
            registry=registry,
        ).labels(ranges)  # fmt: skip
        fetched = Counter(
            f"{_PREFIX}getrange_fetched_bytes",
            "Total number of bytes fetched because of GetRange operation. Data from bucket is then stored to cache.",
            ("origin", "config"),
            registry=registry,
        )
        self.cached_bytes = fetched.labels("cache", ranges)
        self.bucket_bytes = fetched.labels("bucket", ranges)
        self.refetched_bytes = Counter(
            f"{_PREFIX}getrange_refetched_bytes",
            "Total number of bytes re-fetched from storage because of GetRange operation, despite being in cache "
            "already.",
            ("origin", "config"),
            registry=registry,
        ).labels("cache", ranges)

    def asked(self, operation: str, config: str) -> None:
        self._requests.labels(operation, config).inc()

    def hit(self, operation: str, config: str, share: float = 1.0) -> None:
        """``share`` of a range read may come from the cache."""
        self._hits.labels(operation, config).inc(share)
