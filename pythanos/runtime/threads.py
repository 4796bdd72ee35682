"""ThreadTeam: threads that wait for jobs, begun as they are needed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


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
