"""Whole indexes, versions 1 to 3: labels, postings and series; broken lists and entries."""

import struct

import numpy as np
import pytest
from kernels import index_reference as reference
from kernels.index_reference import Series

from pythanos.errors import CorruptData
from pythanos.model.timerange import ClosedRange
from pythanos.tsdb.index_reader import IndexReader

SERIES = [
    Series({b"__name__": b"m", b"i": b"%02d" % i, b"odd": b"%d" % (i % 2)}, [(i * 10, i * 10 + 9, 100 * i)])
    for i in range(40)
]


@pytest.fixture(params=[1, 2, 3])
def data(request) -> bytes:
    return reference.index(SERIES, version=request.param)


def test_postings_lead_to_the_series(data):
    index = IndexReader(data)
    assert len(index.all_series()) == 40
    entries = index.series(index.series_with("odd", "1"))
    assert [entries.labels.block(i) for i in range(20)] == [reference.label_block(one.labels) for one in SERIES[1::2]]
    both = index.series_with("i", "05", "03", "nope")
    assert index.series(both).chunk_ref.tolist() == [300, 500]
    assert index.series_with("nope", "x").tolist() == []


def test_a_range_of_time_leaves_series_out(data):
    index = IndexReader(data)
    entries = index.series(index.all_series(), ClosedRange(55, 71))
    assert entries.rows.tolist() == [5, 6, 7]
    assert index.series(index.all_series(), ClosedRange(55, 71), skip_chunks=True).chunk_count == 0


def test_entries_can_be_thinned(data):
    index = IndexReader(data)
    entries = index.series(index.all_series()).take(np.array([3, 7]))
    assert entries.rows.tolist() == [3, 7]
    assert entries.chunk_start.tolist() == [0, 1, 2]
    assert entries.chunk_ref.tolist() == [300, 700]


def test_a_reference_behind_the_end_is_corrupt_data(data):
    index = IndexReader(data, file="b/index")
    with pytest.raises(CorruptData, match="behind the end") as caught:
        index.series(np.array([2**32 - 1], np.uint32))
    assert caught.value.file == "b/index"


def changed(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def test_a_list_with_a_wrong_checksum_is_corrupt_data(data):
    start, end = IndexReader(data).postings_range("i", "07")
    for at in (start, start + 5, end):
        broken = IndexReader(changed(data, at, bytes([data[at] ^ 1])), file="b/index")
        with pytest.raises(CorruptData, match="checksum of a postings list"):
            broken.series_with("i", "07")
        assert len(broken.series_with("i", "08")) == 1
    longer = IndexReader(changed(data, start - 4, struct.pack(">I", 2**31)))
    with pytest.raises(CorruptData, match="longer than its place"):
        longer.series_with("i", "07")


def test_an_entry_with_a_wrong_checksum_is_corrupt_data_where_it_is(data):
    index = IndexReader(data)
    ref = index.series_with("i", "07")
    at = int(ref[0]) * (1 if index.index_version == 1 else 16)
    broken = IndexReader(changed(data, at + 3, bytes([data[at + 3] ^ 0x40])), file="b/index")
    with pytest.raises(CorruptData, match="checksum of a series entry") as caught:
        broken.series(ref)
    assert caught.value.offset == at


@pytest.mark.parametrize("size", [0, 4, 5, 56, 57, 200, -1, -52])
def test_a_cut_index_is_corrupt_data(data, tmp_path, size):
    (tmp_path / "index").write_bytes(data[:size])
    with pytest.raises(CorruptData):
        IndexReader.open(tmp_path / "index")


def test_an_index_without_series(tmp_path):
    index = IndexReader(reference.index([]))
    assert index.label_names() == []
    assert len(index.series(index.all_series())) == 0
