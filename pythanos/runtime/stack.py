"""Stack: the services of a daemon in start order; this order is the daemon's table of contents.

Twisted drops the Deferred of a child's startService, starts children without waiting and stops all of them at once.
Here each child is started when the one before it is ready, all are stopped in reverse, one after the other, and a
failed start stops what was started and ends the process with exit code 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet import defer
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure
from txaio import tx
from zope.interface import implementer

from pythanos.errors import PythanosError
from pythanos.runtime import logs
from pythanos.runtime.exits import ExitCode
from pythanos.runtime.platform import settle

# A child has its own grace period; this only bounds one that forgot.
STOP_MAX_SECONDS = 600.0


class StartFailed(PythanosError):
    """A daemon did not start; says which part and why."""


@implementer(IService)
class Stack(MultiService):
    """A MultiService that waits: ``startService`` and ``stopService`` of a child may return a Deferred.

    ``detached`` tells that twistd waits in the parent process for the outcome of a start: then a start that fails at
    once raises StartFailed, so that twistd reports it and exits non-zero.
    """

    def __init__(
        self,
        name: str,
        children: Iterable[Any],
        *,
        reactor: Any,
        exit_code: ExitCode,
        detached: bool = False,
        settled: Callable[[], None] = settle,
        handle_signals: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__()
        self.setName(name)
        self._reactor = reactor
        self._exit_code = exit_code
        self._detached = detached
        self._settled = settled
        self._handle_signals = handle_signals
        self._started: list[Any] = []
        self._up = 0
        self._starting: defer.Deferred[Any] | None = None
        self._failure: StartFailed | None = None
        self.log = logs.make_logger()
        for child in children:
            self.addService(child)

    def unready(self) -> str | None:
        """Why not every child is started; None when all are and none is being stopped."""
        if not self.running:
            return "shutting down" if self._up else "not started"
        if self._up < len(self.services):
            return f"starting {self.services[self._up].name}"
        return None

    def startService(self) -> None:
        self.running = True
        if self._handle_signals is not None:
            self._reactor.callWhenRunning(self._handle_signals, self._reactor)
        self._run_start()
        if self._failure is not None and self._detached:
            raise self._failure

    def stopService(self) -> defer.Deferred[None]:
        """Fires when the last child is stopped."""
        if self.running:
            self.log.info("stopping", service=self.name)
        self.running = False
        if self._starting is not None:
            self._starting.cancel()
        return self._stop_children()

    @defer.inlineCallbacks
    def _run_start(self) -> Any:
        for child in self.services:
            # Counted before it starts: whatever ends the start has to stop this one, too.
            self._started.append(child)
            self._starting = tx.as_future(child.startService)
            try:
                yield self._starting
            except Exception:
                failure = Failure()
                self._starting = None
                if self.running:
                    yield self._start_failed(child, failure)
                return
            self._starting = None
            if not self.running:
                return
            self._up += 1
        self._settled()
        self.log.info("started", service=self.name)

    @defer.inlineCallbacks
    def _start_failed(self, child: Any, failure: Failure) -> Any:
        message = " ".join(failure.getErrorMessage().split())
        self._failure = StartFailed(f"starting {child.name}: {message}")
        if failure.check(PythanosError, OSError, CannotListenError):
            self.log.error("start failed", service=self.name, part=child.name, err=message)
        else:
            self.log.failure("start failed", failure=failure, service=self.name, part=child.name)
        self._exit_code.fail()
        self.running = False
        yield self._stop_children()
        self._reactor.callWhenRunning(self._stop_reactor)

    def _stop_reactor(self) -> None:
        if self._reactor.running:
            self._reactor.stop()

    @defer.inlineCallbacks
    def _stop_children(self) -> Any:
        while self._started:
            child = self._started.pop()
            stopping = tx.as_future(child.stopService)
            stopping.addTimeout(STOP_MAX_SECONDS, self._reactor)
            try:
                yield stopping
            except Exception:
                self.log.failure("stop failed", failure=Failure(), part=child.name)
