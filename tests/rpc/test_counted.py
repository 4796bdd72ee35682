"""XC-49: every call to another endpoint is in grpc_client_*, under the code that it ended with."""

import threading
from concurrent import futures

import grpc
import pytest
from prometheus_client import CollectorRegistry

from pythanos.rpc.counted import CountedChannel
from pythanos.rpc.metrics import CallMetrics

LABELS = {"grpc_service": "a.B", "grpc_type": "server_stream"}


class Ended(CountedChannel):
    """Tells when a call is counted to its end: gRPC ends streams in a thread of its own."""

    def __init__(self, channel: grpc.Channel, metrics: CallMetrics) -> None:
        super().__init__(channel, metrics, monotonic=iter(range(0, 1_000, 100)).__next__)
        self.ended = threading.Semaphore(0)

    def _finish(self, *args) -> None:
        super()._finish(*args)
        self.ended.release()


def answer(request, context):
    if request == b"bad":
        context.abort(grpc.StatusCode.DATA_LOSS, "torn")
    return b"one"


def stream(request, context):
    yield b"one"
    yield answer(request, context)
    if request == b"long":
        threading.Event().wait(context.time_remaining())


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def channel(registry):
    server = grpc.server(futures.ThreadPoolExecutor(2))
    handlers = {
        "Answer": grpc.unary_unary_rpc_method_handler(answer),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as inner:
        yield Ended(inner, CallMetrics(registry, "client"))
    server.stop(None).wait()


def value(registry, name, **labels):
    return registry.get_sample_value(f"grpc_client_{name}", labels)


def test_unary_calls(channel, registry):
    call = channel.unary_unary("/a.B/Answer")
    assert call(b"x", timeout=9) == b"one"
    with pytest.raises(grpc.RpcError):
        call(b"bad", timeout=9)
    labels = {"grpc_service": "a.B", "grpc_method": "Answer", "grpc_type": "unary"}
    assert value(registry, "started_total", **labels) == value(registry, "msg_sent_total", **labels) == 2
    assert value(registry, "msg_received_total", **labels) == 1
    assert value(registry, "handled_total", grpc_code="OK", **labels) == 1
    assert value(registry, "handled_total", grpc_code="DataLoss", **labels) == 1
    assert value(registry, "handling_seconds_sum", **labels) == 200
    assert value(registry, "handling_seconds_bucket", le="120.0", **labels) == 2
    assert value(registry, "handling_seconds_bucket", le="90.0", **labels) == 0


@pytest.mark.parametrize(
    ("request_bytes", "taken", "code"), [(b"x", 2, "OK"), (b"bad", 1, "DataLoss"), (b"long", 2, "Canceled")]
)
def test_streams(channel, registry, request_bytes, taken, code):
    found = channel.unary_stream("/a.B/Stream")(request_bytes, timeout=60)
    messages = []
    try:
        for message in found:
            messages.append(message)
            if request_bytes == b"long" and len(messages) == taken:
                found.cancel()
    except grpc.RpcError:
        assert code != "OK"
    assert channel.ended.acquire(timeout=60)
    labels = LABELS | {"grpc_method": "Stream"}
    assert len(messages) == taken == value(registry, "msg_received_total", **labels)
    assert value(registry, "started_total", **labels) == 1
    assert value(registry, "handled_total", grpc_code=code, **labels) == 1
    assert value(registry, "handling_seconds_count", **labels) == 1
