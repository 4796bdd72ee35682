"""Reads a whole index from a local file or from memory: labels, postings, series entries (docs/formats/index.md)."""

from __future__ import annotations

import mmap
import os

import numpy as np
from numpy.typing import NDArray

from pythanos._index import decode_series
from pythanos._offset_table import PostingsTable
from pythanos._postings import decode_postings, union
from pythanos._symbols import SymbolTable, crc32c_of
from pythanos.errors import CorruptData
from pythanos.model.entries import SeriesEntries
from pythanos.model.timerange import ALL_TIME, ClosedRange
from pythanos.tsdb.index_toc import TOC_SIZE, decode_index_start, decode_toc
from pythanos.tsdb.label_tables import LabelTables

SERIES_ALIGN = 16


class IndexReader(LabelTables):
    """An index, version 1, 2 or 3. Safe to use from several threads.

    data: the file's bytes or an mmap of it, borrowed as long as the reader or anything taken from it lives. ``file``
    names it in errors. Raises CorruptData where header, table of contents, symbols or offset table are broken; lists
    and entries are checked as they are read.
    """

    __slots__ = ("data", "file", "toc")

    def __init__(self, data: bytes | mmap.mmap, *, file: str = "index") -> None:
        self.data = data
        self.file = file
        version = decode_index_start(data[:5], file)
        self.toc = decode_toc(data[max(0, len(data) - TOC_SIZE) :], len(data), file)
        symbols = SymbolTable(data, self.toc.symbols, version=version, file_start=self.toc.symbols, file=file)
        super().__init__(
            version, symbols, PostingsTable(data, self.toc.postings_table, self.toc.postings_table, file=file)
        )

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, name: str = "") -> IndexReader:
        """Maps a file, called ``name`` in errors where that says more than its path. Raises OSError, CorruptData."""
        shown = name or str(path)
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise CorruptData(shown, 0, "shorter than an index")
            return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), file=shown)

    def all_series(self) -> NDArray[np.uint32]:
        """uint32[n]: the references of all series, in label order."""
        return self.series_with("", "")

    def series_with(self, name: str, *values: str) -> NDArray[np.uint32]:
        """uint32[n]: references of the series whose label ``name`` has one of the values. Raises CorruptData."""
        return union(
            [self._read_list(int(start), int(end)) for start, end in self.postings_ranges(name, values) if start >= 0]
        )

    def _read_list(self, start: int, end: int) -> NDArray[np.uint32]:
        size = int.from_bytes(self.data[start - 4 : start], "big")
        if size > end - start:
            raise CorruptData(self.file, start - 4, "postings list longer than its place")
        body = self.data[start : start + size]
        if crc32c_of(body) != int.from_bytes(self.data[start + size : start + size + 4], "big"):
            raise CorruptData(self.file, start, "checksum of a postings list does not match")
        return decode_postings(body, file=self.file, start=start)

    def series(
        self,
        refs: NDArray[np.uint32],
        within: ClosedRange = ALL_TIME,
        *,
        external: bytes = b"",
        drop: tuple[bytes, ...] = (),
        skip_chunks: bool = False,
        check_crc: bool = True,
    ) -> SeriesEntries:
        """The entries of series references that have a chunk in the range; see ``_index.decode_series``.

        Raises CorruptData, also for a reference that points behind the end of the file.
        """
        places = np.asarray(refs).astype(np.int64) * (1 if self.index_version == 1 else SERIES_ALIGN)
        entries = decode_series(
            self.data,
            places,
            self.symbols,
            within.mint,
            within.maxt,
            external=external,
            drop=drop,
            skip_chunks=skip_chunks,
            check_crc=check_crc,
            file=self.file,
        )
        if len(entries.refetch):
            raise CorruptData(
                self.file, int(places[entries.refetch[0]]), "series entry goes on behind the end of the file"
            )
        return entries
