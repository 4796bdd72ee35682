"""Eager and lazy index-headers (ST-10, ST-11)."""

import pytest
from contracts.store_contract import Stream, one_chunk
from gateway.store_helpers import bucket_with
from prometheus_client import CollectorRegistry

from pythanos.gateway.header_pool import HeaderPool
from pythanos.gateway.metrics import HeaderMetrics
from pythanos.testing.buckets import numbered_ulid
from pythanos.testing.faulty_bucket import FaultyBucket
from pythanos.workers import InlinePool

ULID = numbered_ulid(1)
IDLE_MS = 1000


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def bucket():
    return FaultyBucket(bucket_with([Stream({"r": "0"}, one_chunk({"n": "1"}))]))


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_pool(bucket, registry, clock, tmp_path):
    def make_pool(**options):
        metrics = HeaderMetrics(registry)
        return HeaderPool(bucket, tmp_path, InlinePool(), metrics, idle_timeout_ms=IDLE_MS, monotonic=clock, **options)

    return make_pool


def value(registry, name):
    return registry.get_sample_value(f"thanos_bucket_store_indexheader_{name}")


def test_an_eager_header_is_mapped_at_once(make_pool, tmp_path):
    header = make_pool().open(ULID)
    assert header.loaded
    assert header.get().label_names() == ["n"]
    assert (tmp_path / ULID / "index-header").exists()


def test_a_header_on_disk_is_not_fetched_again(make_pool, bucket):
    pool = make_pool()
    pool.open(ULID)
    calls = len(bucket.log)
    pool.open(ULID)
    assert len(bucket.log) == calls


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_a_damaged_header_is_built_again(make_pool, tmp_path, damage):
    """ST-10."""
    pool = make_pool()
    pool.open(ULID)
    path = tmp_path / ULID / "index-header"
    whole = path.read_bytes()
    path.write_bytes(damage if damage is not None else whole[:-1] + b"?")
    assert pool.open(ULID).get().label_names() == ["n"]
    assert path.read_bytes() == whole


def test_a_lazy_header_is_fetched_at_once_but_mapped_at_first_use(make_pool, registry, tmp_path):
    """ST-11."""
    header = make_pool(lazy=True).open(ULID)
    assert (tmp_path / ULID / "index-header").exists() and not header.loaded
    header.get()
    assert header.loaded
    assert value(registry, "lazy_load_total") == 1
    assert value(registry, "lazy_load_duration_seconds_count") == 1


def test_a_lazy_download_waits_for_the_first_use(make_pool, bucket, tmp_path):
    header = make_pool(lazy=True, lazy_download=True).open(ULID)
    assert bucket.log == [] and not (tmp_path / ULID).exists()
    assert header.get().label_names() == ["n"]
    assert (tmp_path / ULID / "index-header").exists()


def test_an_idle_lazy_header_is_unmapped_and_comes_back(make_pool, registry, clock):
    pool = make_pool(lazy=True)
    header = pool.open(ULID)
    held = header.get()
    clock.now += IDLE_MS / 1000 - 0.1
    assert pool.unload_idle() == 0
    header.get()
    clock.now += IDLE_MS / 1000
    assert pool.unload_idle() == 1
    assert not header.loaded
    # Whoever still works with it is not disturbed.
    assert held.label_values("n") == ["1"]
    assert pool.unload_idle() == 0
    assert header.get().label_values("n") == ["1"]
    assert value(registry, "lazy_unload_total") == 1


def test_eager_headers_stay(make_pool, clock):
    pool = make_pool()
    header = pool.open(ULID)
    clock.now += 1000
    assert pool.unload_idle() == 0 and header.loaded


def test_a_failed_lazy_load_is_counted_and_tried_again(make_pool, registry, tmp_path):
    pool = make_pool(lazy=True, lazy_download=True)
    missing = pool.open(numbered_ulid(5))
    with pytest.raises(Exception, match="not found"):
        missing.get()
    assert value(registry, "lazy_load_failed_total") == 1


def test_a_forgotten_header_is_not_unloaded_again(make_pool, clock):
    pool = make_pool(lazy=True)
    header = pool.open(ULID)
    header.get()
    pool.forget(header)
    clock.now += 1000
    assert not header.loaded
    assert pool.unload_idle() == 0
