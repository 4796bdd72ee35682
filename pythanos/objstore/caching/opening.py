"""From the configuration of a caching bucket, in Thanos' YAML, to the bucket."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from pythanos.config import Section, decode_tree
from pythanos.errors import ConfigError
from pythanos.objstore.bucket import Bucket
from pythanos.objstore.caching.bucket import CHUNKS, META_FILES, ROOT, CacheRules, CachingBucket
from pythanos.objstore.caching.memory_cache import MemoryCache, MemoryCacheConfig
from pythanos.objstore.caching.metrics import CachingMetrics
from pythanos.units import ByteSize, Duration
from pythanos.workers import Pool, ThreadPool

NAME = "caching-bucket"
REMOTE = ("MEMCACHED", "REDIS", "GROUPCACHE")
HOUR_MS = 3_600_000
OPERATIONS = (
    ("attributes", CHUNKS),
    ("get_range", CHUNKS),
    ("exists", META_FILES),
    ("get", META_FILES),
    ("iter", ROOT),
)
_CHUNK_FILE = re.compile(r".*/chunks/\d+", re.ASCII)


class CachingBucketConfig(Section, frozen=True):
    """``--store.caching-bucket.config``. ``max_chunks_get_range_requests`` 0 or less: any number per range read."""

    type: str = ""
    config: dict[str, Any] | None = None
    chunk_subrange_size: int = 16_000
    max_chunks_get_range_requests: int = 3
    metafile_max_size: ByteSize = ByteSize(1 << 20)
    chunk_object_attrs_ttl: Duration = Duration(24 * HOUR_MS)
    chunk_subrange_ttl: Duration = Duration(24 * HOUR_MS)
    blocks_iter_ttl: Duration = Duration(5 * 60_000)
    metafile_exists_ttl: Duration = Duration(2 * HOUR_MS)
    metafile_doesnt_exist_ttl: Duration = Duration(15 * 60_000)
    metafile_content_ttl: Duration = Duration(24 * HOUR_MS)

    def __post_init__(self) -> None:
        if self.chunk_subrange_size < 1:
            raise ValueError(f"chunk_subrange_size: {self.chunk_subrange_size} is no number of bytes above 0")

    def rules(self) -> CacheRules:
        return CacheRules(
            is_chunk_file=is_chunk_file,
            is_meta_file=is_meta_file,
            is_root=lambda name: not name,
            subrange_size=self.chunk_subrange_size,
            range_requests_max=self.max_chunks_get_range_requests,
            attributes_ttl=self.chunk_object_attrs_ttl.seconds,
            subrange_ttl=self.chunk_subrange_ttl.seconds,
            iter_ttl=self.blocks_iter_ttl.seconds,
            exists_ttl=self.metafile_exists_ttl.seconds,
            doesnt_exist_ttl=self.metafile_doesnt_exist_ttl.seconds,
            content_ttl=self.metafile_content_ttl.seconds,
            content_size_max=int(self.metafile_max_size),
        )


def open_caching_bucket(
    bucket: Bucket,
    config: CachingBucketConfig,
    registry: CollectorRegistry | None,
    *,
    threads: int,
    path: str = "store.caching_bucket",
    pool: Pool | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> CachingBucket:
    """The bucket behind the configured cache; it owns ``bucket`` from then on. ``threads`` fetch pieces of range reads.

    Raises ConfigError. Nothing is connected and no thread started before the first call.
    """
    kind = config.type.upper()
    if kind in REMOTE:
        raise ConfigError(path, "type", f"{config.type} is not supported yet; supported is IN-MEMORY")
    if kind != "IN-MEMORY":
        raise ConfigError(path, "type", f"{config.type or 'nothing'} is no type of cache; supported is IN-MEMORY")
    memory = decode_tree(config.config, MemoryCacheConfig, f"{path}.config", environment={})
    cache = MemoryCache(memory, registry, name=NAME, path=f"{path}.config", monotonic=monotonic)
    metrics = CachingMetrics(registry, OPERATIONS, CHUNKS)
    return CachingBucket(
        bucket, cache, config.rules(), metrics, pool or ThreadPool("subranges", threads), monotonic=monotonic
    )


def is_chunk_file(name: str) -> bool:
    return _CHUNK_FILE.fullmatch(name) is not None


def is_meta_file(name: str) -> bool:
    return name.endswith(("/meta.json", "/deletion-mark.json"))
