"""Postings against Python's sets, and the cache codecs against what Thanos cached."""

from pathlib import Path

import cramjam
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos._postings import (
    decode_dss,
    decode_postings,
    encode_dss,
    encode_postings,
    intersect,
    subtract,
    union,
)
from pythanos.errors import CorruptData

TOP = 2**32 - 1
# Dense, sparse and extreme references, so that merging, galloping and the bitset all take part.
refs = (
    st.sets(st.integers(0, 300), max_size=200)
    | st.sets(st.integers(0, TOP), max_size=30)
    | st.sets(st.sampled_from([0, 1, TOP - 1, TOP]))
    | st.builds(lambda start, step, n: set(range(start, start + step * n, step)), *[st.integers(1, 400)] * 3)
)


def array(values: set[int]) -> np.ndarray:
    return np.array(sorted(values), np.uint32)


@given(st.lists(refs, min_size=1, max_size=5))
def test_intersection_is_that_of_sets(lists):
    assert intersect([array(each) for each in lists]).tolist() == sorted(set.intersection(*lists))


@given(st.lists(refs, max_size=6))
def test_union_is_that_of_sets(lists):
    assert union([array(each) for each in lists]).tolist() == sorted(set().union(*lists))


@given(refs, st.lists(refs, max_size=4))
def test_subtraction_is_that_of_sets(left, lists):
    assert subtract(array(left), [array(each) for each in lists]).tolist() == sorted(left - set().union(*lists))
    for each in lists:
        assert subtract(array(left), array(each)).tolist() == sorted(left - each)


@pytest.mark.parametrize(("small", "large"), [(1, 30), (3, 100_000), (1000, 30_000), (1000, 29_999), (5000, 5000)])
def test_lists_of_unlike_size_give_the_same_by_any_way(small, large):
    """Around the ratio at which look-ups take over from merging."""
    rng = np.random.default_rng(small)
    a, b = (np.unique(rng.integers(0, 4 * large, n)).astype(np.uint32) for n in (small, large))
    assert np.array_equal(intersect([a, b]), np.intersect1d(a, b))
    assert np.array_equal(intersect([b, a]), np.intersect1d(a, b))
    assert np.array_equal(subtract(a, b), np.setdiff1d(a, b))
    assert np.array_equal(subtract(b, a), np.setdiff1d(b, a))
    assert np.array_equal(union([a, b]), np.union1d(a, b))
    assert np.array_equal(union([a, b, b + np.uint32(1)]), np.union1d(np.union1d(a, b), b + np.uint32(1)))


def test_many_sparse_lists_are_merged_in_pairs():
    lists = [np.array([i, TOP - i], np.uint32) for i in range(7)]
    assert union(lists).tolist() == [*range(7), *range(TOP - 6, TOP + 1)]


def test_no_lists():
    assert union([]).tolist() == []
    with pytest.raises(ValueError, match="no lists"):
        intersect([])


@given(refs, st.binary(max_size=9))
def test_lists_are_read_as_they_were_written(values, behind):
    """Bytes behind the list do not matter: its end is only known from the next list's start."""
    data = encode_postings(array(values))
    assert data[:4] == len(values).to_bytes(4, "big")
    assert decode_postings(data + behind).tolist() == sorted(values)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "without a length"),
        (b"\x00\x00\x00", "without a length"),
        (b"\x00\x00\x00\x02\x00\x00\x00\x01", "2 entries in 8 bytes"),
        (b"\xff\xff\xff\xff" + bytes(8), "entries in 12 bytes"),
        (b"\x00\x00\x00\x02" + bytes(8), "increasing order"),
        (b"\x00\x00\x00\x02\x00\x00\x00\x05\x00\x00\x00\x04", "increasing order"),
    ],
)
def test_a_broken_list_is_corrupt_data(data, reason):
    with pytest.raises(CorruptData, match=reason) as caught:
        decode_postings(data, file="b/index", start=77)
    assert (caught.value.file, caught.value.offset) == ("b/index", 77)


@given(refs)
def test_cached_postings_come_back(values):
    """ST-16: diff, varint, framed snappy, behind ``dss``."""
    data = encode_dss(array(values))
    assert data[:3] == b"dss"
    assert decode_dss(data).tolist() == sorted(values)


def test_long_lists_take_several_frames():
    values = np.cumsum(np.random.default_rng(4).integers(1, 1000, 200_000)).astype(np.uint32)
    data = encode_dss(values)
    assert data[3:13] == b"\xff\x06\x00\x00sNaPpY"
    assert np.array_equal(decode_dss(data), values)
    assert len(data) < 2 * len(values)


DELTAS = b"\x01\x01\xaa\x02\xc4\xa0\x04"
STREAM = b"dss\xff\x06\x00\x00sNaPpY\x01\x0b\x00\x00"
GOLDEN = Path(__file__).parents[1] / "golden" / "postings"


def test_values_cached_by_thanos_are_read():
    """ST-16: both codecs, and the empty list, which is a bare header."""
    lists = [[], [1, 2, 300, 70_000], [0], [TOP], list(range(10, 9_008, 3))]
    lines = (GOLDEN / "thanos-0.43.txt").read_text().splitlines()
    for expected, line in zip(lists, lines, strict=True):
        count, dss, dvs = line.split()
        assert len(expected) == int(count)
        assert decode_dss(bytes.fromhex(dss)).tolist() == expected
        assert decode_dss(bytes.fromhex(dvs)).tolist() == expected


def test_a_long_value_cached_by_thanos_is_read():
    found = decode_dss((GOLDEN / "thanos-0.43-120000.dss").read_bytes())
    assert len(found) == 120_000
    assert set(np.diff(found).tolist()) == set(range(1, 8))


def test_an_uncompressed_frame_is_read():
    crc = _masked(_crc(DELTAS)).to_bytes(4, "little")
    assert decode_dss(STREAM + crc + DELTAS).tolist() == [1, 2, 300, 70_000]


def _crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(deltas: bytes) -> bytes:
    return b"dss" + bytes(cramjam.snappy.compress(deltas))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "neither"),
        (b"ds", "neither"),
        (b"dzs123", "neither"),
        (STREAM + b"\x00\x00\x00\x00" + DELTAS, "snappy"),
        (b"dss\x00", "snappy"),
        (b"dvs\xff\xff\xff\xff\x0f\x00", "impossible size"),
        (b"dvs\x04\x00", "snappy"),
        (framed(b"\x80"), "inside a number"),
        (framed(b"\x01\xff\xff\xff\xff\x0f"), "out of range"),
        (framed(b"\xff" * 10 + b"\x01"), "out of range"),
        (framed(b"\x05\xff" + b"\xff" * 8 + b"\x01"), "out of range"),
    ],
)
def test_broken_cache_values_are_corrupt_data(data, reason):
    with pytest.raises(CorruptData, match=reason):
        decode_dss(data)


def test_references_that_fall_are_not_encoded():
    with pytest.raises(ValueError, match="increasing"):
        encode_dss(np.array([2, 1], np.uint32))


@given(st.binary(max_size=80), st.sampled_from([b"", b"dss", b"dvs", b"dss\xff\x06\x00\x00sNaPpY"]))
def test_any_bytes_give_postings_or_corrupt_data(body, head):
    for decode, data in ((decode_postings, body), (decode_dss, head + body), (decode_dss, framed(body))):
        try:
            found = decode(data)
        except CorruptData:
            continue
        assert found.dtype == np.uint32
