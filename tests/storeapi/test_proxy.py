"""The fan-out: who is asked, what comes back when stores fail, are slow, or cannot do everything."""

import threading

import pytest

from pythanos.context import RequestContext
from pythanos.errors import BadRequest, EndpointUnavailable, LimitExceeded, QueryCanceled, StoreFailed
from pythanos.model.matchers import Matcher, MatchType
from pythanos.storeapi.batches import SeriesBatch, SeriesHints, StoreWarning
from pythanos.storeapi.proxy import Endpoint, ProxyMetrics, ProxyStore
from pythanos.storeapi.requests import (
    LabelNamesRequest,
    LabelValuesRequest,
    PartialResponse,
    SeriesRequest,
    ShardInfo,
)
from pythanos.testing.fake_store import ChunkRow, FakeStore, series_of
from pythanos.workers import ThreadPool

UP = Matcher(MatchType.EQ, "__name__", "up")
X, Y = ChunkRow(0, 10, b"x"), ChunkRow(0, 10, b"y")
ABORT = PartialResponse.ABORT


def up(chunk: ChunkRow = X, **labels: str):
    return {"__name__": "up", **labels}, [chunk]


@pytest.fixture(scope="module")
def pool():
    threads = ThreadPool("streams", 16)
    yield threads
    threads.stop()


@pytest.fixture
def proxy(pool):
    def make(*stores: FakeStore, **options) -> ProxyStore:
        endpoints = [Endpoint(f"store-{i}:10901", store, store.info()) for i, store in enumerate(stores)]
        return ProxyStore(lambda: endpoints, pool, ProxyMetrics(), **options)

    return make


def request(**fields) -> SeriesRequest:
    return SeriesRequest(**{"mint": 0, "maxt": 100, "matchers": (UP,), **fields})


def answer(proxy: ProxyStore, ctx: RequestContext | None = None, **fields):
    """The series, the warnings and the hints of an answer."""
    frames = list(proxy.series(ctx or RequestContext(), request(**fields)))
    series = [entry for frame in frames if isinstance(frame, SeriesBatch) for entry in series_of(frame)]
    return (
        series,
        [f.message for f in frames if isinstance(f, StoreWarning)],
        [f for f in frames if isinstance(f, SeriesHints)],
    )


def test_answers_are_merged(proxy):
    """QU-11: the stores' series in label order, the same series once with all different chunks."""
    a = FakeStore([up(job="a"), up(job="c", chunk=X)])
    b = FakeStore([up(job="b"), up(job="c", chunk=Y)], frames=[SeriesHints(("01B",))])
    series, warnings, hints = answer(proxy(a, b))
    assert series == [up(job="a"), up(job="b"), ({"__name__": "up", "job": "c"}, [X, Y])]
    assert warnings == []
    assert hints == [SeriesHints(("01B",))]
    assert a.closed == b.closed == 1


@pytest.mark.parametrize(
    ("store", "asked"),
    [
        (FakeStore(mint=0, maxt=50), True),
        (FakeStore(mint=101, maxt=200), False),
        (FakeStore(mint=-20, maxt=-1), False),
        (FakeStore(label_sets=[{"region": "eu"}, {"region": "us"}]), True),
        (FakeStore(label_sets=[{"region": "us"}]), False),
        (FakeStore(label_sets=[{"zone": "b"}]), True),
    ],
)
def test_only_stores_that_can_have_the_series_are_asked(proxy, store, asked):
    """QU-8: by time range and by external labels; a label that a store does not announce can match."""
    store.requests.clear()
    region = Matcher(MatchType.EQ, "region", "eu")
    answer(proxy(store), matchers=(UP, region))
    assert bool(store.requests) is asked


def test_store_matchers_choose_by_address(proxy):
    """QU-8: storeMatch[] picks endpoints by __address__, any of its matcher sets."""
    a, b, c = (FakeStore([up(job=name)]) for name in "abc")
    chosen = (
        (Matcher(MatchType.EQ, "__address__", "store-0:10901"),),
        (Matcher(MatchType.RE, "__address__", "store-2.*"),),
    )
    series, _, _ = answer(proxy(a, b, c).with_store_matchers(chosen))
    assert [labels["job"] for labels, _ in series] == ["a", "c"]
    local = Endpoint("", a, a.info(), local=True)
    assert answer(ProxyStore(lambda: [local], None, ProxyMetrics()).with_store_matchers(chosen))[0] == []


