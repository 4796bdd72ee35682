"""Result printing: the bytes of Prometheus' JSON codec, whatever the numbers, labels and piece sizes are."""

from __future__ import annotations

import json
import math
import random
import struct
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pythanos import _json
from pythanos._labels import labels_from_blocks, labels_from_dicts
from pythanos.errors import CorruptData
from pythanos.model.histogram import HistogramColumns, HistogramLayouts
from pythanos.model.series import ABSENT, LabelColumn


def go_text(value: float) -> str:
    """Go's FormatFloat with Prometheus' choice of 'f' and 'e', by way of Python's shortest repr."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    number = Decimal(repr(value))
    if value and not 1e-6 <= abs(value) < 1e21:
        sign, digits, exponent = number.as_tuple()
        text = "".join(map(str, digits)).rstrip("0")
        shift = exponent + len(digits) - 1
        mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
        return f"{'-' * sign}{mantissa}e{'-' if shift < 0 else '+'}{abs(shift):02d}"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def time_text(ms: int) -> str:
    sign, ms = "-" if ms < 0 else "", abs(ms)
    return f"{sign}{ms // 1000}" + (f".{ms % 1000:03d}" if ms % 1000 else "")


def draw_doubles(count: int, seed: int) -> list[float]:
    """Doubles of every kind: any bits, decimals of up to 17 digits, integers around the powers of two."""
    rng = random.Random(seed)
    values = []
    for number in range(count):
        kind = number % 4
        if kind == 0:
            values.append(struct.unpack("d", rng.randbytes(8))[0])
        elif kind == 1:
            values.append(round(rng.uniform(-1, 1) * 10 ** rng.randint(-8, 12), rng.randint(0, 12)))
        elif kind == 2:
            values.append(float(rng.randint(-(1 << 70), 1 << 70) >> rng.randint(0, 70)))
        else:
            values.append(rng.uniform(-1000, 1000))
    return values


@pytest.mark.parametrize("seed", range(3))
def test_digits_are_the_shortest_that_read_back(seed: int):
    """100,000 doubles per seed print as Go prints them."""
    for value in draw_doubles(100_000, seed):
        assert _json.format_double(value) == go_text(value)


def test_digits_at_every_power_of_two_and_ten():
    """The rounding interval is lopsided at powers of two; the layout changes at powers of ten."""
    corners = [math.ldexp(1, exponent) for exponent in range(-1074, 1024)]
    corners += [float(f"1e{exponent}") for exponent in range(-323, 309)]
    for corner in corners:
        for value in (math.nextafter(corner, 0), corner, math.nextafter(corner, math.inf)):
            assert _json.format_double(value) == go_text(value)
            assert _json.format_double(-value) == go_text(-value)


def significant(text: str) -> str:
    """The digits of a number's text, without point, exponent, sign and zeros at either end."""
    return text.lstrip("-").partition("e")[0].replace(".", "").strip("0")


@pytest.mark.parametrize("kind", ["any bits", "subnormal", "near powers of two", "ties", "quotients"])
def test_many_doubles_have_the_digits_of_repr(kind: str):
    """100,000 doubles a kind read back as they were, by no more digits than Python's shortest repr has."""
    rng, count = np.random.default_rng(11), 100_000
    if kind == "any bits":
        values = rng.integers(0, 1 << 64, count, dtype=np.uint64).view(np.float64)
    elif kind == "subnormal":
        values = (rng.integers(1, 1 << 52, count) >> rng.integers(0, 52, count)).view(np.float64)
    elif kind == "near powers of two":
        values = ((2.0 ** rng.integers(-1074, 1024, count)).view(np.int64) + rng.integers(-3, 4, count)).view(
            np.float64
        )
    elif kind == "ties":
        values = rng.integers(1, 1 << 53, count) / 2.0 ** rng.integers(0, 80, count)
    else:
        values = rng.integers(1, 1 << 53, count) / 10.0 ** rng.integers(0, 22, count)
    values = values[np.isfinite(values)]
    labels, start = labels_from_dicts([{"a": "b"}]), np.array([0, len(values)])
    pieces = _json.print_samples(labels, start, np.zeros(len(values), np.int64), values)
    texts = [text for _, text in json.loads(b"".join(pieces))[0]["values"]]
    assert np.array_equal(np.array(texts, np.float64), values)
    assert [significant(text) for text in texts] == [significant(repr(value)) for value in values.tolist()]


@given(st.floats())
def test_any_double_prints_as_go_does(value: float):
    """NaN of any payload, both zeros, infinities, subnormals."""
    assert _json.format_double(value) == go_text(value)


