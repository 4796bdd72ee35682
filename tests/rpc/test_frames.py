"""Answers of foreign stores: legal protobuf in any order gives frames, anything else CorruptData."""

import pytest

from pythanos import _labels
from pythanos.errors import CorruptData
from pythanos.model.series import SeriesBatch
from pythanos.rpc.frames import BATCH_BYTES, frames_of, gathered
from pythanos.rpc.pb import store_pb2, types_pb2
from pythanos.storeapi.batches import SeriesHints, StoreWarning

UP = types_pb2.Series(
    labels=[types_pb2.Label(name="__name__", value="up")],
    chunks=[types_pb2.AggrChunk(min_time=1, max_time=2, raw=types_pb2.Chunk(data=b"\x00\x00"))],
)
UNKNOWN_FIELD = b"\x98\x06\x01"


def field(number: int, body: bytes) -> bytes:
    return bytes([number << 3 | 2, len(body)]) + body


def label(name: bytes, value: bytes) -> bytes:
    return field(1, field(1, name) + field(2, value))


def label_sets(data: bytes) -> list[dict[str, str]]:
    return [
        labels
        for frame in frames_of(data, "store")
        if isinstance(frame, SeriesBatch)
        for labels in _labels.to_dicts(frame.labels)
    ]


@pytest.mark.parametrize(
    "series",
    [
        field(1, field(2, b"up") + field(1, b"__name__")),
        label(b"__name__", b"up") + field(2, b"") + label(b"job", b""),
        field(2, b"") + label(b"__name__", b"up") + field(2, b"\x10\x01") + label(b"z", b""),
        field(1, field(1, b"__name__") + field(2, b"up") + UNKNOWN_FIELD),
    ],
    ids=["value before name", "an empty label", "labels apart", "a field from the future"],
)
def test_a_series_that_columns_cannot_point_into_is_written_anew(series):
    warning = store_pb2.SeriesResponse(warning="slow").SerializeToString()
    future = UNKNOWN_FIELD + b"\xa1\x06" + bytes(8) + b"\xad\x06" + bytes(4) + b"\xb2\x06\x01x"
    data = field(1, series) + future + warning + store_pb2.SeriesResponse(series=UP).SerializeToString()
    assert label_sets(data) == [{"__name__": "up"}] * 2
    assert StoreWarning("slow") in list(frames_of(data, "store"))


@pytest.mark.parametrize(
    "data",
    [
        field(1, label(b"\xff", b"") + label(b"a", b"b")),
        field(1, label(b"a", b"")) + b"\x0a",
        field(1, label(b"a", b"")) + b"\x9b\x06",
        field(3, b"\xff"),
        field(3, field(1, b"type.googleapis.com/hintspb.SeriesResponseHints") + field(2, b"\xff")),
    ],
    ids=["no UTF-8", "torn behind it", "a group", "torn hints", "hints of another message"],
)
def test_what_cannot_be_written_anew_is_corrupt_and_names_the_store(data):
    with pytest.raises(CorruptData, match="series response of a:1"):
        list(frames_of(data, "series response of a:1"))


def test_hints_of_a_type_that_is_not_known_are_empty():
    (hints,) = frames_of(field(3, field(1, b"type.googleapis.com/x")), "store")
    assert hints == SeriesHints()


def test_small_messages_are_put_together_and_large_ones_passed_on():
    small, large = b"x", b"y" * BATCH_BYTES
    assert list(gathered(iter([small, small, large, small]))) == [small + small + large, small]
    assert next(gathered(iter([large]))) is large
