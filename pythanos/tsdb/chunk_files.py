"""The segment files of a block's ``chunks`` folder: read through mmap, written with Prometheus' cutting rule.

A file is an 8-byte header (magic 0x85BD40DD, version 1, three zero bytes) and records; a chunk reference is the
number of the file, from 0, in the upper half and the record's offset in the lower. docs/formats/chunks.md draws it.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pythanos._segments import frame_chunks, locate_chunks, plan_segments, scan_chunks
from pythanos.errors import CorruptData

MAGIC = 0x85BD40DD
VERSION = 1
HEADER = MAGIC.to_bytes(4, "big") + bytes([VERSION, 0, 0, 0])
SEGMENT_BYTES_MAX = 512 * 1024 * 1024

Buffer = bytes | bytearray | memoryview | mmap.mmap


@dataclass(frozen=True, slots=True)
class LocatedChunks:
    """Chunks inside one segment: what ``decode_chunks`` takes.

    row: int64[n], their places in the references that were asked for; encoding: uint8[n]; offset: int64[n] and length:
    int32[n], bytes in ``arena``, which lives as long as the segment. ``file`` names the segment in errors.
    """

    arena: Buffer
    file: str
    row: NDArray[np.int64]
    encoding: NDArray[np.uint8]
    offset: NDArray[np.int64]
    length: NDArray[np.int32]


class Segment:
    """One segment file in memory; nothing is copied.

    Raises CorruptData where the header is not that of a segment file.
    """

    def __init__(self, arena: Buffer, file: str) -> None:
        head = bytes(arena[: len(HEADER)])
        if len(head) < len(HEADER):
            raise CorruptData(file, 0, "segment is shorter than its header")
        if head[:4] != HEADER[:4]:
            raise CorruptData(file, 0, f"not a segment file: magic {head[:4].hex()}")
        if head[4] != VERSION:
            raise CorruptData(file, 4, f"segment format version {head[4]} is not supported")
        self.arena = arena
        self.file = file

    def __len__(self) -> int:
        return len(self.arena)

    def locate(self, record: NDArray[np.int64], *, check_crc: bool = True) -> LocatedChunks:
        """The chunks whose records begin at these bytes of the file. Raises CorruptData."""
        encoding, offset, length, _, _ = locate_chunks(self.arena, record, check_crc=check_crc, file=self.file)
        return LocatedChunks(self.arena, self.file, np.arange(len(record)), encoding, offset, length)

    def scan(self, *, check_crc: bool = True) -> tuple[NDArray[np.int64], LocatedChunks]:
        """All records of the file: where each begins, and the chunks. Raises CorruptData."""
        record, encoding, offset, length = scan_chunks(self.arena, check_crc=check_crc, file=self.file)
        return record, LocatedChunks(self.arena, self.file, np.arange(len(record)), encoding, offset, length)


class ChunkFiles:
    """All segment files of a folder, mapped into memory.

    Raises CorruptData where a file is no segment or a number is missing, FileNotFoundError where the folder is.
    ``close`` unmaps; arrays and chunks that were handed out must be gone by then.
    """

    def __init__(self, folder: Path) -> None:
        self.segments: list[Segment] = []
        self._maps: list[mmap.mmap] = []
        try:
            for path in segment_paths(folder):
                self.segments.append(Segment(self._map(path), str(path)))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ChunkFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.segments = []
        for view in self._maps:
            view.close()
        self._maps = []

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(len(segment) for segment in self.segments)

    def locate(self, refs: NDArray[np.uint64], *, check_crc: bool = True) -> Iterator[LocatedChunks]:
        """The chunks of these references, segment by segment; ``row`` tells which is which.

        Raises CorruptData where a reference points nowhere, a record is cut off, or, with ``check_crc``, a checksum
        differs.
        """
        number = (refs >> np.uint64(32)).astype(np.int64)
        record = (refs & np.uint64(0xFFFFFFFF)).astype(np.int64)
        for index in np.unique(number).tolist():
            row = np.flatnonzero(number == index)
            if index >= len(self.segments):
                raise CorruptData(
                    f"chunks/{index + 1:06d}", int(record[row[0]]), "chunk reference to a missing segment"
                )
            found = self.segments[index].locate(record[row], check_crc=check_crc)
            yield LocatedChunks(found.arena, found.file, row, found.encoding, found.offset, found.length)

    def _map(self, path: Path) -> Buffer:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return b""
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._maps.append(view)
        return view


def segment_paths(folder: Path) -> list[Path]:
    """The segment files of a folder, in order; other names are ignored. Raises CorruptData where one is missing."""
    numbers = sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isascii() and entry.name.isdigit())
    if numbers != list(range(1, len(numbers) + 1)):
        raise CorruptData(str(folder), -1, f"segment files are not numbered from 1 without gaps: {numbers[:10]}")
    return [folder / f"{number:06d}" for number in numbers]


class SegmentWriter:
    """Writes chunks into segment files of a folder that has none yet.

    A file appears under its name only when it is complete and on disk: it is written as ``NNNNNN.tmp``, fsynced and
    renamed when it is cut or closed. ``segment_bytes_max`` is the size at which files are cut, Prometheus' 512 MiB. As
    a context manager it closes at the end, and removes the unfinished file when an exception passes.
    """

    def __init__(self, folder: Path, *, segment_bytes_max: int = SEGMENT_BYTES_MAX) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if segment_paths(folder):
            raise FileExistsError(f"{folder} holds segment files already")
        self._folder = folder
        self._segment_bytes_max = segment_bytes_max
        self._file: BinaryIO | None = None
        self._position = len(HEADER)
        self._finished = 0

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def write(
        self,
        arena: Buffer,
        offset: NDArray[np.int64],
        length: NDArray[np.int32],
        encoding: NDArray[np.uint8],
        series_start: NDArray[np.int64],
    ) -> NDArray[np.uint64]:
        """Appends the chunks of whole series and returns their references.

        arena: readable buffer; offset: int64[m], length: int32[m], encoding: uint8[m]: the chunks' data in it;
        series_start: int64[s + 1], series i has the chunks [series_start[i], series_start[i + 1]). A series is one unit
        in the decision where to cut, as in Prometheus' WriteChunks. Returns uint64[m].
        """
        if len(length) == 0:
            return np.empty(0, np.uint64)
        segment, record, _ = plan_segments(length, series_start, self._position, self._segment_bytes_max)
        refs = ((segment + self._finished).astype(np.uint64) << np.uint64(32)) | record.astype(np.uint64)
        for index in range(int(segment[-1]) + 1):
            if index:
                self._finish()
            rows = slice(*np.searchsorted(segment, (index, index + 1)))
            self._append(frame_chunks(arena, offset[rows], length[rows], encoding[rows]))
        return refs

    def close(self) -> None:
        """Completes the last file and makes the folder's entries durable."""
        if self._file is not None:
            self._finish()
        sync_folder(self._folder)

    def abort(self) -> None:
        """Removes the unfinished file; finished ones stay, for the caller to remove with the block."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path(".tmp").unlink(missing_ok=True)

    def _path(self, suffix: str = "") -> Path:
        return self._folder / f"{self._finished + 1:06d}{suffix}"

    def _append(self, records: bytes) -> None:
        if self._file is None:
            self._file = self._path(".tmp").open("wb")
            self._file.write(HEADER)
        self._file.write(records)
        self._position += len(records)

    def _finish(self) -> None:
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._path(".tmp").rename(self._path())
        self._finished += 1
        self._position = len(HEADER)


def sync_folder(folder: Path) -> None:
    """Makes renames and new names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