@given(st.integers(-(2**63), 2**63 - 1))
def test_timestamps_have_three_decimals_or_none(ms: int):
    """Seconds, exact for every int64."""
    assert _json.format_timestamp(ms) == time_text(ms)


def reference(rows: list[tuple[dict[str, str], list[tuple[int, float]]]]) -> str:
    out = []
    for labels, points in rows:
        if points:
            metric = json.dumps(labels, ensure_ascii=False, separators=(",", ":"))
            values = ",".join(f'[{time_text(ms)},"{go_text(value)}"]' for ms, value in points)
            out.append(f'{{"metric":{metric},"values":[{values}]}}')
    return f"[{','.join(out)}]"


@settings(max_examples=150, deadline=None)
@given(
    matrix=st.integers(0, 5).flatmap(
        lambda steps: st.lists(st.lists(st.none() | st.floats(width=32), min_size=steps, max_size=steps), max_size=5)
    ),
    start_ms=st.integers(-(10**14), 10**14),
    step_ms=st.integers(1, 10**7),
    piece_bytes=st.integers(1, 2000),
)
def test_a_step_matrix_prints_its_present_points(matrix, start_ms, step_ms, piece_bytes):
    """Absent points are skipped, series without points left out, and pieces join to the same bytes."""
    steps = len(matrix[0]) if matrix else 0
    values = np.array([[ABSENT if v is None else v for v in row] for row in matrix], float).reshape(len(matrix), steps)
    sets = [{"__name__": "up", "row": str(number) * 3} for number in range(len(matrix))]
    pieces = list(_json.print_matrix(labels_from_dicts(sets), values, start_ms, step_ms, piece_bytes=piece_bytes))
    rows = [
        (sets[i], [(start_ms + j * step_ms, v) for j, v in enumerate(row) if v is not None])
        for i, row in enumerate(matrix)
    ]
    assert b"".join(pieces).decode() == reference(rows)


def test_pieces_are_bounded():
    """A large matrix comes in pieces of the size asked for, none of them empty."""
    sets = [{"row": str(number)} for number in range(50)]
    pieces = list(_json.print_matrix(labels_from_dicts(sets), np.random.default_rng(1).random((50, 400)), 0, 1000))
    assert len(pieces) > 1 and all(0 < len(piece) <= _json.PIECE_BYTES for piece in pieces)
    assert all(len(piece) > _json.PIECE_BYTES - 1024 for piece in pieces[:-1])
    assert len(json.loads(b"".join(pieces))) == 50


def test_a_label_larger_than_a_piece_gets_a_larger_piece():
    """Nothing is cut off, however long a value is."""
    labels = labels_from_dicts([{"a": "\x01" * 10_000}, {"b": "c"}])
    text = b"".join(_json.print_matrix(labels, np.ones((2, 1)), 0, 1, piece_bytes=100))
    assert json.loads(text)[0]["metric"]["a"] == "\x01" * 10_000


def test_samples_and_vectors():
    """An instant query of a range selector has its own times; a vector has one value per series."""
    labels = labels_from_dicts([{"a": "1"}, {"a": "2"}, {"a": "3"}])
    start, times = np.array([0, 2, 2, 3]), np.array([1500, 2000, -1])
    text = b"".join(_json.print_samples(labels, start, times, np.array([1.0, math.nan, -math.inf])))
    assert text == (
        b'[{"metric":{"a":"1"},"values":[[1.500,"1"],[2,"NaN"]]},{"metric":{"a":"3"},"values":[[-0.001,"-Inf"]]}]'
    )
    vector = b"".join(_json.print_vector(labels, np.array([1e21, ABSENT, 0.1]), np.array([0, 0, 1500])))
    assert vector == b'[{"metric":{"a":"1"},"value":[0,"1e+21"]},{"metric":{"a":"3"},"value":[1.500,"0.1"]}]'


