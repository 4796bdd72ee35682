"""What a BucketStore does beyond the contract: limits, caches, refetches, resolutions, hints, damage."""

import pytest
from contracts.store_contract import ALWAYS, Stream, frames_of, label_sets, one_chunk, samples_of, select
from gateway.store_helpers import bucket_with, synced_store
from prometheus_client import CollectorRegistry

from pythanos.context import RequestContext
from pythanos.errors import BadRequest, BucketUnavailable, ConfigError, CorruptData, LimitExceeded, QueryFailed
from pythanos.model import resolution
from pythanos.model.chunks import XOR
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.timerange import MAX_TIME_MS, MIN_TIME_MS
from pythanos.objstore.memory import MemoryBucket
from pythanos.storeapi.batches import SeriesBatch, SeriesHints
from pythanos.storeapi.requests import LabelNamesRequest, LabelValuesRequest, SeriesRequest, ShardInfo
from pythanos.testing.block_builder import EncodedChunk, aggregate_chunk, build_block, float_chunk
from pythanos.testing.buckets import numbered_ulid
from pythanos.testing.faulty_bucket import FaultyBucket
from pythanos.tsdb.meta import IndexStats
from pythanos.workers import Workers

EQ, NEQ, RE, NRE = MatchType
EVERYTHING = [Matcher(RE, "n", ".+")]
TENANT = "default-tenant"


def many(count, **more):
    return one_chunk(*({"n": f"{i:04d}", **more} for i in range(count)))


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def open_store(tmp_path, registry):
    def open_store(streams, settings="", **options):
        bucket = streams if not isinstance(streams, list) else bucket_with(streams)
        return synced_store(bucket, tmp_path, **{"settings": settings, "registry": registry, **options})

    return open_store


@pytest.fixture
def value(registry):
    def value(name, **labels):
        return registry.get_sample_value(f"thanos_bucket_store_{name}", labels) or 0

    return value


@pytest.mark.parametrize(
    ("settings", "reason", "limit"),
    [
        ("store: {limits: {request_series: 9}}", "series", "store.limits.request_series"),
        ("store: {grpc: {touched_series_limit: 9}}", "series", "store.limits.request_series"),
        ("store: {limits: {request_samples: 1199}}", "chunks", "store.limits.request_samples"),
        ("store: {grpc: {series_sample_limit: 1199}}", "chunks", "store.limits.request_samples"),
        ("store: {grpc: {downloaded_bytes_limit: 100}}", "bytes", "store.grpc.downloaded_bytes_limit"),
    ],
)
def test_a_request_that_costs_too_much_is_refused_and_counted(open_store, value, settings, reason, limit):
    """ST-23."""
    store = open_store([Stream({"r": "0"}, many(10))], settings)
    with pytest.raises(LimitExceeded) as raised:
        select(store, EVERYTHING)
    assert raised.value.limit == limit
    assert value("queries_dropped_total", reason=reason, tenant=TENANT) == 1


@pytest.mark.parametrize(
    "settings", ["store: {limits: {request_series: 10}}", "store: {limits: {request_samples: 1200}}"]
)
def test_a_request_at_its_limits_is_answered(open_store, settings):
    assert len(select(open_store([Stream({"r": "0"}, many(10))], settings), EVERYTHING)) == 10


def test_limits_are_over_all_blocks_of_a_request(open_store):
    """ST-23."""
    streams = [Stream({"r": str(i)}, many(5)) for i in range(3)]
    with pytest.raises(LimitExceeded):
        select(open_store(streams, "store: {limits: {request_series: 14}}"), EVERYTHING)


def test_label_calls_with_matchers_are_limited_too(open_store):
    """ST-26."""
    store = open_store([Stream({"r": "0"}, many(10))], "store: {limits: {request_series: 9}}")
    with pytest.raises(LimitExceeded):
        store.label_values(RequestContext(), LabelValuesRequest("n", *ALWAYS, tuple(EVERYTHING)))
    with pytest.raises(LimitExceeded):
        store.label_names(RequestContext(), LabelNamesRequest(*ALWAYS, tuple(EVERYTHING)))


def test_the_chunk_pool_bounds_what_all_requests_hold(open_store):
    store = open_store([Stream({"r": "0"}, many(100))], "chunk_pool_size: 100")
    with pytest.raises(LimitExceeded, match="chunk pool of 100 bytes exhausted"):
        select(store, EVERYTHING)


