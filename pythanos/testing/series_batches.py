"""SeriesBatches from plain columns, for demo data, tests and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pythanos._chunks import encode_floats
from pythanos._labels import labels_from_dicts
from pythanos.model.chunks import XOR
from pythanos.model.resolution import RAW
from pythanos.model.series import LabelColumn, SeriesBatch

SAMPLES_PER_CHUNK = 120


def encode_matrix(
    labels: Sequence[dict[str, str]],
    timestamps: NDArray[np.int64],
    values: NDArray[np.float64],
    *,
    samples_per_chunk: int = SAMPLES_PER_CHUNK,
) -> SeriesBatch:
    """Series that share their timestamps, as XOR chunks.

    labels: of n series in label order; timestamps: int64[t] ms, rising, at least one; values: float64[n, t].
    """
    series, samples = values.shape
    cuts = np.append(np.arange(0, samples, samples_per_chunk), samples)
    chunks = len(cuts) - 1
    start = np.append((np.arange(series)[:, None] * samples + cuts[None, :-1]).ravel(), series * samples)
    data, offset, length = encode_floats(np.tile(timestamps, series), np.ascontiguousarray(values).ravel(), start)
    column = labels_from_dicts(list(labels))
    label_bytes = bytes(column.arena)
    return SeriesBatch(
        labels=LabelColumn(label_bytes + bytes(data), column.offset, column.length, column.hash),
        chunk_start=np.arange(series + 1, dtype=np.int64) * chunks,
        chunk_mint=np.tile(timestamps[cuts[:-1]], series),
        chunk_maxt=np.tile(timestamps[cuts[1:] - 1], series),
        chunk_encoding=np.full(series * chunks, XOR, np.uint8),
        chunk_aggregate=np.full(series * chunks, RAW, np.uint8),
        chunk_offset=np.asarray(offset, np.int64) + len(label_bytes),
        chunk_length=np.asarray(length, np.int32),
    )
