"""Runs jobs ahead of the one who wants their results, by the bytes that they will hold and not by their number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

from pythanos.gateway.limits import ChunkBudget
from pythanos.workers import Pool

T = TypeVar("T")
R = TypeVar("R")


class _Done(Generic[R]):
    """The result of a job that has run, as a future has it, without a future's locks."""

    __slots__ = ("_value",)

    def __init__(self, value: R) -> None:
        self._value = value

    def result(self) -> R:
        return self._value


class ReadAhead(Generic[T, R]):
    """An iterator over ``job(item)`` for (item, bytes) pairs, in their order, with at most ``bytes_max`` begun and
    not yet passed by (one job at least). ``budget`` is charged as long; where it is short no job begins before its
    turn, and one whose turn it is raises LimitExceeded. ``begin`` may start jobs before the first ``next``.
    ``alone``: nothing else of the request could run meanwhile, so a job without a successor runs in the caller's
    thread, which saves the way to another one and back.

    Closing cancels the jobs that have not begun and waits for those that have, so that what they use may then go.
    """

    def __init__(
        self,
        pool: Pool,
        job: Callable[[T], R],
        items: Iterable[tuple[T, int]],
        *,
        bytes_max: int,
        budget: ChunkBudget | None = None,
        alone: bool = False,
    ) -> None:
        self._pool = pool
        self._job = job
        self._items = iter(items)
        self._bytes_max = bytes_max
        self._budget = budget
        self._alone = alone
        self._waiting: deque[tuple[Future[R] | _Done[R], int]] = deque()
        self._held = 0
        self._passed = 0
        self._next: tuple[T, int] | None = None
        self._exhausted = False

    def begin(self) -> None:
        """Starts as many jobs as there is room for; may wait for what ``items`` waits for."""
        while not self._exhausted:
            if self._next is None:
                self._next = next(self._items, None)
                if self._next is None:
                    self._exhausted = True
                    return
            item, size = self._next
            if self._held and self._held + size > self._bytes_max:
                return
            if self._budget is not None and not self._budget.try_take(size):
                if self._waiting:
                    return
                self._budget.take(size)
            self._held += size
            self._next = next(self._items, None) if self._alone else None
            last = self._alone and self._next is None and not self._waiting
            self._waiting.append((_Done(self._job(item)) if last else self._pool.submit(self._job, item), size))

    def __iter__(self) -> Iterator[R]:
        return self

    def __next__(self) -> R:
        self._give_back(self._passed)
        self._passed = 0
        self.begin()
        if not self._waiting:
            raise StopIteration
        future, size = self._waiting[0]
        result = future.result()
        self._waiting.popleft()
        self._passed = size
        return result

    def close(self) -> None:
        self._exhausted, self._next = True, None
        running = [future for future, _ in self._waiting if isinstance(future, Future) and not future.cancel()]
        if running:
            wait(running)
        self._give_back(self._held)
        self._waiting.clear()
        self._passed = 0

    def _give_back(self, size: int) -> None:
        self._held -= size
        if self._budget is not None and size:
            self._budget.give_back(size)