@pytest.mark.parametrize("leave_early", [False, True])
def test_the_chunk_pool_is_given_back(open_store, leave_early):
    store = open_store([Stream({"r": "0"}, many(100))], "chunk_pool_size: 100KB\ndebug: {series_batch_size: 5}")
    for _ in range(30):
        frames = store.series(RequestContext(), SeriesRequest(*ALWAYS, tuple(EVERYTHING)))
        if leave_early:
            next(frames)
            frames.close()
        else:
            assert sum(len(frame) for frame in frames if isinstance(frame, SeriesBatch)) == 100


@pytest.mark.parametrize("stats", [None, IndexStats(series_max_size=4, chunk_max_size=3)])
def test_series_and_chunks_larger_than_estimated_are_fetched_again(open_store, value, stats):
    """ST-18: the estimate is the setting, or what the block's meta says if that is less."""
    bucket = MemoryBucket()
    samples = [(i, float(i % 7)) for i in range(100)]
    series = [({"n": f"{i:03d}", "long": "x" * 50}, [float_chunk(samples)]) for i in range(20)]
    build_block(bucket, numbered_ulid(1), series, external={"r": "0"}, index_stats=stats)
    settings = "index_cache_size: 0"
    if stats is None:
        settings += "\ndebug: {estimated_max_series_size: 4, estimated_max_chunk_size: 3}"
    found = select(open_store(bucket, settings), EVERYTHING)
    assert [samples_of(rows) for _, rows in found] == [samples] * 20
    assert value("series_refetches_total", tenant=TENANT) > 0
    assert value("chunk_refetches_total", tenant=TENANT) > 0


def test_nothing_is_fetched_again_where_the_estimates_hold(open_store, value):
    select(open_store([Stream({"r": "0"}, many(20))]), EVERYTHING)
    assert value("series_refetches_total", tenant=TENANT) == 0
    assert value("chunk_refetches_total", tenant=TENANT) == 0


def test_postings_and_series_of_a_repeated_request_come_from_the_cache(open_store, tmp_path):
    """ST-16."""
    bucket = FaultyBucket(bucket_with([Stream({"r": "0"}, many(20, job="x"))]))
    # A page that the end of the index cuts short is not cached, so the index has to be longer than the pages in use.
    index = f"{numbered_ulid(1)}/index"
    store = open_store(bucket)
    matchers = [Matcher(EQ, "job", "x"), Matcher(RE, "n", "00.*")]
    first = select(store, matchers)
    reads = [call for call in bucket.log if call == ("get_range", index)]
    assert select(store, matchers) == first
    again = [call for call in bucket.log if call == ("get_range", index)]
    assert len(again) - len(reads) <= 1


def test_a_cached_expansion_is_of_all_matchers_together(open_store, registry):
    store = open_store([Stream({"r": "0"}, many(20, job="x"))])
    for expected_hits in (0, 1):
        select(store, [Matcher(EQ, "job", "x"), Matcher(EQ, "n", "0003")])
        hits = registry.get_sample_value(
            "thanos_store_index_cache_hits_total", {"item_type": "ExpandedPostings", "tenant": TENANT}
        )
        assert hits == expected_hits
    assert len(select(store, [Matcher(EQ, "job", "x")])) == 20


def test_postings_of_very_many_values_are_cached_as_one(open_store, registry):
    """ST-16: one item a value would cost more than fetching them again."""
    store = open_store([Stream({"r": "0"}, many(300, job="x"))])
    for matchers in ([Matcher(RE, "n", "00.*")], [Matcher(RE, "n", "00.*"), Matcher(EQ, "job", "x")]):
        assert len(select(store, matchers)) == 100
    added = registry.get_sample_value("thanos_store_index_cache_items_added_total", {"item_type": "Postings"})
    assert added == 2
    hits = registry.get_sample_value("thanos_store_index_cache_hits_total", {"item_type": "Postings", "tenant": TENANT})
    assert hits == 1


def test_a_damaged_cache_entry_is_fetched_again(open_store):
    class Rubbish:
        def fetch_postings(self, block, keys, tenant):
            return {key: b"dss rubbish" for key in keys}

        def fetch_expanded(self, block, matchers, tenant):
            return b"dss rubbish"

        def fetch_series(self, block, pages, tenant):
            return {}

        def keeps(self, item_type):
            return False

    assert len(select(open_store([Stream({"r": "0"}, many(5))], index_cache=Rubbish()), EVERYTHING)) == 5


