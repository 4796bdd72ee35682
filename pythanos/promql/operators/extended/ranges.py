"""Functions over anchored and smoothed ranges, and Thanos' x functions, which take in the sample before the range."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pythanos import _extended
from pythanos.errors import QueryFailed
from pythanos.promql.annotations import Annotation
from pythanos.promql.functions.extended import ANCHORED, KERNELS, SMOOTHED, X_FUNCTIONS, X_LOOKBACK_MS
from pythanos.promql.operators.extended.samples import beyond, live_floats
from pythanos.promql.operators.operator import Block, Evaluation, Job, Names, require_distinct, without_names
from pythanos.promql.operators.ranges import counter_infos
from pythanos.promql.operators.scan import (
    batch_jobs,
    block_rows,
    data_steps,
    metric_name,
    open_selection,
    repeated,
    select_hints,
)
from pythanos.promql.plan.nodes import RangeSelect
from pythanos.promql.queryable import EncodedSeries
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
        self.names = Names.GONE
        self.known_name = metric_name(node.select)
        self.lookback_ms = X_LOOKBACK_MS if function in X_FUNCTIONS else evaluation.options.lookback_ms
        after_ms = self.lookback_ms if node.select.modifier == "smoothed" else 0
        range_ms = node.range_ms + self.lookback_ms
        hints = beyond(select_hints(node.select, self.ends, range_ms, node.range_ms), after_ms)
        self.selection = open_selection(evaluation, node.select, hints)
        self.rows = block_rows(hints, steps.count)
        self._hashes: list[NDArray[np.uint64]] = []

    def jobs(self) -> Iterator[Job]:
        yield from batch_jobs(self.selection, self.rows, self._evaluate)

    def finished(self) -> None:
        require_distinct(self._hashes)

    def _evaluate(self, batch: EncodedSeries) -> Block:
        samples = live_floats(batch.decode(), self.node.select.modifier or self.function)
        values = np.empty((len(samples), self.ends.count))
        starts = samples.start_timestamps if self.evaluation.options.use_start_timestamps else None
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
            smoothed=self.node.select.modifier == "smoothed",
            start_timestamps=starts,
        )
        block = Block(samples.labels, repeated(values, self.steps), scanned=scanned, read=read).without_empty()
        block.annotations = self._annotations(block)
        block = without_names(self.evaluation, block)
        if not self.evaluation.options.delayed_names:
            self._hashes.append(block.labels.hash)
        return block

    def _annotations(self, block: Block) -> list[Annotation]:
        if self.function not in ("rate", "increase") or not len(block):
            return []
        return counter_infos(self.evaluation, block.labels, self.known_name, self.node.start)


def refuse_function(function: str, modifier: str) -> None:
    """Raises QueryFailed for a function that cannot take samples from beyond the range."""
    allowed = {"anchored": ANCHORED, "smoothed": SMOOTHED}.get(modifier)
    if allowed is not None and function not in allowed:
        names = ", ".join(sorted(allowed))
        raise QueryFailed(f"{modifier} modifier can only be used with: {names} - not with {function}")
