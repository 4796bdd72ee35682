"""Series of QueryAPI messages become rows of the step matrix; whatever else the bytes are is corrupt data."""

import random
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos import _labels
from pythanos._query_results import decode_results
from pythanos.errors import CorruptData
from pythanos.model.series import STALE_NAN_BITS

STEPS = {"start_ms": 1000, "step_ms": 500, "count": 4}


def uvarint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number, body):
    return uvarint(number << 3 | 2) + uvarint(len(body)) + body


def varint(number, value):
    return uvarint(number << 3) + uvarint(value)


def sint(number, value):
    return varint(number, value << 1 if value >= 0 else (-value << 1) - 1)


def double(number, value):
    return uvarint(number << 3 | 1) + struct.pack("<d", value)


def label(name, value):
    return field(1, field(1, name.encode()) + field(2, value.encode()))


def sample(time, value):
    return field(2, double(1, value) + varint(2, time))


def series(*parts, number=2):
    return field(number, b"".join(parts))


def decoded(data, **steps):
    return decode_results(data, **{**STEPS, **steps}, source="test")


def shown(values):
    absent = values.view(np.int64) == STALE_NAN_BITS
    return [
        [None if gone else v for v, gone in zip(*row, strict=True)] for row in zip(values.tolist(), absent, strict=True)
    ]


def test_samples_stand_at_their_steps():
    """Single series and batches side by side; what has no sample is absent; -0 and NaN stay what they are."""
    one = series(label("a", "1"), sample(1000, 1.5), sample(2500, -0.0))
    batch = field(4, series(label("a", "2"), label("b", "x" * 200), sample(1500, 2.0), number=1) + series(number=1))
    (labels, values, row, columns), others = decoded(one + batch)
    assert _labels.to_dicts(labels) == [{"a": "1"}, {"a": "2", "b": "x" * 200}, {}]
    assert shown(values) == [[1.5, None, None, -0.0], [None, 2.0, None, None], [None] * 4]
    assert str(values[0, 3]) == "-0.0"
    assert (row, columns, others) == (None, None, [])


def test_other_fields_are_given_back():
    assert decoded(field(1, b"careful") + field(3, varint(1, 7))) == (None, [(1, b"careful"), (3, varint(1, 7))])
    assert decoded(b"") == (None, [])


def test_an_instant_query_has_one_step_whatever_the_time_says():
    (_, values, _, _), _ = decoded(series(sample(99, 3.0)), count=1)
    assert values.tolist() == [[3.0]]


def test_empty_values_are_no_labels():
    """And exemplars and unknown fields are passed over."""
    data = series(label("a", ""), label("b", "1"), field(3, b"\x08\x01"), varint(9, 300), sample(1000, 1.0))
    (labels, _, _, _), _ = decoded(data)
    assert _labels.to_dicts(labels) == [{"b": "1"}]


SPANS = field(11, sint(1, -2) + varint(2, 2)) + field(11, sint(1, 3) + varint(2, 1))


def integer_histogram(time):
    """Counts 3, 5, 4 in the buckets -2, -1, 3, and 7 in -1 of the negative ones."""
    deltas = b"".join(uvarint(v << 1 if v >= 0 else (-v << 1) - 1) for v in (3, 2, -1))
    negative = field(8, sint(1, -1) + varint(2, 1)) + field(9, uvarint(14))
    counts = varint(1, 21) + double(3, 2.5) + sint(4, 2) + double(5, 0.25) + varint(6, 2)
    return field(4, counts + negative + SPANS + field(12, deltas) + varint(14, 2) + varint(15, time))


def float_histogram(time):
    counts = double(2, 6.5) + double(3, -1.0) + sint(4, -53) + double(7, 0.0)
    buckets = field(11, varint(2, 2)) + field(13, struct.pack("<2d", 2.5, 4.0))
    return field(4, counts + buckets + varint(14, 3) + varint(15, time) + field(16, struct.pack("<2d", 0.5, 1.0)))


