"""RequestPool: one thread per request at the top of the data plane; the pools below it are in ``pythanos.workers``."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge
from twisted.application.service import Service
from twisted.internet import defer
from twisted.python.failure import Failure

from pythanos.errors import LimitExceeded
from pythanos.runtime.allocator import keep_freed_memory
from pythanos.workers import Workers

R = TypeVar("R")

# CPython's 5 ms lets one busy thread delay every short kernel call by that much.
SWITCH_INTERVAL_SECONDS = 0.0005


class ThreadTeam:
    """As many threads as jobs were ever under way at once. ``run`` and ``stop`` are called in one thread only.

    A job is handed over by one queue in C, with no context to copy and no lock of our own: half of what a small request
    costs is waking threads.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._jobs: queue.SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._under_way = 0

    def run(self, job: Callable[..., None], *args: Any) -> None:
        """Runs ``job(*args)``, which must not raise, in a thread of the team."""
        with self._lock:
            self._under_way += 1
            begun = self._under_way > len(self._threads)
        self._jobs.put((job, args))
        if begun:
            thread = threading.Thread(target=self._serve, name=f"{self.name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Returns when all jobs are done and the threads have ended."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _serve(self) -> None:
        while True:
            found = self._jobs.get()
            if found is None:
                return
            job, args = found
            try:
                job(*args)
            finally:
                with self._lock:
                    self._under_way -= 1
                # What a job held must not live on until the next one.
                del found, job, args


class RequestPool(Service):
    """Runs each request in a thread of its own; the one that finds none is turned away at once.

    ``threads_max`` bounds running and waiting requests together; a Gate inside decides how many of them run.
    """

    def __init__(self, name: str, threads_max: int, reactor: Any, registry: CollectorRegistry | None = None) -> None:
        self.setName(name)
        self.threads_max = threads_max
        self._reactor = reactor
        self._team = ThreadTeam(name)
        self._busy = 0
        self._idle: list[defer.Deferred[None]] = []
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
        self._team.run(self._work, answer, job, args)
        return answer

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
