"""What a selector asks of the stores, and what the engine gets."""

import threading

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from pythanos._chunks import encode_floats
from pythanos._dedup import AVERAGE
from pythanos._labels import to_dicts
from pythanos.context import RequestContext
from pythanos.errors import BadRequest, EndpointUnavailable, LimitExceeded, PythanosError, QueryCanceled, StoreFailed
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.resolution import COUNT, COUNTER, MAX, MIN, SUM
from pythanos.promql.queryable import SelectHints
from pythanos.query.aggregates import aggregate_for, doubt_about, max_resolution_for, requested_aggregates
from pythanos.query.queryable import SelectOptions, SelectPlaces, StoreQueryable, batch_size_for
from pythanos.runtime.gate import Gate, GateMetrics
from pythanos.storeapi.batches import StoreWarning
from pythanos.storeapi.limited import LimitedStore, LimitMetrics, SelectLimits
from pythanos.storeapi.proxy import Endpoint, ProxyMetrics, ProxyStore
from pythanos.storeapi.requests import PartialResponse, ShardInfo
from pythanos.testing.fake_store import ChunkRow, FakeStore

UP = Matcher(MatchType.EQ, "__name__", "up")
HOUR_MS = 3_600_000


def chunk(samples: list) -> ChunkRow:
    times, values = np.array([t for t, _ in samples]), np.array([v for _, v in samples], np.float64)
    data, _, _ = encode_floats(times, values, [0, len(times)])
    return ChunkRow(int(times[0]), int(times[-1]), bytes(data))


def up(samples: list, **labels: str):
    return {"__name__": "up", **labels}, [chunk(samples)]


def select(store, options: SelectOptions, **hints):
    """{label values: samples} of a selection, and its warnings."""
    hints = SelectHints(**{"mint": 0, "maxt": HOUR_MS, **hints})
    selection = StoreQueryable(store, options).select(RequestContext(), (UP,), hints)
    found = {}
    for batch in selection.batches:
        samples = batch.decode()
        for i, labels in enumerate(to_dicts(batch.labels)):
            rows = slice(samples.start[i], samples.start[i + 1])
            found[tuple(sorted(labels.items()))] = list(
                zip(samples.timestamps[rows].tolist(), samples.values[rows].tolist(), strict=True)
            )
    return found, selection.warnings


def fan_out(*stores: FakeStore) -> ProxyStore:
    """One store after another would need threads; one is asked in the calling thread."""
    (store,) = stores
    return ProxyStore(lambda: [Endpoint("one:1", store, store.info())], None, ProxyMetrics())


A = [(t * 15_000, 1.0) for t in range(100)]
B = [(t * 15_000 + 3_000, 2.0) for t in range(100)]
NAME = ("__name__", "up")


@pytest.mark.parametrize("strips", [True, False])
def test_replicas_become_one_series(strips):
    """QU-15, QU-16: replica labels are gone and one replica's samples remain, whoever strips the labels."""
    store = FakeStore([up(A, replica="a"), up(B, replica="b"), up(A, job="x")], strips_replica_labels=strips)
    found, warnings = select(fan_out(store), SelectOptions(replica_labels=("replica",)))
    assert list(found) == [(NAME,), (NAME, ("job", "x"))]
    assert found[(NAME,)][:100] == A
    assert found[(NAME, ("job", "x"))] == A
    assert warnings == []


def test_without_deduplication_replicas_stay_apart():
    """QU-15: dedup=false, and dedup without replica labels, return the raw replicas."""
    store = FakeStore([up(A, replica="a"), up(B, replica="b")])
    for options in (SelectOptions(dedup=False, replica_labels=("replica",)), SelectOptions()):
        found, _ = select(store, options)
        assert found == {(NAME, ("replica", "a")): A, (NAME, ("replica", "b")): B}
        assert store.requests[-1].without_replica_labels == ()


def test_the_chain_algorithm_keeps_all_samples():
    """QU-18: deduplication.func=chain."""
    store = FakeStore([up(A, replica="a"), up(B, replica="b")])
    found, _ = select(fan_out(store), SelectOptions(replica_labels=("replica",), deduplication="chain"))
    assert found == {(NAME,): sorted(A + B)}


