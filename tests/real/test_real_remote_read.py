"""Remote read: a real Prometheus asks our querier and gives the answers of the Prometheus that took the samples.

A client of our own asks both servers in both formats.
"""

import urllib.error
import urllib.request
from contextlib import contextmanager
from itertools import pairwise

import cramjam
import numpy as np
import pytest
from generated import generate
from read_messages import CHUNKS, PROTO, SAMPLES, frames
from real.answers import ask, differences
from real.conftest import prometheus_binaries
from real.plant import END_MS, START_MS
from real.prometheus import running_prometheus

from pythanos._chunks import decode_chunks

CONFIG = """
scrape_configs: []
remote_read: [{{url: "{url}/api/v1/read", read_recent: true}}]
"""
STEP = 60
EXPRESSIONS = [
    "sum by (job) (rate(requests_total[5m]))",
    '{__name__=~".+", job="db"}',
    "odd",
    "escapes",
    'count by (__name__) ({__name__!=""})',
    "native_seconds",
    "histogram_quantile(0.9, sum by (job) (rate(native_seconds[5m])))",
    "native_level",
    "native_custom",
    "native_mixed",
    "sum(increase(native_seconds[10m]))",
    "nothing_like_it",
]


@pytest.fixture(scope="module")
def reader(both, tmp_path_factory):
    """The URL of a Prometheus that has no samples but those that it reads from our querier."""
    binary, _ = prometheus_binaries("new")
    config = CONFIG.format(url=both.ours)
    with running_prometheus(binary, tmp_path_factory.mktemp("reader"), config=config) as prometheus:
        yield prometheus.url


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    return generate("remote_read_real", PROTO, tmp_path_factory.mktemp("proto"))[0]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_prometheus_that_reads_from_us_answers_as_one_that_has_the_samples(both, reader, expression):
    parameters = {"query": expression, "start": str(START_MS / 1000), "end": str(END_MS / 1000), "step": str(STEP)}
    theirs, read = (ask(url, "query_range", parameters) for url in (both.theirs, reader))
    assert differences(theirs, read, relative=1e-9) == []
    assert (theirs.size == 0) == (expression == "nothing_like_it")


def read(url, messages, accepted, pattern, *, start=START_MS, end=END_MS):
    """(headers, body) of one query for the series whose name matches."""
    matcher = messages.LabelMatcher(type=2, name="__name__", value=pattern)
    query = messages.Query(start_timestamp_ms=start, end_timestamp_ms=end, matchers=[matcher])
    message = messages.ReadRequest(queries=[query], accepted_response_types=accepted)
    body = bytes(cramjam.snappy.compress_raw(message.SerializeToString()))
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    request = urllib.request.Request(f"{url}/api/v1/read", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers, answer.read()


def key(series):
    return tuple((label.name, label.value) for label in series.labels)


def bits(value):
    """A float by its bits; Prometheus leaves out the sign of a zero, as Go's protobuf does."""
    return np.float64(value if value else 0.0).tobytes()


def counts_of(histogram):
    """Both forms of a histogram as one: count, zero count, sum, spans and absolute counts.

    Without custom bounds: Prometheus 3.5 leaves them out of this format.
    """
    integer = histogram.WhichOneof("count") == "count_int"
    count = histogram.count_int if integer else histogram.count_float
    zero = histogram.zero_count_int if integer else histogram.zero_count_float
    sides = []
    for spans, deltas, counts in (
        (histogram.positive_spans, histogram.positive_deltas, histogram.positive_counts),
        (histogram.negative_spans, histogram.negative_deltas, histogram.negative_counts),
    ):
        values = np.cumsum(deltas).astype(float) if integer else np.array(counts)
        sides.append(([(span.offset, span.length) for span in spans], values.tolist()))
    return float(count), float(zero), repr(histogram.sum), histogram.schema, sides


def test_samples_are_those_of_prometheus(both, messages):
    """The same series in the same order, every float by its bits, every histogram by its counts."""
    found = []
    for url in (both.theirs, both.ours):
        headers, body = read(url, messages, [SAMPLES], "odd|escapes|requests_total|native_.*")
        assert headers["Content-Type"] == "application/x-protobuf"
        assert headers["Content-Encoding"] == "snappy"
        answer = messages.ReadResponse.FromString(bytes(cramjam.snappy.decompress_raw(body)))
        found.append(
            [
                (
                    key(series),
                    [(sample.timestamp, bits(sample.value)) for sample in series.samples],
                    [(one.timestamp, counts_of(one)) for one in series.histograms],
                )
                for series in answer.results[0].timeseries
            ]
        )
    theirs, ours = found
    assert [one[0] for one in ours] == [one[0] for one in theirs]
    assert len(theirs) > 20
    for mine, his in zip(ours, theirs, strict=True):
        assert mine == his


def streamed(url, messages, pattern):
    """{labels: (times and values of floats, times of histograms)} in the order of the frames."""
    headers, body = read(url, messages, [CHUNKS, SAMPLES], pattern)
    assert headers["Content-Type"] == "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
    found = {}
    for frame in frames(body):
        for series in messages.ChunkedReadResponse.FromString(frame).chunked_series:
            floats, histograms = found.setdefault(key(series), ([], []))
            for chunk in series.chunks:
                data = bytes(chunk.data)
                length, encoding = np.array([len(data)], np.int32), np.array([chunk.type], np.uint8)
                decoded = decode_chunks(data, np.array([0]), length, encoding)
                floats += zip(decoded.timestamps.tolist(), decoded.values.view(np.int64).tolist(), strict=True)
                if decoded.histograms is not None:
                    histograms += decoded.histograms.timestamps.tolist()
    return found


def test_streamed_chunks_hold_the_samples_of_prometheus(both, messages):
    """The same series in the same order; in the range the same samples, each once and in order of time."""
    theirs = streamed(both.theirs, messages, "odd|escapes|requests_total|native_.*")
    ours = streamed(both.ours, messages, "odd|escapes|requests_total|native_.*")
    assert list(ours) == list(theirs)
    for labels, (floats, histograms) in ours.items():
        assert [s for s in floats if START_MS <= s[0] <= END_MS] == [
            s for s in theirs[labels][0] if START_MS <= s[0] <= END_MS
        ]
        assert [t for t in histograms if START_MS <= t <= END_MS] == [
            t for t in theirs[labels][1] if START_MS <= t <= END_MS
        ]
        assert all(a[0] < b[0] for a, b in pairwise(floats))


@contextmanager
def refused(status):
    with pytest.raises(urllib.error.HTTPError) as caught:
        yield
    assert caught.value.code == status


def test_what_is_no_request_is_refused(both, messages):
    for body in (b"", b"\xff\xff\xff", bytes(cramjam.snappy.compress_raw(b"\xff\xff"))):
        with refused(400):
            urllib.request.urlopen(urllib.request.Request(f"{both.ours}/api/v1/read", data=body), timeout=10)
    with refused(400):
        read(both.ours, messages, [7], "odd")
    with refused(405):
        urllib.request.urlopen(f"{both.ours}/api/v1/read", timeout=10)
