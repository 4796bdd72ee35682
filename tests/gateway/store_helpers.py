"""Buckets of blocks, and stores over them, for the tests of the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contracts.store_contract import Stream
from prometheus_client import CollectorRegistry

from pythanos.block.fetcher import MetaFetcher
from pythanos.config import loads
from pythanos.context import RequestContext
from pythanos.gateway.bucket_store import BucketStore
from pythanos.gateway.config import GatewayConfig
from pythanos.objstore.bucket import Bucket
from pythanos.objstore.memory import MemoryBucket
from pythanos.testing.block_builder import build_block, float_chunk
from pythanos.testing.buckets import numbered_ulid
from pythanos.workers import Workers

NOW_SECONDS = 1_700_000_000.0


def bucket_with(streams: Sequence[Stream], **options: object) -> MemoryBucket:
    """One block for each stream, numbered from 1."""
    bucket = MemoryBucket()
    for number, stream in enumerate(streams, 1):
        series = [(labels, [float_chunk(samples) for samples in chunks]) for labels, chunks in stream.series]
        build_block(bucket, numbered_ulid(number), series, external=stream.external, **options)
    return bucket


def make_store(
    bucket: Bucket,
    data_dir: Path,
    *,
    settings: str = "",
    registry: CollectorRegistry | None = None,
    workers: Workers | None = None,
    **options: object,
) -> BucketStore:
    """A store that has not synced; ``settings`` is YAML of a GatewayConfig."""
    workers = workers or Workers.inline()
    config = loads(f"{settings}\ndata_dir: {data_dir}", GatewayConfig)
    fetcher = MetaFetcher(bucket, [], None, fetch=workers.fetch)
    clock = options.pop("clock", lambda: NOW_SECONDS)
    return BucketStore(bucket, fetcher, workers, config, registry or CollectorRegistry(), clock, **options)


def synced_store(bucket: Bucket, data_dir: Path, **options: object) -> BucketStore:
    store = make_store(bucket, data_dir, **options)
    store.sync(RequestContext())
    return store