def test_empty_results_are_empty_arrays():
    """Never null."""
    none = labels_from_dicts([])
    assert b"".join(_json.print_matrix(none, np.zeros((0, 0)), 0, 1)) == b"[]"
    assert b"".join(_json.print_matrix(labels_from_dicts([{"a": "b"}]), np.zeros((1, 0)), 0, 1)) == b"[]"
    assert b"".join(_json.print_vector(none, np.zeros(0), np.zeros(0, int))) == b"[]"
    assert b"".join(_json.print_labels(none)) == b"[]"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'say "\\hi"', b'say \\"\\\\hi\\"'),
        (b"a\nb\rc\td", b"a\\nb\\rc\\td"),
        (b"\x00\x1f\x7f", b"\\u0000\\u001f\x7f"),
        (b"<a&b>", b"<a&b>"),
        ("gr\u00fc\u00df \u2028 \U0001f600".encode(), "gr\u00fc\u00df \u2028 \U0001f600".encode()),
        (b"\xff", b"\\ufffd"),
        (b"\xc3", b"\\ufffd"),
        (b"\xc0\xaf", b"\\ufffd\\ufffd"),
        (b"\xed\xa0\x80x", b"\\ufffd\\ufffd\\ufffdx"),
        (b"\xf4\x90\x80\x80", b"\\ufffd" * 4),
        (b"\xe2\x82", b"\\ufffd\\ufffd"),
    ],
)
def test_label_strings_are_escaped_as_go_does(raw: bytes, expected: bytes):
    """No HTML escaping; control characters as \\u00xx; one \\ufffd for each byte that is no UTF-8."""
    column = labels_from_dicts([{"l": raw.decode("utf-8", "surrogateescape")}])
    assert b"".join(_json.print_labels(column)) == b'[{"l":"' + expected + b'"}]'


@given(st.binary(max_size=40))
def test_any_bytes_in_a_label_give_valid_json(raw: bytes):
    """What Python's decoder replaces, the kernel replaces, byte by byte as Go does."""
    column = labels_from_dicts([{"l": raw.decode("utf-8", "surrogateescape")}])
    got = json.loads(b"".join(_json.print_labels(column)))
    go_like = "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in raw.decode("utf-8", "surrogateescape"))
    assert got == ([{"l": go_like}] if raw else got)


def test_label_pieces_join():
    """Label sets print in pieces, too."""
    sets = [{"n": str(number), "pad": "x" * (number + 1)} for number in range(300)]
    pieces = list(_json.print_labels(labels_from_dicts(sets), piece_bytes=500))
    assert len(pieces) > 10 and json.loads(b"".join(pieces)) == sets


def test_a_malformed_label_block_is_corrupt_data():
    """Bytes that are no label block raise, in every form of answer."""
    good = labels_from_blocks([b"\x0a\x06\x0a\x01a\x12\x01b"])
    bad = LabelColumn(b"\x0a\x09\x0a\x01a\x12\x01b", good.offset, good.length, good.hash)
    for print_it in (
        lambda: _json.print_matrix(bad, np.ones((1, 1)), 0, 1),
        lambda: _json.print_vector(bad, np.ones(1), np.zeros(1, int)),
        lambda: _json.print_labels(bad),
    ):
        with pytest.raises(CorruptData):
            list(print_it())


def test_columns_that_do_not_fit_are_refused():
    """A wrong shape is an error in the caller, never a read outside."""
    labels = labels_from_dicts([{"a": "b"}, {"a": "c"}])
    for print_it in (
        lambda: _json.print_matrix(labels, np.ones((1, 1)), 0, 1),
        lambda: _json.print_samples(labels, [0, 1], [0], [1.0]),
        lambda: _json.print_samples(labels, [0, 1, 5], [0], [1.0]),
        lambda: _json.print_samples(labels, [0, 1, 0], [0], [1.0]),
        lambda: _json.print_samples(labels, [0, 1, 2], [0], [1.0, 2.0]),
    ):
        with pytest.raises(ValueError):
            list(print_it())


@dataclass
class Points:
    columns: HistogramColumns
    start: list[int]
    row: list[int]
    timestamps: list[int]


def histograms(start: list[int], row: list[int] | None = None) -> Points:
    """Points of some series that show the rows in their order, or as given."""
    times = [1000, 2500, 3000]
    row = [0, 1, 2][: start[-1]] if row is None else row
    return Points(histogram_columns(), start, row, times[: len(row)])


def histogram_columns() -> HistogramColumns:
    """Three rows: schema 0 with both signs and a zero bucket; custom bounds; nothing but a count."""
    layouts = HistogramLayouts(
        schema=np.array([0, -53, 1], np.int32),
        zero_threshold=np.array([0.001, 0.0, 0.0]),
        span_start=np.array([0, 3, 4, 4]),
        negative_start=np.array([2, 4, 4]),
        span_offset=np.array([0, 1, -1, 0], np.int32),
        span_length=np.array([2, 1, 2, 3], np.uint32),
        bound_start=np.array([0, 0, 2, 2]),
        bounds=np.array([0.5, 2.5]),
        positive_buckets=np.array([3, 3, 0]),
        negative_buckets=np.array([2, 0, 0]),
    )
    return HistogramColumns(
        start=np.array([0, 3]),
        chunk_reset=np.zeros(1, np.uint8),
        timestamps=np.array([0, 0, 0]),
        count=np.array([21.5, 6.0, 0.0]),
        zero_count=np.array([2.0, 0.0, 0.0]),
        sum=np.array([-3.25, 9.0, math.nan]),
        reset_hint=np.zeros(3, np.uint8),
        layout=np.array([0, 1, 2], np.int32),
        layouts=layouts,
        bucket_start=np.array([0, 5, 8, 8]),
        buckets=np.array([1.0, 0.0, 7.5, 4.0, 5.0, 1.0, 2.0, 3.0]),
    )


