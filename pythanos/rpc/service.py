"""GRPCService: the gRPC server as a child of a daemon's stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.threads import deferToThreadPool

from pythanos.rpc.server import GRPCServer
from pythanos.runtime import logs


class GRPCService(Service):
    """Starts and stops a GRPCServer. Starting is quick; stopping waits for running calls, in a thread."""

    def __init__(self, make: Callable[[], GRPCServer], grace_seconds: float, reactor: Any) -> None:
        self.setName("grpc")
        self.server: GRPCServer | None = None
        self._make = make
        self._grace_seconds = grace_seconds
        self._reactor = reactor
        self.log = logs.make_logger()

    def startService(self) -> None:
        """Raises ConfigError where the address cannot be had."""
        super().startService()
        # Made here and not earlier: gRPC promises nothing to a process that forks after it was touched.
        self.server = self._make()
        self.server.start()
        self.server.set_ready(True)
        self.log.info("listening for gRPC", address=self.server.address, port=self.server.port)

    def stopService(self) -> defer.Deferred[None]:
        super().stopService()
        server, self.server = self.server, None
        if server is None:
            return defer.succeed(None)
        server.set_ready(False)
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), server.stop, self._grace_seconds)
