"""What chunks are to everybody else: their encoding bytes, and the columns that they decode to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pythanos.model.histogram import HistogramColumns

# The encoding byte in front of a chunk's data. 1 to 6 are Prometheus', 255 is Thanos' downsampled chunk.
XOR = 1
HISTOGRAM = 2
FLOAT_HISTOGRAM = 3
XOR2 = 4
HISTOGRAM_ST = 5
FLOAT_HISTOGRAM_ST = 6
AGGREGATE = 0xFF

ENCODING_NAMES = {
    XOR: "XOR",
    HISTOGRAM: "histogram",
    FLOAT_HISTOGRAM: "float histogram",
    XOR2: "XOR2",
    HISTOGRAM_ST: "histogram with start timestamps",
    FLOAT_HISTOGRAM_ST: "float histogram with start timestamps",
    AGGREGATE: "aggregate",
}


@dataclass(frozen=True, slots=True)
class DecodedChunks:
    """The samples of m chunks.

    start: int64[m + 1], the float samples of chunk i are rows [start[i], start[i + 1]); none for a histogram chunk.
    timestamps: int64[n] ms; values: float64[n], bit patterns kept (staleness markers, NaN payloads).
    start_timestamps: int64[n] ms, 0 where unknown; None where no float chunk of the batch carries any.
    histograms: the histogram samples, with their own ``start`` of m + 1; None where no chunk of the batch is a
    histogram chunk. All arrays are owned by the value.
    """

    start: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]
    start_timestamps: NDArray[np.int64] | None
    histograms: HistogramColumns | None


@dataclass(frozen=True, slots=True)
class ChunkRows:
    """The chunks inside m chunks, as found by ``split_aggregates``: no bytes are copied.

    start: int64[m + 1], chunk i holds rows [start[i], start[i + 1]); kind: uint8[k], a ``model.resolution`` kind,
    rising in a chunk; encoding: uint8[k]; offset: int64[k] and length: int32[k], bytes in the arena that was given.
    """

    start: NDArray[np.int64]
    kind: NDArray[np.uint8]
    encoding: NDArray[np.uint8]
    offset: NDArray[np.int64]
    length: NDArray[np.int32]
