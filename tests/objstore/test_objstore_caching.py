"""The caching bucket: what it asks of the bucket behind it, what it answers, and what its metrics say. ST-29."""

import dataclasses
from itertools import pairwise

import pytest
from contracts.bucket_contract import BucketContract
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from pythanos.config import loads
from pythanos.errors import BucketUnavailable, ConfigError, ObjectNotFound
from pythanos.objstore.caching.bucket import CHUNKS, CachingBucket
from pythanos.objstore.caching.memory_cache import CacheKey, MemoryCache, MemoryCacheConfig
from pythanos.objstore.caching.metrics import CachingMetrics
from pythanos.objstore.caching.opening import (
    OPERATIONS,
    CachingBucketConfig,
    is_chunk_file,
    is_meta_file,
    open_caching_bucket,
)
from pythanos.objstore.caching.subranges import Span, cut, requests
from pythanos.objstore.memory import MemoryBucket
from pythanos.units import ByteSize
from pythanos.workers import InlinePool, ThreadPool

BLOCK = "01DEADBEEF0000000000000000"
CHUNK = f"{BLOCK}/chunks/000001"
META, MARK = f"{BLOCK}/meta.json", f"{BLOCK}/deletion-mark.json"
BODY = bytes(range(250)) * 10


class CountingBucket(MemoryBucket):
    """Notes what it is asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def get(self, name):
        self.asked.append(("get", name))
        return super().get(name)

    def get_range(self, name, offset, length):
        self.asked.append(("get_range", offset, length))
        return super().get_range(name, offset, length)

    def attributes(self, name):
        self.asked.append(("attributes", name))
        return super().attributes(name)

    def exists(self, name):
        self.asked.append(("exists", name))
        return super().exists(name)

    def iter(self, prefix="", *, recursive=False):
        self.asked.append(("iter", prefix, recursive))
        return super().iter(prefix, recursive=recursive)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Cached:
    """A caching bucket of 100-byte pieces over a CountingBucket, with its clock and its metrics."""

    def __init__(self, text=""):
        self.inner, self.clock, self.registry = CountingBucket(), Clock(), CollectorRegistry()
        config = loads(f"type: in-memory\nchunk_subrange_size: 100\n{text}", CachingBucketConfig)
        self.bucket = open_caching_bucket(
            self.inner, config, self.registry, threads=1, pool=InlinePool(), monotonic=self.clock
        )
        for name in (CHUNK, META):
            self.inner.upload(name, BODY)

    def asked(self):
        asked, self.inner.asked = self.inner.asked, []
        return asked

    def value(self, name, **labels):
        return self.registry.get_sample_value(f"thanos_store_bucket_cache_{name}_total", labels)


def everything_cached(pool):
    rules = CachingBucketConfig(type="IN-MEMORY", chunk_subrange_size=7).rules()
    rules = dataclasses.replace(rules, is_chunk_file=lambda name: True, is_meta_file=lambda name: True)
    cache = MemoryCache(MemoryCacheConfig(), None, name="x", path="x")
    return CachingBucket(MemoryBucket(), cache, rules, CachingMetrics(None, OPERATIONS, CHUNKS), pool)


class TestCachingBucket(BucketContract):
    """The contract, with every object cached."""

    @pytest.fixture
    def bucket(self):
        bucket = everything_cached(ThreadPool("subranges", 4))
        yield bucket
        bucket.close()


class TestCachingBucketAsConfigured(BucketContract):
    """The contract, for names that are hardly ever cached."""

    @pytest.fixture
    def bucket(self):
        config = CachingBucketConfig(type="IN-MEMORY")
        return open_caching_bucket(MemoryBucket(), config, None, threads=1, pool=InlinePool())


def test_pieces_are_fetched_once():
    """Two reads of neighbouring bytes ask the bucket once for their piece, and once for the size of the object."""
    cached = Cached()
    assert cached.bucket.get_range(CHUNK, 110, 20) == BODY[110:130]
    assert cached.asked() == [("attributes", CHUNK), ("get_range", 100, 100)]
    assert cached.bucket.get_range(CHUNK, 150, 50) == BODY[150:200]
    assert cached.asked() == []
    assert cached.bucket.get_range(CHUNK, 150, 100) == BODY[150:250]
    assert cached.asked() == [("get_range", 200, 100)]
    assert cached.value("operation_requests", operation="get_range", config="chunks") == 3
    assert cached.value("operation_hits", operation="get_range", config="chunks") == 1.5
    assert cached.value("getrange_requested_bytes", config="chunks") == 170
    assert cached.value("getrange_fetched_bytes", origin="bucket", config="chunks") == 200
    assert cached.value("getrange_fetched_bytes", origin="cache", config="chunks") == 200


@given(
    st.lists(st.tuples(st.integers(0, 2600), st.integers(1, 2600)), max_size=12),
    st.integers(-1, 4),
    st.integers(1, 700),
)
def test_any_reads_get_the_bytes_of_the_object(reads, most, unit):
    cached = Cached()
    config = CachingBucketConfig(type="IN-MEMORY", chunk_subrange_size=unit, max_chunks_get_range_requests=most)
    bucket = open_caching_bucket(cached.inner, config, None, threads=1, pool=InlinePool())
    for offset, length in reads:
        cached.asked()
        assert bucket.get_range(CHUNK, offset, length) == BODY[offset : offset + length]
        ranges = [one for one in cached.asked() if one[0] == "get_range"]
        assert most <= 0 or len(ranges) <= most


def test_many_gaps_become_few_requests():
    """max_chunks_get_range_requests: pieces in the cache are read again rather than one request more."""
    cached = Cached("max_chunks_get_range_requests: 2")
    for offset in (100, 300, 1500):
        cached.bucket.get_range(CHUNK, offset, 100)
    cached.asked()
    assert cached.bucket.get_range(CHUNK, 0, 2500) == BODY
    assert cached.asked() == [("get_range", 0, 2500)]
    assert cached.value("getrange_refetched_bytes", origin="cache", config="chunks") == 300


def test_the_last_piece_is_as_long_as_the_object():
    cached = Cached()
    assert cached.bucket.get_range(CHUNK, 2450, 500) == BODY[2450:]
    assert cached.asked()[-1] == ("get_range", 2400, 100)
    assert cached.bucket.get_range(CHUNK, 2500, 1) == b""
    assert cached.asked() == []


def test_an_object_that_became_shorter_is_asked_for_again():
    """Its size is forgotten with the error, so that the next read is right."""
    cached = Cached()
    cached.bucket.get_range(CHUNK, 0, 1)
    cached.inner.upload(CHUNK, BODY[:150])
    with pytest.raises(BucketUnavailable, match="shorter than it was"):
        cached.bucket.get_range(CHUNK, 100, 100)
    assert cached.bucket.get_range(CHUNK, 100, 100) == BODY[100:150]


def test_small_files_are_kept_whole_and_for_their_time():
    cached = Cached("metafile_content_ttl: 10s\nmetafile_exists_ttl: 20s")
    assert cached.bucket.get(META) == cached.bucket.get(META) == BODY
    assert cached.bucket.exists(META)
    assert cached.asked() == [("get", META)]
    cached.clock.now = 11
    assert cached.bucket.exists(META)
    assert cached.asked() == []
    assert cached.bucket.get(META) == BODY
    assert cached.asked() == [("get", META)]
    cached.clock.now = 32
    assert cached.bucket.exists(META)
    assert cached.asked() == [("exists", META)]


def test_a_file_larger_than_the_limit_is_not_kept():
    cached = Cached("metafile_max_size: 2499")
    cached.bucket.get(META)
    cached.bucket.get(META)
    assert cached.asked() == [("get", META)] * 2


def test_an_absent_file_is_remembered_as_absent():
    cached = Cached("metafile_doesnt_exist_ttl: 5s")
    for _ in range(2):
        with pytest.raises(ObjectNotFound) as caught:
            cached.bucket.get(MARK)
        assert caught.value.name == MARK
    assert not cached.bucket.exists(MARK)
    assert cached.asked() == [("get", MARK)]
    cached.clock.now = 6
    assert not cached.bucket.exists(MARK)
    assert cached.asked() == [("exists", MARK)]
    assert cached.value("operation_hits", operation="get", config="meta.jsons") == 1
    assert cached.value("operation_hits", operation="exists", config="meta.jsons") == 1


def test_a_write_is_seen_at_once():
    cached = Cached()
    assert not cached.bucket.exists(MARK)
    assert list(cached.bucket.iter()) == [f"{BLOCK}/"]
    cached.bucket.upload(MARK, b"{}")
    cached.bucket.upload("other/x", b"")
    assert cached.bucket.get(MARK) == b"{}"
    assert sorted(cached.bucket.iter()) == [f"{BLOCK}/", "other/"]
    cached.bucket.delete(MARK)
    assert not cached.bucket.exists(MARK)


def test_the_listing_of_the_root_is_kept():
    cached = Cached("blocks_iter_ttl: 60s")
    for _ in range(2):
        assert list(cached.bucket.iter()) == [f"{BLOCK}/"]
        assert sorted(cached.bucket.iter(recursive=True)) == [CHUNK, META]
        assert sorted(cached.bucket.iter(BLOCK)) == [f"{BLOCK}/chunks/", META]
    assert cached.asked() == [("iter", "", False), ("iter", "", True), ("iter", BLOCK, False), ("iter", BLOCK, False)]
    cached.clock.now = 61
    assert list(cached.bucket.iter()) == [f"{BLOCK}/"]
    assert cached.asked() == [("iter", "", False)]
    assert cached.value("operation_hits", operation="iter", config="blocks-iter") == 2


def test_a_listing_that_was_not_read_to_its_end_is_not_kept():
    cached = Cached()
    next(cached.bucket.iter(recursive=True))
    assert len(list(cached.bucket.iter(recursive=True))) == 2


@pytest.mark.parametrize(
    ("name", "chunk", "meta"),
    [
        (CHUNK, True, False),
        (f"{BLOCK}/chunks/000001x", False, False),
        ("chunks/000001", False, False),
        (META, False, True),
        (MARK, False, True),
        ("meta.json", False, False),
        (f"{BLOCK}/index", False, False),
    ],
)
def test_names(name, chunk, meta):
    assert (is_chunk_file(name), is_meta_file(name)) == (chunk, meta)


def test_the_cache_keeps_what_was_used_last():
    registry = CollectorRegistry()
    config = MemoryCacheConfig(max_size=ByteSize(10), max_item_size=ByteSize(6))
    cache = MemoryCache(config, registry, name="c", path="x")
    keys = [CacheKey("content", name) for name in "abc"]
    cache.store(keys[0], b"12345", 10)
    cache.store(keys[1], b"12345", 10)
    cache.fetch(keys[:1])
    cache.store(keys[2], b"123456", 10)
    cache.store(CacheKey("content", "d"), b"1234567", 10)
    assert cache.fetch([*keys, CacheKey("content", "d")]) == {keys[2]: b"123456"}
    seen = {
        metric: registry.get_sample_value(f"thanos_cache_inmemory_{metric}", {"name": "c"})
        for metric in ("items", "items_size_bytes", "total_size_bytes", "items_evicted_total", "items_overflowed_total")
    }
    assert list(seen.values()) == [1, 6, 6 + len("content:c"), 2, 1]


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 5))
def test_requests_cover_what_is_missing_and_no_more_than_that_many(present, most):
    spans = cut(0, 10 * len(present), 10, 10 * len(present))
    missing = [span for span, there in zip(spans, present, strict=True) if not there]
    asked = requests(missing, 10, most)
    assert most == 0 or len(asked) <= most
    assert all(any(one.start <= span.start and span.end <= one.end for one in asked) for span in missing)
    assert all(one.end < after.start for one, after in pairwise(asked))
    assert all(Span(one.start, one.start + 10) in missing for one in asked)


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("{}", "type", "supported is IN-MEMORY"),
        ("type: MEMCACHED\nconfig: {addresses: [x]}", "type", "MEMCACHED is not supported yet"),
        ("type: redis", "type", "redis is not supported yet"),
        ("type: groupcache", "type", "not supported yet"),
        ("type: DISK", "type", "DISK is no type of cache"),
        ("type: IN-MEMORY\nconfig: {max_sise: 1MB}", "max_sise", "did you mean max_size?"),
        ("type: IN-MEMORY\nconfig: {max_size: 1MB}", "max_item_size", "is more than max_size"),
    ],
)
def test_a_wrong_section_is_one_clean_line(text, key, hint):
    with pytest.raises(ConfigError) as caught:
        open_caching_bucket(MemoryBucket(), loads(text, CachingBucketConfig), None, threads=1)
    assert caught.value.key == key
    assert hint in caught.value.hint


def test_the_defaults_are_those_of_thanos():
    """Keys and defaults of pkg/store/cache/caching_bucket_factory.go."""
    rules = loads("type: IN-MEMORY", CachingBucketConfig).rules()
    assert (rules.subrange_size, rules.range_requests_max, rules.content_size_max) == (16000, 3, 1 << 20)
    assert (rules.attributes_ttl, rules.subrange_ttl, rules.content_ttl) == (86400, 86400, 86400)
    assert (rules.iter_ttl, rules.exists_ttl, rules.doesnt_exist_ttl) == (300, 7200, 900)
