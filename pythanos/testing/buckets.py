"""Buckets and metas for tests, from few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pythanos.objstore.bucket import Bucket
from pythanos.objstore.memory import MemoryBucket
from pythanos.tsdb.meta import (
    BlockMeta,
    BlockStats,
    Compaction,
    Downsample,
    ThanosMeta,
    encode_meta,
    new_ulid,
)

HOUR_MS = 3_600_000
EPOCH_MS = 1_700_006_400_000


def numbered_ulid(number: int) -> str:
    """The same ULID for the same number: made ``number`` seconds after EPOCH_MS."""
    return new_ulid(EPOCH_MS + number * 1000, lambda size: number.to_bytes(size, "big"))


def make_meta(
    number: int,
    *,
    labels: Mapping[str, str] | None = None,
    mint: int = 0,
    maxt: int = 2 * HOUR_MS,
    level: int = 1,
    sources: tuple[int, ...] | None = None,
    resolution_ms: int = 0,
    samples: int = 1,
    **thanos: Any,
) -> BlockMeta:
    """The meta of block ``number``, which is its own only source unless told otherwise; ``thanos`` sets its fields."""
    section = ThanosMeta(
        version=1,
        labels=dict(labels if labels is not None else {"cluster": "one"}),
        downsample=Downsample(resolution=resolution_ms),
        source="test",
    )
    return BlockMeta(
        ulid=numbered_ulid(number),
        mint=mint,
        maxt=maxt,
        stats=BlockStats(num_samples=samples, num_series=1, num_chunks=1),
        compaction=Compaction(level=level, sources=tuple(map(numbered_ulid, sources or (number,)))),
        thanos=msgspec.structs.replace(section, **thanos),
    )


def put_meta(bucket: Bucket, meta: BlockMeta) -> BlockMeta:
    """Uploads a meta.json; that is all of the block that there will be."""
    bucket.upload(f"{meta.ulid}/meta.json", encode_meta(meta))
    return meta


def bucket_of(objects: Mapping[str, bytes]) -> MemoryBucket:
    """A memory bucket that holds these objects."""
    bucket = MemoryBucket(clock=lambda: EPOCH_MS / 1000)
    for name, body in objects.items():
        bucket.upload(name, body)
    return bucket


def contents(bucket: Bucket) -> dict[str, bytes]:
    """All objects of a bucket."""
    return {name: bucket.get(name) for name in bucket.iter(recursive=True)}
