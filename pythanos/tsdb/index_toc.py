"""The fixed parts of index and index-header files: magic numbers, versions, tables of contents."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pythanos._symbols import crc32c_of
from pythanos.errors import CorruptData

INDEX_FILENAME = "index"
INDEX_MAGIC = 0xBAAAD700
INDEX_START_SIZE = 5
# Version 3 is announced by Prometheus and read by it as version 2 is.
INDEX_VERSIONS = (1, 2, 3)
TOC_SIZE = 52

_START = struct.Struct(">IB")
_TOC = struct.Struct(">6QI")


@dataclass(frozen=True, slots=True)
class IndexToc:
    """Where the sections of an index begin, in bytes from the start of the file; ``size`` is the file's."""

    symbols: int
    series: int
    label_indices: int
    label_indices_table: int
    postings: int
    postings_table: int
    size: int


def decode_index_start(data: bytes, file: str) -> int:
    """The version of an index, from its first five bytes. Raises CorruptData."""
    if len(data) < INDEX_START_SIZE:
        raise CorruptData(file, 0, "shorter than an index")
    magic, version = _START.unpack_from(data)
    if magic != INDEX_MAGIC:
        raise CorruptData(file, 0, f"magic number {magic:#010x} is not that of an index")
    if version not in INDEX_VERSIONS:
        raise CorruptData(file, 4, f"index version {version} is unknown")
    return version


def encode_index_start(version: int) -> bytes:
    return _START.pack(INDEX_MAGIC, version)


def decode_toc(data: bytes, size: int, file: str) -> IndexToc:
    """The table of contents from the last 52 bytes of an index of ``size`` bytes. Raises CorruptData."""
    at = size - TOC_SIZE
    if len(data) < TOC_SIZE or at < INDEX_START_SIZE:
        raise CorruptData(file, max(at, 0), "shorter than an index")
    symbols, series, label_indices, label_table, postings, table, crc = _TOC.unpack_from(data, len(data) - TOC_SIZE)
    if crc32c_of(data[len(data) - TOC_SIZE : len(data) - 4]) != crc:
        raise CorruptData(file, at, "checksum of the table of contents does not match")
    if not INDEX_START_SIZE <= symbols < series <= table < at or postings > table:
        raise CorruptData(file, at, "sections of the table of contents out of order")
    return IndexToc(symbols, series, label_indices, label_table, postings, table, size)


def encode_toc(toc: IndexToc) -> bytes:
    """The 52 bytes at the end of an index."""
    body = struct.pack(
        ">6Q", toc.symbols, toc.series, toc.label_indices, toc.label_indices_table, toc.postings, toc.postings_table
    )
    return body + struct.pack(">I", crc32c_of(body))
