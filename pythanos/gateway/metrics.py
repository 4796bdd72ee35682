"""The metrics of the store gateway, with the names, labels and buckets that the Thanos dashboards read."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pythanos._tally import Tally, observe_counts
from pythanos.context import DEFAULT_TENANT
from pythanos.gateway.query_stats import DATA_TYPES, QueryStats
from pythanos.tally import TallyCounter, TallyHistogram

PREFIX = "thanos_bucket_store_"
_SECONDS = (0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120)
_LOAD_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 15, 30, 60, 90, 120, 300)
_HEADER_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 30, 60, 90, 120, 300)
_KB, _MB = 1 << 10, 1 << 20
_CHUNK_BYTES = (32, 256, 512, _KB, 32 * _KB, 256 * _KB, 512 * _KB, _MB, 32 * _MB, 256 * _MB, 512 * _MB)
_POSTINGS_BYTES = (
    *(32, 256, 512, _KB, 32 * _KB, 256 * _KB, 512 * _KB),
    *(_MB, 32 * _MB, 128 * _MB, 256 * _MB, 512 * _MB, 768 * _MB, 1024 * _MB),
)


def _exponential(first: float, factor: float, count: int) -> tuple[float, ...]:
    return tuple(first * factor**power for power in range(count))


class BlockMetrics:
    """Loading and dropping of blocks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(PREFIX + name, text, registry=registry)

        self.loads = counter("block_loads_total", "Total number of remote block loading attempts.")
        self.load_failures = counter(
            "block_load_failures_total", "Total number of failed remote block loading attempts."
        )
        self.drops = counter("block_drops_total", "Total number of local blocks that were dropped.")
        self.drop_failures = counter(
            "block_drop_failures_total", "Total number of local blocks that failed to be dropped."
        )
        self.loaded = Gauge(PREFIX + "blocks_loaded", "Number of currently loaded blocks.", registry=registry)
        self.last_loaded = Gauge(
            PREFIX + "blocks_last_loaded_timestamp_seconds", "Timestamp when last block got loaded.", registry=registry
        )
        self.load_seconds = Histogram(
            PREFIX + "block_load_duration_seconds",
            "The total time taken to load a block in seconds.",
            buckets=_LOAD_SECONDS,
            registry=registry,
        )


