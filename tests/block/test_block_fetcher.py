import os
import threading

import pytest
from prometheus_client import CollectorRegistry

from pythanos.block.fetcher import FetcherMetrics, MetaFetcher
from pythanos.block.filters import (
    ConsistencyDelayFilter,
    DeletionMarkFilter,
    DuplicateFilter,
    LabelShardFilter,
    ReplicaLabelRemover,
    TimePartitionFilter,
)
from pythanos.block.lister import LISTERS
from pythanos.block.markers import mark_for_deletion
from pythanos.config import decode_tree
from pythanos.errors import BucketUnavailable
from pythanos.model.relabel import RelabelRule
from pythanos.model.timerange import ClosedRange
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.objstore.memory import MemoryBucket
from pythanos.testing.buckets import EPOCH_MS, bucket_of, make_meta, numbered_ulid, put_meta
from pythanos.testing.faulty_bucket import FaultyBucket
from pythanos.tsdb.meta import encode_meta, format_time
from pythanos.workers import InlinePool, ThreadPool

STATES = {
    "corrupted-meta-json", "no-meta-json", "loaded", "too-fresh", "failed", "label-excluded", "time-excluded",
    "duplicate", "marked-for-deletion", "marked-for-no-compact", "marked-for-no-downsample", "parquet-migrated",
}  # fmt: skip


def fetcher(bucket, *filters, cache=None, registry=None, discovery="concurrent", pool=None):
    return MetaFetcher(
        bucket,
        filters,
        None if cache is None else str(cache),
        fetch=pool or InlinePool(),
        metrics=FetcherMetrics(registry),
        discovery=discovery,
    )


def state(registry, name):
    return registry.get_sample_value("thanos_blocks_meta_synced", {"state": name})


