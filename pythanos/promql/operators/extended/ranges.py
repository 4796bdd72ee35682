"""Functions over anchored and smoothed ranges, and Thanos' x functions, which take in the sample before the range."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pythanos import _extended, _extended_histograms, _rows
from pythanos.errors import QueryFailed
from pythanos.model.series import SampleBatch
from pythanos.promql.annotations import Annotation
from pythanos.promql.functions.extended import ANCHORED, KERNELS, SMOOTHED, X_FUNCTIONS, X_LOOKBACK_MS
from pythanos.promql.histograms.rows import referred, sample_sizes
from pythanos.promql.operators.extended.samples import live_samples, refuse_histograms
from pythanos.promql.operators.histograms.windows import HistogramSamples, sample_times, selected, window_remarks
from pythanos.promql.operators.operator import Block, Evaluation, Job, Names, require_distinct, without_names
from pythanos.promql.operators.ranges import counter_infos
from pythanos.promql.operators.scan import (
    batch_jobs,
    beyond,
    block_rows,
    data_steps,
    decode,
    metric_name,
    open_selection,
    repeated_block,
    select_hints,
)
from pythanos.promql.plan.nodes import RangeSelect
from pythanos.promql.queryable import EncodedSeries
from pythanos.promql.sample_counts import Counts, window_counts
from pythanos.promql.values import Steps


class ExtendedRangeScan:
    """A function over a range selector whose windows reach beyond the range."""

    def __init__(self, evaluation: Evaluation, function: str, node: RangeSelect, steps: Steps) -> None:
        """Raises QueryFailed for a function that does not go with the selector's modifier."""
        refuse_function(function, node.select.modifier)
        self.evaluation = evaluation
        self.function = function
        self.node = node
        self.steps = steps
        self.ends = data_steps(node.select, steps)
        self.place = evaluation.place
        self.names = Names.GONE
        self.known_name = metric_name(node.select)
        self.lookback_ms = X_LOOKBACK_MS if function in X_FUNCTIONS else evaluation.options.lookback_ms
        self.smoothed = node.select.modifier == "smoothed"
        range_ms = node.range_ms + self.lookback_ms
        hints = beyond(
            select_hints(node.select, self.ends, range_ms, node.range_ms), self.lookback_ms if self.smoothed else 0
        )
        self.mint = hints.mint
        self.selection = open_selection(evaluation, node.select, hints)
        self.rows = block_rows(hints, steps.count)
        self._hashes: list[NDArray[np.uint64]] = []

    def jobs(self) -> Iterator[Job]:
        yield from batch_jobs(self.selection, self.rows, self._evaluate)

    def finished(self) -> None:
        require_distinct(self._hashes)

    def _evaluate(self, batch: EncodedSeries) -> Block:
        use_starts = self.evaluation.options.use_start_timestamps
        samples = live_samples(decode(batch, self.node.select, self.mint))
        if self.function in X_FUNCTIONS:
            refuse_histograms(samples, self.function)
        if not use_starts:
            samples = replace(samples, start_timestamps=None)
        values = np.empty((len(samples), self.ends.count))
        scanned, read = _extended.extended_rows(
            KERNELS[self.function],
            samples.start,
            samples.timestamps,
            samples.values,
            values,
            first_end=self.ends.start_ms,
            end_step=self.ends.step_ms if self.ends.count > 1 else 0,
            range_ms=self.node.range_ms,
            lookback_ms=self.lookback_ms,
            smoothed=self.smoothed,
            start_timestamps=samples.start_timestamps,
        )
        block = Block(samples.labels, values, scanned=scanned, read=read)
        histograms = selected(samples, use_starts=use_starts)
        if histograms is not None:
            self._with_histograms(block, samples, histograms)
        block.counted = self.place.counted(block.scanned, block.read, partial(self._counts, samples, histograms))
        block = repeated_block(block.without_empty(), self.steps)
        block.annotations += self._annotations(block)
        block = without_names(self.evaluation, block)
        if not self.evaluation.options.delayed_names:
            self._hashes.append(block.labels.hash)
        return block

    def _with_histograms(self, block: Block, samples: SampleBatch, histograms: HistogramSamples) -> None:
        """Puts the windows right that have histograms in reach."""
        row, columns, said, scanned, read = _extended_histograms.extended_histogram_rows(
            KERNELS[self.function],
            samples,
            histograms.columns,
            histograms.start,
            histograms.timestamps,
            histograms.row,
            block.values,
            first_end=self.ends.start_ms,
            end_step=self.ends.step_ms if self.ends.count > 1 else 0,
            range_ms=self.node.range_ms,
            lookback_ms=self.lookback_ms,
            sizes=sample_sizes(histograms.columns),
            smoothed=self.smoothed,
            start_timestamps=histograms.start_timestamps,
            check=self.evaluation.ctx.check,
        )
        block.histograms = referred(row, columns)
        block.scanned += scanned
        block.read += read
        block.annotations = window_remarks(said, block.labels, self.node.start)

    def _counts(self, samples: SampleBatch, histograms: HistogramSamples | None) -> tuple[Counts, Counts]:
        after_ms = self.lookback_ms if self.smoothed else 0
        ends = Steps(self.ends.start_ms + after_ms, self.ends.step_ms, self.ends.count)
        range_ms = self.node.range_ms + self.lookback_ms + after_ms
        return window_counts(*sample_times(samples, histograms), ends, self.steps.count, range_ms)

    def _annotations(self, block: Block) -> list[Annotation]:
        """What there is to say about the floats of a result."""
        if self.function not in ("rate", "increase"):
            return []
        labels = block.labels
        if block.histograms is not None:
            labels = labels.take(np.nonzero(_rows.present_rows(block.values))[0])
        return counter_infos(self.evaluation, labels, self.known_name, self.node.start) if len(labels) else []


def refuse_function(function: str, modifier: str) -> None:
    """Raises QueryFailed for a function that cannot take samples from beyond the range."""
    allowed = {"anchored": ANCHORED, "smoothed": SMOOTHED}.get(modifier)
    if allowed is not None and function not in allowed:
        names = ", ".join(sorted(allowed))
        raise QueryFailed(f"{modifier} modifier can only be used with: {names} - not with {function}")
