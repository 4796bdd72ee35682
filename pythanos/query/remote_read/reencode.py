"""Samples as chunks again: XOR for floats, float histogram chunks for histograms, one after another in each series."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pythanos._chunks import encode_floats
from pythanos._histogram_encode import encode_histograms
from pythanos.model.chunks import XOR
from pythanos.model.histogram import COUNTER_RESET, GAUGE, NOT_COUNTER_RESET, UNKNOWN_RESET, HistogramColumns
from pythanos.model.resolution import RAW
from pythanos.model.series import SampleBatch, SeriesBatch

# As many as Prometheus puts into a chunk.
CHUNK_SAMPLES = 120
STALE_NAN = 0x7FF0000000000002


@dataclass(frozen=True, slots=True)
class _Rows:
    """All samples by series and time. Each array has an entry per sample.

    series: int64; is_histogram: bool; starts: bool, whether a new chunk begins here whatever came before.
    """

    series: NDArray[np.int64]
    time: NDArray[np.int64]
    is_histogram: NDArray[np.bool_]
    starts: NDArray[np.bool_]


def reencoded(samples: SampleBatch) -> tuple[SeriesBatch, bytes]:
    """A SeriesBatch with the same labels and samples, and the arena that its chunks lie in (not the labels' one).

    Chunks hold up to 120 samples of one kind, histograms of one layout and no counter reset but at the start. Start
    timestamps and the exactness of integer histograms are lost.
    """
    rows = _rows(samples)
    chunk = _chunk_starts(rows)
    kind = rows.is_histogram[chunk]
    ends = np.append(chunk, len(rows.series))
    size = np.diff(ends)
    floats, float_offset, float_length = encode_floats(samples.timestamps, samples.values, _starts(size[~kind]), XOR)
    histograms, histogram_offset, histogram_length, histogram_encoding = _histogram_chunks(
        samples.histograms, size[kind]
    )
    m = len(chunk)
    offset, length, encoding = np.empty(m, np.int64), np.empty(m, np.int32), np.full(m, XOR, np.uint8)
    offset[~kind], length[~kind] = float_offset, float_length
    offset[kind], length[kind], encoding[kind] = histogram_offset + len(floats), histogram_length, histogram_encoding
    batch = SeriesBatch(
        labels=samples.labels,
        chunk_start=_starts(np.bincount(rows.series[chunk], minlength=len(samples))),
        chunk_mint=rows.time[chunk],
        chunk_maxt=rows.time[ends[1:] - 1],
        chunk_encoding=encoding,
        chunk_aggregate=np.full(m, RAW, np.uint8),
        chunk_offset=offset,
        chunk_length=length,
    )
    return batch, bytes(floats) + bytes(histograms)


def _rows(samples: SampleBatch) -> _Rows:
    of_float = np.repeat(np.arange(len(samples)), np.diff(samples.start))
    histograms = samples.histograms
    if histograms is None:
        count = len(of_float)
        return _Rows(of_float, samples.timestamps, np.zeros(count, np.bool_), np.zeros(count, np.bool_))
    of_histogram = np.repeat(np.arange(len(samples)), np.diff(histograms.start))
    series = np.concatenate([of_float, of_histogram])
    time = np.concatenate([samples.timestamps, histograms.timestamps])
    is_histogram = np.arange(len(series)) >= len(of_float)
    starts = np.concatenate([np.zeros(len(of_float), np.bool_), _breaks(histograms)])
    order = np.lexsort((time, series))
    return _Rows(series[order], time[order], is_histogram[order], starts[order])


def _breaks(histograms: HistogramColumns) -> NDArray[np.bool_]:
    """bool[h]: rows that no chunk can hold behind the row before them."""
    hint, layout = histograms.reset_hint, histograms.layout
    stale = histograms.sum.view(np.uint64) == STALE_NAN
    breaks = (hint == COUNTER_RESET) | (hint == UNKNOWN_RESET)
    breaks[1:] |= (
        (layout[1:] != layout[:-1]) | ((hint[1:] == GAUGE) != (hint[:-1] == GAUGE)) | (stale[1:] != stale[:-1])
    )
    return breaks


def _chunk_starts(rows: _Rows) -> NDArray[np.int64]:
    """int64[m]: the first row of each chunk."""
    count = len(rows.series)
    if not count:
        return np.zeros(0, np.int64)
    starts = rows.starts.copy()
    starts[0] = True
    starts[1:] |= (rows.series[1:] != rows.series[:-1]) | (rows.is_histogram[1:] != rows.is_histogram[:-1])
    run = np.nonzero(starts)[0]
    within = np.arange(count) - np.repeat(run, np.diff(np.append(run, count)))
    return np.nonzero(within % CHUNK_SAMPLES == 0)[0]


def _histogram_chunks(
    histograms: HistogramColumns | None, size: NDArray[np.int64]
) -> tuple[bytes, NDArray[np.int64], NDArray[np.int32], NDArray[np.uint8]]:
    if histograms is None:
        return b"", np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.uint8)
    start = _starts(size)
    reset = histograms.reset_hint[start[:-1]].copy()
    # A chunk that goes on after the 120th sample says nothing about what came before it.
    reset[reset == NOT_COUNTER_RESET] = UNKNOWN_RESET
    return encode_histograms(replace(histograms, start=start, chunk_reset=reset, start_timestamps=None, integers=None))


def _starts(size: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(size)]).astype(np.int64)
