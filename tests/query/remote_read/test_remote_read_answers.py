"""Remote read answers over a store in memory, read by messages that are not ours."""

import struct
from itertools import pairwise

import numpy as np
import pytest
from generated import generate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from read_messages import PROTO, frames

from pythanos._chunks import decode_chunks, encode_floats
from pythanos._histogram_encode import encode_histograms
from pythanos._remote_read import chunk_frames, sample_series
from pythanos.context import RequestContext
from pythanos.errors import BadRequest
from pythanos.model.chunks import FLOAT_HISTOGRAM, XOR, XOR2
from pythanos.model.histogram import NOT_COUNTER_RESET, HistogramColumns, HistogramLayouts
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.resolution import RAW
from pythanos.model.series import SampleBatch
from pythanos.query.remote_read.answers import ReadOptions, read_chunks, read_samples
from pythanos.query.remote_read.requests import ReadQuery
from pythanos.storeapi.requests import PartialResponse
from pythanos.testing.fake_store import ChunkRow, FakeStore, batch_of

QUERY = ReadQuery(0, 1_000_000, (Matcher(MatchType.RE, "__name__", ".+"),))
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
# Schema 0, a positive span of two buckets from bucket 1, a negative one of one bucket.
LAYOUT = HistogramLayouts(
    np.array([0], np.int32),
    np.array([0.5]),
    np.array([0, 2]),
    np.array([1]),
    np.array([1, -3], np.int32),
    np.array([2, 1], np.uint32),
    np.array([0, 0]),
    np.zeros(0),
    np.array([2]),
    np.array([1]),
)


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """Prometheus' messages."""
    return generate("remote_read_test", PROTO, tmp_path_factory.mktemp("proto"))[0]


def floats(samples, encoding=XOR):
    times, values = np.array([t for t, _ in samples]), np.array([v for _, v in samples], np.float64)
    data, _, _ = encode_floats(times, values, [0, len(times)], encoding)
    return ChunkRow(samples[0][0], samples[-1][0], bytes(data), encoding)


def histograms(samples):
    """A chunk of (t, three counts); count is their sum, sum the first of them; zero count 4."""
    n = len(samples)
    buckets = np.array([counts for _, counts in samples], np.float64)
    columns = HistogramColumns(
        np.array([0, n]),
        np.array([0], np.uint8),
        np.array([t for t, _ in samples], np.int64),
        buckets.sum(axis=1),
        np.full(n, 4.0),
        np.ascontiguousarray(buckets[:, 0]),
        np.full(n, NOT_COUNTER_RESET, np.uint8),
        np.zeros(n, np.int32),
        LAYOUT,
        np.arange(n + 1) * 3,
        buckets.ravel(),
    )
    data, _, _, _ = encode_histograms(columns, np.array([FLOAT_HISTOGRAM], np.uint8))
    return ChunkRow(samples[0][0], samples[-1][0], bytes(data), FLOAT_HISTOGRAM)


def labels_of(series):
    return {label.name: label.value for label in series.labels}


def decoded(chunk):
    data = bytes(chunk.data)
    return decode_chunks(data, np.array([0]), np.array([len(data)], np.int32), np.array([chunk.type], np.uint8))


def float_samples(chunks):
    return [
        sample
        for chunk in chunks
        for sample in zip(decoded(chunk).timestamps.tolist(), decoded(chunk).values.tolist(), strict=True)
    ]


def sampled(messages, store, options=None, query=QUERY):
    """(labels, TimeSeries) of an answer in samples."""
    body = b"".join(read_samples(RequestContext(), store, query, options or ReadOptions()))
    return [(labels_of(series), series) for series in messages.QueryResult.FromString(body).timeseries]


def chunked(messages, store, options=None, query_index=0):
    """(labels, chunks) of each frame of an answer in chunks."""
    body = b"".join(read_chunks(RequestContext(), store, QUERY, options or ReadOptions(), query_index=query_index))
    out = []
    for frame in frames(body):
        message = messages.ChunkedReadResponse.FromString(frame)
        assert message.query_index == query_index
        (series,) = message.chunked_series
        out.append((labels_of(series), list(series.chunks)))
    return out


