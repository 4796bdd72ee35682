"""Chunks: the kernels against the readable codec, chunks written by Prometheus and Thanos, and garbage."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pythanos import _chunks, _histogram_decode
from pythanos._chunks import decode_chunks, encode_floats, encode_histograms, join_aggregates, split_aggregates
from pythanos.errors import CorruptData
from pythanos.model.chunks import AGGREGATE, FLOAT_HISTOGRAM, FLOAT_HISTOGRAM_ST, HISTOGRAM, HISTOGRAM_ST, XOR, XOR2
from pythanos.model.histogram import HistogramColumns

sys.path.insert(0, str(Path(__file__).parent))
import chunk_reference as reference
import histogram_reference as histograms
from chunk_cases import CASES, FLOATS, HISTOGRAMS, case_name, decode, golden


@pytest.fixture(scope="module", params=[True, False], ids=["plain", "widest"], autouse=True)
def plain(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Everything with the instructions of every processor, and with those of this one."""
    _chunks.limit_instructions(request.param)
    _histogram_decode.limit_instructions(request.param)
    yield request.param
    _chunks.limit_instructions(False)
    _histogram_decode.limit_instructions(False)


def bits(values: np.ndarray) -> list[int]:
    return values.view(np.uint64).tolist()


def hex_bits(value: float) -> str:
    return f"{reference.float_bits(float(value)):x}"


# Chunks that Prometheus wrote


@pytest.mark.parametrize("case", [c for c in CASES if c["Encoding"] in FLOATS], ids=case_name)
def test_float_chunks_of_prometheus(case: dict[str, Any]) -> None:
    """Samples and start timestamps are those that Prometheus reads, and encoding them gives its bytes."""
    data, encoding = base64.b64decode(case["Data"]), case["Encoding"]
    decoded = decode([data], [encoding])
    assert decoded.timestamps.tolist() == (case["T"] or [])
    assert [f"{value:x}" for value in bits(decoded.values)] == case.get("V", [])
    starts = decoded.start_timestamps
    assert (starts.tolist() if starts is not None else [0] * len(decoded.values)) == (case["ST"] or [])
    if "reopened" in case["Name"]:  # written by an appender whose window was reset: nothing in the samples tells
        return
    arena, offset, length = encode_floats(decoded.timestamps, decoded.values, decoded.start, encoding, starts)
    assert (arena, offset.tolist(), length.tolist()) == (data, [0], [len(data)])


def histogram_row(columns: HistogramColumns, row: int, floats: bool) -> dict[str, Any]:
    """A row in the words of the golden file."""
    layouts, layout = columns.layouts, int(columns.layout[row])
    positive, negative = columns.positive_counts(row), columns.negative_counts(row)
    if floats:
        count, zero_count, text = columns.count[row], columns.zero_count[row], hex_bits
    else:
        assert columns.integers is not None
        begin, end = columns.bucket_start[row : row + 2]
        exact = columns.integers.buckets[begin:end]
        assert exact.astype(float).tolist() == [*positive, *negative]
        positive, negative = exact[: len(positive)], exact[len(positive) :]
        count, zero_count, text = columns.integers.count[row], columns.integers.zero_count[row], str
        assert (columns.count[row], columns.zero_count[row]) == (float(count), float(zero_count))
    return {
        "Hint": int(columns.reset_hint[row]),
        "Schema": int(layouts.schema[layout]),
        "ZeroThreshold": hex_bits(layouts.zero_threshold[layout]),
        "Count": text(count),
        "ZeroCount": text(zero_count),
        "Sum": hex_bits(columns.sum[row]),
        "PSpans": [list(span) for span in layouts.positive_spans(layout)],
        "NSpans": [list(span) for span in layouts.negative_spans(layout)],
        "Pos": [text(value) for value in positive],
        "Neg": [text(value) for value in negative],
        "Custom": [hex_bits(bound) for bound in layouts.custom_bounds(layout)],
    }


