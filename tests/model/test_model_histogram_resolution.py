"""Histograms finer than schema 8 are read at schema 8, as Prometheus 3.14 reads them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pythanos._chunks import decode_chunks, encode_histograms
from pythanos.model.chunks import FLOAT_HISTOGRAM, HISTOGRAM
from pythanos.model.histogram import HistogramColumns, HistogramLayouts, IntegerCounts
from pythanos.model.histogram_resolution import reduce_resolution

SPANS = st.lists(st.tuples(st.integers(0, 700), st.integers(1, 5)), max_size=4)


def columns_of(kinds: list[tuple[int, list[tuple[int, int]], list[tuple[int, int]]]], rows: int) -> HistogramColumns:
    """`rows` rows of each kind (schema, positive and negative spans), a chunk a kind; buckets count 1, 2, 3 ..."""
    spans = [[*positive, *negative] for _, positive, negative in kinds]
    flat = [span for one in spans for span in one]
    positive = np.array([sum(length for _, length in one) for _, one, _ in kinds], np.int64)
    negative = np.array([sum(length for _, length in one) for _, _, one in kinds], np.int64)
    span_start = np.cumsum([0, *map(len, spans)])
    n = rows * len(kinds)
    sizes = np.repeat(positive + negative, rows)
    buckets = np.arange(1, int(sizes.sum()) + 1)
    layouts = HistogramLayouts(
        schema=np.array([schema for schema, _, _ in kinds], np.int32),
        zero_threshold=np.full(len(kinds), 0.25),
        span_start=span_start,
        negative_start=span_start[:-1] + [len(one) for _, one, _ in kinds],
        span_offset=np.array([offset for offset, _ in flat], np.int32),
        span_length=np.array([length for _, length in flat], np.uint32),
        bound_start=np.zeros(len(kinds) + 1, np.int64),
        bounds=np.empty(0),
        positive_buckets=positive,
        negative_buckets=negative,
    )
    return HistogramColumns(
        start=np.arange(len(kinds) + 1) * rows,
        chunk_reset=np.zeros(len(kinds), np.uint8),
        timestamps=np.tile(np.arange(rows) * 1000, len(kinds)),
        count=np.full(n, 7.0),
        zero_count=np.ones(n),
        sum=np.linspace(0, 1, n),
        reset_hint=np.zeros(n, np.uint8),
        layout=np.repeat(np.arange(len(kinds), dtype=np.int32), rows),
        layouts=layouts,
        bucket_start=np.concatenate([[0], np.cumsum(sizes)]),
        buckets=buckets.astype(float),
        integers=IntegerCounts(np.ones(n, np.bool_), np.full(n, 7, np.uint64), np.ones(n, np.uint64), buckets),
    )


def counts(columns: HistogramColumns, row: int) -> dict[tuple[str, int], float]:
    """The counts of a row by sign and bucket number."""
    layout = int(columns.layout[row])
    numbers = [("+", i) for i in columns.layouts.positive_index(layout).tolist()]
    numbers += [("-", i) for i in columns.layouts.negative_index(layout).tolist()]
    begin, end = columns.bucket_start[row : row + 2]
    return dict(zip(numbers, columns.buckets[begin:end].tolist(), strict=True))


@given(st.lists(st.tuples(st.integers(-4, 12), SPANS, SPANS), min_size=1, max_size=4), st.integers(1, 3))
def test_counts_move_to_the_bucket_that_holds_theirs(kinds, rows):
    """Each count is found in the bucket of schema 8 whose bounds enclose its own; coarser ones stay as they are."""
    before = columns_of(kinds, rows)
    after = reduce_resolution(before)
    assert after.layouts.schema.tolist() == [min(schema, 8) for schema, _, _ in kinds]
    for row in range(len(before)):
        shift = max(kinds[int(before.layout[row])][0] - 8, 0)
        wanted: dict[tuple[str, int], float] = defaultdict(float)
        for (sign, number), count in counts(before, row).items():
            # Bucket i of schema s ends at 2^(i / 2^s): it lies in the first bucket that ends there or later.
            wanted[sign, -(-number // (1 << shift))] += count
        assert counts(after, row) == wanted
        layout = int(after.layout[row])
        assert after.layouts.positive_buckets[layout] + after.layouts.negative_buckets[layout] == len(wanted)
    assert after.integers is not None
    assert after.integers.buckets.tolist() == after.buckets.tolist()


def test_nothing_is_copied_where_nothing_is_finer():
    columns = columns_of([(8, [(0, 2)], []), (-53, [(0, 1)], [])], 2)
    assert reduce_resolution(columns) is columns


def test_decoding_reduces_and_exact_decoding_does_not():
    """A chunk of schema 10: neighbours 1..4 are bucket 1 of schema 8, 5 is in bucket 2."""
    integers = columns_of([(10, [(1, 5)], [(0, 1)])], 2)
    floats = replace(integers, integers=None)
    for encoding, columns in ((HISTOGRAM, integers), (FLOAT_HISTOGRAM, floats)):
        arena, offset, length, _ = encode_histograms(columns, [encoding])
        encodings = np.array([encoding], np.uint8)
        read = decode_chunks(arena, offset, length, encodings).histograms
        assert read is not None
        assert read.layouts.schema.tolist() == [8]
        assert counts(read, 0) == {("+", 1): 10.0, ("+", 2): 5.0, ("-", 0): 6.0}
        assert counts(read, 1) == {("+", 1): 34.0, ("+", 2): 11.0, ("-", 0): 12.0}
        exact = decode_chunks(arena, offset, length, encodings, exact=True).histograms
        assert exact is not None
        assert exact.layouts.schema.tolist() == [10]
        assert encode_histograms(exact, [encoding])[0] == arena
