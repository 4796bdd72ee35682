"""``metric smoothed``: values and native histograms on the lines between samples."""

from __future__ import annotations

import numpy as np

from pythanos import _extended, _extended_histograms
from pythanos.model.series import SampleBatch
from pythanos.promql.histograms.rows import points, referred, sample_sizes
from pythanos.promql.operators.extended.samples import live_samples
from pythanos.promql.operators.histograms.windows import HistogramSamples, selected, window_remarks
from pythanos.promql.operators.operator import Block, Evaluation
from pythanos.promql.operators.scan import InstantSelector, decode
from pythanos.promql.plan.nodes import Select
from pythanos.promql.queryable import EncodedSeries
from pythanos.promql.values import Steps


class SmoothedScan(InstantSelector):
    """An instant selector with the modifier; looks a lookback before each step and behind it."""

    def __init__(self, evaluation: Evaluation, node: Select, steps: Steps) -> None:
        super().__init__(evaluation, node, steps, after_ms=evaluation.options.lookback_ms)

    def _look(self, batch: EncodedSeries) -> Block:
        samples = live_samples(decode(batch, self.node, self.mint))
        values = np.empty((len(samples), self.data.count))
        found = _extended.smoothed_rows(
            samples.start,
            samples.timestamps,
            samples.values,
            values,
            first_end=self.data.start_ms,
            end_step=self.data.step_ms,
            lookback_ms=self.lookback_ms,
        )
        block = Block(samples.labels, values, scanned=found, read=found)
        histograms = selected(samples, use_starts=False)
        if histograms is not None:
            self._look_between(block, samples, histograms)
        return block

    def _look_between(self, block: Block, samples: SampleBatch, histograms: HistogramSamples) -> None:
        """Puts the steps right that have histograms in reach."""
        row, columns, said, _, _ = _extended_histograms.smoothed_histogram_rows(
            samples,
            histograms.columns,
            histograms.start,
            histograms.timestamps,
            histograms.row,
            block.values,
            first_end=self.data.start_ms,
            end_step=self.data.step_ms,
            lookback_ms=self.lookback_ms,
            sizes=sample_sizes(histograms.columns),
            check=self.evaluation.ctx.check,
        )
        block.histograms = referred(row, columns)
        if block.histograms is not None:
            block.scanned += points(block.histograms)
            block.read = block.scanned
        block.annotations = window_remarks(said, block.labels, self.node.start)