def test_selector_labels_are_used_up_before_stores_are_asked(proxy):
    """QU-9: matchers on selector labels are removed; a contradiction answers nothing; nothing left is a mistake."""
    store = FakeStore([up()])
    chosen = proxy(store, selector_labels={"cluster": "one"})
    cluster = Matcher(MatchType.EQ, "cluster", "one")
    assert answer(chosen, matchers=(UP, cluster))[0] == [up()]
    assert store.requests[0].matchers == (UP,)
    assert answer(chosen, matchers=(UP, Matcher(MatchType.EQ, "cluster", "two")))[0] == []
    with pytest.raises(BadRequest, match="no matchers specified"):
        answer(chosen, matchers=(cluster,))
    assert chosen.info().label_sets == ({"cluster": "one"},)


def test_no_store_at_all(proxy):
    """QU-9: without endpoints a complete answer cannot be given, a partial one is empty; no match is no error."""
    assert answer(proxy()) == ([], [], [])
    with pytest.raises(StoreFailed, match="No StoreAPIs available"):
        answer(proxy(), partial_response=ABORT)
    assert answer(proxy(FakeStore(maxt=-1)), partial_response=ABORT) == ([], [], [])


def failing_at(number: int, error: Exception):
    def before(frame: int) -> None:
        if frame == number:
            raise error

    return before


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("others", [0, 1])
def test_a_failing_store_is_a_warning_or_the_end(proxy, number, others):
    """QU-10: at the first frame, midway or at the end, alone or among others: WARN names the store, ABORT raises."""
    error = EndpointUnavailable("rpc error: code = Unavailable desc = gone")

    def stores():
        broken = FakeStore([up(job="a"), up(job="b")], before_frame=failing_at(number, error), mint=0, maxt=50)
        return [broken, *(FakeStore([up(job="z")]) for _ in range(others))]

    series, warnings, _ = answer(proxy(*stores()), response_batch_size=1)
    expected = (
        "receive series from Addr: store-0:10901 MinTime: 0 MaxTime: 50: rpc error: code = Unavailable desc = gone"
    )
    assert warnings == [expected]
    assert [labels["job"] for labels, _ in series] == ["a", "b"][:number] + ["z"] * others
    with pytest.raises(StoreFailed) as raised:
        answer(proxy(*stores()), response_batch_size=1, partial_response=ABORT)
    assert str(raised.value) == expected


def test_a_limit_stays_a_limit(proxy):
    """A store's own limit aborts as LimitExceeded, so that the edge answers 422 and not 503."""
    store = FakeStore([up()], before_frame=failing_at(0, LimitExceeded("series", 1)))
    with pytest.raises(LimitExceeded, match="receive series from Addr: store-0:10901"):
        answer(proxy(store), partial_response=ABORT)


def test_a_bug_is_not_a_warning(proxy):
    """An error that is not ours is never hidden in a partial response."""
    with pytest.raises(ZeroDivisionError):
        answer(proxy(FakeStore([up()], before_frame=failing_at(1, ZeroDivisionError())), FakeStore([up()])))


def test_a_stores_own_warning_aborts_too(proxy):
    """QU-10: an answer that a store calls partial is not complete."""
    store = FakeStore([up()], frames=[StoreWarning("one block is missing")])
    assert answer(proxy(store))[1] == ["one block is missing"]
    with pytest.raises(StoreFailed, match="one block is missing"):
        answer(proxy(store), partial_response=ABORT)


