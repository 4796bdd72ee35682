"""RequestPool: the threads of requests at the top of the data plane; the pools below it are in ``pythanos.workers``."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter
from twisted.application.service import Service
from twisted.internet import defer
from twisted.python.failure import Failure

from pythanos.errors import LimitExceeded
from pythanos.runtime.allocator import keep_freed_memory
from pythanos.tally import TallyGauge
from pythanos.workers import Workers

R = TypeVar("R")

# CPython's 5 ms lets one busy thread delay every short kernel call by that much; less costs small requests a tenth
# more, which their thread and the reactor lose to taking the interpreter from each other.
SWITCH_INTERVAL_SECONDS = 0.002
# For how long a job may keep the others from beginning. Most small requests are done by then.
TURN_SECONDS = 0.002

_Job = tuple[Callable[..., None], tuple[Any, ...]]


class _Turn:
    """The right to take up jobs. ``owner``: who began a job by it, 0 before; ``since``: when the last began."""

    __slots__ = ("owner", "since")

    def __init__(self) -> None:
        self.owner = 0
        self.since = 0.0


class ThreadTeam:
    """Runs every job: the next begins when the one before it ends, steps aside to wait, or was at it for a whole turn.

    Python runs in one thread at a time. Small requests that are all begun at once, each in a thread, spend as much time
    on passing the interpreter around as on their work; one after another they are all done earlier. What waits for a
    disk, another server or a kernel lets the others begin meanwhile: it says so (``step_aside``), or is found out
    (``hurry``, which is to be called now and then while jobs wait). ``run``, ``hurry`` and ``stop`` are called in one
    thread only.
    """

    def __init__(self, name: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._monotonic = monotonic
        # The jobs that nobody has taken up, and how the threads that have nothing to do are woken.
        self._jobs: deque[_Job] = deque()
        self._turns: queue.SimpleQueue[_Turn | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._idle = 0
        self._turn: _Turn | None = None

    def run(self, job: Callable[..., None], *args: Any) -> bool:
        """Has ``job(*args)``, which must not raise, run in a thread of the team.

        Returns whether jobs wait, so that ``hurry`` matters. Raises RuntimeError where the job would need a thread and
        the system has none to give; it is not run then.
        """
        with self._lock:
            self._jobs.append((job, args))
            if self._turn is None:
                try:
                    self._pass_on()
                except RuntimeError:
                    self._jobs.pop()
                    raise
                return False
        return self.hurry()

    def step_aside(self) -> None:
        """The job that calls this is about to wait: others may begin. Nothing, in any other thread."""
        turn = self._turn
        if turn is not None and turn.owner == threading.get_ident():
            self._take_from(turn)

    def hurry(self) -> bool:
        """Lets others begin if the job that was begun last has had its turn; whether jobs still wait."""
        turn = self._turn
        # A turn that no thread has come to yet would be taken up no sooner by another one.
        if turn is not None and turn.owner and self._monotonic() - turn.since >= TURN_SECONDS:
            self._take_from(turn)
        return bool(self._jobs)

    def stop(self) -> None:
        """Runs what nobody has taken up; returns when all jobs are done and the threads have ended."""
        with self._lock:
            left, self._jobs = self._jobs, deque()
            threads, self._threads = self._threads, []
        for job, args in left:
            job(*args)
        for _ in threads:
            self._turns.put(None)
        for thread in threads:
            thread.join()

    def _take_from(self, turn: _Turn) -> None:
        with self._lock:
            if self._turn is turn:
                # Where the system has no thread to give the job keeps its turn, and ``hurry`` asks again.
                with contextlib.suppress(RuntimeError):
                    self._pass_on()

    def _pass_on(self) -> None:
        """Gives a turn to a thread that has nothing to do, or a new one, if there are jobs. Under the lock.

        Raises RuntimeError, with nothing changed, where no thread can be started.
        """
        if not self._jobs:
            self._turn = None
            return
        if self._idle:
            self._idle -= 1
        else:
            thread = threading.Thread(target=self._serve, name=f"{self.name}-{len(self._threads)}", daemon=True)
            thread.start()
            self._threads.append(thread)
        self._turn = _Turn()
        self._turns.put(self._turn)

    def _serve(self) -> None:
        while True:
            turn = self._turns.get()
            if turn is None:
                return
            while (found := self._next(turn)) is not None:
                job, args = found
                job(*args)
                # What a job held must not live on until the next one.
                del found, job, args
            del turn

    def _next(self, turn: _Turn) -> _Job | None:
        """The next job of the thread that has the turn; None where it has lost it, or nothing is left."""
        with self._lock:
            if self._turn is turn:
                if self._jobs:
                    turn.since = self._monotonic()
                    turn.owner = threading.get_ident()
                    return self._jobs.popleft()
                self._turn = None
            self._idle += 1
            return None


# What metrics and profiles have to themselves when queries have taken all other threads of a RequestPool.
SPARE_THREADS = 2


class RequestPool(Service):
    """Runs each request in a thread, small ones by turns; the one that finds every thread taken is turned away at once.

    ``threads_max`` bounds running and waiting requests together; a Gate inside decides how many of them run.
    """

    def __init__(
        self, name: str, threads_max: int, reactor: Any, registry: CollectorRegistry | None = None, *, limit: str = ""
    ) -> None:
        """``limit``: the configuration key of ``threads_max``."""
        self.setName(name)
        self.limit = limit or name
        self.threads_max = threads_max
        self._reactor = reactor
        self._team = ThreadTeam(name)
        self._busy = 0
        self._idle: list[defer.Deferred[None]] = []
        self._hurries = False
        self._in_flight = TallyGauge(
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
        return self._call(self.threads_max, job, args)

    def call_spare(self, job: Callable[..., R], *args: Any) -> defer.Deferred[R]:
        """As ``call``, with a few threads more: for what operators look at when every thread is taken."""
        return self._call(self.threads_max + SPARE_THREADS, job, args)

    def _call(self, threads: int, job: Callable[..., R], args: tuple[Any, ...]) -> defer.Deferred[R]:
        if not self.running:
            return self._turn_away("shutting down")
        if self._busy >= threads:
            return self._turn_away(f"too many requests at once ({self.limit} is {self.threads_max}); ask again soon")
        answer: defer.Deferred[R] = defer.Deferred()
        try:
            waits = self._team.run(self._work, answer, job, args)
        except RuntimeError as error:
            return self._turn_away(f"{error} ({self.limit} is {self.threads_max}); ask again soon")
        self._busy += 1
        self._in_flight.set(self._busy)
        if waits and not self._hurries:
            self._hurries = True
            self._reactor.callLater(TURN_SECONDS, self._hurry)
        return answer

    def _turn_away(self, message: str) -> defer.Deferred[Any]:
        self._rejected.inc()
        return defer.fail(LimitExceeded(self.limit, self.threads_max, message, admission=True))

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
        except BaseException:
            # Whatever it is ends the request, and neither the thread nor the count of busy ones.
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
