"""A Store behind our gRPC server, reached through our client: nothing is lost, errors keep their meaning."""

import threading
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from msgspec import structs
from prometheus_client import CollectorRegistry

from pythanos._wire import decode_series, encode_series
from pythanos.context import RequestContext
from pythanos.errors import (
    BadRequest,
    ConfigError,
    CorruptData,
    EndpointUnavailable,
    LimitExceeded,
    QueryCanceled,
    QueryTimeout,
)
from pythanos.model.matchers import Matcher, MatchType
from pythanos.rpc.client import RemoteStore
from pythanos.rpc.info_servicer import SERVICE as INFO
from pythanos.rpc.info_servicer import InfoServicer
from pythanos.rpc.pb import store_pb2, types_pb2
from pythanos.rpc.server import GRPCServer
from pythanos.rpc.store_servicer import BATCH_SERIES, StoreServicer
from pythanos.rpc.store_servicer import SERVICE as STORE
from pythanos.rpc.tls.server import ServerTLSConfig
from pythanos.storeapi.batches import SeriesBatch, SeriesFrame, SeriesHints, StoreWarning
from pythanos.storeapi.requests import (
    LabelNamesRequest,
    LabelsAnswer,
    LabelValuesRequest,
    PartialResponse,
    QueryHints,
    SeriesRequest,
    ShardInfo,
)
from pythanos.storeapi.store import StoreInfo, TsdbInfo

INFO_ANSWER = StoreInfo(
    label_sets=({"cluster": "a"}, {"cluster": "b", "replica": "1"}),
    mint=-5,
    maxt=99,
    supports_sharding=True,
    supports_without_replica_labels=True,
    tsdb_infos=(TsdbInfo({"cluster": "a"}, 1, 2),),
)
REQUEST = SeriesRequest(
    mint=-1,
    maxt=10,
    matchers=(Matcher(MatchType.RE, "job", "a.*"), Matcher(MatchType.NEQ, "x", "")),
    max_resolution_ms=300_000,
    aggregates=(1, 2),
    partial_response=PartialResponse.ABORT,
    skip_chunks=True,
    block_matchers=(Matcher(MatchType.EQ, "__block_id", "01"),),
    enable_query_stats=True,
    step_ms=15,
    range_ms=300,
    query_hints=QueryHints(15, "rate", ("job",), True, 300, ("job",), True, "h"),
    shard=ShardInfo(1, 3, True, ("job",)),
    without_replica_labels=("replica",),
    limit=7,
    response_batch_size=3,
)


def batch_of(count: int) -> SeriesBatch:
    messages = [
        types_pb2.Series(
            labels=[types_pb2.Label(name="i", value=f"{i:05d}")],
            chunks=[types_pb2.AggrChunk(min_time=i, max_time=i + 1, raw=types_pb2.Chunk(data=b"c" * (i % 50)))],
        )
        for i in range(count)
    ]
    sent = store_pb2.SeriesResponse(batch=types_pb2.SeriesBatch(series=messages)).SerializeToString()
    return decode_series(sent)[0]


class ScriptedStore:
    """Answers with the frames it was given, or raises."""

    def __init__(self) -> None:
        self.frames: list[SeriesFrame | Exception] = []
        self.asked: list[object] = []
        self.closed = threading.Event()

    def info(self) -> StoreInfo:
        return INFO_ANSWER

    def series(self, ctx: RequestContext, request: SeriesRequest) -> Iterator[SeriesFrame]:
        self.asked.append(request)
        try:
            for frame in self.frames:
                if isinstance(frame, Exception):
                    raise frame
                yield frame
        finally:
            self.closed.set()

    def label_names(self, ctx: RequestContext, request: LabelNamesRequest) -> LabelsAnswer:
        self.asked.append(request)
        return LabelsAnswer(("a", "b"), ("careful",), ("01",))

    def label_values(self, ctx: RequestContext, request: LabelValuesRequest) -> LabelsAnswer:
        self.asked.append(request)
        return LabelsAnswer(("v",))


@pytest.fixture
def store() -> ScriptedStore:
    return ScriptedStore()


@pytest.fixture
def server(store):
    server = GRPCServer(
        "127.0.0.1:0",
        [
            (STORE, StoreServicer(store, registry := CollectorRegistry()).handler()),
            (INFO, InfoServicer("store", store).handler()),
        ],
        registry=registry,
    )
    server.start()
    server.registry = registry
    yield server
    server.stop(0)


@pytest.fixture
def remote(server):
    remote = RemoteStore(f"127.0.0.1:{server.port}")
    yield remote
    remote.close()


def ctx(seconds: float = 20.0) -> RequestContext:
    return RequestContext(timeout_seconds=seconds)


@pytest.mark.parametrize("batch_size", [0, 1, 3, 1000])
def test_series_arrive_whole_whatever_the_batch_size(store, remote, batch_size):
    """XC-44: single series or batches, the client sees the same columns."""
    store.frames = [batch_of(20)]
    request = SeriesRequest(0, 1, (), response_batch_size=batch_size)
    got = b"".join(encode_series(frame) for frame in remote.series(ctx(), request))
    assert decode_series(got)[0].labels.hash.tolist() == batch_of(20).labels.hash.tolist()


