"""Fuzzing of everything that reads an index: any bytes give a value or CorruptData. See mutation.py for how to run it.

The first byte chooses the reader, the rest is its input. Checksums are made right, so that mutations reach the readers.
"""

from __future__ import annotations

import io
import os
import struct
import tempfile
from pathlib import Path

import mutation
import numpy as np

from pythanos._index import decode_series
from pythanos._offset_table import PostingsTable
from pythanos._symbols import SymbolTable, crc32c_of
from pythanos.errors import CorruptData, Halt
from pythanos.model.series import LabelColumn
from pythanos.tsdb.index_header import IndexHeader
from pythanos.tsdb.index_reader import IndexReader
from pythanos.tsdb.index_writer import IndexWriter
from pythanos.tsdb.tombstones import decode_tombstones, encode_tombstones

CORPUS = Path(__file__).parent / "corpus" / "index"
HEADER_FILE = Path(tempfile.gettempdir()) / f"fuzzed-index-header-{os.getpid()}"


def fuzz_one(data: bytes) -> None:
    """One input: raises only what is a bug."""
    if not data:
        return
    targets = (symbols, offset_table, entries, index, index_header, tombstones, labels)
    try:
        targets[data[0] % len(targets)](data[1:])
    except CorruptData as error:
        assert error.offset >= -1
        assert error.reason


def checked(body: bytes) -> bytes:
    return body + crc32c_of(body).to_bytes(4, "big")


def section(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + checked(body)


def uvarint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 0x7F | 0x80]) + uvarint(value >> 7)


def symbols(body: bytes) -> None:
    """What opens is in order, and every symbol is found again."""
    table = SymbolTable(section(body), 0)
    texts = [table.bytes_at(i) for i in range(len(table))]
    assert texts == sorted(set(texts))
    assert [table.lookup(text) for text in texts] == list(range(len(texts)))


def offset_table(body: bytes) -> None:
    """What opens has rising keys and ranges that hold a list."""
    lists_end = int.from_bytes(body[:3], "big")
    table = PostingsTable(section(body[3:]), 0, lists_end)
    ranges = table.ranges(np.arange(len(table)))
    assert (ranges[:, 1] - ranges[:, 0] >= 4).all() and (ranges <= lists_end).all()
    for name in table.names():
        first, end = table.bounds(name)
        values = [value.encode("utf-8", "surrogateescape") for value in table.values(first, end)]
        assert values == sorted(set(values))
        assert table.find(name, values).tolist() == list(range(first, end))
        table.joined(first, end, b"\n")
        table.with_prefix(name, b"a")
        table.containing(first, end, b"a")


TEXTS = [b"", b"__name__", b"a", b"instance", b"job", b"x" * 200, b"z"]
SYMBOLS = section(len(TEXTS).to_bytes(4, "big") + b"".join(uvarint(len(text)) + text for text in TEXTS))
EXTERNAL = b"\x0a\x08\x0a\x03job\x12\x01e\x0a\x06\x0a\x01b\x12\x01e"


def entries(body: bytes) -> None:
    """Entries at every offset, in one part or in many, with a mix of options."""
    options, body = (body[0] if body else 0), body[1:]
    table = SymbolTable(SYMBOLS, 0, version=1 if options & 1 else 2, file_start=0)
    extra = {"external": EXTERNAL if options & 2 else b"", "drop": (b"instance", b"b") if options & 4 else ()}
    mint, maxt = (-(2**63), 2**63 - 1) if options & 8 else (0, 1 << 41)
    whole = uvarint(len(body)) + checked(body)
    found = decode_series(whole, [0], table, mint, maxt, check_crc=True, skip_chunks=bool(options & 16), **extra)
    assert found.chunk_start[-1] == len(found.chunk_ref) and len(found) <= 1
    assert (found.chunk_mint <= maxt).all() and (found.chunk_maxt >= mint).all()
    again = decode_series([b"", whole], [0], table, mint, maxt, part=np.array([1], np.int32), **extra)
    assert bytes(again.labels.arena) == bytes(found.labels.arena)
    decode_series([body[at:] for at in range(len(body))], np.zeros(len(body)), table, mint, maxt, part=range(len(body)))


def repaired(body: bytes, at: int) -> bytes:
    """The section at this place with a checksum that is right."""
    end = at + 4 + int.from_bytes(body[at : at + 4], "big")
    return body[: at + 4] + checked(body[at + 4 : end]) + body[end + 4 :] if end + 4 <= len(body) else body


def index(body: bytes) -> None:
    """A whole file whose checksums are right: labels, lists and series, whatever is in them."""
    if len(body) < 57:
        IndexReader(body)
        return
    body = body[:-52] + checked(body[-52:-4])
    symbols_at, _, _, _, _, table_at = struct.unpack_from(">6Q", body, len(body) - 52)
    body = repaired(repaired(body, symbols_at), table_at)
    table = PostingsTable(body, min(table_at, len(body)), table_at)
    for start in table.ranges(np.arange(len(table)))[:, 0].tolist():
        body = repaired(body, start - 4)
    reader = IndexReader(body)
    refs = [reader.all_series()]
    for name in reader.label_names():
        refs += [reader.series_with(name, value) for value in reader.label_values(name)]
    reader.series(np.concatenate(refs), check_crc=False)


def index_header(body: bytes) -> None:
    """A header whose checksums are right."""
    if len(body) >= 34 + 52:
        places, toc = body[-20:-4], checked(body[-72:-24])
        body = body[:-72] + toc + checked(places)
        for at in struct.unpack(">QQ", places):
            body = repaired(body, at)
    HEADER_FILE.write_bytes(body)
    header = IndexHeader(HEADER_FILE)
    for name in header.label_names():
        assert len(header.postings_ranges(name, header.label_values(name))) > 0


def tombstones(body: bytes) -> None:
    found = decode_tombstones(bytes.fromhex("0130ba3001") + checked(body))
    assert len(decode_tombstones(encode_tombstones(found))) == len(found)


def labels(body: bytes) -> None:
    """Label blocks into the writer: refused, or an index from which they come back."""
    cut = sorted({at % (len(body) + 1) for at in struct.unpack("4B", body[:4].ljust(4))})
    bounds = [0, *cut, len(body)]
    offset = np.array(bounds[:-1], np.int64)
    column = LabelColumn(body, offset, np.diff(bounds).astype(np.int32), np.zeros(len(offset), np.uint64))
    n = len(offset)
    writer = IndexWriter(label_indices=bool(body and body[0] & 1))
    mint = np.arange(n, dtype=np.int64)
    try:
        writer.add(column, np.arange(n + 1, dtype=np.int64), mint, mint, mint.astype(np.uint64))
    except Halt:
        return
    file = io.BytesIO()
    writer.write(file)
    reader = IndexReader(file.getvalue())
    found = reader.series(reader.all_series())
    assert [found.labels.block(i) for i in range(n)] == [column.block(i) for i in range(n)]


if __name__ == "__main__":
    mutation.main(fuzz_one, CORPUS)
