"""The label side of an index or index-header: symbols, label names and values, ranges of postings lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pythanos._offset_table import PostingsTable
from pythanos._symbols import SymbolTable

ALL_POSTINGS = ("", "")


def encode_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class LabelTables:
    """Symbols and the postings offset table of one block. Strings are made on demand, none is kept.

    ``symbols`` is a SymbolTable; ``postings`` a PostingsTable, whose kernels answer for many values at once: entries
    of a name (``bounds``), of given values (``find``), by prefix, suffix or part (``with_prefix``, ``containing``),
    all values as one object (``joined``), and the ranges of many entries (``ranges``). Ranges are ``[start, end)``
    bytes of the block's index object: u32 count and references, without length field and checksum.
    """

    __slots__ = ("index_version", "postings", "symbols")

    def __init__(self, index_version: int, symbols: SymbolTable, postings: PostingsTable) -> None:
        self.index_version = index_version
        self.symbols = symbols
        self.postings = postings

    @property
    def nbytes(self) -> int:
        """Memory held beside the file, in bytes."""
        return self.symbols.nbytes + self.postings.nbytes

    def label_names(self) -> list[str]:
        """Sorted."""
        return [name.decode("utf-8", "surrogateescape") for name in self.postings.names()]

    def has_label(self, name: str) -> bool:
        """Whether any series has the label."""
        first, end = self.postings.bounds(encode_text(name))
        return bool(first < end)

    def label_values(self, name: str) -> list[str]:
        """Sorted by bytes; empty for a name that the block does not have."""
        return self.postings.values(*self.postings.bounds(encode_text(name)))

    def postings_range(self, name: str, value: str) -> tuple[int, int] | None:
        """The byte range of one list, or None. ``("", "")`` is the list of all series."""
        start, end = self.postings_ranges(name, [value])[0]
        return None if start < 0 else (int(start), int(end))

    def postings_ranges(self, name: str, values: Sequence[str]) -> NDArray[np.int64]:
        """int64[k, 2]: the byte range of each value's list, (-1, -1) where there is none; values in any order."""
        return self.postings.ranges(self.postings.find(encode_text(name), [encode_text(value) for value in values]))