class HeaderMetrics:
    """Index-headers: downloads, and the comings and goings of lazy ones."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"{PREFIX}indexheader_{name}", text, registry=registry)

        def seconds(name: str, text: str, buckets: tuple[float, ...] = _HEADER_SECONDS) -> Histogram:
            return Histogram(f"{PREFIX}indexheader_{name}", text, buckets=buckets, registry=registry)

        self.lazy_loads = counter("lazy_load_total", "Total number of index-header lazy load operations.")
        self.lazy_load_failures = counter(
            "lazy_load_failed_total", "Total number of failed index-header lazy load operations."
        )
        self.lazy_unloads = counter("lazy_unload_total", "Total number of index-header lazy unload operations.")
        self.lazy_unload_failures = counter(
            "lazy_unload_failed_total", "Total number of failed index-header lazy unload operations."
        )
        self.lazy_load_seconds = seconds(
            "lazy_load_duration_seconds", "Duration of the index-header lazy loading in seconds."
        )
        self.download_seconds = seconds(
            "download_duration_seconds",
            "Duration of the index-header download from objstore in seconds.",
            _LOAD_SECONDS,
        )
        self.load_seconds = seconds("load_duration_seconds", "Duration of the index-header loading in seconds.")


class SelectMetrics:
    """What Series calls cost, by tenant."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        sizes, counts = _exponential(1024, 2, 15), _exponential(200, 2, 15)
        for_items, of_items = "fulfill a single Store API series request", "Number of items of a data type"
        typed = ("data_type", "tenant")
        self._touched = self._histogram("series_data_touched", f"{of_items} touched to {for_items}.", counts, typed)
        self._fetched = self._histogram("series_data_fetched", f"{of_items} retrieved to {for_items}.", counts, typed)
        self._touched_bytes = self._histogram(
            "series_data_size_touched_bytes",
            f"Total size of items of a data type touched to {for_items} in Bytes.",
            sizes,
            typed,
        )
        self._fetched_bytes = self._histogram(
            "series_data_size_fetched_bytes",
            f"Total size of items of a data type fetched to {for_items} in Bytes.",
            sizes,
            typed,
        )
        self._by_kind = [
            (f"{kind}_{suffix}", kind, family)
            for kind in DATA_TYPES
            for suffix, family in (
                ("touched", self._touched),
                ("fetched", self._fetched),
                ("touched_size_sum", self._touched_bytes),
                ("fetched_size_sum", self._fetched_bytes),
            )
        ]
        self._of_tenant: dict[str, list[tuple[str, Tally]]] = {}
        self.blocks_queried = self._histogram(
            "series_blocks_queried",
            "Number of blocks in a bucket store that were touched to satisfy a query.",
            _exponential(1, 2, 10),
        )
        self.result_series = self._histogram(
            "series_result_series",
            "Number of series observed in the final result of a query.",
            _exponential(100, 2, 15),
        )
        self.sent_chunk_bytes = self._histogram(
            "sent_chunk_size_bytes",
            "Size in bytes of the chunks for the single series, which is adequate to the gRPC message size sent to "
            "querier.",
            _CHUNK_BYTES,
        )
        self.postings_bytes = self._histogram(
            "postings_size_bytes", "Size in bytes of the postings for a single series call.", _POSTINGS_BYTES
        )
        self._durations()
        self._counters()

    def _durations(self) -> None:
        self.get_all_seconds = self._histogram(
            "series_get_all_duration_seconds",
            "Time it takes until all per-block prepares and loads for a query are finished.",
        )
        self.merge_seconds = self._histogram(
            "series_merge_duration_seconds",
            "Time it takes to merge sub-results from all queried blocks into a single result.",
        )
        self.series_seconds = self._histogram(
            "series_fetch_duration_seconds",
            "The time it takes to fetch one batch of series, both from the cache and from the bucket.",
        )
        self.series_sum_seconds = self._histogram(
            "series_fetch_duration_sum_seconds",
            "The total time it takes to fetch the series of a request from one block, across all series batches.",
        )
        self.postings_seconds = self._histogram(
            "postings_fetch_duration_seconds",
            "The time it takes to fetch the postings of a request, both from the cache and from the bucket.",
        )
        self.chunks_seconds = self._histogram(
            "chunks_fetch_duration_seconds",
            "The total time spent fetching chunks within a single request for one block.",
        )
        self.chunks_sum_seconds = self._histogram(
            "chunks_fetch_duration_sum_seconds",
            "The total absolute time spent fetching chunks within a single request for one block.",
        )

    def _counters(self) -> None:
        self.queries_dropped = self._counter(
            "queries_dropped_total", "Number of queries that were dropped due to the limit.", ("reason", "tenant")
        )
        self.series_refetches = self._counter(
            "series_refetches_total",
            "Total number of cases where the estimated size was not enough to read a series, resulting in a refetch.",
        )
        self.chunk_refetches = self._counter(
            "chunk_refetches_total",
            "Total number of cases where the estimated size was not enough to read a chunk, resulting in a refetch.",
        )
        self.empty_postings = self._counter(
            "empty_postings_total", "Total number of empty postings when fetching block series."
        )
        self.lazy_postings = self._counter(
            "lazy_expanded_postings_total", "Total number of times when lazy expanded posting optimization applies.", ()
        )
        self.lazy_groups = self._counter(
            "lazy_expanded_posting_groups_total",
            "Total number of posting groups that are marked as lazy and corresponding reason",
            ("reason",),
        )
        self.lazy_bytes = self._counter(
            "lazy_expanded_posting_size_bytes_total", "Total number of lazy posting group size in bytes.", ()
        )
        self.lazy_overfetched_bytes = self._counter(
            "lazy_expanded_posting_series_overfetched_size_bytes_total",
            "Total number of series size in bytes overfetched due to posting lazy expansion.",
            (),
        )
        self._compressions = self._counter(
            "cached_postings_compressions_total",
            "Number of postings compressions before storing to index cache.",
            ("op", "tenant"),
        )
        self._compression_errors = self._counter(
            "cached_postings_compression_errors_total", "Number of postings compression errors.", ("op", "tenant")
        )
        self._compression_seconds = self._counter(
            "cached_postings_compression_time_seconds_total",
            "Time spent compressing postings before storing them into postings cache.",
            ("op", "tenant"),
        )
        self._original_bytes = self._counter(
            "cached_postings_original_size_bytes_total", "Original size of postings stored into cache."
        )
        self._compressed_bytes = self._counter(
            "cached_postings_compressed_size_bytes_total", "Compressed size of postings stored into cache."
        )
        for op in ("encode", "decode"):
            for family in (self._compressions, self._compression_errors, self._compression_seconds):
                family.labels(op, DEFAULT_TENANT)

    def observe(self, stats: QueryStats, tenant: str) -> None:
        """Publishes the counts of one finished request."""
        counts = stats.counts()
        tallies = self._of_tenant.get(tenant)
        if tallies is None:
            tallies = [(name, family.labels(kind, tenant)) for name, kind, family in self._by_kind]
            tallies = self._of_tenant.setdefault(tenant, tallies)
        observe_counts(tallies, counts)
        self.result_series.labels(tenant).observe(counts.get("merged_series_count", 0))
        postings = counts.get("postings_fetched_size_sum", 0) + counts.get("postings_touched_size_sum", 0)
        self.postings_bytes.labels(tenant).observe(postings)
        for op in ("encode", "decode"):
            if f"postings_{op}d" in counts:
                self._compressions.labels(op, tenant).inc(counts[f"postings_{op}d"])
                self._compression_errors.labels(op, tenant).inc(counts.get(f"postings_{op}_errors", 0))
                self._compression_seconds.labels(op, tenant).inc(counts[f"postings_{op}_seconds"])
        self._original_bytes.labels(tenant).inc(counts.get("postings_original_bytes", 0))
        self._compressed_bytes.labels(tenant).inc(counts.get("postings_compressed_bytes", 0))

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...] = _SECONDS, labels: tuple[str, ...] = ("tenant",)
    ) -> TallyHistogram:
        return TallyHistogram(PREFIX + name, text, labels, buckets=buckets, registry=self._registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ("tenant",)) -> TallyCounter:
        return TallyCounter(PREFIX + name, text, labels, registry=self._registry)
