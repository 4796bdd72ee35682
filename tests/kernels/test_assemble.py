"""Chunk records out of byte ranges: whole, cut, damaged, random; and what becomes of them."""

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from pythanos import _labels
from pythanos._assemble import assemble
from pythanos._symbols import crc32c_of
from pythanos._wire import encode_series
from pythanos.errors import CorruptData
from pythanos.rpc.pb import store_pb2
from pythanos.testing.block_builder import EncodedChunk, aggregate_chunk
from pythanos.testing.fake_store import series_of


def uvarint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def record(data, encoding=1):
    body = bytes([encoding]) + data
    return uvarint(len(data)) + body + crc32c_of(body).to_bytes(4, "big")


def places(*values):
    return np.array(values, np.int64)


def parts(*values):
    return np.array(values, np.int32)


def assembled(data, part, place, **options):
    """All records as chunks of one series."""
    labels, m = _labels.labels_from_dicts([{"a": "1"}]), len(place)
    times = np.arange(m, dtype=np.int64)
    return assemble(labels, places(0, m), times, times, data, part, place, **options)


def rows_of(batch):
    return [(row.data, row.encoding, row.aggregate) for _, rows in series_of(batch) for row in rows]


@pytest.mark.parametrize("wire", [False, True])
def test_whole_records_become_chunks(wire):
    data = record(b"abc") + record(b"x" * 300, 3)
    at = places(4, 4 + len(record(b"abc")))
    batch, missing, needed = assembled([b"skip" + data], parts(0, 0), at, wire=wire)
    assert rows_of(batch) == [(b"abc", 1, 0), (b"x" * 300, 3, 0)]
    assert len(missing) == len(needed) == 0


@given(st.integers(0, 400), st.data())
def test_a_cut_record_is_missing_and_its_length_known_once_its_header_is_there(size, data):
    whole = record(b"y" * size)
    cut = data.draw(st.integers(0, len(whole) - 1))
    batch, missing, needed = assembled([whole[:cut]], parts(0), places(0))
    assert batch is None
    assert missing.tolist() == [0]
    header = len(uvarint(size))
    assert needed.tolist() == [len(whole)] if cut >= header else needed[0] > cut


def test_records_behind_a_missing_one_are_checked_all_the_same():
    whole = record(b"abc")
    batch, missing, _ = assembled([whole[:4], whole, whole[:5]], parts(0, 1, 2), places(0, 0, 0))
    assert batch is None and missing.tolist() == [0, 2]
    with pytest.raises(CorruptData, match="checksum"):
        assembled([whole[:4], whole[:-1] + b"!"], parts(0, 1), places(0, 0))


@pytest.mark.parametrize("at", [1, 2, 3, 5, 6, 7])
def test_a_changed_byte_is_found_and_placed(at):
    damaged = bytearray(record(b"abc"))
    damaged[at] ^= 1
    with pytest.raises(CorruptData) as raised:
        assembled([b"", b"...." + bytes(damaged)], parts(1), places(4), files=["a", "b"], part_start=[0, 100])
    assert (raised.value.file, raised.value.offset) == ("b", 104)


def test_a_place_outside_of_what_was_fetched_is_an_error():
    for part, place in ((0, -1), (0, 1000), (-1, 0), (1, 0)):
        with pytest.raises(CorruptData, match="outside"):
            assembled([record(b"abc")], parts(part), places(place))


def test_an_encoding_that_nobody_knows_is_an_error():
    for encoding in (0, 7, 200):
        with pytest.raises(CorruptData, match=f"unknown chunk encoding {encoding}"):
            assembled([record(b"abc", encoding)], parts(0), places(0))


@given(st.binary(max_size=200), st.lists(st.integers(-5, 210), min_size=1, max_size=5), st.booleans())
def test_any_bytes_give_chunks_or_corrupt_data(data, starts, check):
    part, options = parts(*[0] * len(starts)), {"aggregates": (1, 3, 5), "check_crc": check}
    try:
        batch, missing, needed = assembled([data], part, places(*starts), wire=check, **options)
    except CorruptData:
        return
    assert all(needed > 0) and len(missing) == len(needed)
    assert (batch is None) == (len(missing) > 0)


@given(st.binary(max_size=60), st.sets(st.integers(1, 5)))
def test_any_aggregate_chunk_gives_chunks_or_corrupt_data(data, wanted):
    try:
        batch, _, _ = assembled([record(data, 0xFF)], parts(0), places(0), aggregates=tuple(wanted), wire=True)
    except CorruptData:
        return
    assert batch.chunk_count <= len(wanted) and batch.chunk_length.sum() <= len(data)


