"""Operators that work sample by sample: functions, arithmetic with a scalar, the minus sign, repetition over steps.

They wrap the jobs of their operand, so that they run where its rows were made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pythanos import _rows
from pythanos.model.series import ABSENT
from pythanos.promql.functions.operators import ARITHMETIC, OPERATORS
from pythanos.promql.histograms.arithmetic import TRIMS, Cells, combine, scaled
from pythanos.promql.operators.operator import (
    METADATA_LABELS,
    Block,
    Evaluation,
    Job,
    Names,
    ScalarOperator,
    VectorOperator,
    merged_duplicates,
    require_distinct,
    without_names,
)
from pythanos.promql.operators.scan import repeated_block
from pythanos.promql.values import Steps

# Changes a block's samples in place; takes the rows of its scalars.
Change = Callable[[Block, tuple[NDArray[np.float64], ...]], None]


class Elementwise:
    """A change of each sample. ``drops_names``: the result is no longer the metric."""

    def __init__(
        self,
        evaluation: Evaluation,
        operand: VectorOperator,
        change: Change,
        scalars: tuple[ScalarOperator, ...] = (),
        *,
        drops_names: bool = True,
        sparse: bool = False,
    ) -> None:
        """``sparse``: the change takes floats away, so that whole rows may go."""
        self.evaluation = evaluation
        self.operand = operand
        self.change = change
        self.scalars = scalars
        self.drops_names = drops_names and not evaluation.options.delayed_names
        self.marks_names = drops_names and evaluation.options.delayed_names
        self.steps = operand.steps
        self.sparse = sparse
        self.name_labels: tuple[str, ...] = METADATA_LABELS
        self.names = Names.GONE if drops_names else operand.names
        self._hashes: list[NDArray[np.uint64]] = []

    def jobs(self) -> Iterator[Job]:
        rows = tuple(np.ascontiguousarray(scalar.row()) for scalar in self.scalars)
        if self.drops_names and self.operand.names is Names.MANY:
            # Rows of different metrics may become one series: they have to be seen together.
            block = self._apply(partial(self.evaluation.collect, self.operand), rows)
            yield partial(merged_duplicates, block)
            return
        for job in self.operand.jobs():
            yield partial(self._apply, job, rows)

    def finished(self) -> None:
        self.operand.finished()
        require_distinct(self._hashes)

    def _apply(self, job: Job, rows: tuple[NDArray[np.float64], ...]) -> Block:
        block = job()
        sparse = self.sparse or block.histograms is not None
        self.change(block, rows)
        if sparse:
            block = block.without_empty()
        if self.drops_names and self.operand.names is not Names.GONE:
            block = without_names(self.evaluation, block, self.name_labels)
            if self.operand.names is Names.SINGLE:
                self._hashes.append(block.labels.hash)
        elif self.marks_names:
            block = without_names(self.evaluation, block)
        return block


class Repeat:
    """What is evaluated at one step, at every step."""

    def __init__(self, operand: VectorOperator, steps: Steps) -> None:
        self.operand = operand
        self.steps = steps
        self.names = operand.names

    def jobs(self) -> Iterator[Job]:
        for job in self.operand.jobs():
            yield partial(self._apply, job)

    def finished(self) -> None:
        self.operand.finished()

    def _apply(self, job: Job) -> Block:
        return repeated_block(job(), self.steps)


def apply_function(function: _rows.Function) -> Change:
    """The change by a function of ``functions.elements``, ``round`` or ``clamp``; scalars are its further arguments.

    It keeps floats only.
    """

    def change(block: Block, rows: tuple[NDArray[np.float64], ...]) -> None:
        _rows.apply(function, block.values, *rows)
        block.histograms = None

    return change


def put_scalar(block: Block, rows: tuple[NDArray[np.float64], ...]) -> None:
    """The change of every sample to the scalar of its step."""
    np.copyto(block.values, rows[0], where=block.present())
    block.histograms = None


def negate(block: Block, rows: tuple[NDArray[np.float64], ...]) -> None:
    """The change of every sample to its negative."""
    _rows.apply(_rows.Function.NEGATE, block.values)
    if block.histograms is not None:
        block.histograms = scaled(block.histograms, -1.0)


def apply_operator(op: str, start: int, *, scalar_left: bool, return_bool: bool) -> Change:
    """The change by a binary operator whose other operand is the one scalar; ``start`` is where it stands."""
    operator = OPERATORS.get(op)
    keep = _rows.Keep.BOOL if return_bool else _rows.Keep.LEFT

    def change(block: Block, rows: tuple[NDArray[np.float64], ...]) -> None:
        vector = block.values
        if operator is None:
            block.values = np.full_like(vector, ABSENT)
        elif block.histograms is None:
            _rows.with_scalar(operator, block.values, rows[0], scalar_left=scalar_left, keep=keep)
            return
        else:
            vector = vector.copy()
            _rows.with_scalar(operator, block.values, rows[0], scalar_left=scalar_left, keep=keep)
        left = Cells(vector, block.histograms)
        right = Cells(np.broadcast_to(rows[0], vector.shape).copy(), None)
        if scalar_left:
            left, right = right, left
        outcome = combine(op, left, right, block.values, return_bool=return_bool)
        block.histograms = outcome.histograms
        block.annotations += outcome.remarks(op, start, last_only=True)

    return change


def scalar_operation(
    evaluation: Evaluation,
    op: str,
    vector: VectorOperator,
    scalar: ScalarOperator,
    start: int,
    *,
    scalar_left: bool,
    return_bool: bool,
) -> Elementwise:
    """``vector op scalar`` or ``scalar op vector``; a comparison without bool filters, and keeps the names."""
    change = apply_operator(op, start, scalar_left=scalar_left, return_bool=return_bool)
    drops_names = op in ARITHMETIC or return_bool
    return Elementwise(evaluation, vector, change, (scalar,), drops_names=drops_names, sparse=op in TRIMS)
