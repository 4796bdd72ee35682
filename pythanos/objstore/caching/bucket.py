"""A bucket that keeps answers of another one: pieces of chunk files, small files whole, and the listing of the root.

Which names are kept, and for how long, is data (``CacheRules``); all else is passed through. Blocks never change,
so chunk pieces stay right; the rest is as old as its time to live allows. What is written through this bucket is
forgotten at once, what others write is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import msgspec

from pythanos.errors import BucketUnavailable, ObjectNotFound
from pythanos.objstore.bucket import Bucket, ObjectAttributes, check_range
from pythanos.objstore.caching.memory_cache import Cache, CacheKey
from pythanos.objstore.caching.metrics import CachingMetrics
from pythanos.objstore.caching.subranges import Span, cut, requests
from pythanos.workers import Pool

EXISTS, ABSENT = b"true", b"false"


@dataclass(frozen=True, slots=True)
class CacheRules:
    """What is kept. Times are seconds, sizes bytes; the names are those of the metrics' ``config`` label."""

    is_chunk_file: Callable[[str], bool]
    is_meta_file: Callable[[str], bool]
    is_root: Callable[[str], bool]
    subrange_size: int
    range_requests_max: int
    attributes_ttl: float
    subrange_ttl: float
    iter_ttl: float
    exists_ttl: float
    doesnt_exist_ttl: float
    content_ttl: float
    content_size_max: int


CHUNKS, META_FILES, ROOT = "chunks", "meta.jsons", "blocks-iter"


