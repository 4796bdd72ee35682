"""Loading and dropping blocks (ST-2, ST-6, ST-7, ST-10)."""

import pytest
from contracts.store_contract import Stream, label_sets, one_chunk
from gateway.store_helpers import bucket_with, make_store, synced_store
from prometheus_client import CollectorRegistry

from pythanos.block.fetcher import FetchedMetas
from pythanos.context import RequestContext
from pythanos.errors import BucketUnavailable, QueryCanceled
from pythanos.gateway.block_sync import plan_sync
from pythanos.model.matchers import Matcher, MatchType
from pythanos.storeapi.requests import SeriesRequest
from pythanos.testing.block_builder import build_block, float_chunk
from pythanos.testing.buckets import make_meta, numbered_ulid
from pythanos.testing.faulty_bucket import FaultyBucket
from pythanos.tsdb.meta import decode_meta, encode_meta
from pythanos.workers import Workers

EVERYTHING = [Matcher(MatchType.RE, "n", ".+")]
STREAMS = [Stream({"r": str(i)}, one_chunk({"n": "1"})) for i in range(3)]


def loads(registry, name):
    return registry.get_sample_value(f"thanos_bucket_store_{name}")


def test_new_blocks_are_added_latest_first_and_vanished_ones_dropped():
    metas = {numbered_ulid(i): make_meta(i, mint=i, maxt=i + 1) for i in (1, 2, 3)}
    plan = plan_sync([numbered_ulid(2), numbered_ulid(9)], FetchedMetas(metas))
    assert [meta.mint for meta in plan.add] == [3, 1]
    assert plan.drop == (numbered_ulid(9),)


def test_an_incomplete_view_drops_nothing():
    """ST-6."""
    fetched = FetchedMetas({numbered_ulid(1): make_meta(1)}, failed={numbered_ulid(2): "bucket did not answer"})
    plan = plan_sync([numbered_ulid(3)], fetched)
    assert [meta.ulid for meta in plan.add] == [numbered_ulid(1)]
    assert plan.drop == ()


def test_sync_follows_the_bucket(tmp_path):
    registry = CollectorRegistry()
    bucket = bucket_with(STREAMS)
    store = synced_store(bucket, tmp_path, registry=registry)
    assert len(store.loaded_metas()) == 3
    assert loads(registry, "block_loads_total") == 3
    assert loads(registry, "blocks_loaded") == 3
    for name in list(bucket.iter(numbered_ulid(1), recursive=True)):
        bucket.delete(name)
    build_block(bucket, numbered_ulid(7), [({"n": "1"}, [float_chunk([(0, 1.0)])])], external={"r": "7"})
    store.sync(RequestContext())
    assert [meta.ulid for meta in store.loaded_metas()] == [numbered_ulid(i) for i in (7, 2, 3)]
    assert [labels["r"] for labels in label_sets(store, EVERYTHING)] == ["1", "2", "7"]
    assert not (tmp_path / numbered_ulid(1)).exists()
    assert loads(registry, "block_drops_total") == 1
    assert loads(registry, "blocks_loaded") == 3


def test_blocks_are_loaded_on_threads(tmp_path):
    workers = Workers.threaded(4)
    try:
        streams = [Stream({"r": str(i)}, one_chunk({"n": "1"})) for i in range(30)]
        store = synced_store(bucket_with(streams), tmp_path, workers=workers, settings="block_sync_concurrency: 5")
        assert len(store.loaded_metas()) == 30
    finally:
        workers.stop()


def test_a_corrupt_block_is_counted_tried_again_and_never_stops_the_others(tmp_path, caplog):
    registry = CollectorRegistry()
    bucket = bucket_with(STREAMS)
    name = f"{numbered_ulid(2)}/index"
    whole = bucket.get(name)
    bucket.upload(name, whole[:-1] + b"?")
    store = synced_store(bucket, tmp_path, registry=registry)
    assert [labels["r"] for labels in label_sets(store, EVERYTHING)] == ["0", "2"]
    assert loads(registry, "block_load_failures_total") == 1
    (record,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert record.block == numbered_ulid(2)
    bucket.upload(name, whole)
    store.sync(RequestContext())
    assert len(store.loaded_metas()) == 3


def test_an_unknown_resolution_is_a_load_failure(tmp_path):
    """ST-14."""
    bucket = bucket_with(STREAMS[:2])
    meta = decode_meta(bucket.get(f"{numbered_ulid(1)}/meta.json"), "meta.json")
    changed = encode_meta(meta).replace(b'"resolution": 0', b'"resolution": 60000')
    assert changed != encode_meta(meta)
    bucket.upload(f"{numbered_ulid(1)}/meta.json", changed)
    registry = CollectorRegistry()
    store = synced_store(bucket, tmp_path, registry=registry)
    assert [meta.ulid for meta in store.loaded_metas()] == [numbered_ulid(2)]
    assert loads(registry, "block_load_failures_total") == 1


def test_a_bucket_that_does_not_answer_fails_the_sync_and_keeps_what_is_loaded(tmp_path):
    """ST-2."""
    faulty = FaultyBucket(bucket_with(STREAMS), 0)
    store = synced_store(faulty, tmp_path)
    broken = FaultyBucket(bucket_with(STREAMS), 1, forever=True)
    with pytest.raises(BucketUnavailable):
        make_store(broken, tmp_path / "other").sync(RequestContext())
    assert len(store.loaded_metas()) == 3


def test_folders_of_blocks_that_are_not_loaded_go_at_the_first_sync(tmp_path):
    """ST-7."""
    stray = tmp_path / numbered_ulid(99)
    stray.mkdir()
    (stray / "index-header").write_bytes(b"old")
    (tmp_path / "meta-syncer").mkdir()
    synced_store(bucket_with(STREAMS), tmp_path)
    assert not stray.exists()
    assert (tmp_path / "meta-syncer").exists()
    assert (tmp_path / numbered_ulid(1) / "index-header").exists()


def test_a_block_that_is_being_read_is_dropped_when_its_last_reader_ends(tmp_path):
    """ST-6."""
    bucket = bucket_with([Stream({"r": "0"}, one_chunk(*({"n": f"{i:02d}"} for i in range(50))))])
    store = synced_store(bucket, tmp_path, settings="debug: {series_batch_size: 10}")
    frames = store.series(RequestContext(), SeriesRequest(0, 100, tuple(EVERYTHING), response_batch_size=10))
    first = next(frames)
    bucket.delete(f"{numbered_ulid(1)}/meta.json")
    store.sync(RequestContext())
    assert store.loaded_metas() == []
    assert (tmp_path / numbered_ulid(1)).exists()
    assert len(first) + sum(len(frame) for frame in frames if hasattr(frame, "labels")) == 50
    assert not (tmp_path / numbered_ulid(1)).exists()


def test_a_canceled_sync_stops(tmp_path):
    ctx = RequestContext()
    store = make_store(bucket_with(STREAMS), tmp_path)
    ctx.cancel()
    with pytest.raises(QueryCanceled):
        store.sync(ctx)


def test_without_a_header_folder_nothing_is_left_on_disk(tmp_path):
    store = synced_store(bucket_with(STREAMS), tmp_path / "data", settings="cache_index_header: false")
    assert len(label_sets(store, EVERYTHING)) == 3
    assert not (tmp_path / "data").exists()
    store.close()
    assert store.loaded_metas() == []