def test_histograms_of_both_kinds():
    """Integer counts are deltas of each other; a row may have a float at one step and a histogram at another."""
    data = series(sample(1000, 9.0), integer_histogram(1500), float_histogram(2500))
    (_, values, row, columns), _ = decoded(data)
    assert shown(values) == [[9.0, None, None, None]]
    assert row.tolist() == [[-1, 0, -1, 1]]
    assert columns.timestamps.tolist() == [1500, 2500]
    assert (columns.count.tolist(), columns.sum.tolist()) == ([21.0, 6.5], [2.5, -1.0])
    assert (columns.zero_count.tolist(), columns.reset_hint.tolist()) == ([2.0, 0.0], [2, 3])
    layouts, first, second = columns.layouts, columns.layout[0], columns.layout[1]
    assert (layouts.schema[first], layouts.zero_threshold[first]) == (2, 0.25)
    assert layouts.positive_index(first).tolist() == [-2, -1, 3]
    assert columns.positive_counts(0).tolist() == [3.0, 5.0, 4.0]
    assert (layouts.negative_index(first).tolist(), columns.negative_counts(0).tolist()) == ([-1], [7.0])
    assert (layouts.schema[second], layouts.custom_bounds(second).tolist()) == (-53, [0.5, 1.0])
    assert (layouts.positive_index(second).tolist(), columns.positive_counts(1).tolist()) == ([0, 1], [2.5, 4.0])


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"\x12", "runs past its end"),
        (b"\x12\x05\x0a", "message runs past its end"),
        (series(b"\x0a\x09x"), "label runs past its end"),
        (series(label("b", "1"), label("a", "1")), "labels are not sorted"),
        (series(label("a", "1"), label("a", "2")), "labels are not sorted"),
        (series(sample(1001, 1.0)), "sample at a time that was not asked for"),
        (series(sample(3000, 1.0)), "sample at a time that was not asked for"),
        (series(sample(-500, 1.0)), "sample at a time that was not asked for"),
        (series(integer_histogram(1)), "histogram at a time that was not asked for"),
        (series(field(4, field(11, varint(2, 1 << 40)))), "bad span"),
        (series(field(4, SPANS + varint(15, 1000))), "spans and buckets do not fit"),
        (series(field(4, SPANS + field(13, bytes(16)) + varint(15, 1000))), "spans and buckets do not fit"),
        (series(field(4, field(13, bytes(8)) + varint(15, 1000))), "spans and buckets do not fit"),
        (series(field(4, sint(4, 9) + varint(15, 1000))), "histogram of an unknown kind"),
        (series(field(4, varint(14, 9) + varint(15, 1000))), "histogram of an unknown kind"),
    ],
)
def test_what_is_none_is_corrupt(data, reason):
    with pytest.raises(CorruptData, match=reason) as found:
        decoded(data)
    assert "test" in str(found.value)


WHOLE = (
    field(1, b"w")
    + series(label("a", "1"), sample(1000, 1.5), integer_histogram(1500))
    + field(4, series(label("b", "2"), float_histogram(2000), number=1))
    + field(3, varint(1, 5))
)


@given(st.integers(0, 1 << 32))
def test_spoiled_bytes_are_a_value_or_corrupt(seed):
    """Bytes changed, left out and put in: never a crash, nor columns that contradict themselves."""
    source = random.Random(seed)
    data = bytearray(WHOLE)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(data))
        kind = source.randrange(3)
        if kind == 0:
            data[at] = source.randrange(256)
        elif kind == 1:
            del data[at : at + source.randint(1, 9)]
        else:
            data[at:at] = source.randbytes(source.randint(1, 9))
    try:
        found, _ = decoded(bytes(data))
    except CorruptData as error:
        assert 0 <= error.offset <= len(data)
        return
    if found is not None:
        labels, values, row, columns = found
        assert len(_labels.to_dicts(labels)) == len(values)
        assert row is None or row.max() < len(columns)
