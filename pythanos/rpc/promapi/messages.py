"""Parts that several messages share: times and label sets."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from pythanos.rpc.pb import types_pb2

NS = 1_000_000_000
# The seconds of 0001-01-01, Go's time that never was.
GO_ZERO_SECONDS = -62_135_596_800


def time_from_proto(message: Timestamp) -> int | None:
    """Unix ns; None for Go's zero time, and for one that is not there (``1970-01-01`` to protobuf)."""
    if not message.seconds and not message.nanos:
        return None
    if message.seconds == GO_ZERO_SECONDS and not message.nanos:
        return None
    return message.seconds * NS + message.nanos


def time_to_proto(time_ns: int | None) -> Timestamp:
    if time_ns is None:
        return Timestamp(seconds=GO_ZERO_SECONDS)
    seconds, nanos = divmod(time_ns, NS)
    return Timestamp(seconds=seconds, nanos=nanos)


def labels_from_proto(message: types_pb2.ZLabelSet) -> dict[str, str]:
    return {label.name: label.value for label in message.labels}


def labels_to_proto(labels: Mapping[str, str]) -> types_pb2.ZLabelSet:
    return types_pb2.ZLabelSet(labels=[types_pb2.Label(name=name, value=labels[name]) for name in sorted(labels)])
