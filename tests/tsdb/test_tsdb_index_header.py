"""Index-headers: built by range reads only, whole or not at all, opened by mmap, garbage refused."""

import struct
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import index_reference as reference
from kernels.index_reference import Series

from pythanos.errors import BucketUnavailable, CorruptData
from pythanos.objstore.bucket import ObjectAttributes
from pythanos.tsdb import index_header
from pythanos.tsdb.index_header import IndexHeader, write_index_header
from pythanos.workers import InlinePool, ThreadPool

SERIES = [
    Series({b"__name__": b"up", b"job": b"a%03d" % i, "größe".encode(): b"\xff%d" % (i % 3)}, [(i, i + 1, i)])
    for i in range(300)
]


class RecordedBucket:
    """One object, every read written down; the n-th call fails where that is asked for."""

    def __init__(self, data: bytes, fail_at: int = 0) -> None:
        self.data = data
        self.reads: list[tuple[int, int]] = []
        self.calls = 0
        self.fail_at = fail_at
        self._lock = threading.Lock()

    def _call(self) -> None:
        with self._lock:
            self.calls += 1
            if self.calls == self.fail_at:
                raise BucketUnavailable("no answer")

    def attributes(self, name: str) -> ObjectAttributes:
        self._call()
        assert name == "BLOCK/index"
        return ObjectAttributes(len(self.data), 0)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        self._call()
        with self._lock:
            self.reads.append((offset, length))
        return self.data[offset : offset + length]


@pytest.fixture(params=[1, 2])
def data(request) -> bytes:
    return reference.index(SERIES, version=request.param)


def test_only_header_contents_symbols_and_offset_table_are_read(data, tmp_path):
    """ST-9: never the series, never the postings lists."""
    bucket = RecordedBucket(data)
    write_index_header(bucket, "BLOCK", tmp_path / "h", InlinePool())
    symbols, series, _, _, _, table = struct.unpack_from(">6Q", data, len(data) - 52)
    size = len(data)
    assert bucket.reads == [(0, 5), (size - 52, 52), (symbols, series - symbols), (table, size - table)]
    assert (tmp_path / "h").read_bytes() == reference.index_header(data)


def test_large_sections_come_in_parts_on_several_threads(data, tmp_path, monkeypatch):
    """ST-9: parts of at most the part size, put together in place."""
    monkeypatch.setattr(index_header, "PART_SIZE", 100)
    bucket, pool = RecordedBucket(data), ThreadPool("fetch", 3)
    try:
        write_index_header(bucket, "BLOCK", tmp_path / "h", pool)
    finally:
        pool.stop()
    assert max(length for _, length in bucket.reads) == 100
    assert len(bucket.reads) > 20
    assert (tmp_path / "h").read_bytes() == reference.index_header(data)


def test_whatever_call_fails_nothing_is_left_and_the_next_try_succeeds(data, tmp_path, monkeypatch):
    monkeypatch.setattr(index_header, "PART_SIZE", 500)
    pool = ThreadPool("fetch", 2)
    try:
        for fail_at in range(1, 100):
            bucket = RecordedBucket(data, fail_at)
            try:
                write_index_header(bucket, "BLOCK", tmp_path / "folder" / "h", pool)
            except BucketUnavailable:
                assert not (tmp_path / "folder").exists() or not list((tmp_path / "folder").iterdir())
            else:
                break
    finally:
        pool.stop()
    assert fail_at == bucket.calls + 1 > 7
    assert (tmp_path / "folder" / "h").read_bytes() == reference.index_header(data)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: b"", "shorter than an index"),
        (lambda data: data[:30], "shorter than an index"),
        (lambda data: b"\x00" + data[1:], "magic number"),
        (lambda data: data[:4] + b"\x09" + data[5:], "version 9"),
        (lambda data: data[:-1], "checksum of the table of contents"),
        (lambda data: data[:-52] + toc(0, 9, 9, 9, 9, 9), "out of order"),
        (lambda data: data[:-52] + toc(5, 4, 9, 9, 9, 9), "out of order"),
        (lambda data: data[:-52] + toc(5, 2**63, 9, 9, 9, 2**63), "out of order"),
    ],
)
def test_an_object_that_is_no_index_is_corrupt_data(data, tmp_path, change, reason):
    with pytest.raises(CorruptData, match=reason) as caught:
        write_index_header(RecordedBucket(change(data)), "BLOCK", tmp_path / "h", InlinePool())
    assert caught.value.file == "BLOCK/index"
    assert not list(tmp_path.iterdir())


