"""ThreadTeam: threads that take up jobs by turns, so that they do not fight for the interpreter."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

# For how long a job may keep the others from beginning. Most small requests are done by then.
TURN_SECONDS = 0.002

_Job = tuple[Callable[..., None], tuple[Any, ...]]


class _Turn:
    """The right to take up jobs. ``owner``: the thread that has it; ``since``: when its last job began."""

    __slots__ = ("owner", "since")

    def __init__(self, now: float) -> None:
        self.owner = 0
        self.since = now


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
        """Has ``job(*args)``, which must not raise, run in a thread of the team; whether jobs now wait, and ``hurry`` matters."""
        with self._lock:
            self._jobs.append((job, args))
            if self._turn is None:
                self._pass_on()
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
        if turn is not None and self._monotonic() - turn.since >= TURN_SECONDS:
            self._take_from(turn)
        return bool(self._jobs)

    def stop(self) -> None:
        """Returns when all jobs are done and the threads have ended."""
        while self.hurry():
            time.sleep(TURN_SECONDS)
        with self._lock:
            threads, self._threads = self._threads, []
        for _ in threads:
            self._turns.put(None)
        for thread in threads:
            thread.join()

    def _take_from(self, turn: _Turn) -> None:
        with self._lock:
            if self._turn is turn:
                self._pass_on()

    def _pass_on(self) -> None:
        """Gives a turn to a thread that has nothing to do, or a new one, if there are jobs. Under the lock."""
        if not self._jobs:
            self._turn = None
            return
        self._turn = _Turn(self._monotonic())
        if self._idle:
            self._idle -= 1
        else:
            thread = threading.Thread(target=self._serve, name=f"{self.name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._turns.put(self._turn)

    def _serve(self) -> None:
        while True:
            turn = self._turns.get()
            if turn is None:
                return
            turn.owner = threading.get_ident()
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
                    return self._jobs.popleft()
                self._turn = None
            self._idle += 1
            return None