def downsampled(bucket, number, resolution_ms, kinds, value, **times):
    chunks = {kind: float_chunk([(0, value + kind), (50, value + kind)]) for kind in kinds}
    build_block(
        bucket, numbered_ulid(number), [({"n": "1"}, [aggregate_chunk(chunks)])], external={"r": "0"},
        resolution_ms=resolution_ms, **times,
    )  # fmt: skip


ALL_KINDS = (resolution.COUNT, resolution.SUM, resolution.MIN, resolution.MAX, resolution.COUNTER)


@pytest.mark.parametrize("wanted", [ALL_KINDS, (resolution.MAX,), (resolution.COUNT, resolution.SUM), ()])
def test_of_downsampled_chunks_the_wanted_aggregates_come(open_store, wanted):
    bucket = MemoryBucket()
    downsampled(bucket, 1, 300_000, ALL_KINDS, 10.0)
    ((_, rows),) = select(open_store(bucket), EVERYTHING, max_resolution_ms=300_000, aggregates=wanted)
    assert [(row.aggregate, row.mint, row.maxt) for row in rows] == [(kind, 0, 50) for kind in sorted(wanted)]
    assert all(samples_of([row]) == [(0, 10.0 + row.aggregate), (50, 10.0 + row.aggregate)] for row in rows)


def test_raw_chunks_come_whatever_aggregates_are_wanted(open_store):
    store = open_store([Stream({"r": "0"}, one_chunk({"n": "1"}))])
    ((_, rows),) = select(store, EVERYTHING, max_resolution_ms=3_600_000, aggregates=(resolution.SUM,))
    assert [(row.aggregate, row.encoding) for row in rows] == [(resolution.RAW, XOR)]


def test_several_resolutions_are_mixed_in_one_series(open_store):
    """ST-14."""
    bucket = MemoryBucket()
    downsampled(bucket, 1, 300_000, ALL_KINDS, 10.0, mint=0, maxt=100)
    late = [({"n": "1"}, [float_chunk([(150, 1.0)])])]
    build_block(bucket, numbered_ulid(2), late, external={"r": "0"}, mint=100, maxt=200)
    early = [({"n": "1"}, [float_chunk([(0, 9.0)])])]
    build_block(bucket, numbered_ulid(3), early, external={"r": "0"}, mint=0, maxt=100)
    ((_, rows),) = select(open_store(bucket), EVERYTHING, max_resolution_ms=300_000, aggregates=(resolution.SUM,))
    assert [(row.aggregate, row.mint) for row in rows] == [(resolution.SUM, 0), (resolution.RAW, 150)]


def test_chunks_lie_in_several_segments_named_or_listed(open_store):
    for named in (True, False):
        bucket = MemoryBucket()
        series = [({"n": f"{i:02d}"}, [float_chunk([(0, float(i))])]) for i in range(25)]
        build_block(bucket, numbered_ulid(1), series, external={"r": "0"}, chunks_per_segment=4, named_segments=named)
        found = select(open_store(bucket, registry=CollectorRegistry()), EVERYTHING)
        assert [samples_of(rows) for _, rows in found] == [[(0, float(i))] for i in range(25)]


def flip(bucket, name, offset):
    data = bytearray(bucket.get(name))
    data[offset] ^= 0x40
    bucket.upload(name, bytes(data))


def test_a_corrupt_chunk_fails_its_query_naming_object_and_offset(open_store):
    bucket = bucket_with([Stream({"r": "0"}, many(5)), Stream({"r": "1"}, many(5))])
    name = f"{numbered_ulid(2)}/chunks/000001"
    flip(bucket, name, 12)
    store = open_store(bucket)
    with pytest.raises(CorruptData) as raised:
        select(store, EVERYTHING)
    assert (raised.value.file, raised.value.offset) == (name, 8)
    assert "checksum" in raised.value.reason
    assert len(select(store, [*EVERYTHING, Matcher(EQ, "r", "0")])) == 5