def test_counters_are_corrected_only_for_counter_functions():
    """QU-17: a replica that lags makes no reset for rate(), and a plain selector sees what was scraped."""
    a = [(t * 15_000, 100.0 + t) for t in range(10)]
    b = [(t * 15_000 + 100, 95.0 + t) for t in range(30)]
    store = FakeStore([up(a, replica="a"), up(b, replica="b")])

    def falls(func: str) -> int:
        found, _ = select(fan_out(store), SelectOptions(replica_labels=("replica",)), func=func)
        return int((np.diff([v for _, v in found[(NAME,)]]) < 0).sum())

    assert falls("rate") == 0
    assert falls("") == 1


def test_samples_outside_the_hinted_range_are_left_out():
    found, _ = select(FakeStore([up(A)]), SelectOptions(), mint=30_000, maxt=60_000)
    assert found == {(NAME,): [s for s in A if 30_000 <= s[0] <= 60_000]}


def test_a_batch_can_be_taken_in_parts():
    """part() gives some of the series, and decoding them gives what decoding the whole gives."""
    store = FakeStore([up(A, job=f"{i}") for i in range(10)])
    selection = StoreQueryable(store, SelectOptions()).select(RequestContext(), (UP,), SelectHints(0, HOUR_MS))
    (batch,) = selection.batches
    part = batch.part(3, 6)
    assert [labels["job"] for labels in to_dicts(part.labels)] == ["3", "4", "5"]
    assert np.diff(part.decode().start).tolist() == [100, 100, 100]


def test_warnings_are_complete_when_the_batches_are():
    """QU-10: each text once."""
    store = FakeStore([up(A)], frames=[StoreWarning("slow"), StoreWarning("slow"), StoreWarning("gone")])
    assert select(store, SelectOptions())[1] == ["slow", "gone"]


def test_a_cancelled_request_stops_between_batches():
    """Closing happens too: the store's generator ends."""
    store = FakeStore([up(A, job=f"{i:03}") for i in range(200)])
    ctx = RequestContext()
    batches = StoreQueryable(store, SelectOptions()).select(ctx, (UP,), SelectHints(0, 10**10)).batches
    next(batches)
    ctx.cancel()
    with pytest.raises(QueryCanceled):
        next(batches)
    assert store.closed == 1


def test_what_is_asked():
    """QU-13, QU-14, QU-28: hints, strategy, shard and resolution travel with the request."""
    store = FakeStore()
    shard = ShardInfo(1, 3, True, ("job",))
    options = SelectOptions(partial_response=False, shard=shard, max_resolution_ms=HOUR_MS, replica_labels=("r",))
    hints = {
        "func": "rate",
        "range_ms": 600_000,
        "step_ms": 60_000,
        "grouping": ("job",),
        "grouping_by": True,
        "limit": 7,
    }
    select(store, options, **hints)
    (asked,) = store.requests
    assert (asked.mint, asked.maxt, asked.matchers, asked.limit) == (0, HOUR_MS, (UP,), 7)
    assert (asked.partial_response, asked.shard) == (PartialResponse.ABORT, shard)
    assert (asked.max_resolution_ms, asked.aggregates) == (300_000, (COUNTER,))
    assert asked.without_replica_labels == ("r",)
    assert asked.response_batch_size == batch_size_for(HOUR_MS)
    sent = asked.query_hints
    assert (sent.func, sent.range_ms, sent.step_ms) == ("rate", 600_000, 60_000)
    assert (sent.grouping, sent.grouping_by) == (("job",), True)


@pytest.mark.parametrize(
    ("func", "aggregate"),
    [
        ("min", MIN),
        ("min_over_time", MIN),
        ("max_over_time", MAX),
        ("count", COUNT),
        ("count_over_time", COUNT),
        ("count_values", AVERAGE),
        ("sum", AVERAGE),
        ("sum_over_time", SUM),
        ("rate", COUNTER),
        ("increase", COUNTER),
        ("irate", COUNTER),
        ("resets", COUNTER),
        ("xrate", COUNTER),
        ("xincrease", COUNTER),
        ("delta", AVERAGE),
        ("avg_over_time", AVERAGE),
        ("", AVERAGE),
    ],
)
def test_the_aggregate_follows_the_function(func, aggregate):
    """QU-22."""
    assert aggregate_for(func) == aggregate
    assert requested_aggregates(aggregate) == ((COUNT, SUM) if aggregate == AVERAGE else (aggregate,))


