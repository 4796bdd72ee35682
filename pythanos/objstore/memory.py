"""A bucket in memory, for tests and notebooks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from pythanos.objstore.bucket import ObjectAttributes, ObjectNotFound, check_range, folder


class MemoryBucket:
    """A Bucket over a dict. Listings are snapshots of the moment they begin."""

    def __init__(self, name: str = "memory", *, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[bytes, ObjectAttributes]] = {}

    def get(self, name: str) -> bytes:
        return self._find(name)[0]

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        check_range(offset, length)
        body = self._find(name)[0]
        return body[offset:] if length < 0 else body[offset : offset + length]

    def iter(self, prefix: str = "", *, recursive: bool = False) -> Iterator[str]:
        start = folder(prefix)
        seen = set()
        for name, _ in self.walk(prefix):
            if not recursive:
                head, slash, _ = name[len(start) :].partition("/")
                name = start + head + slash
            if name not in seen:
                seen.add(name)
                yield name

    def walk(self, prefix: str = "") -> Iterator[tuple[str, ObjectAttributes]]:
        start = folder(prefix)
        with self._lock:
            found = [(name, attributes) for name, (_, attributes) in self._objects.items() if name.startswith(start)]
        yield from found

    def exists(self, name: str) -> bool:
        with self._lock:
            return name in self._objects

    def attributes(self, name: str) -> ObjectAttributes:
        return self._find(name)[1]

    def upload(self, name: str, body: bytes | BinaryIO) -> None:
        data = bytes(body) if isinstance(body, bytes | bytearray | memoryview) else body.read()
        with self._lock:
            self._objects[name] = (data, ObjectAttributes(len(data), int(self._clock() * 1000)))

    def delete(self, name: str) -> None:
        with self._lock:
            if self._objects.pop(name, None) is None:
                raise ObjectNotFound(name)

    def close(self) -> None:
        pass

    def _find(self, name: str) -> tuple[bytes, ObjectAttributes]:
        with self._lock:
            found = self._objects.get(name)
        if found is None:
            raise ObjectNotFound(name)
        return found
