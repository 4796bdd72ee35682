"""The in-memory index cache: last use, bytes, item types (XC-9, XC-10, ST-33)."""

import pytest
from prometheus_client import CollectorRegistry

from pythanos.config import loads
from pythanos.errors import ConfigError
from pythanos.gateway.index_cache import (
    ITEM_OVERHEAD_BYTES,
    POSTINGS,
    SERIES,
    IndexCacheConfig,
    InMemoryConfig,
    InMemoryIndexCache,
    open_index_cache,
)
from pythanos.model.matchers import Matcher, MatchType
from pythanos.units import ByteSize

TENANT = "tenant"
ITEM = 100 + ITEM_OVERHEAD_BYTES


def cache(registry, items=3, item_max=1 << 20, **options):
    size = items * ITEM
    config = InMemoryConfig(max_size=ByteSize(size), max_item_size=ByteSize(min(size, item_max)))
    return InMemoryIndexCache(config, registry, **options)


def value(registry, name, **labels):
    return registry.get_sample_value(f"thanos_store_index_cache_{name}", labels)


def test_what_was_stored_is_found_again():
    found = cache(CollectorRegistry(), items=30)
    matchers = (Matcher(MatchType.EQ, "a", "b"),)
    found.store_postings("block", ("a", "b"), b"postings", TENANT)
    found.store_expanded("block", matchers, b"expanded", TENANT)
    found.store_series("block", 7, b"page", TENANT)
    assert found.fetch_postings("block", [("a", "b"), ("a", "c")], TENANT) == {("a", "b"): b"postings"}
    assert found.fetch_expanded("block", matchers, TENANT) == b"expanded"
    assert found.fetch_series("block", [6, 7], TENANT) == {7: b"page"}
    assert found.fetch_postings("other block", [("a", "b")], TENANT) == {}


def test_the_least_recently_used_items_go_when_bytes_are_short():
    registry = CollectorRegistry()
    found = cache(registry)
    for page in range(3):
        found.store_series("block", page, bytes(100), TENANT)
    found.fetch_series("block", [0], TENANT)
    found.store_series("block", 3, bytes(100), TENANT)
    assert sorted(found.fetch_series("block", range(5), TENANT)) == [0, 2, 3]
    assert value(registry, "items_evicted_total", item_type=SERIES) == 1
    assert value(registry, "items", item_type=SERIES) == 3
    assert value(registry, "items_size_bytes", item_type=SERIES) == 3 * ITEM
    assert value(registry, "total_size_bytes", item_type=SERIES) == 3 * (ITEM + 24)


def test_a_large_item_displaces_several_small_ones():
    registry = CollectorRegistry()
    found = cache(registry)
    for page in range(3):
        found.store_series("block", page, bytes(100), TENANT)
    found.store_series("block", 9, bytes(200 + ITEM_OVERHEAD_BYTES), TENANT)
    assert sorted(found.fetch_series("block", range(10), TENANT)) == [2, 9]
    found.store_series("block", 10, bytes(300), TENANT)
    assert sorted(found.fetch_series("block", range(11), TENANT)) == [10]
    assert value(registry, "items", item_type=SERIES) == 1
    assert value(registry, "items_size_bytes", item_type=SERIES) == 300 + ITEM_OVERHEAD_BYTES


def test_a_too_large_item_is_not_stored_but_counted():
    registry = CollectorRegistry()
    found = cache(registry, item_max=50)
    found.store_postings("block", ("a", "b"), bytes(100), TENANT)
    assert found.fetch_postings("block", [("a", "b")], TENANT) == {}
    assert value(registry, "items_overflowed_total", item_type=POSTINGS) == 1


def test_an_item_is_stored_once():
    registry = CollectorRegistry()
    found = cache(registry)
    for _ in range(2):
        found.store_series("block", 1, bytes(100), TENANT)
    assert value(registry, "items_added_total", item_type=SERIES) == 1
    assert value(registry, "items_size_bytes", item_type=SERIES) == ITEM


def test_requests_and_hits_are_counted_by_type_and_tenant():
    registry = CollectorRegistry()
    found = cache(registry)
    found.store_series("block", 1, b"", TENANT)
    found.fetch_series("block", [1, 2, 3], TENANT)
    assert value(registry, "requests_total", item_type=SERIES, tenant=TENANT) == 3
    assert value(registry, "hits_total", item_type=SERIES, tenant=TENANT) == 1


def test_only_enabled_item_types_are_kept():
    found = cache(CollectorRegistry(), enabled_items=(POSTINGS,))
    found.store_series("block", 1, b"page", TENANT)
    found.store_postings("block", ("a", "b"), b"list", TENANT)
    assert found.fetch_series("block", [1], TENANT) == {}
    assert found.fetch_postings("block", [("a", "b")], TENANT) == {("a", "b"): b"list"}
    assert found.keeps(POSTINGS) and not found.keeps(SERIES)


def test_an_item_size_above_the_size_is_a_configuration_error():
    config = loads("config: {max_size: 1MB, max_item_size: 2MB}", IndexCacheConfig)
    with pytest.raises(ConfigError, match="cannot be bigger than overall cache size"):
        open_index_cache(config, CollectorRegistry())


@pytest.mark.parametrize("text", ["type: MEMCACHE", "enabled_items: [Chunks]"])
def test_unknown_types_are_configuration_errors(text):
    with pytest.raises(ConfigError):
        open_index_cache(loads(text, IndexCacheConfig), CollectorRegistry())
