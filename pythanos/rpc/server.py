"""GRPCServer: grpcio's sync server with health, reflection, metrics and a graceful stop."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from pythanos.errors import ConfigError
from pythanos.rpc.metrics import MetricsInterceptor, ServerMetrics
from pythanos.rpc.tls.server import ServerTLSConfig, server_credentials
from pythanos.runtime.request_log import RequestLog

UNLIMITED_BYTES = -1
KEEPALIVE_MS = 10_000
KEEPALIVE_TIMEOUT_MS = 5_000
# Thanos' clients ping every 10 s; C-core's default answer to that is GOAWAY.
PING_INTERVAL_MIN_MS = 5_000


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """``threads`` calls run at once, ``queued_calls`` more wait; beyond that a call gets RESOURCE_EXHAUSTED."""

    threads: int = 32
    queued_calls: int = 128
    max_connection_age_seconds: float = 3600.0


class GRPCServer:
    """A server for some services. Nothing is opened before ``start``; ``start`` and ``stop`` may block."""

    def __init__(
        self,
        address: str,
        handlers: Sequence[tuple[str, grpc.GenericRpcHandler]],
        *,
        registry: CollectorRegistry,
        tls: ServerTLSConfig | None = None,
        limits: ServerLimits | None = None,
        request_log: RequestLog | None = None,
    ) -> None:
        self.address = address
        self.port = 0
        self._handlers = tuple(handlers)
        self._tls = tls or ServerTLSConfig()
        self._limits = limits or ServerLimits()
        self._interceptor = MetricsInterceptor(ServerMetrics(registry), request_log=request_log)
        self._server: grpc.Server | None = None
        self._health: health.HealthServicer | None = None

    def start(self) -> None:
        """Listens; health says NOT_SERVING until ``set_ready``. Raises ConfigError where the address cannot be had."""
        credentials = server_credentials(self._tls)
        server = grpc.server(
            ThreadPoolExecutor(self._limits.threads, thread_name_prefix="grpc"),
            interceptors=(self._interceptor,),
            maximum_concurrent_rpcs=self._limits.threads + self._limits.queued_calls,
            options=self._options(),
        )
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = [name for name, _ in self._handlers]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
        server.add_generic_rpc_handlers([handler for _, handler in self._handlers])
        try:
            self.port = (
                server.add_secure_port(self.address, credentials)
                if credentials is not None
                else server.add_insecure_port(self.address)
            )
        except RuntimeError as error:
            raise ConfigError(
                "grpc server", "grpc_address", f"listen on {self.address}: address not available"
            ) from error
        server.start()
        self._server = server
        self.set_ready(False)

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_send_message_length", UNLIMITED_BYTES),
            ("grpc.max_receive_message_length", UNLIMITED_BYTES),
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_INTERVAL_MIN_MS),
            ("grpc.max_connection_age_ms", int(self._limits.max_connection_age_seconds * 1000)),
            # Two daemons on one port must be an error, not half of the calls each.
            ("grpc.so_reuseport", 0),
        ]

    def set_ready(self, ready: bool) -> None:
        """What the health service answers, for the server and each service (XC-53)."""
        if self._health is None:
            return
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *(name for name, _ in self._handlers)):
            self._health.set(name, status)

    def stop(self, grace_seconds: float) -> None:
        """Refuses new calls, lets running ones end for up to the grace period, then cancels them; blocks until done."""
        if self._server is None:
            return
        if self._health is not None:
            self._health.enter_graceful_shutdown()
        self._server.stop(grace_seconds).wait()
        self._server = None