class CachingBucket:
    """A Bucket over ``bucket`` with a ``cache``. Several requests of one range read run side by side on ``pool``,
    which must not be a pool that the callers of this bucket run on."""

    def __init__(
        self,
        bucket: Bucket,
        cache: Cache,
        rules: CacheRules,
        metrics: CachingMetrics,
        pool: Pool,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = bucket.name
        self._bucket = bucket
        self._cache = cache
        self._rules = rules
        self._metrics = metrics
        self._pool = pool
        self._monotonic = monotonic

    def get(self, name: str) -> bytes:
        if not self._rules.is_meta_file(name):
            return self._bucket.get(name)
        self._metrics.asked("get", META_FILES)
        content, exists = CacheKey("content", name), CacheKey("exists", name)
        hits = self._cache.fetch((content, exists))
        if content in hits or hits.get(exists) == ABSENT:
            self._metrics.hit("get", META_FILES)
            if content not in hits:
                raise ObjectNotFound(name)
            return hits[content]
        begin = self._monotonic()
        try:
            body = self._bucket.get(name)
        except ObjectNotFound:
            self._keep(exists, ABSENT, self._rules.doesnt_exist_ttl, begin)
            raise
        self._keep(exists, EXISTS, self._rules.exists_ttl, begin)
        if len(body) <= self._rules.content_size_max:
            self._keep(content, body, self._rules.content_ttl, begin)
        return body

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        check_range(offset, length)
        if length <= 0 or not self._rules.is_chunk_file(name):
            return self._bucket.get_range(name, offset, length)
        self._metrics.asked("get_range", CHUNKS)
        self._metrics.requested_bytes.inc(length)
        size = self._attributes(name).size
        end = min(offset + length, size)
        if end <= offset:
            return b""
        spans = cut(offset, end, self._rules.subrange_size, size)
        pieces = self._cached_pieces(name, spans)
        missing = [span for span in spans if span not in pieces]
        self._metrics.hit("get_range", CHUNKS, len(pieces) / len(spans))
        if missing:
            self._fetch_pieces(name, missing, pieces)
        first = spans[0].start
        joined = pieces[spans[0]] if len(spans) == 1 else b"".join(pieces[span] for span in spans)
        return joined[offset - first : end - first]

    def iter(self, prefix: str = "", *, recursive: bool = False) -> Iterator[str]:
        if not self._rules.is_root(prefix):
            yield from self._bucket.iter(prefix, recursive=recursive)
            return
        self._metrics.asked("iter", ROOT)
        key = CacheKey("iter-recursive" if recursive else "iter", prefix)
        kept = self._cache.fetch((key,)).get(key)
        if kept is not None:
            self._metrics.hit("iter", ROOT)
            yield from msgspec.json.decode(kept, type=list[str])
            return
        begin, names = self._monotonic(), []
        for name in self._bucket.iter(prefix, recursive=recursive):
            names.append(name)
            yield name
        self._keep(key, msgspec.json.encode(names), self._rules.iter_ttl, begin)

    def walk(self, prefix: str = "") -> Iterator[tuple[str, ObjectAttributes]]:
        return self._bucket.walk(prefix)

    def exists(self, name: str) -> bool:
        if not self._rules.is_meta_file(name):
            return self._bucket.exists(name)
        self._metrics.asked("exists", META_FILES)
        key = CacheKey("exists", name)
        kept = self._cache.fetch((key,)).get(key)
        if kept is not None:
            self._metrics.hit("exists", META_FILES)
            return kept == EXISTS
        begin = self._monotonic()
        found = self._bucket.exists(name)
        ttl = self._rules.exists_ttl if found else self._rules.doesnt_exist_ttl
        self._keep(key, EXISTS if found else ABSENT, ttl, begin)
        return found

    def attributes(self, name: str) -> ObjectAttributes:
        return self._attributes(name) if self._rules.is_chunk_file(name) else self._bucket.attributes(name)

    def upload(self, name: str, body: bytes | BinaryIO) -> None:
        try:
            self._bucket.upload(name, body)
        finally:
            self._forget(name)

    def delete(self, name: str) -> None:
        try:
            self._bucket.delete(name)
        finally:
            self._forget(name)

    def close(self) -> None:
        self._pool.stop()
        self._bucket.close()

    def _attributes(self, name: str) -> ObjectAttributes:
        self._metrics.asked("attributes", CHUNKS)
        key = CacheKey("attrs", name)
        kept = self._cache.fetch((key,)).get(key)
        if kept is not None:
            self._metrics.hit("attributes", CHUNKS)
            return msgspec.json.decode(kept, type=ObjectAttributes)
        begin = self._monotonic()
        found = self._bucket.attributes(name)
        self._keep(key, msgspec.json.encode(found), self._rules.attributes_ttl, begin)
        return found

    def _cached_pieces(self, name: str, spans: list[Span]) -> dict[Span, bytes]:
        keys = {CacheKey("subrange", name, span.start, span.end): span for span in spans}
        hits = {keys[key]: piece for key, piece in self._cache.fetch(keys).items()}
        # A remote cache may hold anything; a piece of another length is none.
        pieces = {span: piece for span, piece in hits.items() if len(piece) == span.end - span.start}
        self._metrics.cached_bytes.inc(sum(map(len, pieces.values())))
        return pieces

    def _fetch_pieces(self, name: str, missing: list[Span], pieces: dict[Span, bytes]) -> None:
        """Adds the missing pieces; the cached ones that lie between them come along once more."""
        rules = self._rules
        asked = requests(missing, rules.subrange_size, rules.range_requests_max)
        begin = self._monotonic()
        waiting = [self._pool.submit(self._read, name, span) for span in asked[1:]]
        bodies = [self._read(name, asked[0]), *(future.result() for future in waiting)]
        for request, body in zip(asked, bodies, strict=True):
            for span in cut(request.start, request.end, rules.subrange_size, request.end):
                piece = body[span.start - request.start : span.end - request.start]
                if span in pieces:
                    self._metrics.refetched_bytes.inc(len(piece))
                    continue
                pieces[span] = piece
                self._metrics.bucket_bytes.inc(len(piece))
                self._keep(CacheKey("subrange", name, span.start, span.end), piece, rules.subrange_ttl, begin)

    def _read(self, name: str, span: Span) -> bytes:
        body = self._bucket.get_range(name, span.start, span.end - span.start)
        if len(body) != span.end - span.start:
            self._forget(name)
            raise BucketUnavailable(f"{name} is shorter than it was: no bytes {span.start} to {span.end}")
        return body

    def _keep(self, key: CacheKey, value: bytes, ttl: float, begin: float) -> None:
        """What was true when the bucket was asked, for the rest of its time."""
        self._cache.store(key, value, ttl - (self._monotonic() - begin))

    def _forget(self, name: str) -> None:
        self._cache.forget(name)
        self._cache.forget("")
