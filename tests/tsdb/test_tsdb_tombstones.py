"""The tombstones file: round trips, the empty file, hidden samples, garbage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import index_reference as reference

from pythanos.errors import CorruptData
from pythanos.tsdb.tombstones import Tombstones, decode_tombstones, encode_tombstones

times = st.integers(-(2**63), 2**63 - 1)
rows = st.lists(st.tuples(st.integers(0, 2**64 - 1), times, times), max_size=8)


@given(rows)
def test_ranges_come_back_sorted(ranges):
    found = decode_tombstones(encode_tombstones(Tombstones.of(ranges)))
    assert list(zip(found.ref.tolist(), found.mint.tolist(), found.maxt.tolist(), strict=True)) == sorted(ranges)


def test_the_file_is_prometheus():
    """Nine bytes when empty; the checksum covers the entries alone."""
    assert encode_tombstones() == bytes.fromhex("0130ba300100000000")
    body = reference.uvarint(300) + reference.varint(-5) + reference.varint(70)
    expected = bytes.fromhex("0130ba3001") + body + reference.crc32c(body).to_bytes(4, "big")
    assert encode_tombstones(Tombstones.of([(300, -5, 70)])) == expected


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 30), st.integers(0, 30)), max_size=6),
    st.lists(st.tuples(st.integers(0, 6), st.lists(st.integers(0, 30), unique=True).map(sorted)), max_size=6),
)
def test_a_sample_inside_any_range_of_its_series_is_deleted(ranges, series):
    start = np.concatenate([[0], np.cumsum([len(own) for _, own in series], dtype=np.int64)]).astype(np.int64)
    stamps = np.array([t for _, own in series for t in own], np.int64)
    kept = Tombstones.of(ranges).keep(np.array([ref for ref, _ in series], np.uint64), start, stamps)
    expected = [
        not any(ref == dead and low <= t <= high for dead, low, high in ranges) for ref, own in series for t in own
    ]
    assert kept.tolist() == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "shorter"),
        (bytes.fromhex("0130ba3101") + bytes(4), "magic"),
        (bytes.fromhex("0130ba3002") + bytes(4), "version 2"),
        (bytes.fromhex("0130ba3001") + b"\x01" + bytes(4), "checksum"),
        (
            bytes.fromhex("0130ba3001") + b"\x01\x02" + reference.crc32c(b"\x01\x02").to_bytes(4, "big"),
            "inside an entry",
        ),
        (
            bytes.fromhex("0130ba3001") + b"\xff" * 11 + reference.crc32c(b"\xff" * 11).to_bytes(4, "big"),
            "inside an entry",
        ),
    ],
)
def test_broken_files_are_corrupt_data(data, reason):
    with pytest.raises(CorruptData, match=reason):
        decode_tombstones(data)


@given(st.binary(max_size=50))
def test_any_entries_give_ranges_or_corrupt_data(body):
    data = bytes.fromhex("0130ba3001") + body + reference.crc32c(body).to_bytes(4, "big")
    try:
        found = decode_tombstones(data)
    except CorruptData:
        return
    assert len(decode_tombstones(encode_tombstones(found))) == len(found)