@pytest.mark.parametrize("case", [c for c in CASES if c["Encoding"] in HISTOGRAMS], ids=case_name)
def test_histogram_chunks_of_prometheus(case: dict[str, Any]) -> None:
    """Every field is what Prometheus reads, and encoding the columns gives its bytes."""
    data, encoding = base64.b64decode(case["Data"]), case["Encoding"]
    columns = decode([data], [encoding], exact=True).histograms
    assert columns is not None
    assert columns.timestamps.tolist() == (case["T"] or [])
    if encoding in (HISTOGRAM_ST, FLOAT_HISTOGRAM_ST):
        assert columns.start_timestamps is not None
        assert columns.start_timestamps.tolist() == (case["ST"] or [])
    floats = encoding in (FLOAT_HISTOGRAM, FLOAT_HISTOGRAM_ST)
    for row, wanted in enumerate(case.get("H", [])):
        if wanted["Sum"] == f"{reference.STALE:x}":  # Prometheus hands out an empty histogram
            assert hex_bits(columns.sum[row]) == wanted["Sum"]
            assert columns.count[row] == columns.zero_count[row] == 0
            assert columns.bucket_start[row] == columns.bucket_start[row + 1]
        else:
            assert histogram_row(columns, row, floats) == wanted
    arena, offset, length, encodings = encode_histograms(columns, [encoding])
    assert (arena, offset.tolist(), length.tolist(), encodings.tolist()) == (data, [0], [len(data)], [encoding])


def test_mixed_encodings_in_one_call() -> None:
    """All golden chunks together give what each gives alone, in order, floats and histograms side by side."""
    chunks = [base64.b64decode(case["Data"]) for case in CASES]
    encodings = [case["Encoding"] for case in CASES]
    decoded = decode(chunks, encodings, exact=True)
    columns = decoded.histograms
    assert columns is not None and decoded.start_timestamps is not None
    assert len(columns.layouts) < sum(encoding in HISTOGRAMS for encoding in encodings), (
        "equal neighbours share a layout"
    )
    for i, case in enumerate(CASES):
        floats = slice(decoded.start[i], decoded.start[i + 1])
        rows = slice(columns.start[i], columns.start[i + 1])
        wanted = case["T"] or []
        assert decoded.timestamps[floats].tolist() == (wanted if case["Encoding"] in FLOATS else [])
        assert columns.timestamps[rows].tolist() == ([] if case["Encoding"] in FLOATS else wanted)
        if case["Encoding"] in FLOATS:
            assert decoded.start_timestamps[floats].tolist() == (case["ST"] or [])
    keep = [i for i, encoding in enumerate(encodings) if encoding in HISTOGRAMS]
    arena, offset, length, _ = encode_histograms(
        columns, np.where(np.isin(encodings, HISTOGRAMS), encodings, FLOAT_HISTOGRAM)
    )
    assert [arena[offset[i] : offset[i] + length[i]] for i in keep] == [chunks[i] for i in keep]


def test_aggregate_chunks_of_thanos() -> None:
    """Every set of aggregates is split into the chunks that Thanos finds, and joined to its bytes again."""
    cases = golden("aggregates.jsonl.gz")
    chunks = [base64.b64decode(case["Data"]) for case in cases]
    arena = b"".join(chunks)
    length = np.array([len(chunk) for chunk in chunks], np.int32)
    offset = (np.cumsum(length) - length).astype(np.int64)
    rows = split_aggregates(arena, offset, length, np.full(len(chunks), AGGREGATE, np.uint8))
    for i, case in enumerate(cases):
        found = {
            int(rows.kind[k]): (int(rows.encoding[k]), arena[rows.offset[k] : rows.offset[k] + rows.length[k]])
            for k in range(rows.start[i], rows.start[i + 1])
        }
        wanted = {
            kind: (part["Encoding"], base64.b64decode(part["Data"]))
            for kind, part in enumerate(case["Parts"], 1)
            if part
        }
        assert found == wanted
    joined, joined_offset, joined_length = join_aggregates(
        arena, rows.start, rows.kind, rows.offset, rows.length, rows.encoding
    )
    assert joined == arena
    assert joined_offset.tolist() == offset.tolist() and joined_length.tolist() == length.tolist()


