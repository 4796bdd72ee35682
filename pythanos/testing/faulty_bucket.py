"""A bucket that fails on purpose: the n-th call, once or from then on, before or after it had its effect."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from typing import BinaryIO, TypeVar

from pythanos.errors import BucketUnavailable
from pythanos.objstore.bucket import Bucket, ObjectAttributes

T = TypeVar("T")


class FaultyBucket:
    """A Bucket over another one whose call number ``fail_at`` (from 1; 0: none) raises BucketUnavailable.

    ``forever``: so does every later call. ``afterwards``: the call is carried out first, as if its answer were lost.
    ``operations``: the methods that count, None for all. ``calls`` is how many were counted, ``log`` what they were.
    """

    def __init__(
        self,
        bucket: Bucket,
        fail_at: int = 0,
        *,
        forever: bool = False,
        afterwards: bool = False,
        operations: Collection[str] | None = None,
    ) -> None:
        self._bucket = bucket
        self._fail_at = fail_at
        self._forever = forever
        self._afterwards = afterwards
        self._operations = operations
        self._lock = threading.Lock()
        self.name = bucket.name
        self.log: list[tuple[str, str]] = []

    @property
    def calls(self) -> int:
        return len(self.log)

    def get(self, name: str) -> bytes:
        return self._call("get", name, lambda: self._bucket.get(name))

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        return self._call("get_range", name, lambda: self._bucket.get_range(name, offset, length))

    def iter(self, prefix: str = "", *, recursive: bool = False) -> Iterator[str]:
        yield from self._call("iter", prefix, lambda: list(self._bucket.iter(prefix, recursive=recursive)))

    def walk(self, prefix: str = "") -> Iterator[tuple[str, ObjectAttributes]]:
        yield from self._call("iter", prefix, lambda: list(self._bucket.walk(prefix)))

    def exists(self, name: str) -> bool:
        return self._call("exists", name, lambda: self._bucket.exists(name))

    def attributes(self, name: str) -> ObjectAttributes:
        return self._call("attributes", name, lambda: self._bucket.attributes(name))

    def upload(self, name: str, body: bytes | BinaryIO) -> None:
        self._call("upload", name, lambda: self._bucket.upload(name, body))

    def delete(self, name: str) -> None:
        self._call("delete", name, lambda: self._bucket.delete(name))

    def close(self) -> None:
        self._bucket.close()

    def _call(self, operation: str, name: str, act: Callable[[], T]) -> T:
        if self._operations is not None and operation not in self._operations:
            return act()
        with self._lock:
            self.log.append((operation, name))
            number = len(self.log)
        fails = self._fail_at and (number == self._fail_at or (self._forever and number > self._fail_at))
        if not fails:
            return act()
        if self._afterwards:
            act()
        raise BucketUnavailable(f"{operation} {name}: call {number} fails on purpose")
