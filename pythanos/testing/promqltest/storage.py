"""What scripts have loaded, as a Queryable; samples come back as a TSDB would give them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pythanos import _labels
from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher
from pythanos.model.series import LabelColumn, SampleBatch
from pythanos.promql.queryable import EncodedSeries, SelectHints, Selection
from pythanos.testing.memory_queryable import HeldSeries
from pythanos.testing.promqltest.custom_buckets import with_custom_buckets
from pythanos.testing.promqltest.histogram_columns import is_stale, stored_hints, to_columns
from pythanos.testing.promqltest.histograms import Histogram
from pythanos.testing.promqltest.notation import Item, LabelSet, NotationError
from pythanos.testing.promqltest.script import Load

# Few, so that scripts see what happens where batches meet.
_BATCH_SERIES = 4


@dataclass(slots=True)
class _Loaded:
    """The samples of one series, in order of time: at ``times`` ms, since ``starts`` ms (0: unknown)."""

    times: list[int] = field(default_factory=list)
    samples: list[float | Histogram] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    hints: list[int] = field(default_factory=list)


@dataclass(slots=True)
class ScriptStorage:
    """Series by label set; loads without a clear between them accumulate."""

    series: dict[LabelSet, _Loaded] = field(default_factory=dict)
    hidden_labels: frozenset[str] = frozenset()

    def load(self, command: Load) -> None:
        """Appends the series of a block. Raises NotationError for samples that do not go forward in time."""
        series = list(command.series)
        if command.custom_buckets:
            series += with_custom_buckets(command.series)
        for labels, items in series:
            offsets = command.start_times.get(labels, [None] * len(items))
            loaded = self.series.setdefault(labels, _Loaded())
            _append(loaded, command.step_ms, items, offsets)
            loaded.hints = stored_hints(list(zip(loaded.times, loaded.samples, strict=True)))

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        """The matching series, in label order, with their samples in the hinted range."""
        found = []
        for labels in self.series:
            names = dict(labels)
            if all(matcher.matches(names.get(matcher.name, "")) for matcher in matchers):
                found.append(labels)
        return Selection(self._batches(found, hints))

    def _batches(self, found: list[LabelSet], hints: SelectHints) -> Iterator[EncodedSeries]:
        labels = _labels.labels_from_dicts([dict(names) for names in found])
        order = _labels.sort_order(labels)
        for first in range(0, len(order), _BATCH_SERIES):
            rows = order[first : first + _BATCH_SERIES]
            yield HeldSeries(_sample_batch(labels.take(rows), [self.series[found[row]] for row in rows], hints))


def _append(loaded: _Loaded, step_ms: int, items: list[Item], offsets: list[int | None]) -> None:
    for number, (item, offset) in enumerate(zip(items, offsets, strict=True)):
        if item is None:
            continue
        time_ms = number * step_ms
        if loaded.times and time_ms <= loaded.times[-1]:
            raise NotationError(f"out of order sample at {time_ms} ms")
        if isinstance(item, float) and is_stale(item) and loaded.samples and isinstance(loaded.samples[-1], Histogram):
            # A marker behind a histogram is written as one, so that the series does not change its type.
            item = Histogram(sum=item)
        loaded.times.append(time_ms)
        loaded.samples.append(item)
        loaded.starts.append(0 if offset is None else time_ms + offset)


def _sample_batch(labels: LabelColumn, chosen: list[_Loaded], hints: SelectHints) -> SampleBatch:
    floats: list[list[tuple[int, float, int]]] = []
    histograms: list[list[tuple[int, Histogram, int, int]]] = []
    for loaded in chosen:
        floats.append([])
        histograms.append([])
        rows = zip(loaded.times, loaded.samples, loaded.hints, loaded.starts, strict=True)
        for time_ms, sample, hint, start_ms in rows:
            if not hints.mint <= time_ms <= hints.maxt:
                continue
            if isinstance(sample, Histogram):
                histograms[-1].append((time_ms, sample, hint, start_ms))
            else:
                floats[-1].append((time_ms, sample, start_ms))
    start = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum([len(samples) for samples in floats], out=start[1:])
    flat = [row for samples in floats for row in samples]
    return SampleBatch(
        labels,
        start,
        np.array([time_ms for time_ms, _, _ in flat], np.int64),
        np.array([value for _, value, _ in flat], np.float64),
        np.array([start_ms for _, _, start_ms in flat], np.int64),
        to_columns(histograms) if any(histograms) else None,
    )