def test_other_chunks_pass_the_splitter() -> None:
    """A chunk that is no aggregate is one RAW row at its own place."""
    rows = split_aggregates(b"abcdef", [1, 4], [2, 2], [XOR, HISTOGRAM])
    assert rows.start.tolist() == [0, 1, 2]
    assert (rows.kind.tolist(), rows.encoding.tolist()) == ([0, 0], [XOR, HISTOGRAM])
    assert (rows.offset.tolist(), rows.length.tolist()) == ([1, 4], [2, 2])


# Against the readable codec

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
EDGES = [s * (1 << w) + d for w in (12, 13, 16, 19, 25, 55, 62) for s in (1, -1) for d in (-1, 0, 1)]
STEPS = st.one_of(st.just(15000), st.integers(-20, 20), st.sampled_from(EDGES), INT64)
VALUES = st.one_of(
    st.sampled_from([0, reference.STALE, reference.float_bits(1.0), 1 << 63, (1 << 64) - 1, 0x7FF8000000000001]),
    st.integers(0, 300).map(lambda v: reference.float_bits(float(v))),
    st.floats().map(reference.float_bits),
    st.integers(0, (1 << 64) - 1),
)


@st.composite
def samples(draw: st.DrawFn, most: int = 140) -> list[tuple[int, int, int]]:
    """(start timestamp, timestamp, bits): times of any step, wrapped to 64 bits."""
    n = draw(st.integers(0, most))
    steps = draw(st.lists(STEPS, min_size=n, max_size=n))
    values = draw(st.lists(VALUES, min_size=n, max_size=n))
    starts = draw(st.lists(st.one_of(st.just(0), st.just(5), INT64), min_size=n, max_size=n))
    if draw(st.booleans()):
        values = [value for value in values for _ in range(2)][:n]
        starts = starts[:1] * n
    t, out = 0, []
    for i in range(n):
        t = reference.signed(t + steps[i])
        out.append((starts[i], t, values[i]))
    return out


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FLOATS), samples()), max_size=4))
def test_float_round_trip(batch: list[tuple[int, list[tuple[int, int, int]]]]) -> None:
    """Any timestamps and any 64 bits of value: the kernel writes what the reference writes and reads it back."""
    chunks = []
    for encoding, rows in batch:
        starts = np.array([row[0] for row in rows], np.int64)
        times = np.array([row[1] for row in rows], np.int64)
        values = np.array([row[2] for row in rows], np.uint64).view(np.float64)
        chunk, _, _ = encode_floats(times, values, [0, len(rows)], encoding, starts if encoding == XOR2 else None)
        if encoding == XOR:
            assert chunk == reference.encode_xor([row[1:] for row in rows])
            assert reference.decode_xor(chunk) == [row[1:] for row in rows]
        else:
            assert chunk == reference.encode_xor2(rows)
            assert reference.decode_xor2(chunk) == rows
        chunks.append(chunk)
    decoded = decode(chunks, [encoding for encoding, _ in batch])
    assert np.diff(decoded.start).tolist() == [len(rows) for _, rows in batch]
    assert decoded.timestamps.tolist() == [row[1] for _, rows in batch for row in rows]
    assert bits(decoded.values) == [row[2] for _, rows in batch for row in rows]
    if decoded.start_timestamps is None:
        assert not any(row[0] for encoding, rows in batch for row in rows if encoding == XOR2)
    else:
        assert decoded.start_timestamps.tolist() == [
            row[0] if encoding == XOR2 else 0 for encoding, rows in batch for row in rows
        ]


