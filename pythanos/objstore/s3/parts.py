"""What is uploaded, in parts: of a file without reading it into memory, of anything else one part at a time."""

from __future__ import annotations

import hashlib
import io
import os
from typing import BinaryIO

HASH_BYTES = 1 << 20


class FilePart:
    """``size`` bytes of an open file from ``start``, as a file to read from; leaves the file's own position alone."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor = descriptor
        self._start = start
        self._size = size
        self._at = 0

    def __len__(self) -> int:
        return self._size

    def read(self, size: int | None = -1) -> bytes:
        left = self._size - self._at
        wanted = left if size is None or size < 0 else min(size, left)
        data = os.pread(self._descriptor, wanted, self._start + self._at) if wanted > 0 else b""
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at


Part = bytes | FilePart


class PartSource:
    """A body that is taken part by part, from its position on. ``left`` is None where only reading would tell."""

    def __init__(self, body: bytes | BinaryIO) -> None:
        self._file = io.BytesIO(body) if isinstance(body, bytes | bytearray | memoryview) else body
        self._descriptor, self._at, self._end = -1, 0, 0
        try:
            self._descriptor = self._file.fileno()
            self._at = self._file.tell()
            self._end = os.fstat(self._descriptor).st_size
        except (OSError, AttributeError, ValueError):
            self._descriptor = -1

    @property
    def left(self) -> int | None:
        """Bytes that were not taken yet."""
        if self._descriptor >= 0:
            return self._end - self._at
        if isinstance(self._file, io.BytesIO):
            return self._file.getbuffer().nbytes - self._file.tell()
        return None

    def take(self, size: int) -> Part:
        """The next ``size`` bytes, fewer at the end; -1: all that are left."""
        if self._descriptor < 0:
            return self._file.read(size)
        wanted = self._end - self._at if size < 0 else min(size, self._end - self._at)
        part = FilePart(self._descriptor, self._at, wanted)
        self._at += wanted
        return part


def md5_of(part: Part) -> bytes:
    """The digest of a part, whose position is at its start before and after."""
    digest = hashlib.md5(usedforsecurity=False)
    if isinstance(part, FilePart):
        while block := part.read(HASH_BYTES):
            digest.update(block)
        part.seek(0)
    else:
        digest.update(part)
    return digest.digest()