def test_a_segment_that_ends_early_is_corrupt(open_store):
    bucket = bucket_with([Stream({"r": "0"}, many(5))])
    name = f"{numbered_ulid(1)}/chunks/000001"
    bucket.upload(name, bucket.get(name)[:-3])
    with pytest.raises(CorruptData) as raised:
        select(open_store(bucket), EVERYTHING)
    assert raised.value.file == name
    assert "after the end" in raised.value.reason


def test_a_missing_segment_is_corrupt(open_store):
    bucket = bucket_with([Stream({"r": "0"}, many(5))], named_segments=False, chunks_per_segment=2)
    bucket.delete(f"{numbered_ulid(1)}/chunks/000003")
    with pytest.raises(CorruptData, match="chunk reference names segment 2 of 2"):
        select(open_store(bucket), EVERYTHING)


def test_an_object_that_is_gone_fails_the_request(open_store):
    """ST-24: as Thanos' Aborted, never as a name that is not found."""
    bucket = bucket_with([Stream({"r": "0"}, many(5))])
    store = open_store(bucket)
    bucket.delete(f"{numbered_ulid(1)}/chunks/000001")
    with pytest.raises(QueryFailed, match=f"read a block: object {numbered_ulid(1)}/chunks/000001 not found"):
        select(store, EVERYTHING)
    bucket.delete(f"{numbered_ulid(1)}/index")
    request = LabelValuesRequest("n", MIN_TIME_MS, MAX_TIME_MS, tuple(EVERYTHING))
    with pytest.raises(QueryFailed, match=f"object {numbered_ulid(1)}/index not found"):
        store.label_values(RequestContext(), request)


def test_an_unknown_chunk_encoding_is_an_error_and_never_skipped(open_store):
    """XC-80."""
    bucket = MemoryBucket()
    chunk = EncodedChunk(0, 10, b"data", encoding=77)
    build_block(bucket, numbered_ulid(1), [({"n": "1"}, [chunk])], external={"r": "0"})
    with pytest.raises(CorruptData, match="unknown chunk encoding 77"):
        select(open_store(bucket), EVERYTHING)


@pytest.mark.parametrize("threads", [False, True])
def test_a_bucket_that_fails_at_any_read_gives_an_error_and_no_partial_answer(tmp_path, threads):
    bucket = bucket_with([Stream({"r": str(i)}, many(20, job="x")) for i in range(2)])
    matchers = [Matcher(EQ, "job", "x"), *EVERYTHING]
    workers = Workers.threaded(3) if threads else Workers.inline()
    settings = "debug: {series_batch_size: 7}"
    try:
        expected = select(synced_store(bucket, tmp_path, workers=workers, settings=settings), matchers)
        assert len(expected) == 40
        for fail_at in range(1, 100):
            # The index-headers are there already, so the first read is one for postings.
            faulty = FaultyBucket(bucket, fail_at, operations=("get_range",))
            store = synced_store(faulty, tmp_path, workers=workers, settings=settings)
            try:
                found = select(store, matchers)
            except BucketUnavailable:
                assert select(store, matchers) == expected
            else:
                assert found == expected
                break
        assert fail_at > 10
    finally:
        workers.stop()


def test_hints_name_the_blocks_and_on_request_the_costs(open_store):
    """ST-27."""
    store = open_store([Stream({"r": str(i)}, many(5)) for i in range(3)])
    *_, last = frames_of(store, EVERYTHING, enable_query_stats=True)
    assert isinstance(last, SeriesHints)
    assert sorted(last.queried_blocks) == [numbered_ulid(i) for i in (1, 2, 3)]
    stats = dict(last.query_stats)
    assert stats["blocks_queried"] == 3
    assert stats["merged_series_count"] == stats["merged_chunks_count"] == 15
    assert stats["series_touched"] == stats["chunks_touched"] == 15
    assert stats["postings_to_fetch"] == stats["postings_fetched"] == 15
    assert stats["get_all_duration"] > 0
    *_, last = frames_of(store, EVERYTHING)
    assert last.query_stats == {}


def test_block_matchers_choose_blocks(open_store):
    """ST-27."""
    store = open_store([Stream({"r": str(i)}, many(2)) for i in range(3)])
    by_id = (Matcher(EQ, "__block_id", numbered_ulid(2)),)
    by_label = (Matcher(NEQ, "r", "1"),)
    assert {labels["r"] for labels in label_sets(store, EVERYTHING, block_matchers=by_id)} == {"1"}
    assert {labels["r"] for labels in label_sets(store, EVERYTHING, block_matchers=by_label)} == {"0", "2"}
    ctx = RequestContext()
    answer = store.label_values(ctx, LabelValuesRequest("r", *ALWAYS, block_matchers=by_id))
    assert answer.values == ("1",) and answer.queried_blocks == (numbered_ulid(2),)
    assert store.label_names(ctx, LabelNamesRequest(*ALWAYS, block_matchers=by_id)).queried_blocks == (
        numbered_ulid(2),
    )