SPANS = st.lists(
    st.tuples(st.one_of(st.integers(-4, 9), st.integers(-(1 << 31), (1 << 31) - 1)), st.integers(0, 4)), max_size=4
)
BOUNDS = st.lists(st.one_of(st.integers(-5, 33554431).map(lambda v: v / 1000), st.floats()), max_size=4)
THRESHOLDS = st.one_of(st.just(0.0), st.integers(-250, 12).map(lambda e: 2.0**e), st.floats())


@st.composite
def layouts(draw: st.DrawFn) -> histograms.Layout:
    schema = draw(st.one_of(st.integers(-9, 52), st.just(-53)))
    bounds = draw(BOUNDS) if schema == -53 else []
    return histograms.Layout(schema, draw(THRESHOLDS), draw(SPANS), draw(SPANS), bounds)


@st.composite
def histogram_chunks(draw: st.DrawFn) -> tuple[int, int, histograms.Layout, list[histograms.Histogram]]:
    """(encoding, header bits, layout, samples) with stale samples at the end only."""
    encoding = draw(st.sampled_from(HISTOGRAMS))
    floats = encoding in (FLOAT_HISTOGRAM, FLOAT_HISTOGRAM_ST)
    layout = draw(layouts())
    n, stale = draw(st.integers(1, 12)), draw(st.integers(0, 2))
    numbers = VALUES if floats else st.one_of(st.integers(0, 50), st.integers(0, (1 << 64) - 1))
    bucket = VALUES if floats else st.one_of(st.integers(0, 50), INT64)
    positive, negative = layout.counts
    rows, t = [], 0
    for i in range(n):
        t = reference.signed(t + draw(STEPS))
        start = draw(st.one_of(st.just(0), INT64)) if encoding in (HISTOGRAM_ST, FLOAT_HISTOGRAM_ST) else 0
        if i >= n - stale:
            rows.append(histograms.Histogram(t, 0, 0, reference.STALE, start=start))
            continue
        total = draw(VALUES.filter(lambda v: v != reference.STALE))
        buckets = draw(st.lists(bucket, min_size=positive + negative, max_size=positive + negative))
        rows.append(
            histograms.Histogram(t, draw(numbers), draw(numbers), total, buckets[:positive], buckets[positive:], start)
        )
    if rows[0].sum == reference.STALE:
        layout = histograms.Layout()
    return encoding, draw(st.integers(0, 3)), layout, rows


@settings(max_examples=40, deadline=None)
@given(st.lists(histogram_chunks(), max_size=3))
def test_histogram_round_trip(batch: list[tuple[int, int, histograms.Layout, list[histograms.Histogram]]]) -> None:
    """Any layout and any numbers: the kernel reads what the reference wrote, and writes the same bytes again."""
    chunks = []
    for encoding, flags, layout, rows in batch:
        floats, starts = (
            encoding in (FLOAT_HISTOGRAM, FLOAT_HISTOGRAM_ST),
            encoding in (HISTOGRAM_ST, FLOAT_HISTOGRAM_ST),
        )
        chunks.append(histograms.encode_histograms(layout, rows, flags=flags, floats=floats, with_starts=starts))
        assert histograms.decode_histograms(chunks[-1], floats=floats, with_starts=starts)[2] == rows
    encodings = [encoding for encoding, *_ in batch]
    columns = decode(chunks, encodings, exact=True).histograms
    if not batch:
        assert columns is None
        return
    assert columns is not None and columns.integers is not None
    assert columns.chunk_reset.tolist() == [{0: 0, 2: 1, 1: 2, 3: 3}[flags] for _, flags, *_ in batch]
    row = 0
    for i, (encoding, _, layout, rows) in enumerate(batch):
        assert columns.start[i] == row
        for wanted in rows:
            check_row(columns, row, encoding, layout, wanted)
            row += 1
    arena, _, length, _ = encode_histograms(columns, encodings)
    assert arena == b"".join(chunks) and length.tolist() == [len(chunk) for chunk in chunks]


