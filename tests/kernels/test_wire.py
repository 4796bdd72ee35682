"""SeriesResponse bytes: what the kernel writes protobuf reads, what protobuf writes the kernel reads."""

from dataclasses import replace

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from pythanos._wire import NotCanonical, decode_series, encode_series
from pythanos.errors import CorruptData
from pythanos.rpc.pb import store_pb2, types_pb2

texts = st.text(min_size=1, max_size=20)
times = st.integers(-(2**63), 2**63 - 1)
chunk = st.builds(
    types_pb2.Chunk,
    type=st.sampled_from([0, 1, 2]),
    data=st.binary(max_size=300),
)
aggregates = st.one_of(
    st.builds(types_pb2.AggrChunk, min_time=times, max_time=times, raw=chunk),
    st.builds(types_pb2.AggrChunk, min_time=times, max_time=times, count=chunk, sum=chunk, counter=chunk),
)
series = st.builds(
    types_pb2.Series,
    labels=st.lists(st.builds(types_pb2.Label, name=texts, value=texts), max_size=6),
    chunks=st.lists(aggregates, max_size=4),
)
# Two AggrChunks of the same time would fold into one message; real series never hold them.
distinct = series.filter(lambda s: len({(c.min_time, c.max_time) for c in s.chunks}) == len(s.chunks))


def with_hashes(message: types_pb2.Series) -> types_pb2.Series:
    copy = types_pb2.Series.FromString(message.SerializeToString())
    for aggregate in copy.chunks:
        for field, value in aggregate.ListFields():
            if field.message_type is not None:
                value.hash = xxhash.xxh64_intdigest(value.data)
    return copy


@given(st.lists(distinct, min_size=1, max_size=5))
def test_a_batch_survives_the_way_over_the_wire(messages):
    """Decoding and encoding again gives the same series, each chunk with the XXH64 of its data."""
    sent = store_pb2.SeriesResponse(batch=types_pb2.SeriesBatch(series=messages)).SerializeToString()
    batch, frames = decode_series(sent)
    assert frames == []
    assert len(batch) == len(messages)
    assert [int(h) for h in batch.labels.hash] == [
        xxhash.xxh64_intdigest(batch.labels.block(i)) for i in range(len(batch))
    ]
    again = store_pb2.SeriesResponse.FromString(encode_series(batch))
    assert list(again.batch.series) == [with_hashes(m) for m in messages]


@given(st.lists(distinct, min_size=1, max_size=3))
def test_single_series_messages_laid_end_to_end_decode_as_one_batch(messages):
    """A server that ignores response_batch_size sends one series a message (XC-44)."""
    batch, _ = decode_series(
        b"".join(store_pb2.SeriesResponse(series=message).SerializeToString() for message in messages)
    )
    single = [
        store_pb2.SeriesResponse.FromString(encode_series(batch, i, i + 1, batched=False)).series
        for i in range(len(batch))
    ]
    assert single == [with_hashes(m) for m in messages]


@given(st.lists(distinct, min_size=1, max_size=4), st.data())
def test_messages_with_hashes_are_passed_on_as_they_came(messages, data):
    sent = store_pb2.SeriesResponse(batch=types_pb2.SeriesBatch(series=map(with_hashes, messages)))
    batch, _ = decode_series(sent.SerializeToString() * 2)
    if batch.chunk_count and not all(c.data for m in messages for a in m.chunks for _, c in a.ListFields()[2:]):
        return
    first = data.draw(st.integers(0, len(batch) - 1))
    stop = data.draw(st.integers(first + 1, len(batch)))
    again = store_pb2.SeriesResponse.FromString(encode_series(batch, first, stop))
    assert list(again.batch.series) == (list(sent.batch.series) * 2)[first:stop]


def test_a_record_outside_of_the_arena_is_refused():
    sent = store_pb2.SeriesResponse(batch=types_pb2.SeriesBatch(series=[types_pb2.Series()])).SerializeToString()
    batch, _ = decode_series(sent)
    for wire in ([[0, 100]], [[-1, 2]], [[3, 2]], np.empty((0, 2))):
        with pytest.raises(ValueError):
            encode_series(replace(batch, wire=np.array(wire, np.int64)))


def test_a_range_of_rows_encodes_just_those():
    messages = [
        types_pb2.Series(
            labels=[types_pb2.Label(name="a", value=str(i))],
            chunks=[types_pb2.AggrChunk(min_time=i, max_time=i + 1, raw=types_pb2.Chunk(data=bytes([i]) * i))],
        )
        for i in range(1, 9)
    ]
    sent = store_pb2.SeriesResponse(batch=types_pb2.SeriesBatch(series=messages)).SerializeToString()
    batch, _ = decode_series(sent)
    again = store_pb2.SeriesResponse.FromString(encode_series(batch, 3, 5))
    assert list(again.batch.series) == [with_hashes(m) for m in messages[3:5]]


def test_warnings_and_hints_come_out_beside_the_series():
    sent = store_pb2.SeriesResponse(warning="slow").SerializeToString()
    hints = store_pb2.SeriesResponse()
    hints.hints.type_url = "type.googleapis.com/x"
    batch, frames = decode_series(sent + hints.SerializeToString())
    assert batch is None
    assert frames == [(2, b"slow"), (3, hints.hints.SerializeToString())]


def test_labels_that_are_not_in_one_run_are_not_canonical():
    label = types_pb2.Series(labels=[types_pb2.Label(name="a", value="b")]).SerializeToString()
    chunks = types_pb2.Series(chunks=[types_pb2.AggrChunk(min_time=1)]).SerializeToString()
    body = label + chunks + label
    with pytest.raises(NotCanonical):
        decode_series(b"\x0a" + bytes([len(body)]) + body)


@given(st.binary(max_size=200), st.lists(distinct, min_size=1, max_size=2), st.data())
def test_any_bytes_give_a_batch_or_a_clear_error(noise, messages, data):
    """Garbage and torn messages raise CorruptData or NotCanonical, nothing else."""
    sent = store_pb2.SeriesResponse(batch=types_pb2.SeriesBatch(series=messages)).SerializeToString()
    torn = bytearray(sent[: data.draw(st.integers(0, len(sent)))])
    if torn:
        torn[data.draw(st.integers(0, len(torn) - 1))] ^= data.draw(st.integers(1, 255))
    for received in (noise, bytes(torn)):
        try:
            batch, _ = decode_series(received)
        except (CorruptData, NotCanonical):
            continue
        if batch is not None:
            assert int(batch.chunk_start[-1]) == batch.chunk_count
            assert np.all(batch.labels.offset + batch.labels.length <= len(received))
            assert np.all(batch.chunk_offset + batch.chunk_length <= len(received))


def test_an_empty_range_cannot_be_encoded():
    batch, _ = decode_series(
        store_pb2.SeriesResponse(
            series=types_pb2.Series(labels=[types_pb2.Label(name="a", value="b")])
        ).SerializeToString()
    )
    with pytest.raises(ValueError, match="0 series"):
        encode_series(batch, 1, 1)
