"""A client made from nothing but the public field numbers, against a store process (features ST-1, ST-16 to ST-23)."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import grpc
import pytest
from e2e.store_protos import HINTS, INFO, STORE
from generated import generate
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from running import Daemon, folder_bucket, running_store

from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.testing.block_builder import build_block, float_chunk
from pythanos.testing.buckets import EPOCH_MS, HOUR_MS, numbered_ulid

BLOCKS = (numbered_ulid(1), numbered_ulid(2))
SERIES = 3000
SAMPLES = [(EPOCH_MS + minute * 60_000, minute * 1.5) for minute in range(100)]
CHUNKS = [float_chunk(SAMPLES[:60]), float_chunk(SAMPLES[60:])]


def labels_of(number: int) -> dict[str, str]:
    return {"__name__": "work_total", "job": f"job{number % 3}", "pod": f"pod-{number:05d}", "quoted": 'ü"\n'}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory) -> dict[str, Any]:
    """Two replicas with the same series; the second has one metric more."""
    folder = tmp_path_factory.mktemp("bucket")
    series = [(labels_of(number), CHUNKS) for number in range(SERIES)]
    for ulid, replica in zip(BLOCKS, "ab", strict=True):
        own = [({"__name__": "only_b"}, CHUNKS)] if replica == "b" else []
        build_block(FilesystemBucket(str(folder)), ulid, series + own, external={"cluster": "eu", "replica": replica})
    return folder_bucket(folder)


@dataclass(frozen=True)
class Client:
    """A channel to a store, and classes generated for this run."""

    messages: ModuleType
    hints: ModuleType
    info_messages: ModuleType
    store: Any
    info: Any
    channel: grpc.Channel
    daemon: Daemon

    def request(self, **fields: Any) -> Any:
        """For everything of the metric, unless told otherwise."""
        given = {
            "min_time": 0,
            "max_time": EPOCH_MS + 2 * HOUR_MS,
            "matchers": [self.messages.LabelMatcher(name="__name__", value="work_total")],
            **fields,
        }
        return self.messages.SeriesRequest(**given)

    def series(self, **fields: Any) -> tuple[list[Any], list[Any]]:
        """The series, whether single or in batches, and all responses."""
        responses = list(self.store.Series(self.request(**fields)))
        found = []
        for response in responses:
            kind = response.WhichOneof("result")
            found += [response.series] if kind == "series" else response.batch.series if kind == "batch" else []
        return found, responses

    def matcher(self, name: str, value: str, kind: str = "EQ") -> Any:
        return self.messages.LabelMatcher(type=kind, name=name, value=value)


def connect(daemon: Daemon, folder: Any) -> Client:
    messages, stubs = generate("store", STORE, folder)
    info_messages, info_stubs = generate("info", INFO, folder)
    hints, _ = generate("hints", HINTS, folder)
    channel = grpc.insecure_channel(daemon.grpc)
    return Client(
        messages, hints, info_messages, stubs.StoreStub(channel), info_stubs.InfoStub(channel), channel, daemon
    )


@pytest.fixture(scope="module")
def client(bucket, tmp_path_factory) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("store")
    with running_store(home, bucket) as daemon:
        found = connect(daemon, home)
        yield found
        found.channel.close()


def sets(series: list[Any]) -> list[dict[str, str]]:
    return [{label.name: label.value for label in one.labels} for one in series]


def test_series_come_one_by_one_unless_batches_are_asked_for(client):
    found, responses = client.series()
    assert [response.WhichOneof("result") for response in responses] == ["series"] * 2 * SERIES + ["hints"]
    wanted = [
        {**labels_of(number), "cluster": "eu", "replica": replica} for number in range(SERIES) for replica in "ab"
    ]
    assert sets(found) == sorted(wanted, key=lambda labels: sorted(labels.items()))
    names = [label.name for label in found[0].labels]
    assert names == sorted(names)


def test_batches_hold_as_many_series_as_asked_for(client):
    found, responses = client.series(response_batch_size=700)
    sizes = [len(response.batch.series) for response in responses if response.WhichOneof("result") == "batch"]
    assert max(sizes) <= 700 and len(sizes) < 2 * SERIES / 100
    assert found == client.series()[0]


def test_chunks_are_those_of_the_block(client):
    found, _ = client.series(matchers=[client.matcher("pod", "pod-00007"), client.matcher("replica", "a")])
    (series,) = found
    assert [(one.min_time, one.max_time, one.raw.type, one.raw.data) for one in series.chunks] == [
        (chunk.mint, chunk.maxt, 0, chunk.data) for chunk in CHUNKS
    ]
    late, _ = client.series(
        matchers=[client.matcher("pod", "pod-00007"), client.matcher("replica", "a")], min_time=CHUNKS[1].mint
    )
    assert [one.raw.data for one in late[0].chunks] == [CHUNKS[1].data]


def test_matchers_of_all_kinds_select_the_same_as_here(client):
    kinds = [("EQ", "job1"), ("NEQ", "job1"), ("RE", "job[01]"), ("NRE", "job[01]")]
    counts = [len(client.series(matchers=[client.matcher("job", value, kind)])[0]) for kind, value in kinds]
    assert counts == [2 * SERIES // 3, 4 * SERIES // 3 + 1, 4 * SERIES // 3, 2 * SERIES // 3 + 1]


def test_skipped_chunks_limits_shards_and_replica_labels(client):
    found, _ = client.series(skip_chunks=True, limit=10)
    assert len(found) == 10 and not any(one.chunks for one in found)
    merged, _ = client.series(without_replica_labels=["replica"])
    assert len(merged) == SERIES
    assert all("replica" not in labels for labels in sets(merged))
    shards = [
        client.series(shard_info=client.messages.ShardInfo(shard_index=index, total_shards=3, by=True, labels=["pod"]))[
            0
        ]
        for index in range(3)
    ]
    assert all(shards) and sum(map(len, shards)) == 2 * SERIES


def test_hints_choose_blocks_and_tell_statistics(client):
    asked = client.hints.SeriesRequestHints(enable_query_stats=True)
    asked.block_matchers.add(name="__block_id", value=BLOCKS[0])
    request = client.request()
    request.hints.Pack(asked)
    responses = list(client.store.Series(request))
    told = client.hints.SeriesResponseHints()
    assert responses[-1].hints.Unpack(told)
    assert responses[-1].hints.type_url.endswith("/hintspb.SeriesResponseHints")
    assert [block.id for block in told.queried_blocks] == [BLOCKS[0]]
    stats = told.query_stats
    assert (stats.blocks_queried, stats.merged_series_count, stats.merged_chunks_count) == (1, SERIES, 2 * SERIES)
    assert stats.series_touched == SERIES and stats.chunks_fetched == 2 * SERIES
    assert stats.data_downloaded_size_sum > SERIES * 100


def test_label_names_and_values(client):
    times = {"start": 0, "end": EPOCH_MS + 2 * HOUR_MS}
    names = client.store.LabelNames(client.messages.LabelNamesRequest(**times))
    assert list(names.names) == ["__name__", "cluster", "job", "pod", "quoted", "replica"]
    told = client.hints.LabelNamesResponseHints()
    assert names.hints.Unpack(told)
    assert sorted(block.id for block in told.queried_blocks) == list(BLOCKS)
    values = client.store.LabelValues
    request = client.messages.LabelValuesRequest
    assert list(values(request(label="job", **times)).values) == ["job0", "job1", "job2"]
    assert list(values(request(label="replica", **times)).values) == ["a", "b"]
    matchers = [client.matcher("__name__", "only_b")]
    assert list(values(request(label="replica", matchers=matchers, **times)).values) == ["b"]
    assert len(values(request(label="pod", limit=5, **times)).values) == 5
    with pytest.raises(grpc.RpcError) as refused:
        values(request(**times))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_info_says_what_there_is(client):
    info = client.info.Info(client.info_messages.InfoRequest())
    assert info.ComponentType == "store"
    assert (info.store.min_time, info.store.max_time) == (SAMPLES[0][0], SAMPLES[-1][0] + 1)
    assert info.store.supports_sharding and info.store.supports_without_replica_labels
    announced = [{label.name: label.value for label in one.labels} for one in info.label_sets]
    assert sorted(labels["replica"] for labels in announced) == ["a", "b"]
    assert len(info.store.tsdb_infos) == 2


def test_health_and_reflection(client):
    health = health_pb2_grpc.HealthStub(client.channel)
    for service in ("", "thanos.Store", "thanos.info.Info"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    database = ProtoReflectionDescriptorDatabase(client.channel)
    assert {"thanos.Store", "thanos.info.Info", "grpc.health.v1.Health"} <= set(database.get_services())
    described = descriptor_pool.DescriptorPool(database).FindMessageTypeByName("thanos.SeriesRequest")
    assert described.fields_by_name["response_batch_size"].number == 16


def test_a_canceled_call_ends_its_work(client):
    stream = client.store.Series(client.request(matchers=[client.matcher("__name__", ".+", "RE")]))
    assert next(stream).WhichOneof("result") == "series"
    pending = "thanos_store_server_pending_series_requests"
    served = client.daemon.metrics()["thanos_store_server_series_requested_count"]
    assert client.daemon.metrics()[pending] == 1
    stream.cancel()
    end = time.monotonic() + 5
    while client.daemon.metrics()[pending]:
        assert time.monotonic() < end
    # Calls that sent everything are counted there.
    assert client.daemon.metrics()["thanos_store_server_series_requested_count"] == served


@pytest.mark.parametrize(
    "limit", [{"request_series": 100}, {"request_samples": 1000}, {"downloaded_bytes_limit": "200KB"}], ids=str
)
def test_a_limit_refuses_what_is_too_much(bucket, tmp_path, limit):
    grpc_limit = limit if "downloaded_bytes_limit" in limit else {}
    section = {"grpc": grpc_limit} if grpc_limit else {"limits": limit}
    with running_store(tmp_path, bucket, store=section) as daemon:
        client = connect(daemon, tmp_path)
        with pytest.raises(grpc.RpcError) as refused:
            client.series()
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        few, _ = client.series(matchers=[client.matcher("__name__", "only_b")])
        assert len(few) == 1
        client.channel.close()