def test_samples_are_those_in_the_range_in_label_order(messages):
    """Values keep their bits; a series without samples in the range is left out."""
    store = FakeStore(
        [
            ({"__name__": "b", "x": "ü"}, [floats([(10, -0.0), (20, 0.0), (30, STALE), (2_000_000, 1.0)])]),
            ({"__name__": "a"}, [floats([(5, 1.5)])]),
            ({"__name__": "c"}, [floats([(5, 1.0), (2_000_000, 1.0)])]),
        ]
    )
    found = sampled(messages, store, query=ReadQuery(6, 100, QUERY.matchers))
    assert [labels for labels, _ in found] == [{"__name__": "b", "x": "ü"}]
    samples = found[0][1].samples
    assert [sample.timestamp for sample in samples] == [10, 20, 30]
    bits = [struct.pack("<d", sample.value) for sample in samples]
    assert bits == [struct.pack("<d", value) for value in (-0.0, 0.0, STALE)]


def test_histograms_are_sampled_with_float_counts(messages):
    store = FakeStore([({"__name__": "h"}, [histograms([(10, (1, 2, 3)), (20, (2, 4, 5))])])])
    ((_, series),) = sampled(messages, store)
    first, second = series.histograms
    assert (first.timestamp, first.count_float, first.sum, first.zero_count_float) == (10, 6, 1, 4)
    assert (first.schema, first.zero_threshold) == (0, 0.5)
    assert [(span.offset, span.length) for span in first.positive_spans] == [(1, 2)]
    assert [(span.offset, span.length) for span in first.negative_spans] == [(-3, 1)]
    assert (list(second.positive_counts), list(second.negative_counts)) == ([2, 4], [5])


def test_more_samples_than_the_limit_are_refused(messages):
    store = FakeStore([({"__name__": "a"}, [floats([(t, 1.0) for t in range(11)])])])
    assert sampled(messages, store, ReadOptions(samples_max=11))
    with pytest.raises(BadRequest, match=r"exceeded sample limit \(10\)"):
        sampled(messages, store, ReadOptions(samples_max=10))


def test_chunks_pass_as_they_are(messages):
    """Bytes, times and encodings are those of the store, histogram chunks among them."""
    rows = [floats([(1, 1.0), (2, 2.0)]), histograms([(3, (1, 2, 3))]), floats([(5, 1.0)])]
    ((labels, chunks),) = chunked(messages, FakeStore([({"__name__": "a", "b": "c"}, rows)]), query_index=3)
    assert labels == {"__name__": "a", "b": "c"}
    assert [ChunkRow(c.min_time_ms, c.max_time_ms, c.data, c.type, RAW) for c in chunks] == rows


def test_a_frame_ends_where_it_is_full(messages):
    """One series per frame; the chunk by which a frame reaches its size is its last."""
    rows = [floats([(t, float(t))]) for t in range(1, 8)]
    store = FakeStore([({"__name__": name}, rows) for name in ("a", "b")])
    found = chunked(messages, store, ReadOptions(frame_bytes=80))
    assert [labels["__name__"] for labels, _ in found] == ["a"] * 2 + ["b"] * 2
    assert [len(chunks) for _, chunks in found] == [4, 3] * 2
    assert [len(chunks) for _, chunks in chunked(messages, store, ReadOptions(frame_bytes=1))] == [1] * 14


def test_overlapping_chunks_are_deduplicated_and_encoded_anew(messages):
    """What replicas have in common comes once, in chunks that follow one another, at most 120 samples each."""
    one = [(t, 1.0) for t in range(0, 300_000, 1000)]
    other = [(t + 400, 1.0) for t in range(0, 300_000, 1000)]
    store = FakeStore([({"__name__": "a"}, [floats(one), floats(other)]), ({"__name__": "b"}, [floats(one)])])
    found = chunked(messages, store, ReadOptions(replica_labels=("replica",)))
    assert [labels["__name__"] for labels, _ in found] == ["a", "b"]
    for _, chunks in found:
        assert float_samples(chunks) == one
        assert [len(decoded(chunk).timestamps) for chunk in chunks] == [120, 120, 60]
        assert all(a.max_time_ms < b.min_time_ms for a, b in pairwise(chunks))


def test_floats_between_histograms_are_encoded_anew_in_order_of_time(messages):
    rows = [floats([(10, 1.0), (40, 2.0)]), histograms([(20, (1, 2, 3)), (30, (2, 3, 4)), (50, (3, 4, 5))])]
    ((_, chunks),) = chunked(messages, FakeStore([({"__name__": "m"}, rows)]))
    assert [(c.type, c.min_time_ms, c.max_time_ms) for c in chunks] == [
        (XOR, 10, 10),
        (FLOAT_HISTOGRAM, 20, 30),
        (XOR, 40, 40),
        (FLOAT_HISTOGRAM, 50, 50),
    ]
    found = decoded(chunks[1]).histograms
    assert found.positive_counts(1).tolist() == [2, 3]
    assert found.negative_counts(1).tolist() == [4]