FIRST = (
    '{"count":"21.5","sum":"-3.25","buckets":[[1,"-1","-0.5","5"],[1,"-0.5","-0.25","4"],'
    '[3,"-0.001","0.001","2"],[0,"0.5","1","1"],[0,"4","8","7.5"]]}'
)
SECOND = '{"count":"6","sum":"9","buckets":[[3,"-Inf","0.5","1"],[0,"0.5","2.5","2"],[0,"2.5","+Inf","3"]]}'


def test_histograms_print_their_buckets():
    """Negative buckets from the lowest up, the zero bucket, positive buckets; empty ones left out."""
    labels = labels_from_dicts([{"h": "1"}, {"h": "2"}, {"h": "3"}])
    matrix = b"".join(
        _json.print_samples(labels, [0, 1, 1, 1], [500], [4.0], histograms([0, 1, 2, 3]), piece_bytes=1)
    ).decode()
    assert matrix == (
        f'[{{"metric":{{"h":"1"}},"values":[[0.500,"4"]],"histograms":[[1,{FIRST}]]}},'
        f'{{"metric":{{"h":"2"}},"histograms":[[2.500,{SECOND}]]}},'
        '{"metric":{"h":"3"},"histograms":[[3,{"count":"0","sum":"NaN"}]]}]'
    )
    one = labels_from_dicts([{"h": "1"}, {"f": "2"}])
    vector = b"".join(
        _json.print_vector(one, np.array([ABSENT, 2.0]), np.array([0, 0]), histograms([0, 1, 1]))
    ).decode()
    assert vector == f'[{{"metric":{{"h":"1"}},"histogram":[1,{FIRST}]}},{{"metric":{{"f":"2"}},"value":[0,"2"]}}]'


def test_a_zero_bucket_cuts_into_its_neighbours():
    """A bucket that overlaps the zero bucket starts at the threshold."""
    points = histograms([0, 1])
    points.columns.layouts.zero_threshold[0] = 0.75
    text = b"".join(_json.print_vector(labels_from_dicts([{}]), np.array([ABSENT]), np.array([0]), points)).decode()
    assert '[0,"0.75","1","1"]' in text and '[1,"-1","-0.75","5"]' in text and '[3,"-0.75","0.75","2"]' in text


def test_histogram_columns_that_do_not_fit_are_refused():
    """Layout numbers, schemas and offsets are checked before anything is read."""
    labels, values = labels_from_dicts([{}]), np.array([ABSENT])
    for change in ("layout", "schema", "bucket_start", "row"):
        points = histograms([0, 1])
        if change == "layout":
            points.columns.layout[0] = 9
        elif change == "schema":
            points.columns.layouts.schema[0] = 30
        elif change == "bucket_start":
            points.columns.bucket_start[1] = 99
        else:
            points.row[0] = 3
        with pytest.raises(ValueError):
            list(_json.print_vector(labels, values, np.array([0]), points))


def test_points_choose_their_rows():
    """A row of the columns may be shown anywhere, any number of times."""
    points = histograms([0, 2], [1, 1])
    text = b"".join(_json.print_samples(labels_from_dicts([{}]), [0, 0], [], [], points)).decode()
    assert text == f'[{{"metric":{{}},"histograms":[[1,{SECOND}],[2.500,{SECOND}]]}}]'


def test_bucket_bounds():
    """Powers of two are exact, the last regular bucket ends at the largest double, the next one at infinity."""
    assert [_json.exponential_bound(index, 0) for index in (-1, 0, 1, 10)] == [0.5, 1, 2, 1024]
    assert _json.exponential_bound(1, 1) == 1.414213562373095
    assert _json.exponential_bound(-3, 2) == 0.5946035575013605
    assert _json.exponential_bound(2, -2) == 256
    assert _json.exponential_bound(1024, 0) == _json.exponential_bound(256, -2) == 1.7976931348623157e308


@pytest.mark.parametrize("schema", [-(2**31), -53, -5, 9, 52, 2**31 - 1])
def test_a_schema_that_promql_does_not_know_has_no_bounds(schema):
    """A chunk may claim any: nothing is looked up for it."""
    assert math.isnan(_json.exponential_bound(7, schema))
    assert math.isinf(_json.exponential_bound(1025, 0)) and _json.exponential_bound(-2000, 0) == 0
