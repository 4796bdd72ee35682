"""``/api/v1/read``: which format is answered, and what is refused."""

import cramjam
import pytest
from prometheus_client import CollectorRegistry
from web_fixtures import Served

from pythanos.errors import BadRequest, EndpointUnavailable
from pythanos.query.remote_read.answers import ReadOptions
from pythanos.query.remote_read.requests import ReadFormat
from pythanos.rpc.pb import remote_read_pb2
from pythanos.rpc.promapi.remote_read import read_request_of
from pythanos.runtime.gate import Gate
from pythanos.testing.block_builder import float_chunk
from pythanos.testing.fake_store import ChunkRow, FakeStore
from pythanos.web.api.query.read import ReadAPI, ReadSettings, negotiated

CHUNK = float_chunk([(1000, 1.0)])
ROW = ChunkRow(CHUNK.mint, CHUNK.maxt, CHUNK.data)


class Rig:
    def __init__(self, **settings):
        self.store = FakeStore([({"__name__": "up", "replica": "a"}, [ROW])])
        self.asked = []
        gate = Gate(2, registry=CollectorRegistry(), prefix="read")
        settings = ReadSettings(ReadOptions(**{"replica_labels": ("replica",), **settings}))
        self.served = Served(ReadAPI(self.choose, read_request_of, gate, settings).routes())

    def choose(self, store_matchers):
        self.asked.append(store_matchers)
        return self.store

    def read(self, *accepted, path="read", body=None):
        matcher = remote_read_pb2.LabelMatcher(type=0, name="__name__", value="up")
        query = remote_read_pb2.Query(start_timestamp_ms=0, end_timestamp_ms=5000, matchers=[matcher])
        message = remote_read_pb2.ReadRequest(queries=[query, query], accepted_response_types=accepted)
        packed = bytes(cramjam.snappy.compress_raw(message.SerializeToString())) if body is None else body
        return self.served.ask(f"/api/v1/{path}", "POST", packed)


@pytest.mark.parametrize("accepted, chosen", [((), 0), ((0,), 0), ((1, 0), 1), ((7, 1), 1), ((0, 1), 0)])
def test_the_first_format_that_is_known_is_chosen(accepted, chosen):
    assert negotiated(accepted) is ReadFormat(chosen)


def test_no_known_format_is_refused():
    with pytest.raises(BadRequest, match="does not support any of the requested response types"):
        negotiated((7, 8))


def test_each_format_says_what_it_is():
    answer = Rig().read(0)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert answer.headers["content-encoding"] == "snappy"
    assert bytes(cramjam.snappy.decompress_raw(answer.body)).count(b"__name__") == 2
    answer = Rig().read(1, 0)
    assert answer.headers["content-type"] == "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
    assert "content-encoding" not in answer.headers
    assert answer.body.count(b"__name__") == 2


def test_the_url_says_how_series_are_fetched():
    rig = Rig()
    rig.read(1)
    rig.read(1, path="read?dedup=false&partial_response=true&storeMatch[]={__address__=%22a%22}")
    rig.read(1, path="read?replicaLabels[]=r")
    assert [request.without_replica_labels for request in rig.store.requests[::2]] == [("replica",), (), ("r",)]
    assert len(rig.asked[1]) == 1


def test_a_store_that_fails_at_once_is_an_error():
    rig = Rig()

    def fail(number):
        raise EndpointUnavailable("gone")

    rig.store.before_frame = fail
    assert rig.read(1).status == 503
    assert rig.read(0).status == 503


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xff\xff\xff\x7f", b"\x04\x0c\xff\xff\xff\xff", bytes(cramjam.snappy.compress_raw(b"\x0a\x7f"))]
)
def test_what_is_no_request_is_refused(body):
    answer = Rig().read(body=body)
    assert (answer.status, "bad_data" in answer.text) == (400, True)


def test_a_request_without_queries_is_answered_with_nothing():
    answer = Rig().read(body=bytes(cramjam.snappy.compress_raw(b"")))
    assert (answer.status, bytes(cramjam.snappy.decompress_raw(answer.body))) == (200, b"")


def test_too_many_samples_are_refused():
    assert Rig(samples_max=1).read(0).status == 200
    rig = Rig(samples_max=1)
    chunk = float_chunk([(1000, 1.0), (2000, 1.0)])
    rig.store.series_list = [({"__name__": "up"}, [ChunkRow(chunk.mint, chunk.maxt, chunk.data)])]
    answer = rig.read(0)
    assert (answer.status, "exceeded sample limit (1)" in answer.text) == (400, True)
