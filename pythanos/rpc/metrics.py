"""gRPC metrics under the names of go-grpc-middleware, so that the mixin's dashboards work (XC-49)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from pythanos.rpc.errors import go_code
from pythanos.runtime.request_log import GRPC_ERRORS, RequestLog
from pythanos.tally import TallyCounter, TallyHistogram

_SERVER_SECONDS = (0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120)
LATENCY_SECONDS = {"server": _SERVER_SECONDS, "client": (*_SERVER_SECONDS, 240, 360, 720)}
_LATENCY_TEXTS = {
    "server": "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
    "client": "Histogram of response latency (seconds) of the gRPC until it is finished by the application.",
}
_CALL = ("grpc_type", "grpc_service", "grpc_method")


class CallMetrics:
    """The ``grpc_server_*`` families of one server, or the ``grpc_client_*`` ones of all its connections."""

    def __init__(self, registry: CollectorRegistry, side: str) -> None:
        """``side`` is server or client."""
        at = "on the server" if side == "server" else "by the client"
        self.started = TallyCounter(
            f"grpc_{side}_started_total", f"Total number of RPCs started on the {side}.", _CALL, registry=registry
        )
        self.handled = TallyCounter(
            f"grpc_{side}_handled_total",
            f"Total number of RPCs completed {at}, regardless of success or failure.",
            (*_CALL, "grpc_code"),
            registry=registry,
        )
        self.received = TallyCounter(
            f"grpc_{side}_msg_received_total",
            f"Total number of RPC stream messages received {at}.",
            _CALL,
            registry=registry,
        )
        self.sent = TallyCounter(
            f"grpc_{side}_msg_sent_total",
            f"Total number of gRPC stream messages sent by the {side}.",
            _CALL,
            registry=registry,
        )
        self.latency = TallyHistogram(
            f"grpc_{side}_handling_seconds",
            _LATENCY_TEXTS[side],
            _CALL,
            buckets=LATENCY_SECONDS[side],
            registry=registry,
        )


class ServerMetrics(CallMetrics):
    """What a server counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "server")
        self.panics = TallyCounter(
            "grpc_req_panics_recovered_total",
            "Total number of gRPC requests recovered from internal panic.",
            registry=registry,
        )


class MetricsInterceptor(grpc.ServerInterceptor):
    """Counts and times every call of a server, health and reflection included."""

    def __init__(
        self,
        metrics: ServerMetrics,
        monotonic: Callable[[], float] = time.perf_counter,
        request_log: RequestLog | None = None,
    ) -> None:
        self._metrics = metrics
        self._monotonic = monotonic
        self._log = request_log or RequestLog()

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        service, method = handler_call_details.method.lstrip("/").rsplit("/", 1)
        kind = "server_stream" if handler.response_streaming else "unary"
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(handler.unary_stream, (kind, service, method)),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(handler.unary_unary, (kind, service, method)),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _finish(self, labels: tuple[str, str, str], context: Any, begun: float) -> None:
        code = context.code()
        if code is None:
            code = grpc.StatusCode.OK if context.is_active() else grpc.StatusCode.CANCELLED
        self._metrics.handled.labels(*labels, go_code(code)).inc()
        seconds = self._monotonic() - begun
        self._metrics.latency.labels(*labels).observe(seconds)
        if self._log.wants(f"/{labels[1]}/{labels[2]}"):
            name = go_code(code)
            fields = {**_log_fields(labels, context), "grpc.code": name, "grpc.time_ms": round(seconds * 1000, 3)}
            self._log.finished(fields, failed=name in GRPC_ERRORS)

    def _begin(self, labels: tuple[str, str, str], context: Any) -> None:
        self._metrics.started.labels(*labels).inc()
        self._metrics.received.labels(*labels).inc()
        if self._log.wants(f"/{labels[1]}/{labels[2]}"):
            self._log.started(_log_fields(labels, context))

    def _unary(self, behaviour: Callable[..., Any], labels: tuple[str, str, str]) -> Callable[..., Any]:
        def call(request: Any, context: Any) -> Any:
            begun = self._monotonic()
            self._begin(labels, context)
            try:
                answer = behaviour(request, context)
                self._metrics.sent.labels(*labels).inc()
                return answer
            finally:
                self._finish(labels, context, begun)

        return call

    def _streaming(self, behaviour: Callable[..., Any], labels: tuple[str, str, str]) -> Callable[..., Iterator[Any]]:
        def call(request: Any, context: Any) -> Iterator[Any]:
            begun = self._monotonic()
            self._begin(labels, context)
            sent = self._metrics.sent.labels(*labels)
            try:
                for message in behaviour(request, context):
                    yield message
                    sent.inc()
            finally:
                self._finish(labels, context, begun)

        return call


def _log_fields(labels: tuple[str, str, str], context: Any) -> dict[str, object]:
    metadata = {item.key: item.value for item in context.invocation_metadata()}
    return {
        "grpc.service": labels[1],
        "grpc.method": labels[2],
        "grpc.method_type": labels[0],
        "grpc.request_id": metadata.get("x-request-id", ""),
        "peer.address": context.peer(),
    }
