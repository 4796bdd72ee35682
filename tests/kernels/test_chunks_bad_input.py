"""Chunks that are damaged or made up give CorruptData; columns that do not fit together a ValueError."""

from __future__ import annotations

import base64
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pythanos._chunks import decode_chunks, encode_floats, encode_histograms, join_aggregates, split_aggregates
from pythanos.errors import CorruptData
from pythanos.model.chunks import AGGREGATE, FLOAT_HISTOGRAM, HISTOGRAM, HISTOGRAM_ST, XOR

sys.path.insert(0, str(Path(__file__).parent))
import chunk_reference as reference
import histogram_reference as histograms
from chunk_cases import CASES, FLOATS, HISTOGRAMS, case_name, decode


def expect_corrupt(chunks: Sequence[bytes], encodings: Sequence[int], reason: str) -> CorruptData:
    with pytest.raises(CorruptData, match=reason) as caught:
        decode(chunks, encodings, file="chunks/000007")
    assert caught.value.file == "chunks/000007"
    return caught.value


def test_unknown_encoding_is_named() -> None:
    """XC-80: an encoding from the future is an error that names it, never skipped."""
    expect_corrupt([b"\0\0\0\0"], [77], "encoding 77: unknown chunk encoding")
    expect_corrupt([b"\0\0\0\0"], [AGGREGATE], "aggregate: unknown chunk encoding")


@pytest.mark.parametrize("encoding", [*FLOATS, *HISTOGRAMS])
def test_cut_chunks(encoding: int) -> None:
    """A chunk cut anywhere before its last byte is corrupt, with an offset inside it."""
    case = next(c for c in CASES if c["Encoding"] == encoding and c["Name"].startswith(("wild", "counter")))
    data = base64.b64decode(case["Data"])
    for size in range(len(data) - 1):
        with pytest.raises(CorruptData) as caught:
            decode([data[:size]], [encoding])
        assert 0 <= caught.value.offset <= size
    front = b"x" * 100
    with pytest.raises(CorruptData) as caught:
        decode_chunks(front + data[:-1], [100], [len(data) - 1], [encoding])
    assert 100 < caught.value.offset <= 100 + len(data)


@pytest.mark.parametrize("encoding", [*FLOATS, *HISTOGRAMS])
def test_announced_counts_are_not_believed(encoding: int) -> None:
    """65535 samples in a few bytes are refused before memory is taken for them."""
    expect_corrupt([b"\xff\xff\x00" + bytes(60)], [encoding], "more samples than it can hold")


def test_announced_buckets_are_not_believed() -> None:
    """A span of 2^32 - 1 buckets in a chunk of a hundred bytes is refused before memory is taken for them."""
    w = reference.Writer()
    histograms.put_layout(w, histograms.Layout(0, 0.0, [(0, (1 << 32) - 1)]))
    expect_corrupt([b"\0\x01\0" + w.bytes() + bytes(100)], [HISTOGRAM], "layout is larger than its chunk")


def test_schema_from_the_future() -> None:
    """A schema that Prometheus does not know is refused."""
    chunk = histograms.encode_histograms(histograms.Layout(53), [histograms.Histogram(1, 0, 0, 0)])
    expect_corrupt([chunk], [HISTOGRAM], "unknown histogram schema")


def test_impossible_window() -> None:
    """31 leading zeros and 64 significant bits are corrupt, not a shift by a negative number."""
    w = reference.Writer()
    w.bits(2, 16)
    w.varint(0)
    w.bits(0, 64)
    w.uvarint(1)
    w.text("11" + "11111" + "000000")
    w.bits(0, 64)
    expect_corrupt([w.bytes()], [XOR], "more than 64 bits")


@pytest.mark.parametrize(("offset", "length"), [(-1, 2), (0, -1), (9, 2), (1 << 62, 1), (0, 11)])
def test_chunk_outside_the_arena(offset: int, length: int) -> None:
    """A chunk that is not inside the arena is corrupt for every encoding."""
    for encoding in (*FLOATS, *HISTOGRAMS):
        with pytest.raises(CorruptData, match="not inside"):
            decode_chunks(bytes(10), [offset], [length], [encoding])
    with pytest.raises(CorruptData, match="not inside"):
        split_aggregates(bytes(10), [offset], [length], [AGGREGATE])


