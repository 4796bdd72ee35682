"""Bucket: the contract of object storage. Names are ``/``-separated, without a leading ``/``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from pythanos.errors import ObjectNotFound

__all__ = ["Bucket", "ObjectAttributes", "ObjectNotFound", "check_range", "folder"]


@dataclass(frozen=True, slots=True)
class ObjectAttributes:
    """``size`` in bytes; ``last_modified_ms`` unix milliseconds."""

    size: int
    last_modified_ms: int


class Bucket(Protocol):
    """Blocking object storage, safe to use from several threads. No rename, no locking, no conditional put.

    Every method raises BucketUnavailable for what may pass when tried again; reads of an absent object raise
    ObjectNotFound. Construction opens nothing: the first call does.
    """

    @property
    def name(self) -> str:
        """What the bucket is called, for metric labels and messages."""

    def get(self, name: str) -> bytes:
        """The whole object."""

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``; fewer where the object ends before, none where it starts after its end.

        length -1 means to the end.
        """

    def iter(self, prefix: str = "", *, recursive: bool = False) -> Iterator[str]:
        """Names below the folder ``prefix``, without order; a folder is named once, with a trailing ``/``.

        Recursive: every object below, no folders.
        """

    def walk(self, prefix: str = "") -> Iterator[tuple[str, ObjectAttributes]]:
        """Every object below the folder with its attributes, without order, in the requests of a listing."""

    def exists(self, name: str) -> bool: ...

    def attributes(self, name: str) -> ObjectAttributes: ...

    def upload(self, name: str, body: bytes | BinaryIO) -> None:
        """Creates or replaces the object; readers see the old or the new one, never a part. Streams large files."""

    def delete(self, name: str) -> None:
        """Removes the object; ObjectNotFound where there is none (S3 does not tell, and stays silent)."""

    def close(self) -> None:
        """Releases connections; calls after it are an error."""


def folder(prefix: str) -> str:
    """The prefix that the names below a folder begin with: empty for the root, else ending in one ``/``."""
    stripped = prefix.strip("/")
    return f"{stripped}/" if stripped else ""


def check_range(offset: int, length: int) -> None:
    """Raises ValueError for a range that no caller may mean."""
    if offset < 0 or length < -1:
        raise ValueError(f"range of {length} bytes from {offset}")