@pytest.mark.parametrize(("asked", "sizes"), [(8, [8, 8, 4]), (20, [20]), (0, [1] * 20)])
def test_a_message_holds_as_many_series_as_were_asked_for(store, server, asked, sizes):
    """XC-44."""
    store.frames = [batch_of(20)]
    request = store_pb2.SeriesRequest(response_batch_size=asked)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.unary_stream(
            "/thanos.Store/Series", store_pb2.SeriesRequest.SerializeToString, store_pb2.SeriesResponse.FromString
        )
        assert [len(one.batch.series) or one.HasField("series") for one in call(request)] == sizes


def test_a_request_arrives_with_every_field(store, remote):
    """But the size of batches: messages are cut to it on their way out."""
    list(remote.series(ctx(), REQUEST))
    names = LabelNamesRequest(1, 2, REQUEST.matchers, PartialResponse.ABORT, ("r",), REQUEST.block_matchers, 4)
    values = LabelValuesRequest("l", 1, 2, REQUEST.matchers, PartialResponse.WARN, ("r",), REQUEST.block_matchers, 4)
    assert remote.label_names(ctx(), names) == LabelsAnswer(("a", "b"), ("careful",))
    assert remote.label_values(ctx(), values) == LabelsAnswer(("v",))
    assert store.asked == [structs.replace(REQUEST, response_batch_size=BATCH_SERIES), names, values]


def test_warnings_and_hints_travel_beside_the_series(store, remote):
    hints = SeriesHints(("01A", "01B"), {"series_touched": 5, "merge_duration": 1500})
    store.frames = [StoreWarning("half of it"), hints]
    assert list(remote.series(ctx(), REQUEST)) == store.frames


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (BadRequest("no matcher"), BadRequest),
        (LimitExceeded("series", 5), LimitExceeded),
        (CorruptData("01/chunks/000001", 12, "crc"), CorruptData),
        (RuntimeError("bug"), EndpointUnavailable),
    ],
)
def test_an_error_keeps_its_meaning_over_the_wire(store, remote, raised, expected):
    store.frames = [batch_of(1), raised]
    with pytest.raises(expected, match=str(raised).split(":", maxsplit=1)[0]):
        list(remote.series(ctx(), REQUEST))


def test_the_callers_own_deadline_and_cancellation_win(store, remote):
    with pytest.raises(QueryTimeout):
        list(remote.series(ctx(0.0), REQUEST))
    canceled = ctx()
    canceled.cancel()
    with pytest.raises(QueryCanceled):
        list(remote.series(canceled, REQUEST))


def test_closing_the_stream_ends_the_work_of_the_server(store, remote):
    """Within one batch, the store's generator is closed."""
    store.frames = [batch_of(50)] * 2000
    stream = remote.series(ctx(), REQUEST)
    next(stream)
    stream.close()
    assert store.closed.wait(10)


def test_info_tells_what_the_store_announces(remote):
    heard = remote.fetch_info(ctx())
    assert heard.component == "store"
    assert heard.store == INFO_ANSWER == remote.info()
    assert heard.apis == {"store"}


def test_an_endpoint_that_is_not_there_is_unavailable():
    nobody = RemoteStore("127.0.0.1:1")
    with pytest.raises(EndpointUnavailable, match="Unavailable"):
        list(nobody.series(ctx(), REQUEST))
    with pytest.raises(EndpointUnavailable, match="refused"):
        nobody.fetch_info(ctx(), until_connected=False)
    nobody.close()


def test_health_follows_readiness(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        assert check(health_pb2.HealthCheckRequest(service=STORE)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        server.set_ready(True)
        assert check(health_pb2.HealthCheckRequest(service="")).status == health_pb2.HealthCheckResponse.SERVING


def test_calls_are_counted_under_the_names_of_the_mixin(store, server, remote):
    """XC-49."""
    store.frames = [batch_of(3)]
    list(remote.series(ctx(), REQUEST))
    labels = {"grpc_type": "server_stream", "grpc_service": STORE, "grpc_method": "Series"}
    server.stop(5)
    assert server.registry.get_sample_value("grpc_server_handled_total", {**labels, "grpc_code": "OK"}) == 1
    assert server.registry.get_sample_value("grpc_server_handling_seconds_count", labels) == 1
    assert server.registry.get_sample_value("thanos_store_server_series_requested_sum") == 3


def test_a_taken_port_is_one_clear_error(server):
    second = GRPCServer(f"127.0.0.1:{server.port}", [], registry=CollectorRegistry())
    with pytest.raises(ConfigError, match=f"listen on 127.0.0.1:{server.port}"):
        second.start()


def test_half_of_a_certificate_pair_is_refused():
    """XC-30."""
    half = GRPCServer("127.0.0.1:0", [], registry=CollectorRegistry(), tls=ServerTLSConfig(cert="x.pem"))
    with pytest.raises(ConfigError, match="both server key and certificate"):
        half.start()
