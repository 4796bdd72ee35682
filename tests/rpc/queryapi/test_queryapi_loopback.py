"""The service Query behind our gRPC server, reached through our client and through python-protobuf."""

import threading
from dataclasses import replace

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from pythanos import _labels
from pythanos._query_results import decode_results
from pythanos.context import RequestContext
from pythanos.errors import BadRequest, EndpointUnavailable, LimitExceeded, QueryCanceled, QueryFailed, QueryTimeout
from pythanos.model.matchers import Matcher, MatchType
from pythanos.promql.accounting import QueryLimits
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery, RangeQuery
from pythanos.promql.remote import RemoteQuery, Remotes
from pythanos.promql.values import Steps
from pythanos.query.distributed.engines import DistributedOptions, remote_engines
from pythanos.query.distributed.requests import RemoteRequest, RemoteStats, SeriesMessages
from pythanos.query.distributed.sources import QuerySources, nobody
from pythanos.query.query_log import QueryLog
from pythanos.query.queryable import SelectOptions
from pythanos.rpc.client import RemoteStore
from pythanos.rpc.info_servicer import SERVICE as INFO
from pythanos.rpc.info_servicer import InfoServicer
from pythanos.rpc.pb import query_pb2
from pythanos.rpc.queryapi.servicer import API, SERVICE, QueryAPISettings, QueryServicer
from pythanos.rpc.server import GRPCServer
from pythanos.runtime.gate import Gate
from pythanos.storeapi.batches import StoreWarning
from pythanos.storeapi.requests import ShardInfo
from pythanos.storeapi.store import StoreInfo, TsdbInfo
from pythanos.testing.fake_store import FakeStore
from pythanos.testing.promqltest.script import parse_script
from pythanos.testing.promqltest.storage import ScriptStorage
from pythanos.workers import Workers

LOAD = """load 1m
  m{a="1"} 1+1x20
  m{a="2",b="x"} 2+2x20
  gap 1 _ _ _ _ _ _ _ 9
  minus -1+0x20
  h{a="1"} {{schema:1 sum:5 count:6 z_bucket:1 z_bucket_w:0.1 buckets:[1 0 2] n_buckets:[1 1] n_offset:-3}}x20
  h{a="2"} {{schema:-53 count:6 custom_values:[1 2] buckets:[1 2 3]}}x20
  mixed 1 {{sum:1 count:1 buckets:[1]}} 3
"""
MINUTE = 60_000
ALL_LABELS = DistributedOptions()


class Rig:
    """A server that evaluates over samples of a script, and a client; ``selects`` are the options of its queries."""

    def __init__(self):
        self.selects, self.matchers, self.storage = [], [], ScriptStorage()
        (load,) = parse_script(LOAD)
        self.storage.load(load)
        self.engine = Engine(EngineOptions(limits=QueryLimits(samples_max=2000)), Workers.inline())
        self.gate = Gate(1, waiting_max=0)
        sources = QuerySources(self.queryable, nobody, self.gate, QueryLog(lambda: 0.0))
        settings = QueryAPISettings(60_000, ("replica",), "chain", 300_000, lambda resolution: resolution + 7 * MINUTE)
        servicer = QueryServicer(self.engine, sources, settings, lambda: 5 * MINUTE)
        info = InfoServicer("query", FakeStore(mint=3, maxt=8), (API,))
        handlers = [(INFO, info.handler()), (SERVICE, servicer.handler())]
        self.server = GRPCServer("127.0.0.1:0", handlers, registry=CollectorRegistry())
        self.server.start()
        self.address = f"127.0.0.1:{self.server.port}"
        self.client = RemoteStore(self.address)

    def queryable(self, select, matchers):
        self.selects.append(select)
        self.matchers.append(matchers)
        return self.storage

    def frames(self, ctx=None, **request):
        request = RemoteRequest(**{"text": "m", "start_ms": MINUTE, "end_ms": MINUTE} | request)
        ctx = ctx or RequestContext(timeout_seconds=10)
        return list(self.client.queryapi.query(ctx, request, instant=not request.step_ms))

    def distributed(self, query, **select):
        """A query that this process sends to the server."""
        store = StoreInfo((), 0, 1 << 60, tsdb_infos=(TsdbInfo({}, 0, 1 << 60),))
        endpoints = [("far", self.client.queryapi, store)]
        engines = remote_engines(endpoints, SelectOptions(**select), DistributedOptions())
        evaluate = self.engine.range if isinstance(query, RangeQuery) else self.engine.instant
        return evaluate(RequestContext(timeout_seconds=10), ScriptStorage(), query, Remotes(engines))

    def local(self, query):
        evaluate = self.engine.range if isinstance(query, RangeQuery) else self.engine.instant
        return evaluate(RequestContext(), self.storage, query)


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.client.close()
    rig.server.stop(0)