@pytest.fixture
def damaged():
    """One good block beside everything that can be wrong with one."""
    bucket = MemoryBucket()
    put_meta(bucket, make_meta(1))
    good = encode_meta(make_meta(2))
    for number, data in {
        2: good[: len(good) // 2],
        3: b"",
        4: b"garbage",
        5: good.replace(b'"version": 1,\n\t"thanos"', b'"version": 2,\n\t"thanos"'),
        6: good,
        7: encode_meta(make_meta(7)).replace(b'"minTime": 0', b'"minTime": "x"'),
    }.items():
        bucket.upload(f"{numbered_ulid(number)}/meta.json", data)
    bucket.upload(f"{numbered_ulid(8)}/chunks/000001", b"no meta.json")
    bucket.upload("../meta.json", good)
    bucket.upload("not-a-ulid/meta.json", good)
    return bucket


@pytest.mark.parametrize("discovery", list(LISTERS))
def test_a_block_that_cannot_be_used_is_left_out_with_a_reason_and_the_others_go_on(damaged, discovery):
    registry = CollectorRegistry()
    found = fetcher(damaged, discovery=discovery, registry=registry).fetch()
    assert set(found.metas) == {numbered_ulid(1)}
    assert found.metas[numbered_ulid(1)] == make_meta(1)
    reasons = {
        2: "no valid JSON",
        3: "no valid JSON",
        4: "no valid JSON",
        6: f"says that it is block {numbered_ulid(2)}",
        7: "minTime",
        8: "has no meta.json",
    }
    assert set(found.partial) == {numbered_ulid(number) for number in reasons}
    for number, reason in reasons.items():
        assert reason in found.partial[numbered_ulid(number)]
        assert numbered_ulid(number) in found.partial[numbered_ulid(number)]
    assert found.ignored == {"../": "not a ULID", "not-a-ulid/": "not a ULID"}
    assert found.complete
    assert state(registry, "loaded") == 1
    assert state(registry, "corrupted-meta-json") == 5
    assert state(registry, "no-meta-json") == 1
    assert state(registry, "failed") == 1


def test_a_meta_of_another_version_is_not_taken_for_half_an_upload(damaged):
    """A compactor of today must not clean up a block of tomorrow."""
    found = fetcher(damaged).fetch()
    assert set(found.unsupported) == {numbered_ulid(5)}
    assert "version 2" in found.unsupported[numbered_ulid(5)]


def test_what_the_bucket_does_not_answer_makes_the_view_incomplete():
    """ST-6: who sees an incomplete view adds blocks and drops none."""
    bucket, registry = MemoryBucket(), CollectorRegistry()
    for number in (1, 2, 3):
        put_meta(bucket, make_meta(number))
    each = fetcher(FaultyBucket(bucket, 2, operations={"get"}), registry=registry)
    found = each.fetch()
    assert not found.complete
    assert len(found.metas) == 2
    assert set(found.metas) | set(found.failed) == {numbered_ulid(number) for number in (1, 2, 3)}
    assert state(registry, "failed") == 1
    assert registry.get_sample_value("thanos_blocks_meta_sync_failures_total") == 1
    again = each.fetch()
    assert again.complete
    assert len(again.metas) == 3


@pytest.mark.parametrize("discovery", list(LISTERS))
def test_a_bucket_that_cannot_be_listed_is_an_error(discovery):
    registry = CollectorRegistry()
    each = fetcher(FaultyBucket(MemoryBucket(), 1), discovery=discovery, registry=registry)
    with pytest.raises(BucketUnavailable):
        each.fetch()
    assert registry.get_sample_value("thanos_blocks_meta_sync_failures_total") == 1
    assert each.fetch().complete


@pytest.mark.parametrize("discovery", list(LISTERS))
def test_whatever_call_fails_the_next_fetch_is_right(discovery):
    """Every call in turn; never a wrong view, at most none or one that says that it is incomplete."""
    bucket = MemoryBucket()
    for number in range(4):
        put_meta(bucket, make_meta(number))
    mark_for_deletion(bucket, numbered_ulid(3), now_ms=0)
    expected = {numbered_ulid(number) for number in range(3)}
    number = 1
    while True:
        faulty = FaultyBucket(bucket, number)
        marks = DeletionMarkFilter(faulty, 0, clock=lambda: EPOCH_MS / 1000)
        each = fetcher(faulty, marks, discovery=discovery)
        try:
            found = each.fetch()
            assert set(found.metas) <= expected
            assert set(found.metas) == expected or not found.complete
        except BucketUnavailable:
            pass
        if faulty.calls < number:
            break
        assert set(each.fetch().metas) == expected
        number += 1
    assert number > 5


def test_filters_run_in_the_order_given_and_each_block_is_counted_once():
    """ST-3; the states of features 2.3."""
    bucket, registry = MemoryBucket(), CollectorRegistry()
    put_meta(bucket, make_meta(1, labels={"replica": "a", "cluster": "x"}))
    put_meta(bucket, make_meta(2, mint=900, maxt=1000))
    put_meta(bucket, make_meta(3, labels={"cluster": "dropped"}))
    put_meta(bucket, make_meta(4, upload_time=format_time(EPOCH_MS + 10_000_000)))
    put_meta(bucket, make_meta(5))
    mark_for_deletion(bucket, numbered_ulid(5), now_ms=0)
    put_meta(bucket, make_meta(6, sources=(6, 7)))
    put_meta(bucket, make_meta(7))
    rules = decode_tree(
        [{"action": "drop", "source_labels": ["cluster"], "regex": "dropped"}], list[RelabelRule], "x", environment={}
    )
    now = EPOCH_MS / 1000 + 10_000
    chain = (
        TimePartitionFilter(lambda: ClosedRange(0, 800)),
        LabelShardFilter(rules),
        ConsistencyDelayFilter(3_600_000, clock=lambda: now),
        DeletionMarkFilter(bucket, 0, clock=lambda: now),
        DuplicateFilter(),
        ReplicaLabelRemover(["replica"]),
    )
    found = fetcher(bucket, *chain, registry=registry).fetch()
    assert found.excluded == {
        numbered_ulid(2): "time-excluded",
        numbered_ulid(3): "label-excluded",
        numbered_ulid(4): "too-fresh",
        numbered_ulid(5): "marked-for-deletion",
        numbered_ulid(7): "duplicate",
    }
    assert {ulid: meta.labels for ulid, meta in found.metas.items()} == {
        numbered_ulid(1): {"cluster": "x"},
        numbered_ulid(6): {"cluster": "one"},
    }
    for name in ("time-excluded", "label-excluded", "too-fresh", "marked-for-deletion", "duplicate"):
        assert state(registry, name) == 1
    assert state(registry, "loaded") == 2
    modified = {"modified": "replica-label-removed"}
    assert registry.get_sample_value("thanos_blocks_meta_modified", modified) == 1


def test_all_states_are_shown_and_are_those_of_the_last_fetch():
    bucket, registry = MemoryBucket(), CollectorRegistry()
    each = fetcher(bucket, registry=registry)
    assert {sample.labels["state"] for family in registry.collect() for sample in family.samples
            if sample.name == "thanos_blocks_meta_synced"} == STATES  # fmt: skip
    bucket.upload(f"{numbered_ulid(1)}/index", b"")
    each.fetch()
    assert state(registry, "no-meta-json") == 1
    put_meta(bucket, make_meta(1))
    each.fetch()
    assert state(registry, "no-meta-json") == 0
    assert registry.get_sample_value("thanos_blocks_meta_syncs_total") == 2
    assert registry.get_sample_value("thanos_blocks_meta_base_syncs_total") == 2
    assert registry.get_sample_value("thanos_blocks_meta_sync_duration_seconds_count") == 2
    assert registry.get_sample_value("thanos_blocks_meta_sync_failures_total") == 0


class TestCache:
    def gets(self, bucket):
        return [name for operation, name in bucket.log if operation == "get"]

    def test_a_meta_is_fetched_once(self, tmp_path):
        """ST-7: blocks never change, so neither a second fetch nor a second start asks again."""
        bucket = MemoryBucket()
        put_meta(bucket, make_meta(1))
        watched = FaultyBucket(bucket)
        each = fetcher(watched, cache=tmp_path)
        first = each.fetch()
        each.fetch()
        assert len(self.gets(watched)) == 1
        path = tmp_path / "meta-syncer" / numbered_ulid(1) / "meta.json"
        assert path.read_bytes() == encode_meta(make_meta(1))
        restarted = FaultyBucket(bucket)
        assert fetcher(restarted, cache=tmp_path).fetch() == first
        assert self.gets(restarted) == []

    @pytest.mark.parametrize("content", [b"", b"{", b'{"version": 2}', encode_meta(make_meta(9))])
    def test_a_damaged_file_is_fetched_again(self, tmp_path, content):
        bucket = MemoryBucket()
        put_meta(bucket, make_meta(1))
        path = tmp_path / "meta-syncer" / numbered_ulid(1) / "meta.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        assert set(fetcher(bucket, cache=tmp_path).fetch().metas) == {numbered_ulid(1)}
        assert path.read_bytes() == encode_meta(make_meta(1))

    def test_files_of_vanished_blocks_are_taken_away(self, tmp_path):
        bucket = MemoryBucket()
        put_meta(bucket, make_meta(1))
        put_meta(bucket, make_meta(2))
        each = fetcher(bucket, cache=tmp_path)
        each.fetch()
        bucket.delete(f"{numbered_ulid(1)}/meta.json")
        assert set(each.fetch().metas) == {numbered_ulid(2)}
        assert os.listdir(tmp_path / "meta-syncer") == [numbered_ulid(2)]

    def test_an_incomplete_view_takes_nothing_away(self, tmp_path):
        bucket = MemoryBucket()
        put_meta(bucket, make_meta(1))
        put_meta(bucket, make_meta(2))
        fetcher(bucket, cache=tmp_path).fetch()
        put_meta(bucket, make_meta(3))
        bucket.delete(f"{numbered_ulid(1)}/meta.json")
        assert not fetcher(FaultyBucket(bucket, 1, operations={"get"}), cache=tmp_path).fetch().complete
        assert sorted(os.listdir(tmp_path / "meta-syncer")) == [numbered_ulid(1), numbered_ulid(2)]

    def test_recursive_discovery_sees_a_meta_that_was_rewritten(self, tmp_path):
        """ST-7: by its time of change; concurrent discovery has no such time."""
        now, registry = [1000.0], CollectorRegistry()
        bucket = MemoryBucket(clock=lambda: now[0])
        put_meta(bucket, make_meta(1))
        each = fetcher(bucket, cache=tmp_path, discovery="recursive", registry=registry)
        each.fetch()
        each.fetch()
        assert registry.get_sample_value("thanos_blocks_meta_base_cache_busts_total") == 0
        now[0] = 2000.0
        put_meta(bucket, make_meta(1, labels={"cluster": "changed"}))
        assert each.fetch().metas[numbered_ulid(1)].labels == {"cluster": "changed"}
        assert registry.get_sample_value("thanos_blocks_meta_base_cache_busts_total") == 1

    def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(self, tmp_path):
        bucket = MemoryBucket()
        put_meta(bucket, make_meta(1))
        (tmp_path / "meta-syncer").write_bytes(b"a file where the folder should be")
        assert set(fetcher(bucket, cache=tmp_path).fetch().metas) == {numbered_ulid(1)}


def test_a_folder_bucket_that_holds_what_thanos_left_there(tmp_path):
    """A folder of Prometheus with its WAL, and files at the root."""
    (tmp_path / "wal").mkdir()
    (tmp_path / "wal" / "00000000").write_bytes(b"x")
    (tmp_path / "lock").write_bytes(b"")
    bucket = FilesystemBucket(str(tmp_path))
    put_meta(bucket, make_meta(1))
    found = fetcher(bucket).fetch()
    assert set(found.metas) == {numbered_ulid(1)}
    assert found.ignored == {"wal/": "not a ULID", "lock": "not a folder"}


def test_fetches_of_several_threads_do_not_mix():
    bucket = MemoryBucket()
    for number in range(50):
        put_meta(bucket, make_meta(number))
    pool = ThreadPool("fetch", 8)
    each, views = fetcher(bucket, DuplicateFilter(), pool=pool), []
    threads = [threading.Thread(target=lambda: views.append(each.fetch())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.stop()
    assert len(views) == 6
    assert all(view == views[0] and len(view.metas) == 50 for view in views)


def test_a_bucket_without_blocks():
    found = fetcher(bucket_of({}), DuplicateFilter()).fetch()
    assert (found.metas, found.partial, found.complete) == ({}, {}, True)
