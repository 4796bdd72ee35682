"""Fuzzing of the chunk and segment decoders: any bytes give a value or CorruptData.

The first byte chooses the decoder and the encoding, the rest is its input. See mutation.py for how to run it.
"""

from __future__ import annotations

from pathlib import Path

import mutation
import numpy as np

from pythanos._chunks import decode_chunks, encode_floats, encode_histograms, join_aggregates, split_aggregates
from pythanos._histogram_math import supported
from pythanos._histogram_rows import sample_sizes
from pythanos._histogram_windows import histogram_rows
from pythanos._labels import labels_from_dicts
from pythanos._segments import locate_chunks, scan_chunks
from pythanos._windows import Function
from pythanos.errors import CorruptData
from pythanos.model.chunks import AGGREGATE, XOR, XOR2
from pythanos.model.histogram import HistogramColumns
from pythanos.model.series import ABSENT, SampleBatch
from pythanos.tsdb.chunk_files import Segment

CORPUS = Path(__file__).parent / "corpus" / "chunks"
SEGMENT, RECORDS = 7, 8


def fuzz_one(data: bytes) -> None:
    """One input: raises only what is a bug."""
    if not data:
        return
    target, body = data[0] % 9, data[1:]
    try:
        if target == SEGMENT:
            fuzz_segment(body)
        elif target == RECORDS:
            locate_chunks(body, np.arange(-1, len(body) + 2), check_crc=False, partial=True)
        elif target == 0:
            fuzz_aggregates(body)
        else:
            fuzz_chunk(body, target)
    except CorruptData as error:
        assert -1 <= error.offset <= len(body), f"offset {error.offset} of {len(body)}"


def fuzz_chunk(body: bytes, encoding: int) -> None:
    """What decodes also encodes, and decodes to the same again, whatever surrounds it."""
    decoded = decode_chunks(body, [0], [len(body)], [encoding], exact=True)
    around = decode_chunks(b"\xff" * 3 + body + b"\xff" * 40, [3], [len(body)], [encoding], exact=True)
    assert decoded.values.tobytes() == around.values.tobytes(), "bytes behind the chunk changed it"
    assert decoded.timestamps.tobytes() == around.timestamps.tobytes(), "bytes behind the chunk changed it"
    if encoding in (XOR, XOR2):
        starts = decoded.start_timestamps
        arena, offset, length = encode_floats(decoded.timestamps, decoded.values, decoded.start, encoding, starts)
        again = decode_chunks(arena, offset, length, [encoding])
        assert again.timestamps.tobytes() == decoded.timestamps.tobytes()
        assert again.values.tobytes() == decoded.values.tobytes()
        return
    columns = decoded.histograms
    assert columns is not None
    fuzz_windows(supported(columns), body)
    try:
        arena, offset, length, _ = encode_histograms(columns, [encoding])
    except ValueError:
        return  # samples behind a stale one: readable, never written
    again_columns = decode_chunks(arena, offset, length, [encoding], exact=True).histograms
    for name in ("timestamps", "count", "zero_count", "sum", "buckets", "bucket_start", "start_timestamps"):
        one, two = getattr(columns, name), getattr(again_columns, name)
        assert (one is None and two is None) or one.tobytes() == two.tobytes(), f"{name} changed by a round trip"


def fuzz_windows(columns: HistogramColumns, body: bytes) -> None:
    """Windows over what was decoded, of the function and the lengths that the bytes say."""
    if not len(columns):
        return
    function = Function(list(Function)[body[-1] % len(Function)])
    nothing = np.zeros(0, np.int64)
    floats = SampleBatch(labels_from_dicts([{}]), np.zeros(2, np.int64), nothing, np.zeros(0))
    shape = (1, 1 + body[-1] % 5)
    growing = len(body) % 2 and function in (Function.RATE, Function.INCREASE)
    step = int(np.ptp(columns.timestamps.astype(np.float64)) // shape[1]) % (1 << 40) + 1
    row, made, _, _, _ = histogram_rows(
        function,
        floats,
        columns,
        np.array([0, len(columns)]),
        columns.timestamps,
        np.arange(len(columns)),
        np.full(shape, ABSENT),
        first_end=int(columns.timestamps[0]) % (1 << 60) + step,
        end_step=step,
        range_ms=step * (1 + len(body) % 3),
        sizes=sample_sizes(columns),
        base=np.full(shape, -1, np.int64) if growing else None,
        factor=np.empty(shape) if growing else None,
        check=lambda: None,
    )
    assert (row >= -1).all() and (row < len(made) + (len(columns) if growing else 0)).all(), "a row that is not there"


def fuzz_aggregates(body: bytes) -> None:
    """What is split is inside the chunk, and joined to no more than it was."""
    rows = split_aggregates(body, [0], [len(body)], [AGGREGATE])
    assert ((rows.offset >= 0) & (rows.offset + rows.length <= len(body))).all()
    joined, _, _ = join_aggregates(body, rows.start, rows.kind, rows.offset, rows.length, rows.encoding)
    assert len(joined) <= len(body)
    decode_chunks(body, rows.offset, rows.length, rows.encoding)


def fuzz_segment(body: bytes) -> None:
    """The scan of a file and the look-up of its records agree."""
    segment = Segment(body, "fuzz")
    record, _, offset, length = scan_chunks(segment.arena, check_crc=False)
    found = segment.locate(record, check_crc=False)
    assert np.array_equal(found.offset, offset) and np.array_equal(found.length, length)
    decode_chunks(segment.arena, found.offset, found.length, found.encoding)


if __name__ == "__main__":
    mutation.main(fuzz_one, CORPUS)