def test_aggregate_longer_than_its_chunk() -> None:
    """Lengths of aggregates are checked, and the last one may be missing only as a zero."""
    for data in (b"\x05\x01abc", b"\x03\x01ab", b"\0\0\0\0", b"\xff" * 11, b""):
        with pytest.raises(CorruptData):
            split_aggregates(data, [0], [len(data)], [AGGREGATE])


@pytest.mark.parametrize("case", CASES[::3], ids=case_name)
def test_flipped_bits(case: dict[str, Any]) -> None:
    """Each byte of a real chunk flipped gives a value or CorruptData."""
    data = bytearray(base64.b64decode(case["Data"]))
    for i in range(min(len(data), 400)):
        for mask in (0xFF, 0x10):
            data[i] ^= mask
            try:
                decode([bytes(data)], [case["Encoding"]])
            except CorruptData as error:
                assert 0 <= error.offset <= len(data)
            data[i] ^= mask


# Arguments that do not fit together


def test_float_encoder_checks_its_columns() -> None:
    """Lengths, cuts and encodings that do not fit are ValueErrors."""
    times, values = np.arange(4), np.arange(4.0)
    for start in ([0, 3], [1, 4], [0, 5], [0, 3, 2, 4], []):
        with pytest.raises(ValueError):
            encode_floats(times, values, start)
    with pytest.raises(ValueError):
        encode_floats(times, values[:3], [0, 4])
    with pytest.raises(ValueError):
        encode_floats(times, values, [0, 4], HISTOGRAM)
    with pytest.raises(ValueError):
        encode_floats(np.arange(65536), np.arange(65536.0), [0, 65536])
    assert encode_floats([], [], [0])[0] == b""


def test_histogram_encoder_checks_its_columns() -> None:
    """Rows of different layouts, kinds or sizes, and samples behind a stale one, do not share a chunk."""
    chunks = [
        base64.b64decode(c["Data"]) for c in CASES if c["Encoding"] == HISTOGRAM and c["Name"] == "counter part 0"
    ]
    chunks += [
        base64.b64decode(c["Data"]) for c in CASES if c["Encoding"] == HISTOGRAM and c["Name"] == "custom bounds part 0"
    ]
    columns = decode(chunks, [HISTOGRAM] * 2, exact=True).histograms
    assert columns is not None and columns.integers is not None
    rows = len(columns)
    stale = columns.sum.copy()
    stale.view(np.uint64)[3] = reference.STALE
    mixed = dataclasses.replace(columns.integers, integer=np.arange(rows) > 3)
    short = dataclasses.replace(columns.integers, buckets=columns.integers.buckets[:-1])
    for change in (
        {"start": np.array([0, rows])},
        {"start": np.array([0, rows - 1])},
        {"sum": stale},
        {"integers": mixed},
        {"integers": short},
        {"layout": columns.layout + 1},
        {"bucket_start": columns.bucket_start[::-1]},
        {"buckets": columns.buckets[:-1]},
        {"bucket_start": np.arange(rows + 1)},
    ):
        with pytest.raises(ValueError):
            encode_histograms(dataclasses.replace(columns, **change))
    with pytest.raises(ValueError):
        encode_histograms(columns, [FLOAT_HISTOGRAM, HISTOGRAM])
    with pytest.raises(ValueError):
        encode_histograms(columns, [HISTOGRAM_ST, HISTOGRAM])
    with pytest.raises(ValueError):
        encode_histograms(columns, [XOR, XOR])


def test_aggregate_joiner_checks_its_columns() -> None:
    """Kinds out of order and chunks outside the arena are ValueErrors."""
    for kind, offset, length in (
        ([2, 1], [0, 1], [1, 1]),
        ([0, 1], [0, 1], [1, 1]),
        ([1, 2], [0, 3], [1, 2]),
        ([1, 1], [0, 1], [1, 1]),
    ):
        with pytest.raises(ValueError):
            join_aggregates(b"abcd", [0, 2], kind, offset, length, [XOR, XOR])
