"""Prometheus' remote read as a foreign client speaks it: messages made from its .proto, frames cut by hand."""

from collections.abc import Iterator

from prompb import SERIES

PROTO = (
    """
syntax = "proto3";
package prometheus;
message ReadRequest { repeated Query queries = 1; repeated int32 accepted_response_types = 2; }
message Query { int64 start_timestamp_ms = 1; int64 end_timestamp_ms = 2; repeated LabelMatcher matchers = 3; }
message LabelMatcher { int32 type = 1; string name = 2; string value = 3; }
message ReadResponse { repeated QueryResult results = 1; }
message QueryResult { repeated TimeSeries timeseries = 1; }
message ChunkedReadResponse { repeated ChunkedSeries chunked_series = 1; int64 query_index = 2; }
message ChunkedSeries { repeated Label labels = 1; repeated Chunk chunks = 2; }
message Chunk { int64 min_time_ms = 1; int64 max_time_ms = 2; int32 type = 3; bytes data = 4; }
"""
    + SERIES
)
SAMPLES, CHUNKS = 0, 1
_POLYNOMIAL = 0x82F63B78


def crc32c(data: bytes) -> int:
    """The Castagnoli CRC, bit by bit: nothing of ours, and nothing of zlib's."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def frames(body: bytes) -> Iterator[bytes]:
    """The messages of a streamed answer; every checksum is checked."""
    at = 0
    while at < len(body):
        size = shift = 0
        while True:
            byte = body[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        checksum = int.from_bytes(body[at : at + 4], "big")
        message = body[at + 4 : at + 4 + size]
        assert len(message) == size
        assert crc32c(message) == checksum
        yield message
        at += 4 + size