def build(labels, chunk_start, chunks, **options):
    """A batch of encoded chunks, each in a range of its own, backwards."""
    data = [record(chunk.data, chunk.encoding) for chunk in chunks]
    part = np.arange(len(data), dtype=np.int32)[::-1].copy()
    place = np.full(len(data), 2, np.int64)
    held = [b"//" + one for one in reversed(data)]
    batch, missing, _ = assemble(
        _labels.labels_from_dicts(labels),
        np.array(chunk_start, np.int64),
        np.array([chunk.mint for chunk in chunks], np.int64),
        np.array([chunk.maxt for chunk in chunks], np.int64),
        held,
        part,
        place,
        **options,
    )
    assert not len(missing)
    return batch


def test_series_keep_their_labels_and_chunks():
    labels = [{"a": "1"}, {"a": "2", "b": "x" * 200}, {"c": "3"}]
    chunks = [EncodedChunk(1, 2, b"one"), EncodedChunk(3, 4, b"two", 4), EncodedChunk(5, 6, b"")]
    found = series_of(build(labels, [0, 2, 2, 3], chunks))
    assert [own for own, _ in found] == [{"a": "1"}, {"a": "2", "b": "x" * 200}, {"c": "3"}]
    rows = [[(row.mint, row.maxt, row.data, row.encoding, row.aggregate) for row in own] for _, own in found]
    assert rows == [[(1, 2, b"one", 1, 0), (3, 4, b"two", 4, 0)], [], [(5, 6, b"", 1, 0)]]


@pytest.mark.parametrize("wanted", [(), (1,), (5, 2), (1, 2, 3, 4, 5)])
def test_only_wanted_aggregates_are_copied_each_with_its_own_encoding(wanted):
    inner = {1: EncodedChunk(0, 9, b"count"), 2: EncodedChunk(0, 9, b"sum", 3), 5: EncodedChunk(0, 9, b"counter")}
    chunks = [aggregate_chunk(inner), EncodedChunk(10, 19, b"raw")]
    ((_, rows),) = series_of(build([{"a": "1"}], [0, 2], chunks, aggregates=wanted))
    expected = [(kind, inner[kind].data, inner[kind].encoding) for kind in sorted(wanted) if kind in inner]
    assert [(row.aggregate, row.data, row.encoding) for row in rows] == [*expected, (0, b"raw", 1)]


def test_words_may_be_loaded_beyond_the_last_chunk():
    batch = build([{"a": "1"}], [0, 1], [EncodedChunk(0, 1, b"end")])
    end = int(batch.chunk_offset[-1] + batch.chunk_length[-1])
    assert bytes(batch.labels.arena)[end:] == bytes(16)


def test_the_records_of_the_wire_are_the_series():
    """``wire`` names what encode_series would write of the columns, with the hash of each chunk."""
    inner = {1: EncodedChunk(0, 9, b"count"), 2: EncodedChunk(0, 9, b"sum", 3)}
    labels = [{"a": "1"}, {"a": "2"}, {"a": "3"}]
    chunks = [aggregate_chunk(inner), EncodedChunk(10, 19, b"raw" * 100), EncodedChunk(-5, 6, b"")]
    plain = build(labels, [0, 2, 2, 3], chunks, aggregates=(1, 2))
    wired = build(labels, [0, 2, 2, 3], chunks, aggregates=(1, 2), wire=True)
    assert plain.wire is None
    assert series_of(wired) == series_of(plain)
    assert encode_series(wired) == encode_series(plain)
    assert encode_series(wired, 1, 3) == encode_series(plain, 1, 3)
    assert encode_series(wired, 2, 3, batched=False) == encode_series(plain, 2, 3, batched=False)


def test_columns_that_do_not_fit_are_refused():
    labels = _labels.labels_from_dicts([{"a": "1"}])
    data, one = [record(b"abc")], np.array([1], np.int64)
    for start, times in (([0, 2], one), ([0], one), ([0, 1], one[:0]), ([1, 0], one)):
        with pytest.raises(ValueError):
            assemble(labels, np.array(start, np.int64), times, one, data, parts(0), places(0))


@given(st.lists(st.binary(max_size=150), min_size=1, max_size=4), st.booleans())
def test_the_hash_on_the_wire_is_that_of_the_data(datas, check):
    held = b"".join(map(record, datas))
    at = np.cumsum([0, *(len(record(data)) for data in datas[:-1])])
    batch, _, _ = assembled([held], parts(*[0] * len(datas)), at, wire=True, check_crc=check)
    (series,) = store_pb2.SeriesResponse.FromString(encode_series(batch)).batch.series
    chunks = [chunk.raw for chunk in series.chunks]
    assert [(chunk.data, chunk.hash) for chunk in chunks] == [(data, xxhash.xxh64_intdigest(data)) for data in datas]
