"""RequestPool: one thread per request at the top of the data plane; the pools below it are in ``pythanos.workers``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge
from twisted.application.service import Service
from twisted.internet import defer
from twisted.python.failure import Failure

from pythanos.errors import LimitExceeded
from pythanos.runtime.allocator import keep_freed_memory
from pythanos.runtime.thread_team import TURN_SECONDS, ThreadTeam
from pythanos.workers import Workers

R = TypeVar("R")

# CPython's 5 ms lets one busy thread delay every short kernel call by that much.
SWITCH_INTERVAL_SECONDS = 0.0005


class RequestPool(Service):
    """Runs each request in a thread, small ones by turns; the one that finds every thread taken is turned away at once.

    ``threads_max`` bounds running and waiting requests together; a Gate inside decides how many of them run.
    """

    def __init__(self, name: str, threads_max: int, reactor: Any, registry: CollectorRegistry | None = None) -> None:
        self.setName(name)
        self.threads_max = threads_max
        self._reactor = reactor
        self._team = ThreadTeam(name)
        self._busy = 0
        self._idle: list[defer.Deferred[None]] = []
        self._hurries = False
        self._in_flight = Gauge(
            f"pythanos_{name}_in_flight", "Requests that hold a thread of the pool.", registry=registry
        )
        self._rejected = Counter(
            f"pythanos_{name}_rejected_total", "Requests turned away because every thread was taken.", registry=registry
        )

    def stopService(self) -> defer.Deferred[None]:
        """Fires when the last request is done and the threads have ended."""
        super().stopService()
        done: defer.Deferred[None] = defer.succeed(None)
        if self._busy:
            done = defer.Deferred()
            self._idle.append(done)
        return done.addCallback(lambda _: self._team.stop())

    def call(self, job: Callable[..., R], *args: Any) -> defer.Deferred[R]:
        """What ``job(*args)`` returns or raises, as a Deferred. Fails with LimitExceeded when every thread is taken.

        Called in the reactor thread, which is also where the Deferred fires.
        """
        if self._busy >= self.threads_max or not self.running:
            self._rejected.inc()
            message = f"every thread of the {self.name} pool is taken" if self.running else "shutting down"
            return defer.fail(LimitExceeded(str(self.name), self.threads_max, message, admission=True))
        self._busy += 1
        self._in_flight.set(self._busy)
        answer: defer.Deferred[R] = defer.Deferred()
        if self._team.run(self._work, answer, job, args) and not self._hurries:
            self._hurries = True
            self._reactor.callLater(TURN_SECONDS, self._hurry)
        return answer

    def step_aside(self) -> None:
        """To be called by a request that is about to wait: see ThreadTeam. Any thread."""
        self._team.step_aside()

    def _hurry(self) -> None:
        self._hurries = self._team.hurry()
        if self._hurries:
            self._reactor.callLater(TURN_SECONDS, self._hurry)

    def _work(self, answer: defer.Deferred[R], job: Callable[..., R], args: tuple[Any, ...]) -> None:
        """In a thread of the team."""
        try:
            result: R | Failure = job(*args)
        except Exception:
            result = Failure()
        self._reactor.callFromThread(self._done, answer, result)

    def _done(self, answer: defer.Deferred[R], result: R | Failure) -> None:
        answer.callback(result)
        self._busy -= 1
        self._in_flight.set(self._busy)
        if not self._busy:
            waiting, self._idle = self._idle, []
            for one in waiting:
                one.callback(None)


class DataPlane(Service):
    """The pools below the request pool as a service: prepared when started, stopped after everything that uses them."""

    def __init__(self, workers: Workers) -> None:
        self.setName("data plane")
        self.workers = workers

    def startService(self) -> None:
        super().startService()
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        keep_freed_memory()

    def stopService(self) -> None:
        super().stopService()
        self.workers.stop()
