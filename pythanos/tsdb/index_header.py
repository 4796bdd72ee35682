"""index-header: the symbols and the postings offset table of a block's index, kept on the gateway's disk.

File (big endian, docs/formats/index-header.md): magic 0xBAAAD792 | version 1 | index version | offset of the postings
offset table in the index u64 | the index's symbols section | the index from its postings offset table to its end |
u64, u64 places of the two in this file | CRC-32C of the two. The whole index is never fetched. Thanos writes the same
bytes.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections import deque
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Protocol

from pythanos._offset_table import PostingsTable
from pythanos._symbols import SymbolTable, crc32c_of
from pythanos.errors import CorruptData
from pythanos.tsdb.chunk_files import sync_folder
from pythanos.tsdb.index_toc import (
    INDEX_FILENAME,
    INDEX_START_SIZE,
    INDEX_VERSIONS,
    TOC_SIZE,
    IndexToc,
    decode_index_start,
    decode_toc,
)
from pythanos.tsdb.label_tables import LabelTables
from pythanos.workers import Pool

HEADER_FILENAME = "index-header"
HEADER_MAGIC = 0xBAAAD792
HEADER_VERSION = 1
PART_SIZE = 16 << 20
PARTS_AT_ONCE = 4

_START = struct.Struct(">IBBQ")
_TOC = struct.Struct(">QQI")


class ObjectSize(Protocol):
    @property
    def size(self) -> int: ...


class RangeSource(Protocol):
    """The part of a bucket that building an index-header needs."""

    def attributes(self, name: str) -> ObjectSize: ...

    def get_range(self, name: str, offset: int, length: int) -> bytes: ...


class IndexHeader(LabelTables):
    """An index-header opened by mmap; its offset tables are built in one pass over each section.

    Safe to use from several threads. ``close`` gives up the tables; the file is unmapped when the last user of
    ``symbols`` and ``postings`` is gone. Raises FileNotFoundError where there is no file and CorruptData where it has
    to be rebuilt.
    """

    __slots__ = ("path", "size")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        file = str(path)
        data = _map(self.path)
        self.size = len(data)
        if len(data) < _START.size + _TOC.size:
            raise CorruptData(file, 0, "shorter than an index-header")
        magic, version, index_version, lists_end = _START.unpack_from(data)
        if magic != HEADER_MAGIC or version != HEADER_VERSION or index_version not in INDEX_VERSIONS:
            raise CorruptData(file, 0, "not an index-header of a known version")
        at = len(data) - _TOC.size
        symbols_at, table_at, checksum = _TOC.unpack_from(data, at)
        if crc32c_of(data[at : at + 16]) != checksum:
            raise CorruptData(file, at, "checksum of the table of contents does not match")
        if not _START.size <= symbols_at < table_at <= at - TOC_SIZE:
            raise CorruptData(file, at, "sections of the table of contents out of order")
        # The copy of the index ends with its table of contents, whose checksum covers what this file claims first.
        index_toc = data[at - TOC_SIZE : at]
        covered = crc32c_of(index_toc[:-4]) == int.from_bytes(index_toc[-4:], "big")
        if not covered or int.from_bytes(index_toc[40:48], "big") != lists_end:
            raise CorruptData(file, 6, "place of the postings offset table is not that of the index")
        symbols = SymbolTable(data, symbols_at, version=index_version, file_start=INDEX_START_SIZE, file=file)
        super().__init__(index_version, symbols, PostingsTable(data, table_at, lists_end, file=file))
        if isinstance(data, mmap.mmap):
            # The checksums touched every page; those that are used come back from the page cache.
            data.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """After this the header must not be used; what was taken from it stays usable."""
        del self.symbols, self.postings


def write_index_header(bucket: RangeSource, block: str, path: str | os.PathLike[str], fetch: Pool) -> None:
    """Builds the index-header of ``<block>/index`` at ``path`` by range reads only (ST-9), complete or not at all.

    Reads the first 5 and the last 52 bytes, the symbols, and the postings offset table to the end; the latter two as
    ranges of at most 16 MiB, four at a time on ``fetch``, written to their places in ``<path>.tmp`` as they arrive.
    The folder is made where missing. Raises CorruptData for an index that is none or ends early, and what the bucket
    raises.
    """
    name = f"{block}/{INDEX_FILENAME}"
    size = bucket.attributes(name).size
    version = decode_index_start(bucket.get_range(name, 0, INDEX_START_SIZE), name)
    if size < INDEX_START_SIZE + TOC_SIZE:
        raise CorruptData(name, 0, "shorter than an index")
    toc = decode_toc(bucket.get_range(name, size - TOC_SIZE, TOC_SIZE), size, name)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            _fill(file.fileno(), bucket, name, version, toc, fetch)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _map(path: Path) -> mmap.mmap | bytes:
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _fill(file: int, bucket: RangeSource, name: str, version: int, toc: IndexToc, fetch: Pool) -> None:
    symbols_size = toc.series - toc.symbols
    table_at = _START.size + symbols_size
    end = table_at + toc.size - toc.postings_table
    places = struct.pack(">QQ", _START.size, table_at)
    os.pwrite(file, _START.pack(HEADER_MAGIC, HEADER_VERSION, version, toc.postings_table), 0)
    os.pwrite(file, places + struct.pack(">I", crc32c_of(places)), end)
    parts = _parts(toc.symbols, symbols_size, _START.size) + _parts(toc.postings_table, end - table_at, table_at)

    def copy(part: tuple[int, int, int]) -> None:
        start, length, to = part
        data = bucket.get_range(name, start, length)
        if len(data) != length:
            raise CorruptData(name, start + len(data), "object ends early")
        _write_all(file, data, to)

    running: deque[Future[None]] = deque()
    try:
        for part in parts:
            if len(running) == PARTS_AT_ONCE:
                running.popleft().result()
            running.append(fetch.submit(copy, part))
        while running:
            running.popleft().result()
    finally:
        # Also after an error no job may be left that writes to a file which is closed by then.
        wait(running)


def _parts(start: int, size: int, to: int) -> list[tuple[int, int, int]]:
    """(offset in the index, length, offset in the header) of ranges of at most PART_SIZE."""
    return [(start + at, min(PART_SIZE, size - at), to + at) for at in range(0, size, PART_SIZE)]


def _write_all(file: int, data: bytes, to: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, to)
        view, to = view[written:], to + written
