"""``metric smoothed``: values on the lines between samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pythanos import _extended
from pythanos.promql.operators.extended.samples import beyond, live_floats
from pythanos.promql.operators.operator import Block, Evaluation, Job, Names
from pythanos.promql.operators.scan import (
    batch_jobs,
    block_rows,
    data_steps,
    metric_name,
    open_selection,
    repeated,
    select_hints,
)
from pythanos.promql.plan.nodes import Select
from pythanos.promql.queryable import EncodedSeries
from pythanos.promql.values import Steps


class SmoothedScan:
    """An instant selector with the modifier; looks a lookback before each step and behind it."""

    def __init__(self, evaluation: Evaluation, node: Select, steps: Steps) -> None:
        self.evaluation = evaluation
        self.steps = steps
        self.data = data_steps(node, steps)
        self.names = Names.SINGLE if metric_name(node) else Names.MANY
        lookback_ms = evaluation.options.lookback_ms
        hints = beyond(select_hints(node, self.data, lookback_ms, 0), lookback_ms)
        self.selection = open_selection(evaluation, node, hints)
        self.rows = block_rows(hints, max(steps.count, self.data.count))

    def jobs(self) -> Iterator[Job]:
        yield from batch_jobs(self.selection, self.rows, self._look)

    def finished(self) -> None:
        """Selected label sets are distinct."""

    def _look(self, batch: EncodedSeries) -> Block:
        samples = live_floats(batch.decode(), "smoothed")
        values = np.empty((len(samples), self.data.count))
        found = _extended.smoothed_rows(
            samples.start,
            samples.timestamps,
            samples.values,
            values,
            first_end=self.data.start_ms,
            end_step=self.data.step_ms,
            lookback_ms=self.evaluation.options.lookback_ms,
        )
        block = Block(samples.labels, values, scanned=found, read=found).without_empty()
        block.values = repeated(block.values, self.steps)
        return block