def test_a_hung_store_is_left_after_the_frame_timeout(proxy):
    """QU-10: response_timeout between two frames; the others' series are in the answer."""
    released = threading.Event()
    hung = FakeStore([up(job="h")], before_frame=lambda number: released.wait(30), mint=0, maxt=9)
    series, warnings, _ = answer(proxy(hung, FakeStore([up(job="z")]), response_timeout_ms=300))
    released.set()
    assert [labels["job"] for labels, _ in series] == ["z"]
    assert warnings == [
        "failed to receive any data in 300ms from Addr: store-0:10901 MinTime: 0 MaxTime: 9: no data in 300ms"
    ]


def test_a_slow_store_leaves_time_for_an_answer(proxy):
    """With partial responses a store that needs the whole timeout costs a warning, and the request goes on."""
    released = threading.Event()
    hung = FakeStore([up(job="h")], before_frame=lambda number: released.wait(30))
    ctx = RequestContext(timeout_seconds=0.6)
    series, warnings, _ = answer(proxy(hung, FakeStore([up(job="z")])), ctx)
    released.set()
    ctx.check()
    assert [labels["job"] for labels, _ in series] == ["z"]
    assert "store-0:10901" in warnings[0]
    assert "DeadlineExceeded" in warnings[0]


def test_a_cancelled_request_stops_at_once(proxy):
    """A request whose client left does not wait for its stores, and is no warning."""
    ctx = RequestContext()
    released = threading.Event()

    def before(number: int) -> None:
        ctx.cancel()
        released.wait(30)

    with pytest.raises(QueryCanceled):
        answer(proxy(FakeStore([up()], before_frame=before), FakeStore([up()], before_frame=before)), ctx)
    released.set()


def test_streams_are_pulled_side_by_side(proxy):
    """No store waits for another one: each may start only when all have started."""
    together = threading.Barrier(4, timeout=30)

    def before(number: int) -> None:
        if number == 0:
            together.wait()

    series, warnings, _ = answer(proxy(*(FakeStore([up(job=name)], before_frame=before) for name in "abcd")))
    assert [labels["job"] for labels, _ in series] == ["a", "b", "c", "d"]
    assert warnings == []


def test_the_look_ahead_is_bounded_and_closing_ends_the_stores(proxy):
    """A stream is read at most look_ahead frames ahead; an answer closed, or never begun, releases its stores."""
    sent = [0, 0]
    settled = threading.Event()

    def before(which: int):
        def count(number: int) -> None:
            sent[which] = number + 1
            if number == 3:
                settled.set()

        return count

    stores = [FakeStore([up(job=f"{i:03}{w}") for i in range(50)], before_frame=before(w)) for w in range(2)]
    frames = proxy(*stores, look_ahead=3).series(RequestContext(), request(response_batch_size=1))
    next(frames)
    assert settled.wait(30)
    # One that read on would have read all by now.
    threading.Event().wait(0.05)
    assert max(sent) <= 6
    frames.close()
    unread = proxy(*stores, look_ahead=3).series(RequestContext(), request(response_batch_size=1))
    del unread
    for _ in range(3000):
        if stores[0].closed == stores[1].closed == 2:
            break
        threading.Event().wait(0.01)
    assert [store.closed for store in stores] == [2, 2]


def test_stores_that_cannot_strip_replica_labels_are_sorted_here(proxy):
    """QU-12: labels removed and order restored, so that replicas of one series become one series."""
    plain = FakeStore(
        [up(replica="a", zone="2"), up(replica="b", zone="1"), up(replica="c", zone="2", chunk=Y)],
        strips_replica_labels=False,
    )
    series, _, _ = answer(proxy(plain, FakeStore([up(zone="1")])), without_replica_labels=("replica",))
    assert [labels for labels, _ in series] == [{"__name__": "up", "zone": "1"}, {"__name__": "up", "zone": "2"}]
    assert series[1][1] == [X, Y]


def test_stores_that_cannot_shard_are_sharded_here(proxy):
    """QU-12: every series is in exactly one shard, whether the store or the proxy chooses."""
    series = [up(job=f"{i:03}") for i in range(40)]
    shards = [
        answer(proxy(FakeStore(series, shards=able)), shard=ShardInfo(index, 3, True, ("job",)))[0]
        for able in (True, False)
        for index in range(3)
    ]
    assert shards[:3] == shards[3:]
    assert sorted(labels["job"] for shard in shards[:3] for labels, _ in shard) == [f"{i:03}" for i in range(40)]