def test_info_joins_adjacent_blocks_of_one_label_set_inside_the_window(open_store):
    """ST-28."""
    bucket = MemoryBucket()
    times = [("a", 0, 100), ("a", 100, 200), ("a", 120, 180), ("a", 300, 400), ("b", 0, 50)]
    for number, (label, mint, maxt) in enumerate(times, 1):
        series = [({"n": "1"}, [float_chunk([(mint, 1.0)])])]
        build_block(bucket, numbered_ulid(number), series, external={"r": label}, mint=mint, maxt=maxt)
    info = open_store(bucket, "min_time: 1970-01-01T00:00:00.010Z\nmax_time: 1970-01-01T00:00:00.350Z").info()
    assert [(dict(one.labels), one.mint, one.maxt) for one in info.tsdb_infos] == [
        ({"r": "a"}, 0, 200),
        ({"r": "a"}, 300, 400),
        ({"r": "b"}, 0, 50),
    ]
    assert info.label_sets == ({"r": "a"}, {"r": "b"})
    assert (info.mint, info.maxt) == (10, 350)
    assert info.supports_sharding and info.supports_without_replica_labels


def test_an_empty_store_covers_no_time(open_store):
    info = open_store([]).info()
    assert info.label_sets == () and info.tsdb_infos == ()
    assert info.mint > info.maxt
    assert MIN_TIME_MS <= info.maxt <= info.mint <= MAX_TIME_MS


def test_requests_are_cut_to_the_window_of_the_store(open_store):
    series = [({"n": "1"}, [[(0, 1.0)], [(1000, 2.0)]])]
    store = open_store([Stream({"r": "0"}, series)], "min_time: 1970-01-01T00:00:01Z")
    ((_, rows),) = select(store, EVERYTHING)
    assert samples_of(rows) == [(1000, 2.0)]


def test_a_store_whose_window_is_upside_down_is_a_configuration_error(open_store):
    """ST-1."""
    with pytest.raises(Exception, match="can't be greater than max_time"):
        open_store([], "min_time: 2024-01-02T00:00:00Z\nmax_time: 2024-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("min_time: soon", "min_time: 'soon' is neither a time such as .* nor a duration"),
        ("max_time: 2020-13-01T00:00:00Z", "max_time: '2020-13-01T00:00:00Z' is neither a time"),
        ("sync_block_duration: 0s", "sync_block_duration must be more than 0"),
        ("index_cache_size: -1", "index_cache_size: expected a size such as 250MB, got int -1"),
    ],
)
def test_a_mistake_names_its_key(open_store, text, expected):
    with pytest.raises(ConfigError, match=expected):
        open_store([], text)


def test_the_gate_is_entered_for_the_time_of_the_answer(open_store):
    """ST-13."""

    class Gate:
        inside = 0

        def enter(self, ctx):
            return self

        def __enter__(self):
            self.inside += 1

        def __exit__(self, *error):
            self.inside -= 1

    gate = Gate()
    store = open_store([Stream({"r": "0"}, many(50))], "debug: {series_batch_size: 5}", gate=gate)
    frames = store.series(RequestContext(), SeriesRequest(*ALWAYS, tuple(EVERYTHING), response_batch_size=5))
    assert gate.inside == 0
    next(frames)
    assert gate.inside == 1
    frames.close()
    assert gate.inside == 0


def test_only_matchers_on_external_labels_are_refused_even_beside_blocks_without_them(open_store):
    """XC-42."""
    store = open_store([Stream({"r": "0"}, many(2)), Stream({}, one_chunk({"r": "0", "n": "1"}))])
    with pytest.raises(BadRequest):
        select(store, [Matcher(EQ, "r", "0")])