@pytest.mark.parametrize(
    ("func", "range_ms", "expected"),
    [
        ("rate", 600_000, 300_000),
        ("rate", 0, HOUR_MS),
        ("deriv", 10 * HOUR_MS, HOUR_MS),
        ("max_over_time", 60_000, HOUR_MS),
    ],
)
def test_windows_hold_two_samples(func, range_ms, expected):
    """QU-21: functions that need two samples in a window bound the resolution by half of it."""
    assert max_resolution_for(func, range_ms, HOUR_MS) == expected


def test_batches_shrink_as_the_range_grows():
    """About a megabyte of samples, between 64 and 1024 series."""
    assert batch_size_for(0) == batch_size_for(-5) == 1024
    assert 64 < batch_size_for(24 * HOUR_MS) < 1024
    assert batch_size_for(30 * 24 * HOUR_MS) == 64


def test_the_usage_of_a_store_is_there_when_a_selection_was_read() -> None:
    """QU-26: an analysis shows the fan-out; without the wish nobody counts."""
    store = fan_out(FakeStore([up([(1000, 1.0), (2000, 2.0)], replica="a"), up([(1000, 1.0)], replica="b")]))
    for wanted, told in ((True, [("one:1", 2, 3)]), (False, [])):
        hints = SelectHints(0, HOUR_MS, usage=wanted)
        selection = StoreQueryable(store, SelectOptions()).select(RequestContext(), (UP,), hints)
        assert len(list(selection.batches)) == 1
        assert [(one.address, one.series, one.samples) for one in selection.usage] == told


DOWNSAMPLED = [chunk([(t * 300_000, float(t)) for t in range(12)])._replace(aggregate=kind) for kind in (COUNT, SUM)]
DOUBT = (
    "PromQL info: stddev_over_time is not exact on downsampled data, of which it reads averages;"
    " max_source_resolution=0s reads raw data"
)


@pytest.mark.parametrize(
    ("func", "range_ms", "chunks", "resolution", "warnings"),
    [
        ("stddev_over_time", HOUR_MS, DOWNSAMPLED, 300_000, [DOUBT]),
        ("stddev_over_time", HOUR_MS, [chunk(A)], 300_000, []),
        ("stddev_over_time", HOUR_MS, DOWNSAMPLED, 0, []),
        ("sum_over_time", HOUR_MS, DOWNSAMPLED[1:], 300_000, []),
        ("sum", 0, DOWNSAMPLED, 300_000, []),
        ("", 0, DOWNSAMPLED, 300_000, []),
    ],
)
def test_a_function_that_is_not_exact_on_what_was_read_is_told(func, range_ms, chunks, resolution, warnings):
    """QU-22: what counts is whether downsampled chunks came, not whether they were allowed; once, however many."""
    store = FakeStore([({"__name__": "up", "n": n}, chunks) for n in "ab"])
    options = SelectOptions(max_resolution_ms=resolution)
    assert select(fan_out(store), options, func=func, range_ms=range_ms)[1] == warnings


def test_the_doubt_about_a_counter_function_names_what_it_reads():
    """resets() and irate() read counters from which resets and neighbours are gone."""
    assert "irate is not exact on downsampled data, of which it reads counter values" in doubt_about("irate", HOUR_MS)
    assert doubt_about("rate", HOUR_MS) == ""


@pytest.mark.parametrize("error", [EndpointUnavailable("no"), BadRequest("no"), LimitExceeded("x", 1, "no")])
def test_whatever_a_store_fails_with_ends_a_complete_query_in_thanos_words(error: PythanosError) -> None:
    """QU-10: a store's refusal is no mistake of the query's author."""

    def fail(number: int) -> None:
        raise error

    with pytest.raises(StoreFailed) as got:
        select(fan_out(FakeStore(before_frame=fail, mint=0, maxt=9)), SelectOptions(partial_response=False))
    text = "receive series from Addr: one:1 MinTime: 0 MaxTime: 9: no"
    assert str(got.value) == f"proxy Series(): rpc error: code = Aborted desc = {text}"


