"""A channel whose calls are counted and timed: ``grpc_client_*`` (XC-49).

Not by interceptors: gRPC's wrap each call in threads and futures of their own, which small calls would feel.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from pythanos.rpc.errors import go_code
from pythanos.rpc.metrics import CallMetrics


class CountedChannel:
    """The part of ``grpc.Channel`` that clients use, over a channel that somebody else closes."""

    def __init__(
        self, channel: grpc.Channel, metrics: CallMetrics, monotonic: Callable[[], float] = time.perf_counter
    ) -> None:
        self._channel, self._metrics, self._monotonic = channel, metrics, monotonic

    def unary_unary(self, method: str, serialize: Any = None, parse: Any = None) -> Callable[..., Any]:
        inner = self._channel.unary_unary(method, serialize, parse)
        labels = _labels_of("unary", method)
        received = self._metrics.received.labels(*labels)

        def call(request: Any, **options: Any) -> Any:
            begun = self._begin(labels)
            code = grpc.StatusCode.OK
            try:
                answer = inner(request, **options)
                received.inc()
                return answer
            except grpc.RpcError as error:
                code = error.code()
                raise
            finally:
                self._finish(labels, code, begun)

        return call

    def unary_stream(self, method: str, serialize: Any = None, parse: Any = None) -> Callable[..., CountedStream]:
        inner = self._channel.unary_stream(method, serialize, parse)
        labels = _labels_of("server_stream", method)
        received = self._metrics.received.labels(*labels)

        def call(request: Any, **options: Any) -> CountedStream:
            begun = self._begin(labels)
            stream = inner(request, **options)

            def finish() -> None:
                self._finish(labels, stream.code(), begun)

            if not stream.add_callback(finish):
                finish()
            return CountedStream(stream, received)

        return call

    def _begin(self, labels: tuple[str, str, str]) -> float:
        self._metrics.started.labels(*labels).inc()
        self._metrics.sent.labels(*labels).inc()
        return self._monotonic()

    def _finish(self, labels: tuple[str, str, str], code: grpc.StatusCode, begun: float) -> None:
        self._metrics.handled.labels(*labels, go_code(code)).inc()
        self._metrics.latency.labels(*labels).observe(self._monotonic() - begun)


class CountedStream:
    """The messages of one call, counted as they are taken."""

    __slots__ = ("_received", "_stream", "cancel")

    def __init__(self, stream: Any, received: Any) -> None:
        self._stream, self._received = stream, received
        self.cancel: Callable[[], object] = stream.cancel

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        message = next(self._stream)
        self._received.inc()
        return message


def _labels_of(kind: str, method: str) -> tuple[str, str, str]:
    service, name = method.lstrip("/").rsplit("/", 1)
    return kind, service, name
