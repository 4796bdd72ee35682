"""Samples as extended selectors take them: floats without staleness markers, and what lies at the edges of a range."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pythanos import _extended
from pythanos.errors import NotSupported, QueryFailed
from pythanos.model.series import SampleBatch


def live_samples(samples: SampleBatch) -> SampleBatch:
    """The samples without the staleness markers among their floats; histograms as they are."""
    kept = _extended.without_stale(samples.start, samples.values)
    if kept is None:
        return samples
    start, rows = kept
    known = samples.start_timestamps
    return replace(
        samples,
        start=start,
        timestamps=samples.timestamps[rows],
        values=samples.values[rows],
        start_timestamps=None if known is None else known[rows],
    )


def refuse_histograms(samples: SampleBatch, function: str) -> None:
    """Raises NotSupported where native histograms are among the samples of a function that knows floats only."""
    if samples.histograms is not None and len(samples.histograms):
        raise NotSupported(f"the function {function} does not take native histograms")


def between_edges(samples: SampleBatch, modifier: str, mint: int, maxt: int, lookback_ms: int) -> SampleBatch:
    """The samples inside ``(mint, maxt)`` and one at each edge: the value of a bare range selector with a modifier.

    Series without a sample in reach are left out. Raises QueryFailed where native histograms are in reach, be they only
    staleness markers.
    """
    histograms, smoothed = samples.histograms, modifier == "smoothed"
    if histograms is not None:
        times = histograms.timestamps
        if ((times > mint - lookback_ms) & (times <= maxt + lookback_ms * smoothed)).any():
            raise QueryFailed(f"{modifier} modifier is not supported with histograms")
    live = live_samples(samples)
    start, timestamps, values = _extended.extended_samples(
        live.start, live.timestamps, live.values, mint, maxt, lookback_ms=lookback_ms, smoothed=smoothed
    )
    kept = np.nonzero(np.diff(start))[0]
    ends = np.concatenate([np.zeros(1, np.int64), start[kept + 1]])
    return SampleBatch(live.labels.take(kept), ends, timestamps, values)
