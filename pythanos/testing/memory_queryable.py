"""A Queryable over samples in memory: plain columns, or chunks that are decoded as those of a store are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pythanos import _chunks, _labels
from pythanos._histogram_take import take_rows
from pythanos.context import RequestContext
from pythanos.model.histogram import HistogramColumns, concat_histograms
from pythanos.model.matchers import Matcher
from pythanos.model.series import LabelColumn, SampleBatch
from pythanos.promql.queryable import EncodedSeries, SelectHints, Selection


@dataclass(frozen=True, slots=True)
class Samples:
    """What one series holds: floats at ``timestamps`` ms, and native histograms beside them, if any."""

    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]
    histograms: HistogramColumns | None = None


@dataclass(slots=True)
class HeldSeries:
    """Series whose samples are columns already."""

    samples: SampleBatch

    @property
    def labels(self) -> LabelColumn:
        return self.samples.labels

    def decode(self) -> SampleBatch:
        return self.samples

    def decoder(self) -> None:
        """None: nothing is encoded."""

    def part(self, start: int, stop: int) -> HeldSeries:
        held = self.samples
        first, last = int(held.start[start]), int(held.start[stop])
        return HeldSeries(
            SampleBatch(
                held.labels.take(slice(start, stop)),
                held.start[start : stop + 1] - first,
                held.timestamps[first:last],
                held.values[first:last],
                None if held.start_timestamps is None else held.start_timestamps[first:last],
                None if held.histograms is None else held.histograms.part(start, stop),
            )
        )

    def take(self, rows: NDArray[np.intp]) -> HeldSeries:
        held = self.samples
        histograms = held.histograms
        size = np.diff(held.start)[rows]
        start = np.concatenate([np.zeros(1, np.int64), np.cumsum(size)])
        kept = np.repeat(held.start[rows] - start[:-1], size) + np.arange(start[-1])
        return HeldSeries(
            SampleBatch(
                held.labels.take(rows),
                start,
                held.timestamps[kept],
                held.values[kept],
                None if held.start_timestamps is None else held.start_timestamps[kept],
                None if histograms is None else _taken(histograms, rows),
            )
        )


@dataclass(slots=True)
class ChunkSeries:
    """Series of float chunks: series i owns chunk rows [chunk_start[i], chunk_start[i + 1]), in order of time."""

    labels: LabelColumn
    chunk_start: NDArray[np.int64]
    arena: bytes
    offset: NDArray[np.int64]
    length: NDArray[np.int32]
    encoding: NDArray[np.uint8]

    def decode(self) -> SampleBatch:
        first, last = int(self.chunk_start[0]), int(self.chunk_start[-1])
        rows = slice(first, last)
        found = _chunks.decode_chunks(self.arena, self.offset[rows], self.length[rows], self.encoding[rows])
        return SampleBatch(self.labels, found.start[self.chunk_start - first], found.timestamps, found.values)

    def decoder(self) -> None:
        """None: there is no SeriesBatch."""

    def part(self, start: int, stop: int) -> ChunkSeries:
        labels = self.labels.take(slice(start, stop))
        chunk_start = self.chunk_start[start : stop + 1]
        return ChunkSeries(labels, chunk_start, self.arena, self.offset, self.length, self.encoding)

    def take(self, rows: NDArray[np.intp]) -> ChunkSeries:
        size = np.diff(self.chunk_start)[rows]
        chunk_start = np.concatenate([np.zeros(1, np.int64), np.cumsum(size)])
        chunks = np.repeat(self.chunk_start[rows] - chunk_start[:-1], size) + np.arange(chunk_start[-1])
        labels = self.labels.take(rows)
        return ChunkSeries(
            labels, chunk_start, self.arena, self.offset[chunks], self.length[chunks], self.encoding[chunks]
        )


@dataclass(slots=True)
class MemoryQueryable:
    """Series by label set; selections are in label order, in batches of ``batch_series``. ``asked`` records selects."""

    series: dict[tuple[tuple[str, str], ...], Samples] = field(default_factory=dict)
    batch_series: int = 64
    warnings: tuple[str, ...] = ()
    asked: list[tuple[tuple[Matcher, ...], SelectHints]] = field(default_factory=list)
    hidden_labels: frozenset[str] = frozenset()

    def add(
        self,
        labels: Mapping[str, str],
        timestamps: Sequence[int] | NDArray[np.int64] = (),
        values: Sequence[float] | NDArray[np.float64] = (),
        histograms: HistogramColumns | None = None,
    ) -> None:
        """One series; ``timestamps`` ms, rising. It takes the place of one with the same labels.

        ``histograms``: all rows of the columns belong to this series, at times that rise and are no float's.
        Raises ValueError for times that do not rise, or not as many as there are values.
        """
        times, numbers = np.asarray(timestamps, np.int64), np.asarray(values, np.float64)
        if len(times) != len(numbers):
            raise ValueError("there are not as many values as timestamps")
        own = histograms if histograms is not None and len(histograms) else None
        both = times if own is None else np.concatenate([times, own.timestamps])
        if (np.diff(times) <= 0).any() or (own is not None and (np.diff(own.timestamps) <= 0).any()):
            raise ValueError("timestamps do not rise")
        if len(np.unique(both)) < len(both):
            raise ValueError("a float and a histogram stand at the same time")
        self.series[tuple(sorted(labels.items()))] = Samples(times, numbers, own)

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        self.asked.append((matchers, hints))
        found = [key for key in self.series if _matches(dict(key), matchers)]
        return Selection(self._batches(found), list(self.warnings))

    def _batches(self, keys: list[tuple[tuple[str, str], ...]]) -> Iterator[EncodedSeries]:
        labels = _labels.labels_from_dicts([dict(key) for key in keys])
        order = _labels.sort_order(labels)
        for first in range(0, len(order), self.batch_series):
            rows = order[first : first + self.batch_series]
            chosen = [self.series[keys[row]] for row in rows]
            yield HeldSeries(
                SampleBatch(
                    labels.take(rows),
                    _starts([len(samples.values) for samples in chosen]),
                    np.concatenate([samples.timestamps for samples in chosen]),
                    np.concatenate([samples.values for samples in chosen]),
                    histograms=_histograms_of(chosen),
                )
            )


def _histograms_of(chosen: Sequence[Samples]) -> HistogramColumns | None:
    """The histograms of some series, cut into series; None where none has any."""
    some = [samples.histograms for samples in chosen if samples.histograms is not None]
    if not some:
        return None
    start = _starts([0 if samples.histograms is None else len(samples.histograms) for samples in chosen])
    return replace(concat_histograms(some), start=start, chunk_reset=np.zeros(len(chosen), np.uint8))


def _starts(sizes: Sequence[int]) -> NDArray[np.int64]:
    start = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=start[1:])
    return start


def _taken(histograms: HistogramColumns, rows: NDArray[np.intp]) -> HistogramColumns:
    size = np.diff(histograms.start)[rows]
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(size)])
    kept = np.repeat(histograms.start[rows] - start[:-1], size) + np.arange(start[-1])
    return replace(take_rows(histograms, kept), start=start, chunk_reset=histograms.chunk_reset[rows])


def _matches(labels: dict[str, str], matchers: tuple[Matcher, ...]) -> bool:
    return all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)
