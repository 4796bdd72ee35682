"""limit_ratio: a share of all series, always the same ones, chosen by the hash of their labels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels
from pythanos.errors import QueryFailed
from pythanos.model.series import ABSENT
from pythanos.promql.annotations import format_g, warning
from pythanos.promql.histograms.rows import masked
from pythanos.promql.operators.operator import Block, Evaluation, Job, ScalarOperator, VectorOperator, empty_block

# As Prometheus: the largest hash as a float is 2^64.
_HASHES = float(np.uint64(0xFFFFFFFFFFFFFFFF))


class LimitRatio:
    """limit_ratio(r, v): the first share r of the hashes, or the last share -r; grouping does not matter."""

    def __init__(self, evaluation: Evaluation, operand: VectorOperator, ratio: ScalarOperator, position: int) -> None:
        """``position`` is that of the parameter."""
        self.evaluation = evaluation
        self.operand = operand
        self.ratio = ratio
        self.position = position
        self.steps = operand.steps
        self.names = operand.names

    def jobs(self) -> Iterator[Job]:
        ratio = self.ratio.row()
        if not ratio.any():
            yield partial(empty_block, self.steps.count)
            return
        if np.isnan(ratio).any():
            raise QueryFailed("Ratio value is NaN")
        for beyond, limit in ((float(ratio.max()), 1), (float(ratio.min()), -1)):
            if beyond * limit > 1:
                text = f"ratio value should be between -1 and 1, got {format_g(beyond)}, capping to {limit}"
                self.evaluation.annotations.add(warning(text, self.position))
        ratio = np.clip(ratio, -1, 1)
        for job in self.operand.jobs():
            yield partial(_sampled, job, ratio)

    def finished(self) -> None:
        self.operand.finished()


def _sampled(job: Job, ratio: NDArray[np.float64]) -> Block:
    block = job()
    offset = (_labels.sampling_hashes(block.labels).astype(np.float64) / _HASHES)[:, np.newaxis]
    keep = np.where(ratio >= 0, offset < ratio, offset >= 1 + ratio)
    block.values[~keep] = ABSENT
    block.histograms = masked(block.histograms, keep)
    return block.without_empty()
