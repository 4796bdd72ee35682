"""and, or, unless: samples are kept by what stands on the other side at the same step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels, _rows
from pythanos.promql.histograms.rows import masked
from pythanos.promql.operators.operator import Block, Evaluation, Job, Names, VectorOperator, joined, merged_duplicates
from pythanos.promql.plan.nodes import Binary


class SetOperation:
    """A set operation; match groups are numbered once, steps are masked by kernel."""

    def __init__(self, evaluation: Evaluation, node: Binary, lhs: VectorOperator, rhs: VectorOperator) -> None:
        if node.matching is None:
            raise AssertionError(node)
        self.evaluation = evaluation
        self.op = node.op
        self.matching = node.matching
        self.lhs = lhs
        self.rhs = rhs
        self.steps = lhs.steps
        same = node.op != "or" or (lhs.names is Names.GONE and rhs.names is Names.GONE)
        self.names = lhs.names if same else Names.MANY

    def jobs(self) -> Iterator[Job]:
        left = self.evaluation.collect(self.lhs)
        right = self.evaluation.collect(self.rhs)
        columns = _labels.concat([left.labels, right.labels])
        key, groups = _labels.group_by(columns, self.matching.labels, by=self.matching.on)
        left_key, right_key = key[: len(left)], key[len(left) :]
        if self.op == "or":
            taken = _rows.presence(left.samples(), left_key, len(groups))
            _mask(right, right_key, taken, where=False)
            merged = merged_duplicates(joined([left, right.without_empty()], self.steps.count))
            yield partial(_same, merged)
            return
        there = _rows.presence(right.samples(), right_key, len(groups))
        _mask(left, left_key, there, where=self.op == "and")
        yield left.without_empty

    def finished(self) -> None:
        pass


def _mask(block: Block, key: NDArray[np.int64], allowed: NDArray[np.uint8], *, where: bool) -> None:
    """Takes the samples away, in place, where ``allowed[key[i], k]`` is not ``where``."""
    _rows.mask_rows(block.values, key, allowed, where=where)
    if block.histograms is not None:
        block.histograms = masked(block.histograms, (allowed != 0)[key] == where)


def _same(block: Block) -> Block:
    return block
