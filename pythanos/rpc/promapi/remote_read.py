"""Requests of Prometheus' remote read: snappy and protobuf -> ``query.remote_read.requests``."""

from __future__ import annotations

import cramjam
from google.protobuf.message import DecodeError

from pythanos.errors import BadRequest
from pythanos.model.matchers import Matcher, MatchType
from pythanos.query.remote_read.requests import ReadQuery, ReadRequest
from pythanos.rpc.pb import remote_read_pb2

REQUEST_BYTES_MAX = 32 << 20


def read_request_of(body: bytes) -> ReadRequest:
    """The request in a body of one snappy block. Raises BadRequest."""
    try:
        if cramjam.snappy.decompress_raw_len(body) > REQUEST_BYTES_MAX:
            raise BadRequest(f"remote read request is larger than {REQUEST_BYTES_MAX} bytes")
        message = remote_read_pb2.ReadRequest.FromString(bytes(cramjam.snappy.decompress_raw(body)))
    except (cramjam.DecompressionError, DecodeError) as error:
        raise BadRequest(f"remote read request: {error}") from error
    return ReadRequest(
        tuple(_query(query) for query in message.queries),
        tuple(int(number) for number in message.accepted_response_types),
    )


def _query(message: remote_read_pb2.Query) -> ReadQuery:
    try:
        matchers = tuple(Matcher(MatchType(one.type), one.name, one.value) for one in message.matchers)
    except ValueError as error:
        raise BadRequest(f"unknown matcher type: {error}") from error
    hints = message.hints
    return ReadQuery(
        message.start_timestamp_ms,
        message.end_timestamp_ms,
        matchers,
        func=hints.func,
        step_ms=hints.step_ms,
        range_ms=hints.range_ms,
    )
