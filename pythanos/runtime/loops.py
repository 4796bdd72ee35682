"""Loop: periodic work that classifies its errors, backs off, counts, and never dies unseen."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge
from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from pythanos.context import RequestContext
from pythanos.errors import Halt, PythanosError, QueryCanceled, Retryable
from pythanos.runtime import logs
from pythanos.runtime.clock import Clock

BACKOFF_MIN_SECONDS = 1.0
JITTER = 0.1

Runner = Callable[[Callable[[RequestContext], None], RequestContext], "defer.Deferred[None]"]


class LoopMetrics:
    """The state of every loop of a process; one instance per registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.runs = Counter(
            "pythanos_loop_runs", "Finished runs of periodic work by result.", ["loop", "result"], registry=registry
        )
        self.last_success = Gauge(
            "pythanos_loop_last_success_timestamp_seconds", "When the work last succeeded.", ["loop"], registry=registry
        )
        self.duration = Gauge(
            "pythanos_loop_last_duration_seconds", "How long the last run took.", ["loop"], registry=registry
        )
        self.halted = Gauge(
            "pythanos_loop_halted",
            "1 when the work stopped because an invariant is broken.",
            ["loop"],
            registry=registry,
        )


class Loop(Service):
    """Runs ``job(ctx)`` in a thread, at once and then every ``interval_seconds`` after the end of the last run.

    Retryable errors are tried again after 1, 2, 4 ... seconds, never later than the interval (``retry_max_seconds``
    while nothing has succeeded yet); any other error is a bug, logged with its traceback, and the loop goes on; Halt
    stops the work, not the process. Ready after the first success.
    """

    def __init__(
        self,
        name: str,
        interval_seconds: float,
        job: Callable[[RequestContext], None],
        *,
        reactor: Any,
        clock: Clock,
        metrics: LoopMetrics,
        rng: random.Random,
        start_window_seconds: float | None = None,
        retry_max_seconds: float = 10.0,
        run: Runner | None = None,
    ) -> None:
        self.setName(name)
        self.interval_seconds = interval_seconds
        self.start_window_seconds = start_window_seconds
        self.retry_max_seconds = retry_max_seconds
        self._job, self._reactor, self._clock, self._random = job, reactor, clock, rng
        self._pool = ThreadPool(minthreads=0, maxthreads=1, name=name)
        self._run = run or self._in_thread
        self._runs, self._labels = metrics.runs, (name,)
        self._last_success = metrics.last_success.labels(name)
        self._duration, self._halted = metrics.duration.labels(name), metrics.halted.labels(name)
        self._failures = 0
        self._succeeded = False
        self._last_error = ""
        self._first: defer.Deferred[None] | None = None
        self._timer: Any = None
        self._window: Any = None
        self._current: defer.Deferred[None] | None = None
        self._ctx = RequestContext()
        self.log = logs.make_logger()

    def unready(self) -> str | None:
        """Why the loop's work is not there yet; None once it has succeeded."""
        if self._succeeded:
            return None
        return f"{self.name}: {self._last_error or 'the first run is not done'}"

    def startService(self) -> defer.Deferred[None]:
        """Fires at the first success; fails with the last error after ``start_window_seconds``, if that is given."""
        super().startService()
        if self._run == self._in_thread:
            self._pool.start()
        self._first = defer.Deferred()
        if self.start_window_seconds is not None:
            self._window = self._reactor.callLater(self.start_window_seconds, self._give_up_start)
        first = self._first
        self._begin()
        return first

    def stopService(self) -> defer.Deferred[None]:
        """Cancels the running job and fires when it has ended."""
        super().stopService()
        for call in (self._timer, self._window):
            if call is not None and call.active():
                call.cancel()
        self._ctx.cancel()
        self._settle_first(Failure(QueryCanceled("stopped before the first run was done")))
        ended: defer.Deferred[None] = defer.Deferred()
        if self._current is None:
            ended.callback(None)
        else:
            self._current.addBoth(lambda _: ended.callback(None))
        return ended.addCallback(lambda _: self._pool.stop() if self._pool.started else None)

    def _in_thread(self, job: Callable[[RequestContext], None], ctx: RequestContext) -> defer.Deferred[None]:
        return deferToThreadPool(self._reactor, self._pool, job, ctx)

    def _begin(self) -> None:
        started = self._clock.monotonic()
        self._ctx = RequestContext()
        self._current = self._run(self._job, self._ctx)
        self._current.addBoth(self._ended, started)

    def _ended(self, result: Any, started: float) -> None:
        self._current = None
        self._duration.set(self._clock.monotonic() - started)
        if not self.running:
            return
        delay = self._failed(result) if isinstance(result, Failure) else self._success()
        if delay is not None:
            self._timer = self._reactor.callLater(delay * (1 + JITTER * self._random.random()), self._begin)

    def _success(self) -> float:
        self._runs.labels(*self._labels, "success").inc()
        self._last_success.set(self._clock.now_ms() / 1000)
        if self._failures:
            self.log.info("loop works again", loop=self.name, failures=self._failures)
        self._failures, self._last_error, self._succeeded = 0, "", True
        self._settle_first(None)
        return self.interval_seconds

    def _failed(self, failure: Failure) -> float | None:
        """Seconds until the next run; None for never."""
        self._failures += 1
        self._last_error = failure.getErrorMessage()
        if failure.check(Halt):
            self._runs.labels(*self._labels, "halted").inc()
            self._halted.set(1)
            self.log.error("loop halted, a person must look", loop=self.name, err=self._last_error)
            self._settle_first(failure)
            return None
        if failure.check(Retryable):
            self._runs.labels(*self._labels, "retry").inc()
            if self._failures == 1:
                self.log.warn("loop failed, trying again", loop=self.name, err=self._last_error)
            ceiling = self.interval_seconds if self._succeeded else min(self.interval_seconds, self.retry_max_seconds)
            return min(ceiling, BACKOFF_MIN_SECONDS * 2 ** min(self._failures - 1, 30))
        self._runs.labels(*self._labels, "error").inc()
        self.log.failure("loop run broke", failure=failure, loop=self.name)
        return min(self.interval_seconds, self.retry_max_seconds) if not self._succeeded else self.interval_seconds

    def _give_up_start(self) -> None:
        if self._first is not None:
            reason = self._last_error or f"not done after {self.start_window_seconds:g} s"
            self._settle_first(Failure(StartWindowPassed(f"{self.name}: {reason}")))

    def _settle_first(self, failure: Failure | None) -> None:
        first, self._first = self._first, None
        if self._window is not None and self._window.active():
            self._window.cancel()
        if first is not None:
            first.errback(failure) if failure else first.callback(None)


class StartWindowPassed(PythanosError):
    """The first run did not succeed in time; the daemon must not come up without it."""
