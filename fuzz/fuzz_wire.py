"""Fuzzing of what comes over the network: answers of stores and queriers, remote read requests.

Any bytes give columns or CorruptData (BadRequest for a request); what the columns hold then goes through everything
that a query does with it. The first byte chooses the reader, the rest is its input. See mutation.py for how to run it.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import mutation
import numpy as np

from pythanos import _labels
from pythanos._dedup import AVERAGE, CHAIN, NAIVE, PENALTY, SeriesDecoder
from pythanos._dedup import decode_series as decode_samples
from pythanos._json import print_labels, print_matrix, print_samples
from pythanos._query_results import decode_results
from pythanos._remote_read import chunk_frames, sample_series
from pythanos._scan import scan_instants, scan_ranges
from pythanos._windows import Function
from pythanos._wire import encode_series
from pythanos.errors import BadRequest, CorruptData
from pythanos.model.chunks import XOR
from pythanos.model.histogram import HistogramColumns
from pythanos.model.series import LabelColumn, SeriesBatch
from pythanos.rpc.frames import frames_of
from pythanos.rpc.promapi.remote_read import read_request_of
from pythanos.storeapi.merge import merge_series, resorted, slice_batch

CORPUS = Path(__file__).parent / "corpus" / "wire"


def fuzz_one(data: bytes) -> None:
    """One input: raises only what is a bug."""
    if not data:
        return
    targets = (series, samples, merged, labels, results, read_request)
    try:
        targets[data[0] % len(targets)](data[1:])
    except CorruptData as error:
        assert error.offset >= -1
        assert error.reason


def batches_of(body: bytes) -> list[SeriesBatch]:
    return [frame for frame in frames_of(body, "fuzz") if isinstance(frame, SeriesBatch)]


def series(body: bytes) -> None:
    """What is read is written to what reads the same."""
    for batch in batches_of(body):
        if len(batch) == 0:
            continue
        (again,) = batches_of(encode_series(batch))
        assert blocks(again.labels) == blocks(batch.labels)
        for name in ("chunk_start", "chunk_mint", "chunk_maxt", "chunk_encoding", "chunk_aggregate", "chunk_length"):
            assert np.array_equal(getattr(again, name), getattr(batch, name)), name


def samples(body: bytes) -> None:
    """Chunks of a store, through every way to read them and out as an answer."""
    options, body = (body[0] if body else 0), body[1:]
    for batch in batches_of(body):
        how = {
            "aggregate": options % (AVERAGE + 1),
            "algorithm": (NAIVE, PENALTY, CHAIN)[options % 3],
            "counter": bool(options & 64),
            **({"mint": 1_000, "maxt": 1 << 40} if options & 128 else {}),
        }
        found = decode_samples(batch, **how)
        scanned(batch, how, Function(options % len(Function)))
        assert found.start[-1] == len(found.timestamps) == len(found.values)
        sample_series(found)
        b"".join(print_samples(found.labels, found.start, found.timestamps, found.values, points_of(found.histograms)))


def scanned(batch: SeriesBatch, how: dict[str, int], function: Function) -> None:
    """The series in one pass, at steps about their first chunk."""
    if not SeriesDecoder(batch, **how).floats_only or not batch.chunk_count:
        return
    first = int(min(max(batch.chunk_mint[0], -(1 << 50)), 1 << 50))
    out, row = np.empty((len(batch), 21)), np.linspace(0, 1, 21)
    windows = {"first_end": first, "end_step": 15_000, "range_ms": 60_000, "eval_start": first, "eval_step": 15_000}
    scan_ranges(SeriesDecoder(batch, **how), function, out, **windows, first_parameter=row, second_parameter=row)
    scan_instants(SeriesDecoder(batch, **how), out, first_end=first, end_step=15_000, lookback_ms=300_000)


def points_of(columns: HistogramColumns | None) -> SimpleNamespace | None:
    if columns is None:
        return None
    rows = np.arange(len(columns))
    return SimpleNamespace(columns=columns, start=columns.start, row=rows, timestamps=columns.timestamps)


def merged(body: bytes) -> None:
    """Streams of two stores, cut out of the input, and their rows in order again."""
    cut, body = (body[0] if body else 0), body[1:]
    half = cut * len(body) // 255
    streams = [[batch for batch in batches_of(part) if len(batch)] for part in (body[:half], body[half:])]
    for batch in [one for stream in streams for one in stream]:
        slice_batch(batch, len(batch) // 2, len(batch))
        for ordered in resorted(iter((batch,)), ("a",), 3):
            assert _labels.is_sorted(ordered.labels, strict=True)
        if (batch.chunk_encoding == XOR).all() and (batch.chunk_aggregate == 0).all():
            chunk_frames(batch, frame_bytes=64)
    whole = [blocks(batch.labels) for batch in merge_series([iter(stream) for stream in streams], 2)]
    out = [block for part in whole for block in part]
    assert len(out) == len(set(out))


def labels(body: bytes) -> None:
    """Label sets as they come, through everything that groups, changes and prints them."""
    for batch in batches_of(body):
        column = batch.labels
        names = tuple(_labels.names_of(column))[:3]
        for some in ((), ("a",), names):
            group, keys = _labels.group_by(column, some, by=True)
            assert len(group) == len(column) and (group < len(keys)).all()
            _labels.group_by(column, some, by=False)
            _labels.signatures(column, some, on=True)
            _labels.signatures(column, some, on=False)
            _labels.keep_labels(column, some)
            _labels.shard_mask(column, some, by=True, total=3, index=1)
            dropped = _labels.drop_labels(column, some)
            assert len(dropped) == len(column)
        for name in names:
            _labels.value_index(column, name)
            _labels.values_of(column, name)
        order = _labels.sort_order(column)
        assert _labels.is_sorted(column.take(order))
        _labels.count_misordered(column)
        _labels.distinct(column)
        _labels.find_duplicate(column)
        _labels.sampling_hashes(column)
        _labels.to_dicts(_labels.set_label(column, "a", "x"))
        _labels.concat([column, column])
        b"".join(print_labels(column))


def results(body: bytes) -> None:
    """The answer of a querier that evaluates."""
    count, body = (body[0] if body else 1) % 16 + 1, body[1:]
    rows, _ = decode_results(body, 0, 1_000, count, source="fuzz")
    if rows is None:
        return
    column, values, row, columns = rows
    assert values.shape == (len(column), count)
    if columns is not None:
        assert row.shape == values.shape and (row < len(columns)).all() and (row >= -1).all()
        return
    b"".join(print_matrix(column, values, 0, 1_000))


def read_request(body: bytes) -> None:
    try:
        read_request_of(body)
    except BadRequest as error:
        assert str(error)


def blocks(column: LabelColumn) -> list[bytes]:
    return [column.block(row) for row in range(len(column))]


if __name__ == "__main__":
    mutation.main(fuzz_one, CORPUS)
