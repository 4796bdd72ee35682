"""A folder of a bucket, seen as a bucket of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from pythanos.errors import ObjectNotFound
from pythanos.objstore.bucket import Bucket, ObjectAttributes, folder


class PrefixedBucket:
    """A Bucket of the objects below ``prefix``, named without it."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = folder(prefix)
        self.name = bucket.name

    def get(self, name: str) -> bytes:
        with _Renamed(name):
            return self._bucket.get(self._prefix + name)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        with _Renamed(name):
            return self._bucket.get_range(self._prefix + name, offset, length)

    def iter(self, prefix: str = "", *, recursive: bool = False) -> Iterator[str]:
        for name in self._bucket.iter(self._prefix + folder(prefix), recursive=recursive):
            yield name[len(self._prefix) :]

    def walk(self, prefix: str = "") -> Iterator[tuple[str, ObjectAttributes]]:
        for name, attributes in self._bucket.walk(self._prefix + folder(prefix)):
            yield name[len(self._prefix) :], attributes

    def exists(self, name: str) -> bool:
        return self._bucket.exists(self._prefix + name)

    def attributes(self, name: str) -> ObjectAttributes:
        with _Renamed(name):
            return self._bucket.attributes(self._prefix + name)

    def upload(self, name: str, body: bytes | BinaryIO) -> None:
        self._bucket.upload(self._prefix + name, body)

    def delete(self, name: str) -> None:
        with _Renamed(name):
            self._bucket.delete(self._prefix + name)

    def close(self) -> None:
        self._bucket.close()


class _Renamed:
    """Gives ObjectNotFound the name that the caller knows."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ObjectNotFound):
            raise ObjectNotFound(self._name) from error
