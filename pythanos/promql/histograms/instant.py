"""The last sample of series that hold native histograms, alone or in turn with floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pythanos import _windows
from pythanos.model.histogram import HistogramColumns
from pythanos.model.series import ABSENT, STALE_NAN_BITS, SampleBatch
from pythanos.promql.histograms.rows import points, referred
from pythanos.promql.values import HistogramRows, Steps

_Timeline = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def last_samples(
    samples: SampleBatch, histograms: HistogramColumns, steps: Steps, lookback_ms: int
) -> tuple[NDArray[np.float64], HistogramRows | None, int]:
    """(values float64[n, steps], references, points looked at): at each step the last sample in ``lookback_ms``.

    ``histograms`` are those of ``samples``. A staleness marker of either kind hides what was before it.
    """
    number, _ = _last(samples, histograms, steps, lookback_ms, times=False)
    there = number.view(np.int64) != STALE_NAN_BITS
    floats = len(samples.values)
    code = np.where(there, number, -1.0).astype(np.int64)
    values = np.full(number.shape, ABSENT)
    is_float = there & (code < floats)
    values[is_float] = samples.values[code[is_float]]
    found = referred(np.where(code >= floats, code - floats, -1), histograms)
    return values, found, int(is_float.sum()) + (0 if found is None else points(found))


def last_times(
    samples: SampleBatch, histograms: HistogramColumns, steps: Steps, lookback_ms: int
) -> tuple[NDArray[np.float64], int]:
    """(float64[n, steps], samples looked at): when the last samples were, in seconds."""
    return _last(samples, histograms, steps, lookback_ms, times=True)


def is_stale(histograms: HistogramColumns) -> NDArray[np.bool_]:
    """bool[h]: which rows are staleness markers."""
    return histograms.sum.view(np.int64) == STALE_NAN_BITS


def _last(
    samples: SampleBatch, histograms: HistogramColumns, steps: Steps, lookback_ms: int, *, times: bool
) -> tuple[NDArray[np.float64], int]:
    start, timestamps, numbers = _timeline(samples, histograms)
    out = np.empty((len(samples), steps.count))
    found = _windows.instant_rows(
        start,
        timestamps,
        numbers,
        out,
        first_end=steps.start_ms,
        end_step=steps.step_ms,
        lookback_ms=lookback_ms,
        times=times,
    )
    return out, found


def _timeline(samples: SampleBatch, histograms: HistogramColumns) -> _Timeline:
    """Floats and histograms of each series in order of time, as their numbers: first the floats, then the histograms.

    Exact as float64, in which the kernel takes them; staleness markers are kept as such.
    """
    floats, count = len(samples.values), len(samples)
    numbers = np.arange(floats + len(histograms), dtype=np.float64)
    numbers[:floats][samples.values.view(np.int64) == STALE_NAN_BITS] = ABSENT
    numbers[floats:][is_stale(histograms)] = ABSENT
    sizes = np.diff(samples.start), np.diff(histograms.start)
    start = np.zeros(count + 1, np.int64)
    np.cumsum(sizes[0] + sizes[1], out=start[1:])
    if not floats:
        return start, histograms.timestamps, numbers
    series = np.concatenate([np.repeat(np.arange(count), size) for size in sizes])
    timestamps = np.concatenate([samples.timestamps, histograms.timestamps])
    order = np.lexsort((timestamps, series))
    return start, timestamps[order], numbers[order]
