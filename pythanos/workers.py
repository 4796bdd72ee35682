"""The pools of the data plane, each waiting only on the ones below it: requests -> compute and fetch.

No thread exists before the first job, so a daemon may fork after construction. ``InlinePool`` runs jobs in the caller,
for tests, notebooks and tools.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")

FETCH_THREADS = 32


class Pool(Protocol):
    """Runs leaf jobs: a job submits nothing to its own pool and waits for no other job of it."""

    @property
    def threads(self) -> int: ...

    def submit(self, job: Callable[..., R], *args: Any) -> Future[R]: ...

    def map(self, job: Callable[[T], R], items: Iterable[T], *, ahead: int = 0) -> Iterator[R]:
        """Results in order of the items, at most ``ahead`` jobs begun before their turn (0: twice the threads).

        Pulled by the caller; closing the iterator cancels the jobs that have not begun. The first error stops it.
        """

    def stop(self) -> None: ...


class ThreadPool:
    """A Pool over a fixed number of named threads."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.threads = threads
        self._executor: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def submit(self, job: Callable[..., R], *args: Any) -> Future[R]:
        executor = self._executor
        if executor is None:
            with self._lock:
                if self._executor is None:
                    self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix=self.name)
                executor = self._executor
        return executor.submit(job, *args)

    def map(self, job: Callable[[T], R], items: Iterable[T], *, ahead: int = 0) -> Iterator[R]:
        waiting: deque[Future[R]] = deque()
        depth = ahead or 2 * self.threads
        try:
            for item in items:
                waiting.append(self.submit(job, item))
                if len(waiting) >= depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def stop(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


class InlinePool:
    """A Pool that runs each job at once in the calling thread."""

    threads = 1

    def submit(self, job: Callable[..., R], *args: Any) -> Future[R]:
        future: Future[R] = Future()
        try:
            future.set_result(job(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def map(self, job: Callable[[T], R], items: Iterable[T], *, ahead: int = 0) -> Iterator[R]:
        for item in items:
            yield job(item)

    def stop(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Workers:
    """``fetch`` waits for the network and disks (many threads), ``compute`` runs kernels (one thread a core)."""

    fetch: Pool
    compute: Pool

    @classmethod
    def threaded(cls, fetch_threads: int = FETCH_THREADS) -> Workers:
        return cls(ThreadPool("fetch", fetch_threads), ThreadPool("compute", os.cpu_count() or 1))

    @classmethod
    def inline(cls) -> Workers:
        return cls(InlinePool(), InlinePool())

    def stop(self) -> None:
        self.compute.stop()
        self.fetch.stop()