def test_lazy_postings_are_counted_and_select_the_same(open_store, value):
    """ST-25."""
    streams = [Stream({"r": "0"}, many(300, job="x", zone="y"))]
    settings = "store: {enable_lazy_expanded_postings: true}\ndebug: {estimated_max_series_size: 64}"
    plain, lazy = open_store(streams, registry=CollectorRegistry()), open_store(streams, settings)
    matchers = [Matcher(EQ, "n", "0007"), Matcher(EQ, "job", "x")]
    for more in ([], [Matcher(NEQ, "zone", "z")], [Matcher(RE, "zone", "y|z")], [Matcher(EQ, "zone", "z")]):
        assert label_sets(lazy, [*matchers, *more]) == label_sets(plain, [*matchers, *more])
    assert value("lazy_expanded_postings_total") > 0
    assert value("lazy_expanded_posting_groups_total", reason="postings_size") > 0
    assert value("lazy_expanded_posting_size_bytes_total") >= 4 * 300


def test_lazy_matchers_count_the_series_that_pass(open_store):
    """ST-23, ST-25: the series limit looks at what is left."""
    series = many(300, job="x") + one_chunk(*({"n": f"b{i}", "job": "y"} for i in range(4)))
    settings = "store: {enable_lazy_expanded_postings: true, limits: {request_series: 3}}"
    store = open_store([Stream({"r": "0"}, series)], settings + "\ndebug: {estimated_max_series_size: 64}")
    assert len(select(store, [Matcher(RE, "n", "b1|b2"), Matcher(NEQ, "job", "x")])) == 2
    with pytest.raises(LimitExceeded):
        select(store, [Matcher(RE, "n", "b.*"), Matcher(NEQ, "job", "x")])


def test_a_removed_replica_label_is_never_matched_lazily(open_store):
    """ST-25: the series come without it."""
    streams = [Stream({"r": "0"}, many(300, replica="a") + many(1, replica="b", own="1"))]
    store = open_store(streams, "store: {enable_lazy_expanded_postings: true}\ndebug: {estimated_max_series_size: 64}")
    matchers = [Matcher(EQ, "n", "0000"), Matcher(EQ, "replica", "a")]
    found = label_sets(store, matchers, without_replica_labels=("replica",))
    assert found == [{"n": "0000", "r": "0"}]


def test_metrics_have_the_names_that_dashboards_read(open_store, value):
    store = open_store([Stream({"r": "0"}, many(10)), Stream({"r": "1"}, many(10))])
    select(store, EVERYTHING)
    for data_type in ("postings", "series", "chunks"):
        for name in ("touched", "fetched", "size_touched_bytes", "size_fetched_bytes"):
            assert value(f"series_data_{name}_count", data_type=data_type, tenant=TENANT) == 1
            assert value(f"series_data_{name}_sum", data_type=data_type, tenant=TENANT) > 0
    assert value("series_blocks_queried_sum", tenant=TENANT) == 2
    assert value("series_result_series_sum", tenant=TENANT) == 20
    assert value("sent_chunk_size_bytes_count", tenant=TENANT) == 20
    assert value("sent_chunk_size_bytes_bucket", tenant=TENANT, le="32.0") == 20
    assert value("cached_postings_compressions_total", op="encode", tenant=TENANT) > 0
    assert value("cached_postings_original_size_bytes_total", tenant=TENANT) > 0
    for name in ("series_get_all", "series_merge", "series_fetch", "series_fetch_duration_sum", "postings_fetch"):
        suffix = "_seconds_count" if name.endswith("sum") else "_duration_seconds_count"
        assert value(f"{name}{suffix}", tenant=TENANT) > 0, name
    for name in ("chunks_fetch_duration_seconds_count", "chunks_fetch_duration_sum_seconds_count"):
        assert value(name, tenant=TENANT) > 0, name


def test_the_tenant_of_a_request_is_a_metric_label(open_store, value):
    """ST-34."""
    store = open_store([Stream({"r": "0"}, many(3))])
    select(store, EVERYTHING, ctx=RequestContext(tenant="team-a"))
    assert value("series_result_series_count", tenant="team-a") == 1


def test_a_stream_of_a_block_is_not_disturbed_by_shard_and_limit_together(open_store):
    store = open_store([Stream({"r": "0"}, many(100))])
    whole = label_sets(store, EVERYTHING, shard=ShardInfo(1, 4, True, ("n",)))
    assert label_sets(store, EVERYTHING, shard=ShardInfo(1, 4, True, ("n",)), limit=5) == whole[:5]