def test_a_counter_reset_begins_a_chunk(messages):
    """Inside a chunk of histograms a reader takes it that there was no reset."""
    rows = [
        histograms([(10, (5, 5, 5)), (20, (6, 6, 6))]),
        histograms([(30, (1, 1, 1))]),
        floats([(25, 1.0), (35, 1.0)]),
    ]
    ((_, chunks),) = chunked(messages, FakeStore([({"__name__": "m"}, rows)]))
    assert [(c.type, c.min_time_ms) for c in chunks] == [
        (FLOAT_HISTOGRAM, 10),
        (XOR, 25),
        (FLOAT_HISTOGRAM, 30),
        (XOR, 35),
    ]


def test_encodings_that_older_clients_do_not_know_are_encoded_anew(messages):
    samples = [(t, float(t)) for t in range(0, 5000, 500)]
    ((_, (chunk,)),) = chunked(messages, FakeStore([({"__name__": "a"}, [floats(samples, XOR2)])]))
    assert chunk.type == XOR
    assert float_samples([chunk]) == samples


def test_the_store_is_asked_for_raw_chunks_and_nothing_partial():
    """An answer cannot say that something is missing."""
    store = FakeStore([({"__name__": "a", "replica": "x"}, [floats([(1, 1.0)])])])
    list(read_chunks(RequestContext(), store, QUERY, ReadOptions(("replica",)), query_index=0))
    list(read_chunks(RequestContext(), store, QUERY, ReadOptions(partial_response=True), query_index=0))
    first, second = store.requests
    assert (first.partial_response, second.partial_response) == (PartialResponse.ABORT, PartialResponse.WARN)
    assert first.without_replica_labels == ("replica",)
    assert (first.aggregates, first.max_resolution_ms) == ((RAW,), 0)


def test_nothing_makes_no_frames():
    assert chunk_frames(batch_of([])) == b""
    assert chunk_frames(batch_of([({"a": "b"}, [])])) == b""


def test_columns_that_point_outside_are_refused():
    batch = batch_of([({"a": "b"}, [floats([(1, 1.0)])])])
    batch.chunk_length = batch.chunk_length + 1
    with pytest.raises(ValueError, match="outside"):
        chunk_frames(batch)
    batch = batch_of([({"a": "b"}, [floats([(1, 1.0)])])])
    batch.chunk_start = np.array([0, 2])
    with pytest.raises(ValueError, match="outside"):
        chunk_frames(batch)


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 10**6), st.floats(allow_nan=False)), max_size=300, unique_by=lambda s: s[0]),
        max_size=4,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_samples_survive_both_formats(messages, samples_of_series):
    """Random samples through chunks that overlap, decoded by a reader of chunks, are the same."""
    series = []
    for number, samples in enumerate(samples_of_series):
        ordered = sorted(samples)
        halves = [ordered[::2], ordered[1::2]]
        rows = sorted((floats(half) for half in halves if half), key=lambda row: (row.mint, row.maxt))
        series.append(({"__name__": str(number)}, rows))
    store = FakeStore(series)
    options = ReadOptions(("replica",), "chain")
    body = b"".join(read_chunks(RequestContext(), store, QUERY, options, query_index=0))
    assert sum(1 for _ in frames(body)) == sum(1 for samples in samples_of_series if samples)
    whole = messages.QueryResult.FromString(b"".join(read_samples(RequestContext(), store, QUERY, options)))
    found = {labels_of(one)["__name__"]: [(s.timestamp, s.value) for s in one.samples] for one in whole.timeseries}
    assert found == {str(n): sorted(samples) for n, samples in enumerate(samples_of_series) if samples}
    again = {}
    for frame in frames(body):
        (one,) = messages.ChunkedReadResponse.FromString(frame).chunked_series
        again.setdefault(labels_of(one)["__name__"], []).extend(float_samples(one.chunks))
    assert again == found


def test_sample_columns_that_do_not_fit_are_refused():
    labels = batch_of([({"a": "b"}, [])]).labels
    with pytest.raises(ValueError, match="outside"):
        sample_series(SampleBatch(labels, np.array([0, 3]), np.zeros(2, np.int64), np.zeros(2)))
    with pytest.raises(ValueError, match="length"):
        sample_series(SampleBatch(labels, np.array([0, 1, 1]), np.zeros(2, np.int64), np.zeros(2)))
