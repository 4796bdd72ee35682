"""Blocks for tests, from few words: series as dicts, chunks as samples, written into any bucket in the real format."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pythanos import _labels
from pythanos._chunks import encode_floats, join_aggregates
from pythanos._symbols import crc32c_of
from pythanos.block.paths import chunks_path, index_path, meta_path, segment_name
from pythanos.model.chunks import AGGREGATE, XOR
from pythanos.objstore.bucket import Bucket
from pythanos.tsdb.index_writer import IndexWriter
from pythanos.tsdb.meta import (
    BlockMeta,
    BlockStats,
    Compaction,
    Downsample,
    IndexStats,
    ThanosMeta,
    encode_meta,
)

SEGMENT_START = b"\x85\xbd\x40\xdd\x01\x00\x00\x00"


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """One chunk: ``[mint, maxt]`` ms, its data without encoding byte and checksum, and its encoding."""

    mint: int
    maxt: int
    data: bytes
    encoding: int = XOR


SeriesChunks = tuple[Mapping[str, str], Sequence[EncodedChunk]]


def float_chunk(samples: Sequence[tuple[int, float]]) -> EncodedChunk:
    """An XOR chunk of (timestamp ms, value) pairs."""
    times = np.array([time for time, _ in samples], np.int64)
    values = np.array([value for _, value in samples], np.float64)
    data, _, _ = encode_floats(times, values, np.array([0, len(times)], np.int64))
    return EncodedChunk(int(times[0]), int(times[-1]), bytes(data))


def aggregate_chunk(parts: Mapping[int, EncodedChunk]) -> EncodedChunk:
    """A Thanos aggregate chunk of chunks by kind (``model.resolution``)."""
    kinds = sorted(parts)
    lengths = np.array([len(parts[kind].data) for kind in kinds], np.int32)
    data, _, _ = join_aggregates(
        b"".join(parts[kind].data for kind in kinds),
        np.array([0, len(kinds)], np.int64),
        np.array(kinds, np.uint8),
        np.cumsum(lengths) - lengths,
        lengths,
        np.array([parts[kind].encoding for kind in kinds], np.uint8),
    )
    any_part = parts[kinds[0]]
    return EncodedChunk(any_part.mint, any_part.maxt, bytes(data), AGGREGATE)


def build_block(
    bucket: Bucket,
    ulid: str,
    series: Sequence[SeriesChunks],
    *,
    external: Mapping[str, str] | None = None,
    mint: int | None = None,
    maxt: int | None = None,
    resolution_ms: int = 0,
    chunks_per_segment: int = 1 << 30,
    named_segments: bool = True,
    index_stats: IndexStats | None = None,
) -> BlockMeta:
    """Writes the block ``ulid`` and returns its meta. Series may come in any order; each has at least one chunk.

    ``[mint, maxt)`` default to what the chunks cover. ``index_stats``: what meta.json claims (None: nothing).
    """
    column = _labels.labels_from_dicts([dict(labels) for labels, _ in series])
    order = _labels.sort_order(column)
    ordered = [series[row][1] for row in order.tolist()]
    chunks = [chunk for own in ordered for chunk in own]
    segments, refs = _segments(chunks, chunks_per_segment)
    for number, data in enumerate(segments, 1):
        bucket.upload(chunks_path(ulid, segment_name(number)), data)
    writer = IndexWriter()
    writer.add(
        column.take(order),
        np.cumsum([0] + [len(own) for own in ordered]).astype(np.int64),
        np.array([chunk.mint for chunk in chunks], np.int64),
        np.array([chunk.maxt for chunk in chunks], np.int64),
        np.array(refs, np.uint64),
    )
    index = io.BytesIO()
    writer.write(index)
    bucket.upload(index_path(ulid), index.getvalue())
    meta = BlockMeta(
        ulid=ulid,
        mint=min((chunk.mint for chunk in chunks), default=0) if mint is None else mint,
        maxt=max((chunk.maxt for chunk in chunks), default=0) + 1 if maxt is None else maxt,
        stats=BlockStats(num_series=len(series), num_chunks=len(chunks)),
        compaction=Compaction(level=1, sources=(ulid,)),
        thanos=ThanosMeta(
            version=1,
            labels=dict(external or {}),
            downsample=Downsample(resolution=resolution_ms),
            source="test",
            segment_files=tuple(segment_name(number + 1) for number in range(len(segments))) if named_segments else (),
            index_stats=index_stats or IndexStats(),
        ),
    )
    bucket.upload(meta_path(ulid), encode_meta(meta))
    return meta


def _segments(chunks: Sequence[EncodedChunk], chunks_per_segment: int) -> tuple[list[bytes], list[int]]:
    """The segment files and each chunk's reference."""
    segments: list[bytes] = []
    refs: list[int] = []
    for first in range(0, len(chunks), chunks_per_segment):
        segment = bytearray(SEGMENT_START)
        for chunk in chunks[first : first + chunks_per_segment]:
            refs.append(len(segments) << 32 | len(segment))
            body = bytes([chunk.encoding]) + chunk.data
            segment += _uvarint(len(chunk.data)) + body + crc32c_of(body).to_bytes(4, "big")
        segments.append(bytes(segment))
    return segments, refs


def _uvarint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
