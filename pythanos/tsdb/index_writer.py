"""Writes a block's index, version 2: the same bytes as Prometheus for the same series (docs/formats/index.md).

Series are added in label order as columns and kept compactly until ``write`` puts out the file, window by window; see
``_index_build`` for what that takes in memory. Durability is the caller's: ``block_writer`` syncs and renames.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pythanos._index_build import IndexBuilder
from pythanos._symbols import SymbolTable, crc32c_of
from pythanos.model.series import LabelColumn
from pythanos.tsdb.index_toc import TOC_SIZE, IndexToc, encode_index_start, encode_toc

VERSION = 2
SERIES_PER_WINDOW = 8192
LISTS_PER_WINDOW = 4096


class IndexWriter:
    """Collects the series of one block, then writes its index once; not for use by several threads at once.

    ``label_indices`` adds the label index sections that Prometheus wrote up to 2.x and nobody reads.
    """

    def __init__(self, *, label_indices: bool = False) -> None:
        self._builder = IndexBuilder()
        self._label_indices = label_indices

    @property
    def series_count(self) -> int:
        return self._builder.series_count

    @property
    def chunk_count(self) -> int:
        return self._builder.chunk_count

    @property
    def series_size_max(self) -> int:
        """Bytes of the longest series entry, known after ``write``; meta.json's ``series_max_size``."""
        return self._builder.series_size_max

    def add_symbols(self, symbols: SymbolTable | Iterable[bytes]) -> None:
        """Symbols to hold besides those of the series, such as all of a compacted block's; ``b""`` in most blocks."""
        self._builder.add_symbols(symbols)

    def add(
        self,
        labels: LabelColumn,
        chunk_start: NDArray[np.int64],
        chunk_mint: NDArray[np.int64],
        chunk_maxt: NDArray[np.int64],
        chunk_ref: NDArray[np.uint64],
    ) -> None:
        """Adds n series behind those before; columns as in SeriesEntries.

        Raises Halt where labels do not increase strictly, a chunk reference decreases or chunks of a series overlap,
        and CorruptData for a malformed label block. The writer is of no use after an error.
        """
        self._builder.add(labels, chunk_start, chunk_mint, chunk_maxt, chunk_ref)

    def write(self, file: BinaryIO) -> IndexToc:
        """Writes the whole index to an empty file and returns its table of contents; nothing can be added afterwards.

        Raises Halt where a limit of the format is reached: 64 GiB, or 4 GiB of symbols or of the offset table.
        """
        builder, out = self._builder, _Output(file)
        builder.freeze()
        out.put(encode_index_start(VERSION))
        symbols = out.size
        out.put(builder.symbols_section())
        series = out.size
        while out.put(builder.series_window(SERIES_PER_WINDOW, out.size)):
            pass
        label_indices = out.size
        places = self._put_label_indices(out) if self._label_indices else []
        postings = out.size
        for first in range(0, builder.list_count, LISTS_PER_WINDOW):
            out.put(builder.postings_window(first, min(first + LISTS_PER_WINDOW, builder.list_count), out.size))
        label_table = out.size
        if self._label_indices:
            out.put(_label_indices_table(places))
        postings_table = out.size
        out.put(builder.postings_offset_table())
        toc = IndexToc(symbols, series, label_indices, label_table, postings, postings_table, out.size + TOC_SIZE)
        out.put(encode_toc(toc))
        return toc

    def _put_label_indices(self, out: _Output) -> list[tuple[bytes, int]]:
        """One section per label name: count of names (1), count of values, symbol numbers; (name, place) of each."""
        places = []
        for name, values in self._builder.label_values():
            out.put(bytes(-out.size % 4))
            places.append((name, out.size))
            out.put(_section(struct.pack(">II", 1, len(values)) + values.astype(">u4").tobytes()))
        return places


class _Output:
    """A file and how far it has been written."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = 0

    def put(self, data: bytes | memoryview) -> int:
        self.file.write(data)
        self.size += len(data)
        return len(data)


def _section(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body + struct.pack(">I", crc32c_of(body))


def _label_indices_table(places: list[tuple[bytes, int]]) -> bytes:
    entries = (_uvarint(1) + _uvarint(len(name)) + name + _uvarint(place) for name, place in places)
    return _section(struct.pack(">I", len(places)) + b"".join(entries))


def _uvarint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
