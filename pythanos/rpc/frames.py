"""Messages of a Series call -> frames: what arrives is put together, split, and read into columns."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import DecodeError

from pythanos._wire import NotCanonical, decode_series
from pythanos.errors import CorruptData
from pythanos.rpc import codec
from pythanos.rpc.pb import store_pb2
from pythanos.storeapi.batches import SeriesFrame, SeriesHints, StoreWarning

# A server that sends series one by one costs a kernel call a message; so many bytes of messages are decoded together.
GATHER_BYTES = 256 * 1024
# A message of this size is a batch already.
BATCH_BYTES = 16 * 1024
# Wire types of protobuf.
_VARINT, _BYTES = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}


def gathered(messages: Iterator[bytes]) -> Iterator[bytes]:
    """The messages, small ones laid end to end up to GATHER_BYTES: what ``decode_series`` likes best."""
    waiting: list[bytes] = []
    size = 0
    for message in messages:
        waiting.append(message)
        size += len(message)
        if len(message) >= BATCH_BYTES or size >= GATHER_BYTES:
            yield b"".join(waiting) if len(waiting) > 1 else message
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def frames_of(data: bytes, source: str) -> Iterator[SeriesFrame]:
    """The frames of SeriesResponse messages laid end to end. Raises CorruptData, which names ``source``."""
    try:
        batch, others = decode_series(data, source=source)
    except NotCanonical:
        batch, others = decode_series(canonical(data, source), source=source)
    if batch is not None:
        yield batch
    for field, body in others:
        if field == store_pb2.SeriesResponse.WARNING_FIELD_NUMBER:
            yield StoreWarning(body.decode("utf-8", "replace"))
        else:
            yield _hints(body, source)


def _hints(body: bytes, source: str) -> SeriesHints:
    try:
        return codec.series_hints_from_any(body)
    except DecodeError as error:
        raise CorruptData(source, -1, str(error)) from error


def canonical(data: bytes, source: str) -> bytes:
    """The same messages in field order, without empty labels and unknown fields, by python-protobuf; a cold path.

    Raises CorruptData for what it does not take, such as labels that are not UTF-8.
    """
    # Laid end to end, messages of a oneof would overwrite each other: split them at the top level first.
    out = []
    for part in split_messages(data, source):
        try:
            message = store_pb2.SeriesResponse.FromString(part)
        except DecodeError as error:
            raise CorruptData(source, -1, str(error)) from error
        message.DiscardUnknownFields()
        for series in (message.series, *message.batch.series):
            kept = [label for label in series.labels if label.name and label.value]
            if len(kept) != len(series.labels):
                del series.labels[:]
                series.labels.extend(kept)
        out.append(message.SerializeToString())
    return b"".join(out)


def split_messages(data: bytes, source: str) -> Iterator[bytes]:
    """Top-level fields of messages laid end to end, each with its tag: one message each. Raises CorruptData."""
    at = 0
    while at < len(data):
        start = at
        tag, at = _uvarint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            _, at = _uvarint(data, at)
        elif kind == _BYTES:
            size, at = _uvarint(data, at)
            at += size
        else:
            at += _FIXED_BYTES.get(kind, len(data) + 1)
        if at > len(data):
            raise CorruptData(source, start, "message runs past its end")
        yield data[start:at]


def _uvarint(data: bytes, at: int) -> tuple[int, int]:
    """The number and the place behind it, which is past the end where the number is not whole."""
    value = 0
    for shift, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at + shift + 1
    return value, len(data) + 1
