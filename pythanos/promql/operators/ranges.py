"""Functions of range vectors, over the samples of a selector or over the steps of a subquery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels, _rows, _scan, _windows
from pythanos._dedup import SeriesDecoder
from pythanos._windows import Function
from pythanos.errors import QueryFailed
from pythanos.model.matchers import quote
from pythanos.model.series import LabelColumn, SampleBatch
from pythanos.promql.annotations import Annotation, format_g, info, start_overlap, warning
from pythanos.promql.functions.ranges import RangeFunction
from pythanos.promql.operators.histograms.windows import (
    HistogramSamples,
    evaluated,
    histogram_windows,
    sample_times,
    selected,
    window_remarks,
)
from pythanos.promql.operators.operator import (
    Block,
    Evaluation,
    Job,
    Names,
    ScalarOperator,
    VectorOperator,
    is_present,
    require_distinct,
    without_names,
)
from pythanos.promql.operators.scan import (
    batch_jobs,
    block_rows,
    data_steps,
    decode,
    expected_samples,
    float_decoder,
    metric_name,
    open_selection,
    select_hints,
)
from pythanos.promql.plan.nodes import RangeSelect, Subquery
from pythanos.promql.plan.times import subquery_ends
from pythanos.promql.queryable import EncodedSeries
from pythanos.promql.sample_counts import Counted, Counts, window_counts
from pythanos.promql.values import Steps

# Samples that windows look at between two looks at whether the query has ended; some of the functions sort them.
_LOOKS = 16e6
_COUNTER_SUFFIXES = ("_total", "_sum", "_count", "_bucket")


class RangeOperator:
    """The part that both kinds of range function share: windows over samples, names, annotations."""

    def __init__(
        self,
        evaluation: Evaluation,
        function: RangeFunction,
        steps: Steps,
        ends: Steps,
        range_ms: int,
        position: int,
        scalars: tuple[ScalarOperator, ...],
    ) -> None:
        """``ends`` are the window ends (one where ``@`` fixes them), ``position`` that of the range argument."""
        self.evaluation = evaluation
        self.function = function
        self.steps = steps
        self.ends = ends
        self.range_ms = range_ms
        self.position = position
        self.scalars = scalars
        self.place = evaluation.place
        # Where the first scalar argument stands, for warnings about it.
        self.scalar_position = 0
        self.parameters: tuple[NDArray[np.float64], ...] = ()
        self.names = Names.GONE
        self.known_name = ""
        # Set by a receiver that adds growths of histograms up itself.
        self.growing = False
        self._hashes: list[NDArray[np.uint64]] = []

    def prepare(self) -> None:
        """Evaluates the scalar arguments."""
        self.parameters = tuple(np.ascontiguousarray(scalar.row()) for scalar in self.scalars)

    def windows(
        self,
        samples: SampleBatch,
        histograms: HistogramSamples | None = None,
        drop_name: NDArray[np.bool_] | None = None,
    ) -> Block:
        """The function over the windows of some series; runs in a job. ``histograms``: beside the floats, if any."""
        self._check_parameters(len(samples))
        values = np.empty((len(samples), self.steps.count))
        starts = samples.start_timestamps if self.evaluation.options.use_start_timestamps else None
        overlaps = None if starts is None else np.zeros(len(samples), np.int64)
        scanned = read = 0
        for part in self._parts(len(samples), len(samples.values)):
            self.evaluation.ctx.check()
            looked = _windows.range_rows(
                self.function.kernel,
                samples.start[part.start : part.stop + 1],
                samples.timestamps,
                samples.values,
                values[part],
                start_timestamps=starts,
                overlaps=None if overlaps is None else overlaps[part],
                **self._grid(),
            )
            scanned, read = scanned + looked[0], read + looked[1]
        overlapping = [] if overlaps is None else self._overlap_warnings(samples.labels, overlaps)
        block = Block(samples.labels, values, drop_name, scanned, read)
        if histograms is not None:
            self._with_histograms(block, replace(samples, start_timestamps=starts), histograms)
        block.counted = self.place.counted(block.scanned, block.read, partial(self._counts, samples, histograms))
        return self._named(block, overlapping)

    def _parts(self, series: int, samples: int) -> Iterator[slice]:
        """The rows in parts that a kernel is done with soon: many long windows take seconds to look through."""
        span = (self.ends.count - 1) * self.ends.step_ms + self.range_ms
        share = min(1.0, self.range_ms / span) if span else 1.0
        looks = self.steps.count * samples * share
        rows = max(1, int(series * _LOOKS / looks)) if looks > _LOOKS else max(1, series)
        for first in range(0, series, rows):
            yield slice(first, min(first + rows, series))

    def scanned(self, labels: LabelColumn, decoder: SeriesDecoder) -> Block:
        """The function over the windows of series that are floats; runs in a job."""
        self._check_parameters(len(labels))
        values = np.empty((len(labels), self.steps.count))
        scanned = read = 0
        for part in self._parts(len(labels), len(labels) * expected_samples(self.ends, self.range_ms)):
            self.evaluation.ctx.check()
            looked = _scan.scan_ranges(decoder, self.function.kernel, values[part], first=part.start, **self._grid())
            scanned, read = scanned + looked[0], read + looked[1]
        counted = self.place.counted_whole(scanned, read)
        return self._named(Block(labels, values, scanned=scanned, read=read, counted=counted), [])

    def _grid(self) -> dict[str, Any]:
        """What kernels are told of the windows."""
        return {
            "first_end": self.ends.start_ms,
            "end_step": self.ends.step_ms if self.ends.count > 1 else 0,
            "range_ms": self.range_ms,
            "eval_start": self.steps.start_ms,
            "eval_step": self.steps.step_ms,
            "first_parameter": self.parameters[0] if self.parameters else None,
            "second_parameter": self.parameters[1] if len(self.parameters) > 1 else None,
        }

    def _check_parameters(self, series: int) -> None:
        if self.function.kernel is Function.SMOOTH and series:
            _check_factors("smoothing", self.parameters[0])
            _check_factors("trend", self.parameters[1])

    def _named(self, block: Block, overlapping: list[Annotation]) -> Block:
        """A finished block: without empty rows, with what is to be said, under the names that it keeps."""
        block = block.without_empty()
        block.annotations += self._annotations(block) + overlapping
        if not self.function.keeps_name:
            block = without_names(self.evaluation, block)
            if not self.evaluation.options.delayed_names:
                self._hashes.append(block.labels.hash)
        return block

    def finished(self) -> None:
        require_distinct(self._hashes)

    def _counts(self, samples: SampleBatch, histograms: HistogramSamples | None) -> tuple[Counts, Counts]:
        times, worth = sample_times(samples, histograms)
        return window_counts(times, worth, self.ends, self.steps.count, self.range_ms)

    def _with_histograms(self, block: Block, samples: SampleBatch, histograms: HistogramSamples) -> None:
        """Puts the windows right in which histograms are."""
        # Prometheus puts a remark at the first argument, which of a quantile is not the range.
        quantile = self.function.kernel is Function.QUANTILE
        kernel, position = self.function.kernel, self.scalar_position if quantile else self.position
        results = histogram_windows(
            kernel,
            samples,
            histograms,
            block.values,
            self.ends,
            self.range_ms,
            check=self.evaluation.ctx.check,
            growing=self.growing,
        )
        block.histograms = results.histograms
        block.scanned += results.scanned
        block.read += results.read
        block.annotations = window_remarks(results.said, block.labels, position)

    def _annotations(self, block: Block) -> list[Annotation]:
        """What there is to say about the floats of a result."""
        found: list[Annotation] = []
        labels = block.labels
        if block.histograms is not None:
            labels = labels.take(np.nonzero(_rows.present_rows(block.values))[0])
        if not len(labels):
            return found
        if self.function.counter:
            found.extend(counter_infos(self.evaluation, labels, self.known_name, self.position))
        if self.function.kernel is Function.QUANTILE:
            asked = is_present(block.values).any(axis=0)
            found.extend(invalid_quantiles(self.parameters[0][asked], self.scalar_position))
        return found

    def _overlap_warnings(self, labels: LabelColumn, overlaps: NDArray[np.int64]) -> list[Annotation]:
        """Samples that claim to have started before the one before them, by metric."""
        rows = np.nonzero(overlaps)[0]
        if not len(rows):
            return []
        names = _labels.values_of(labels.take(rows), "__name__")
        return [
            start_overlap(name, self.position, count)
            for name, count in zip(names, overlaps[rows].tolist(), strict=True)
        ]


class RangeScan(RangeOperator):
    """A function over a range selector: decode and windows in one job for each batch."""

    def __init__(
        self,
        evaluation: Evaluation,
        function: RangeFunction,
        node: RangeSelect,
        steps: Steps,
        scalars: tuple[ScalarOperator, ...],
    ) -> None:
        ends = data_steps(node.select, steps)
        super().__init__(evaluation, function, steps, ends, node.range_ms, node.start, scalars)
        self.known_name = metric_name(node.select)
        if function.keeps_name:
            self.names = Names.SINGLE if self.known_name else Names.MANY
        hints = select_hints(node.select, ends, node.range_ms, node.range_ms)
        self.node = node
        self.mint = hints.mint
        self.selection = open_selection(evaluation, node.select, hints)
        self.rows = block_rows(hints, steps.count, node.range_ms)

    def jobs(self) -> Iterator[Job]:
        self.prepare()
        yield from batch_jobs(self.selection, self.rows, self._evaluate)

    def _evaluate(self, batch: EncodedSeries) -> Block:
        needs_samples = self.evaluation.options.use_start_timestamps or self.place.by_step
        decoder = None if needs_samples else float_decoder(batch)
        if decoder is not None:
            return self.scanned(batch.labels, decoder)
        samples = decode(batch, self.node.select, self.mint)
        return self.windows(samples, selected(samples, use_starts=self.evaluation.options.use_start_timestamps))


class SubqueryRange(RangeOperator):
    """A function over a subquery: the rows of the inner expression are taken as samples at its steps."""

    def __init__(
        self,
        evaluation: Evaluation,
        function: RangeFunction,
        node: Subquery,
        steps: Steps,
        inner: VectorOperator,
        scalars: tuple[ScalarOperator, ...],
    ) -> None:
        ends = subquery_ends(node, steps)
        # Prometheus puts infos about subqueries at the beginning of the text.
        super().__init__(evaluation, function, steps, ends, node.range_ms, 0, scalars)
        self.inner = inner
        if function.keeps_name:
            self.names = inner.names

    def jobs(self) -> Iterator[Job]:
        self.prepare()
        # Rows become samples with times of their own.
        self.evaluation.require_room(self.inner.steps, arrays=3)
        for job in self.inner.jobs():
            yield partial(self._evaluate, job)

    def finished(self) -> None:
        self.inner.finished()
        super().finished()

    def _evaluate(self, job: Job) -> Block:
        rows = job()
        grid = self.inner.steps
        start, timestamps, values = _windows.row_samples(rows.values, grid.start_ms, grid.step_ms)
        samples = SampleBatch(rows.labels, start, timestamps, values)
        block = self.windows(samples, evaluated(rows, grid), rows.drop_name)
        block.read = rows.read
        if block.counted is not None:
            inner = rows.counted or Counted(0, 0)
            block.counted = replace(block.counted, read=inner.read, read_steps=inner.read_steps)
        elif rows.counted is not None:
            block.read = rows.counted.read
        block.annotations = rows.annotations + block.annotations
        return block


def counter_infos(evaluation: Evaluation, labels: LabelColumn, known_name: str, position: int) -> list[Annotation]:
    """Doubts that metrics are counters; ``known_name`` is the name of all of them, "" where it is not known."""
    if evaluation.options.type_and_unit_labels:
        pairs = set(zip(_labels.values_of(labels, "__name__"), _labels.values_of(labels, "__type__"), strict=True))
        text = 'metric might not be a counter, __type__ label is not set to "counter" or "histogram", got'
        return [
            info(f"{text} {quote(kind)}: {quote(name)}", position)
            for name, kind in sorted(pairs)
            if name and kind not in ("counter", "histogram")
        ]
    names = [known_name] if known_name else _labels.value_index(labels, "__name__")[1]
    text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:"
    return [info(f"{text} {quote(name)}", position) for name in names if name and not name.endswith(_COUNTER_SUFFIXES)]


def invalid_quantiles(row: NDArray[np.float64], position: int) -> list[Annotation]:
    """A warning for each value that is no quantile."""
    with np.errstate(invalid="ignore"):
        bad = row[~((row >= 0) & (row <= 1))]
    return [
        warning(f"quantile value should be between 0 and 1, got {format_g(value)}", position)
        for value in dict.fromkeys(map(float, np.unique(bad)))
    ]


def _check_factors(kind: str, row: NDArray[np.float64]) -> None:
    bad = row[(row <= 0) | (row >= 1)]
    if len(bad):
        raise QueryFailed(f"invalid {kind} factor. Expected: 0 < {kind[0]}f < 1, got: {bad[0]:f}")