def test_info_announces_the_query_api(rig):
    assert rig.client.fetch_info(RequestContext(timeout_seconds=10)).apis == {"store", "query"}


TEXTS = [
    "m",
    "sum(m)",
    "gap",
    "minus",
    "h",
    "rate(h[5m])",
    "sum without (a) (h)",
    "histogram_quantile(0.5, h)",
    "mixed",
    "h or m",
    "nothing",
]


@pytest.mark.parametrize("text", TEXTS)
def test_results_survive_the_way(rig, text):
    """QU-37: floats, gaps, native histograms of both kinds, and both in one row are the same after the way."""
    query = RangeQuery(text, 0, 20 * MINUTE, MINUTE)
    assert_same(rig.distributed(query).value, rig.local(query).value)
    instant = InstantQuery(text, 2 * MINUTE)
    assert_same(rig.distributed(instant).value, rig.local(instant).value)


def assert_same(ours, theirs):
    assert _labels.to_dicts(ours.labels) == _labels.to_dicts(theirs.labels)
    np.testing.assert_array_equal(ours.values.view(np.int64), theirs.values.view(np.int64))
    assert (ours.histograms is None) == (theirs.histograms is None)
    if theirs.histograms is None:
        return
    one, other = ours.histograms, theirs.histograms
    assert ((one.row >= 0) == (other.row >= 0)).all()
    for mine, yours in zip(one.row[one.row >= 0], other.row[other.row >= 0], strict=True):
        assert histogram(one.columns, mine) == histogram(other.columns, yours)


def histogram(columns, row):
    layouts, kind = columns.layouts, columns.layout[row]
    counts = (columns.count[row], columns.zero_count[row], columns.sum[row], columns.reset_hint[row])
    up = list(zip(layouts.positive_index(kind).tolist(), columns.positive_counts(row).tolist(), strict=True))
    down = list(zip(layouts.negative_index(kind).tolist(), columns.negative_counts(row).tolist(), strict=True))
    return counts, layouts.schema[kind], layouts.custom_bounds(kind).tolist(), up, down


def test_series_come_in_batches_or_one_by_one(rig):
    """As many in a message as the request says, after the warnings and before the statistics."""
    channel = grpc.insecure_channel(rig.address)
    ask = channel.unary_stream(
        "/thanos.Query/Query", query_pb2.QueryRequest.SerializeToString, query_pb2.QueryResponse.FromString
    )

    def kinds(batch_size):
        request = query_pb2.QueryRequest(query='{a=~".+"}', time_seconds=60, response_batch_size=batch_size)
        return [(one.WhichOneof("result"), len(one.timeseries_batch.series)) for one in ask(request, timeout=10)]

    assert kinds(0) == [("timeseries", 0)] * 4 + [("stats", 0)]
    assert kinds(3) == [("timeseries_batch", 3), ("timeseries_batch", 1), ("stats", 0)]
    request = query_pb2.QueryRequest(query="rate(m[5m])", time_seconds=60, response_batch_size=9)
    first, *_, last = ask(request, timeout=10)
    assert first.warnings == (
        'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "m" (1:6)'
    )
    assert last.stats.samples_total == 4
    channel.close()


def test_a_scalar_is_a_series_without_labels(rig):
    (series, stats) = rig.frames(text="scalar(minus) * 2")
    assert isinstance(series, SeriesMessages)
    (labels, values, row, _), _ = decode_results(series.data, MINUTE, 1, 1, source="x")
    assert (_labels.to_dicts(labels), values.tolist(), row) == ([{}], [[-2.0]], None)
    assert stats == RemoteStats(1, stats.peak_samples)


def test_what_a_request_says_is_done(rig):
    """Replica labels, deduplication, resolution, shards and store matchers; what it leaves out is the server's."""
    rig.frames(text="1")
    assert rig.selects == [SelectOptions(True, ("replica",), "chain", 300_000, False)]
    matchers = ((Matcher(MatchType.RE, "__address__", "a.*"),),)
    shard = ShardInfo(1, 3, True, ("a",))
    request = {"dedup": False, "replica_labels": ("r", "s"), "max_resolution_ms": 3_600_000, "shard": shard}
    rig.frames(text="1", **request, store_matchers=matchers, partial_response=True)
    assert rig.selects[1] == SelectOptions(False, ("r", "s"), "chain", 3_600_000, True, shard)
    assert rig.matchers == [(), matchers]