def test_a_select_over_the_queriers_own_limit_fails_in_thanos_words() -> None:
    """XC-42: no store failed here."""
    limits = LimitMetrics(CollectorRegistry())
    store = LimitedStore(FakeStore([up(A, job="a"), up(B, job="b")]), SelectLimits(series=1), limits)
    with pytest.raises(StoreFailed, match=r"^proxy Series\(\): failed to send series: limit 1 violated \(got 2\)$"):
        select(store, SelectOptions())


def test_a_complete_query_over_no_store_at_all_fails() -> None:
    with pytest.raises(StoreFailed, match=r"^proxy Series\(\): No StoreAPIs available$"):
        select(ProxyStore(lambda: [], None, ProxyMetrics()), SelectOptions(partial_response=False))


def places(concurrent_max: int, registry: CollectorRegistry) -> SelectPlaces:
    metrics = GateMetrics(registry, "thanos_query_concurrent_selects", "selects")
    return SelectPlaces(Gate(concurrent_max, metrics=metrics))


@pytest.mark.parametrize(("concurrent_max", "ahead"), [(0, 3), (1, 1), (2, 2), (4, 3)])
def test_so_many_selects_are_fetched_before_they_are_read(concurrent_max: int, ahead: int) -> None:
    """QU-14: the others are asked for when they are read, in whatever order, interleaved, without waiting for ever."""
    store = FakeStore([up(A, job="a"), up(B, job="b")])
    registry = CollectorRegistry()
    queryable = StoreQueryable(store, SelectOptions(), places=places(concurrent_max, registry))
    ctx, hints = RequestContext(timeout_seconds=5), SelectHints(0, HOUR_MS)
    selections = [queryable.select(ctx, (UP,), hints) for _ in range(3)]
    assert len(store.requests) == ahead
    readers = [selection.batches for selection in reversed(selections)]
    firsts = [next(reader) for reader in readers]
    rests = [list(reader) for reader in readers]
    assert [len(one.labels) + sum(len(more.labels) for more in rest) for one, rest in zip(firsts, rests, strict=True)]
    assert len(store.requests) == 3
    name = "thanos_query_concurrent_selects_gate_selects"
    assert registry.get_sample_value(f"{name}_total") == 3
    assert registry.get_sample_value(f"{name}_in_flight") == 0


def test_a_select_that_fails_gives_its_place_back() -> None:
    """QU-14: and so does one that has sent something and is read no further."""
    registry = CollectorRegistry()
    shared, ctx = places(1, registry), RequestContext(timeout_seconds=5)
    broken = fan_out(FakeStore([up(A)], before_frame=_fail, mint=0, maxt=HOUR_MS))
    strict = SelectOptions(partial_response=False)
    selection = StoreQueryable(broken, strict, places=shared).select(ctx, (UP,), SelectHints(0, HOUR_MS))
    with pytest.raises(StoreFailed):
        next(selection.batches)
    store = FakeStore([up(A)])
    queryable = StoreQueryable(store, strict, places=shared)
    for count in (1, 2):
        selection = queryable.select(ctx, (UP,), SelectHints(0, HOUR_MS))
        assert len(store.requests) == count
        next(selection.batches)


def _fail(number: int) -> None:
    raise EndpointUnavailable("gone")


def test_no_more_selects_are_waited_for_than_the_gate_lets_in() -> None:
    """QU-14: another reader waits until the first data of the one before it is there."""
    asked, go, order = threading.Event(), threading.Event(), []

    def slow(number: int) -> None:
        if number == 0:
            order.append("asked")
            asked.set()
            assert go.wait(5)

    shared, ctx = places(1, CollectorRegistry()), RequestContext(timeout_seconds=5)
    held = StoreQueryable(FakeStore([up(A)], before_frame=slow), SelectOptions(), places=shared)
    free = FakeStore([up(B)], before_frame=lambda number: order.append("second") if number == 0 else None)
    selections = [
        one.select(ctx, (UP,), SelectHints(0, HOUR_MS))
        for one in (held, StoreQueryable(free, SelectOptions(), places=shared))
    ]
    readers = [threading.Thread(target=list, args=(selection.batches,)) for selection in selections]
    readers[0].start()
    assert asked.wait(5)
    readers[1].start()
    assert not free.requests
    go.set()
    for reader in readers:
        reader.join(5)
    assert order[:2] == ["asked", "second"]