def check_row(
    columns: HistogramColumns, row: int, encoding: int, layout: histograms.Layout, wanted: reference.Histogram
) -> None:
    number = int(columns.layout[row])
    table = columns.layouts
    assert table.schema[number] == layout.schema
    assert hex_bits(table.zero_threshold[number]) == hex_bits(layout.zero_threshold + 0.0)
    assert table.positive_spans(number) == layout.positive and table.negative_spans(number) == layout.negative
    assert columns.timestamps[row] == wanted.t and bits(columns.sum[row : row + 1]) == [wanted.sum]
    if columns.start_timestamps is not None:
        assert columns.start_timestamps[row] == wanted.start
    begin, end = columns.bucket_start[row : row + 2]
    buckets = [*wanted.positive, *wanted.negative]
    assert columns.integers is not None
    if encoding in (HISTOGRAM, HISTOGRAM_ST):
        assert columns.integers.integer[row]
        assert columns.integers.buckets[begin:end].tolist() == buckets
        assert (columns.integers.count[row], columns.integers.zero_count[row]) == (wanted.count, wanted.zero_count)
        assert columns.buckets[begin:end].tolist() == [float(bucket) for bucket in buckets]
    else:
        assert not columns.integers.integer[row]
        assert bits(columns.buckets[begin:end]) == buckets
        assert bits(columns.count[row : row + 1]) == [wanted.count]
        assert bits(columns.zero_count[row : row + 1]) == [wanted.zero_count]


def test_bucket_numbers() -> None:
    """Spans become bucket numbers: an offset counts from the bucket after the span before it."""
    layout = histograms.Layout(0, 0.0, [(-2, 2), (0, 1), (3, 2)], [(1, 1)])
    rows = [histograms.Histogram(1, 6, 0, 0, [1, 1, 1, 1, 1], [1])]
    columns = decode([histograms.encode_histograms(layout, rows)], [HISTOGRAM]).histograms
    assert columns is not None and columns.integers is None
    assert columns.layouts.positive_index(0).tolist() == [-2, -1, 0, 4, 5]
    assert columns.layouts.negative_index(0).tolist() == [1]
    assert columns.positive_counts(0).tolist() == [1, 1, 1, 1, 1] and columns.negative_counts(0).tolist() == [1]


def test_threads_decode_the_same() -> None:
    """Two threads over one arena do not disturb each other."""
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.integers(1, 30000, 120 * 300))
    values = np.round(rng.normal(size=120 * 300) * 100, 2)
    arena, offset, length = encode_floats(times, values, np.arange(301) * 120)
    with ThreadPoolExecutor(2) as pool:
        for decoded in pool.map(lambda _: decode_chunks(arena, offset, length, np.full(300, XOR)), range(20)):
            assert np.array_equal(decoded.timestamps, times) and np.array_equal(decoded.values, values)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=120), st.sampled_from([*FLOATS, *HISTOGRAMS]), st.integers(0, 40))
def test_garbage_is_a_value_or_corrupt(data: bytes, encoding: int, count: int) -> None:
    """Any bytes give samples or CorruptData; where the reference can read them both agree."""
    if len(data) > 2 and count:
        data = bytes([data[0] & 0xC0 if encoding > XOR2 else 0, count]) + data[2:]
    try:
        decoded = decode([data], [encoding], exact=True)
    except CorruptData as error:
        assert -1 <= error.offset <= len(data)
        return
    if encoding in FLOATS:
        wanted = reference.decode_xor(data) if encoding == XOR else [row[1:] for row in reference.decode_xor2(data)]
        assert list(zip(decoded.timestamps.tolist(), bits(decoded.values), strict=True)) == wanted
        return
    floats, starts = encoding in (FLOAT_HISTOGRAM, FLOAT_HISTOGRAM_ST), encoding in (HISTOGRAM_ST, FLOAT_HISTOGRAM_ST)
    _, layout, rows = histograms.decode_histograms(data, floats=floats, with_starts=starts)
    assert decoded.histograms is not None
    for row, wanted_row in enumerate(rows):
        check_row(decoded.histograms, row, encoding, layout, wanted_row)