def test_lookback_and_time(rig):
    """An hour asked for, a resolution that brings its own, and the server's time where a request has none."""

    def count(**request):
        return len([frame for frame in rig.frames(**request) if isinstance(frame, SeriesMessages)])

    late = {"start_ms": 40 * MINUTE, "end_ms": 40 * MINUTE}
    assert count(**late) == 0
    assert count(**late, lookback_ms=60 * MINUTE) == 1
    assert count(**late, max_resolution_ms=60 * MINUTE) == 1
    (series, _) = rig.frames(start_ms=0, end_ms=0, text="max(m)")
    assert decode_results(series.data, 0, 1, 1, source="x")[0][1].tolist() == [[12.0]]


@pytest.mark.parametrize(
    "request_, error",
    [
        ({"text": "m{"}, BadRequest),
        ({"step_ms": MINUTE, "end_ms": 0}, BadRequest),
        ({"text": "m + on () m"}, QueryFailed),
        ({"start_ms": 0, "end_ms": 20 * MINUTE, "step_ms": 1000}, LimitExceeded),
    ],
)
def test_errors_have_a_code_that_says_who_is_to_blame(rig, request_, error):
    with pytest.raises(error):
        rig.frames(**request_)


def test_an_instant_query_that_fails_is_a_warning_where_it_may_be_partial(rig):
    """As Thanos has it; a range query fails, and so does what is no PromQL."""
    (warning,) = rig.frames(text="m + on () m", partial_response=True)
    assert isinstance(warning, StoreWarning)
    assert "found duplicate series" in warning.message
    with pytest.raises(QueryFailed):
        rig.frames(text="m + on () m", partial_response=True, end_ms=2 * MINUTE, step_ms=MINUTE)
    with pytest.raises(BadRequest):
        rig.frames(text="m{", partial_response=True)


def test_the_gate_is_that_of_all_queries(rig):
    with rig.gate.enter(RequestContext()), pytest.raises(LimitExceeded):
        rig.frames()


def test_the_timeout_of_a_request_ends_it(rig):
    class Slow(ScriptStorage):
        def select(self, ctx, matchers, hints):
            assert ctx.remaining_seconds() <= 1
            ctx.deadline = ctx.monotonic() - 1
            return super().select(ctx, matchers, hints)

    rig.storage = Slow()
    with pytest.raises(EndpointUnavailable, match="DeadlineExceeded"):
        rig.frames(text="sum(m)", timeout_ms=1000)


def test_cancelling_stops_the_work(rig):
    """The server's context is cancelled when the client goes away."""
    asked, stopped = threading.Event(), threading.Event()

    class Waiting(ScriptStorage):
        def select(self, ctx, matchers, hints):
            ctx.on_cancel(stopped.set)
            asked.set()
            assert stopped.wait(10)
            return super().select(ctx, matchers, hints)

    rig.storage = Waiting()
    ctx = RequestContext(timeout_seconds=20)
    stream = rig.client.queryapi.query(ctx, RemoteRequest("sum(m)", MINUTE, MINUTE), instant=True)
    assert asked.wait(10)
    ctx.cancel()
    with pytest.raises(QueryCanceled):
        next(stream)
    assert stopped.wait(10)


def test_closing_a_stream_that_nobody_read_ends_the_call(rig):
    asked, stopped = threading.Event(), threading.Event()

    class Waiting(ScriptStorage):
        def select(self, ctx, matchers, hints):
            ctx.on_cancel(stopped.set)
            asked.set()
            assert stopped.wait(10)
            return super().select(ctx, matchers, hints)

    rig.storage = Waiting()
    stream = rig.client.queryapi.query(RequestContext(), RemoteRequest("sum(m)", MINUTE, MINUTE), instant=True)
    assert asked.wait(10)
    stream.close()
    assert stopped.wait(10)


def test_an_engine_that_fails_is_a_warning_where_the_answer_may_be_partial(rig):
    """The warning names the endpoint; without partial response the query fails."""
    query = RangeQuery("m + on () m", MINUTE, 2 * MINUTE, MINUTE)
    with pytest.raises(QueryFailed, match="found duplicate series"):
        rig.distributed(query, partial_response=False)
    result = rig.distributed(query, partial_response=True)
    assert len(result.value.labels) == 0
    (warning,) = result.store_warnings
    assert warning.startswith(f"remote query error (far): {rig.address}: rpc error: code = Aborted desc = ")


