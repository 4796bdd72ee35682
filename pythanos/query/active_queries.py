"""ActiveQueries: the queries that run right now, in a file that survives a crash (QU-35).

The file is Prometheus' ``queries.active``: ``[``, then a slot of 1000 bytes for each query that can run at one time,
holding a JSON object and zeros, with a comma as its last byte. It is mapped, so what was written is in the page cache
when the process dies.
"""

from __future__ import annotations

import logging
import mmap
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pythanos.errors import ConfigError
from pythanos.model.gojson import go_json

log = logging.getLogger(__name__)

FILE_NAME = "queries.active"
SLOT_BYTES = 1000


class ActiveQueries:
    """``slots`` queries at one time in ``<folder>/queries.active``. Closed until ``open``, when it tracks nothing."""

    def __init__(self, folder: str, slots: int, now_ms: Callable[[], int]) -> None:
        self._folder, self._slots, self._now_ms = folder, slots, now_ms
        self._free: list[int] = []
        self._map: mmap.mmap | None = None
        self._lock = threading.Lock()

    def open(self) -> None:
        """Logs what the last run left unfinished and starts an empty file. Raises ConfigError."""
        path = os.path.join(self._folder, FILE_NAME)
        size = 1 + self._slots * SLOT_BYTES
        try:
            os.makedirs(self._folder, exist_ok=True)
            self._report(path, size)
            with open(path, "w+b") as file:
                file.truncate(size)
                self._map = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise ConfigError("", "query.active_query_path", f"active query log in {self._folder}: {error}") from error
        self._map[0:1] = b"["
        self._free = [1 + slot * SLOT_BYTES for slot in reversed(range(self._slots))]

    def close(self) -> None:
        with self._lock:
            if self._map is not None:
                self._map.close()
            self._map, self._free = None, []

    @contextmanager
    def running(self, text: str) -> Iterator[None]:
        """The query stands in the file while the block runs; not if every slot is taken."""
        at = self._insert(text)
        try:
            yield
        finally:
            if at:
                self._delete(at)

    def _insert(self, text: str) -> int:
        entry = _entry(text, self._now_ms() // 1000)
        with self._lock:
            if self._map is None or not self._free:
                return 0
            at = self._free.pop()
            self._map[at : at + len(entry)] = entry
            self._map[at + SLOT_BYTES - 1 : at + SLOT_BYTES] = b","
            return at

    def _delete(self, at: int) -> None:
        with self._lock:
            if self._map is not None:
                self._map[at : at + SLOT_BYTES] = bytes(SLOT_BYTES)
                self._free.append(at)

    def _report(self, path: str, size: int) -> None:
        if not os.path.exists(path):
            return
        with open(path, "rb") as file:
            left = file.read(size).replace(b"\x00", b"")
        if len(left) > 1:
            queries = (left[:-1] + b"]").decode("utf-8", "replace")
            log.info("These queries didn't finish in the last run", extra={"queries": queries})


def _entry(text: str, seconds: int) -> bytes:
    """The JSON object, its query cut so that it fits into a slot before the comma."""
    room = SLOT_BYTES - 1
    kept = text
    while True:
        entry = go_json({"query": kept, "timestamp_sec": seconds}).encode("utf-8", "replace")
        if len(entry) <= room:
            return entry
        kept = kept[: max(0, min(len(kept) - 1, len(kept) - (len(entry) - room) // 6))]