def toc(*places: int) -> bytes:
    body = struct.pack(">6Q", *places)
    return body + struct.pack(">I", reference.crc32c(body))


def test_an_object_that_shrinks_while_it_is_read_is_corrupt_data(data, tmp_path):
    bucket = RecordedBucket(data)
    whole = bucket.get_range
    bucket.get_range = lambda name, offset, length: whole(name, offset, length)[: 60 if length > 60 else None]
    with pytest.raises(CorruptData, match="ends early"):
        write_index_header(bucket, "BLOCK", tmp_path / "h", InlinePool())
    assert not list(tmp_path.iterdir())


def test_an_opened_header_answers_like_the_index(data, tmp_path):
    (tmp_path / "h").write_bytes(reference.index_header(data))
    header = IndexHeader(tmp_path / "h")
    assert header.index_version == data[4]
    assert header.label_names() == ["__name__", "größe", "job"]
    assert header.label_values("größe") == ["\udcff0", "\udcff1", "\udcff2"]
    assert len(header.label_values("job")) == 300
    for name, value, count in (("", "", 300), ("größe", "\udcff1", 100), ("job", "a007", 1)):
        start, end = header.postings_range(name, value)
        assert data[start : start + 4] == count.to_bytes(4, "big")
        assert end - start == 4 + 4 * count
    assert header.postings_range("job", "a300") is None
    assert header.postings_range("nope", "a") is None
    ranges = header.postings_ranges("job", ["a001", "zz", "a000", "a001"])
    assert ranges[1].tolist() == [-1, -1]
    assert ranges[0].tolist() == ranges[3].tolist() != ranges[2].tolist()
    assert header.symbols.text(header.symbols.lookup("größe")) == "größe"


def test_what_was_taken_from_a_closed_header_stays_usable(data, tmp_path):
    (tmp_path / "h").write_bytes(reference.index_header(data))
    header = IndexHeader(tmp_path / "h")
    symbols, table = header.symbols, header.postings
    header.close()
    (tmp_path / "h").unlink()
    assert symbols.lookup("up") is not None
    assert table.names() == [b"__name__", "größe".encode(), b"job"]
    with pytest.raises(AttributeError):
        header.label_names()


def test_memory_is_a_number_for_each_symbol_and_list(tmp_path):
    """ST-12: the strings stay in the file."""
    data = reference.index(SERIES)
    (tmp_path / "h").write_bytes(reference.index_header(data))
    header = IndexHeader(tmp_path / "h")
    assert header.nbytes == 4 * (len(header.symbols) + len(header.postings)) + 8 * 4


@pytest.mark.parametrize("cut", [0, 1, 13, 14, 33, 34, 200, -1, -20, -21])
def test_a_cut_header_has_to_be_rebuilt(data, tmp_path, cut):
    """ST-10."""
    (tmp_path / "h").write_bytes(reference.index_header(data)[:cut])
    with pytest.raises(CorruptData):
        IndexHeader(tmp_path / "h")


def test_every_byte_of_a_header_is_checked(tmp_path):
    whole = reference.index_header(reference.index(SERIES[:3]))
    path = tmp_path / "h"
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(CorruptData):
            IndexHeader(path)


def test_no_header_is_no_corruption(tmp_path):
    with pytest.raises(FileNotFoundError):
        IndexHeader(tmp_path / "absent")


@given(body=st.binary(max_size=150), start=st.integers(0, 2**64 - 1), end=st.integers(0, 2**64 - 1))
def test_any_bytes_give_a_header_or_corrupt_data(tmp_path_factory, body, start, end):
    places = struct.pack(">QQ", start % 200, end % 200)
    head = struct.pack(">IBBQ", 0xBAAAD792, 1, 2, end)
    path = tmp_path_factory.getbasetemp() / "fuzzed-header"
    toc_of_index = toc(5, 6, 6, 6, 6, end)
    for data in (body, head + body + toc_of_index + places + struct.pack(">I", reference.crc32c(places))):
        path.write_bytes(data)
        try:
            header = IndexHeader(path)
        except CorruptData:
            continue
        header.postings.ranges(np.arange(len(header.postings)))