def test_an_engine_that_is_slow_is_a_warning_while_there_is_time(rig):
    """With partial response an engine has nine tenths of what is left; the query's own end is an error."""

    class Slow:
        def query(self, ctx, request, *, instant):
            assert ctx.remaining_seconds() == pytest.approx(9.0)
            return self

        def __iter__(self):
            return self

        def __next__(self):
            raise QueryTimeout("query timed out")

        def close(self):
            pass

    clock = [0.0]
    info = StoreInfo(({},), 0, 9)
    (engine,) = remote_engines([("far", Slow(), info)], SelectOptions(partial_response=True), ALL_LABELS)
    ctx = RequestContext(timeout_seconds=10, monotonic=lambda: clock[0])
    answer = engine.query(ctx, RemoteQuery("x", Steps(1000, 1, 1), 60_000))
    assert list(answer.batches) == []
    assert answer.warnings == ["remote query error (far): query timed out"]
    answer = engine.query(ctx, RemoteQuery("x", Steps(1000, 1, 1), 60_000))
    clock[0] = 11.0
    with pytest.raises(QueryTimeout):
        next(answer.batches)


def test_warnings_and_samples_of_an_engine_are_those_of_the_query(rig):
    result = rig.distributed(RangeQuery("rate(m[5m])", 5 * MINUTE, 6 * MINUTE, MINUTE))
    (warning,) = result.store_warnings
    assert warning.startswith("remote query warning (far): PromQL info: metric might not be a counter")
    assert result.stats.total_queryable_samples == 20


def tsdb(mint, maxt, **labels):
    return TsdbInfo(labels, mint, maxt)


def engine_of(tsdbs, options=ALL_LABELS, **select):
    info = StoreInfo((), 0, 0, tsdb_infos=tuple(tsdbs))
    (engine,) = remote_engines([("a", None, info)], SelectOptions(**select), options)
    return engine


def test_an_endpoint_counts_from_where_all_its_replicas_have_samples():
    """QU-29: of each label set without replica labels the highest mint, of those the lowest."""
    tsdbs = [tsdb(10, 90, region="eu", replica="a"), tsdb(20, 95, region="eu", replica="b"), tsdb(15, 80, region="us")]
    engine = engine_of(tsdbs, replica_labels=("replica",))
    assert (engine.mint, engine.maxt) == (15, 95)
    assert engine.label_sets == ({"region": "eu"}, {"region": "eu"}, {"region": "us"})
    overlapping = DistributedOptions(overlapping=True)
    assert engine_of(tsdbs, overlapping, replica_labels=("replica",)).mint == 10
    # Without deduplication replicas are series of their own.
    assert engine_of(tsdbs, replica_labels=("replica",), dedup=False).mint == 10


def test_partition_labels_are_what_tells_endpoints_apart():
    engine = engine_of([tsdb(1, 2, region="eu", rack="7")], DistributedOptions(("region",)))
    assert engine.label_sets == ({"region": "eu", "rack": "7"},)
    assert engine.partition_sets == ({"region": "eu"},)


def test_an_endpoint_that_names_no_tsdbs_is_known_by_its_label_sets():
    info = StoreInfo(({"a": "b"},), 3, 7)
    (engine,) = remote_engines([("a", None, info)], SelectOptions(), DistributedOptions())
    assert (engine.mint, engine.maxt, engine.partition_sets) == (3, 7, ({"a": "b"},))


def test_the_question_has_what_is_left_of_the_time():
    """Nine tenths of it, in whole seconds, with lookback, batches and the options of the query."""
    asked = []

    class Client:
        def query(self, ctx, request, *, instant):
            asked.append((request, instant))
            return iter(())

    select = SelectOptions(True, ("r",), "penalty", 300_000, True)
    info = StoreInfo(({},), 0, 9)
    (engine,) = remote_engines([("a", Client(), info)], select, DistributedOptions())
    ctx = RequestContext(timeout_seconds=30, monotonic=lambda: 0.0)
    engine.query(ctx, RemoteQuery("x", Steps(1000, 5000, 3), 60_000))
    expected = RemoteRequest(
        "x", 1000, 11_000, 5000, 27_000, 300_000, ("r",), partial_response=True, lookback_ms=60_000
    )
    assert asked == [(expected, False)]
    engine.query(ctx, RemoteQuery("x", Steps(1000, 1, 1), 60_000))
    assert asked[1] == (replace(expected, end_ms=1000, step_ms=0), True)