def test_a_limit_ends_the_answer(proxy):
    """At most ``limit`` series, counted after the merge."""
    stores = [FakeStore([up(job=f"{i:03}{name}") for i in range(20)]) for name in "ab"]
    series, _, _ = answer(proxy(*stores), limit=5, response_batch_size=2)
    assert [labels["job"] for labels, _ in series] == ["000a", "000b", "001a", "001b", "002a"]


def test_label_names_and_values_are_merged(proxy):
    """Sorted and unique over all stores, limited after the merge, failures as warnings or errors."""
    stores = [FakeStore([up(job="a")]), FakeStore([up(zone="b", job="c")])]
    names = proxy(*stores).label_names(RequestContext(), LabelNamesRequest(0, 100))
    assert names.values == ("__name__", "job", "zone")
    values = proxy(*stores).label_values(RequestContext(), LabelValuesRequest("job", 0, 100, limit=1))
    assert values.values == ("a",)
    broken = FakeStore(before_frame=failing_at(0, EndpointUnavailable("gone")), mint=0, maxt=9)
    partial = proxy(*stores, broken).label_names(RequestContext(), LabelNamesRequest(0, 100))
    assert partial.values == names.values
    assert partial.warnings == ("fetch label names from store Addr: store-2:10901 MinTime: 0 MaxTime: 9: gone",)
    with pytest.raises(StoreFailed, match="fetch label values from store Addr: store-2"):
        proxy(*stores, broken).label_values(RequestContext(), LabelValuesRequest("job", 0, 100, partial_response=ABORT))
    with pytest.raises(BadRequest):
        proxy(*stores).label_values(RequestContext(), LabelValuesRequest("", 0, 100))


def test_stores_are_asked_for_all_label_names(proxy):
    """A sidecar may take the limit for one of series, and leave out names that come before those it has."""
    store = FakeStore([up(job="a")])
    names = proxy(store).label_names(RequestContext(), LabelNamesRequest(0, 100, limit=1))
    assert names.values == ("__name__",)
    assert [request.limit for request in store.requests] == [0]


def test_a_hung_store_holds_no_labels_up(proxy):
    """QU-10: response_timeout for the one message that an answer about labels is."""
    released = threading.Event()
    hung = FakeStore([up(job="h")], before_frame=lambda number: released.wait(30))
    asked = proxy(hung, FakeStore([up(job="z")]), response_timeout_ms=300)
    answers = [
        asked.label_names(RequestContext(), LabelNamesRequest(0, 9)),
        asked.label_values(RequestContext(), LabelValuesRequest("job", 0, 9)),
    ]
    released.set()
    assert [found.values for found in answers] == [("__name__", "job"), ("z",)]
    for found, what in zip(answers, ("names", "values"), strict=True):
        [warning] = found.warnings
        assert warning.startswith(f"fetch label {what} from store Addr: store-0:10901")
        assert "DeadlineExceeded" in warning


def test_what_a_proxy_announces(proxy):
    """QU-36: label sets united and extended, the widest time range, sharding and stripping supported."""
    stores = [
        FakeStore(label_sets=[{"region": "eu"}], mint=5, maxt=10),
        FakeStore(label_sets=[{"region": "eu"}, {"region": "us"}], mint=7, maxt=20),
    ]
    info = proxy(*stores, selector_labels={"cluster": "x"}).info()
    assert info.label_sets == ({"region": "eu", "cluster": "x"}, {"region": "us", "cluster": "x"})
    assert (info.mint, info.maxt) == (5, 20)
    assert info.supports_sharding
    assert info.supports_without_replica_labels


def test_empty_streams_are_counted(pool):
    """thanos_proxy_store_empty_stream_responses_total counts answers without any frame."""
    metrics = ProxyMetrics()
    store = FakeStore()
    proxy = ProxyStore(lambda: [Endpoint("a", store, store.info())], pool, metrics)
    answer(proxy)
    assert metrics.empty_streams._value.get() == 1
