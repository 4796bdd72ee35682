"""start_timestamp(selector): since when the last sample of each series counts, where stores know it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pythanos import _windows
from pythanos.model.series import ABSENT, STALE_NAN_BITS, SampleBatch
from pythanos.promql.histograms.instant import last_samples
from pythanos.promql.operators.operator import Block, Evaluation, Job, Names, VectorOperator, without_names
from pythanos.promql.operators.scan import InstantSelector
from pythanos.promql.plan.nodes import Select
from pythanos.promql.queryable import EncodedSeries
from pythanos.promql.values import Steps


class StartTimes(InstantSelector):
    """The start timestamps in seconds, 0 where a sample has none; loses the metric names."""

    def __init__(self, evaluation: Evaluation, node: Select, steps: Steps) -> None:
        super().__init__(evaluation, node, steps)
        self.names = Names.GONE

    def _look(self, batch: EncodedSeries) -> Block:
        samples = batch.decode()
        values, found = self._starts(samples)
        return Block(samples.labels, values, scanned=found, read=found)

    def _answer(self, batch: EncodedSeries) -> Block:
        return without_names(self.evaluation, super()._answer(batch))

    def _starts(self, samples: SampleBatch) -> tuple[NDArray[np.float64], int]:
        known = samples.start_timestamps
        seconds = np.zeros(len(samples.values)) if known is None else known / 1000
        stale = samples.values.view(np.int64) == STALE_NAN_BITS
        starts = SampleBatch(samples.labels, samples.start, samples.timestamps, np.where(stale, ABSENT, seconds))
        columns = samples.histograms
        if columns is not None and len(columns):
            values, references, found = last_samples(starts, columns, self.data, self.lookback_ms)
            if references is not None:
                there = references.row >= 0
                known = columns.start_timestamps
                values[there] = 0 if known is None else known[references.row[there]] / 1000
            return values, found
        values = np.empty((len(samples), self.data.count))
        found = _windows.instant_rows(
            starts.start,
            starts.timestamps,
            starts.values,
            values,
            first_end=self.data.start_ms,
            end_step=self.data.step_ms,
            lookback_ms=self.lookback_ms,
        )
        return values, found


class Nothing:
    """No rows, whatever the operand gives: the start timestamps of an expression, or while they are not in use."""

    def __init__(self, operand: VectorOperator) -> None:
        self.operand = operand
        self.steps = operand.steps
        self.names = Names.GONE

    def jobs(self) -> Iterator[Job]:
        for job in self.operand.jobs():
            yield partial(_emptied, job)

    def finished(self) -> None:
        self.operand.finished()


def _emptied(job: Job) -> Block:
    return job().take(np.zeros(0, np.int64))
