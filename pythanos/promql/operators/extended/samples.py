"""Samples as extended selectors take them: floats without staleness markers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pythanos import _extended
from pythanos.errors import NotSupported, QueryFailed
from pythanos.model.histogram import HistogramColumns
from pythanos.model.series import SampleBatch
from pythanos.promql.queryable import SelectHints


def live_floats(samples: SampleBatch, what: str) -> SampleBatch:
    """The samples without staleness markers. Raises NotSupported where native histograms are among them.

    ``what`` names who cannot take those.
    """
    if has_histograms(samples):
        raise NotSupported(f"{what} does not take native histograms yet")
    kept = _extended.without_stale(samples.start, samples.values)
    if kept is None:
        return samples
    start, rows = kept
    known = samples.start_timestamps
    return SampleBatch(
        samples.labels, start, samples.timestamps[rows], samples.values[rows], None if known is None else known[rows]
    )


def has_histograms(samples: SampleBatch) -> bool:
    histograms = samples.histograms
    return isinstance(histograms, HistogramColumns) and len(histograms.timestamps) > 0


def between_edges(samples: SampleBatch, modifier: str, mint: int, maxt: int, lookback_ms: int) -> SampleBatch:
    """The samples inside ``(mint, maxt)`` and one at each edge: the value of a bare range selector with a modifier.

    Series without a sample in reach are left out. Raises QueryFailed where native histograms are among the samples.
    """
    if has_histograms(samples):
        raise QueryFailed(f"{modifier} modifier is not supported with histograms")
    live = live_floats(samples, modifier)
    start, timestamps, values = _extended.extended_samples(
        live.start, live.timestamps, live.values, mint, maxt, lookback_ms=lookback_ms, smoothed=modifier == "smoothed"
    )
    kept = np.nonzero(np.diff(start))[0]
    ends = np.concatenate([np.zeros(1, np.int64), start[kept + 1]])
    return SampleBatch(live.labels.take(kept), ends, timestamps, values)


def beyond(hints: SelectHints, after_ms: int) -> SelectHints:
    """The hints, with as much behind the last step; those that ask for nothing stay so."""
    return hints if hints.maxt < hints.mint else replace(hints, maxt=hints.maxt + after_ms)
