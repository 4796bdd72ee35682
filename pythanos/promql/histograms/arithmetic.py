"""Binary operators where histograms are involved, cell by cell, as Prometheus decides them (``vectorElemBinop``).

A cell in which both sides have a sample gives a float, a histogram, nothing, or a problem: an outcome that takes the
sample away and leaves a remark. Cells of two floats are not looked at, except where an operator takes no floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pythanos import _histogram_math
from pythanos.model.histogram import HistogramColumns, concat_histograms
from pythanos.model.series import ABSENT
from pythanos.promql.annotations import Annotation
from pythanos.promql.histograms import texts
from pythanos.promql.histograms.rows import present
from pythanos.promql.values import HistogramRows

TRIMS = frozenset(("</", ">/"))
# The outcomes of a cell that are remarked upon.
_FLOATS, _FLOAT_LEFT, _FLOAT_RIGHT, _HISTOGRAMS, _LAYOUT, _COLLISION, _RECONCILED = range(1, 8)
_Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Cells:
    """One side of an operation: float64[n, steps] and the histograms beside them."""

    values: NDArray[np.float64]
    histograms: HistogramRows | None

    def take(self, rows: NDArray[np.int64]) -> Cells:
        histograms = self.histograms
        if histograms is not None:
            histograms = HistogramRows(histograms.row[rows], histograms.columns)
        return Cells(self.values[rows], histograms)


@dataclass(slots=True)
class Outcome:
    """What an operation gave. ``failed``: bool[n, steps], where it took samples away that it could not combine."""

    values: NDArray[np.float64]
    histograms: HistogramRows | None
    problem: NDArray[np.uint8]

    @property
    def failed(self) -> _Mask:
        return (self.problem != 0) & (self.problem != _RECONCILED)

    def remarks(self, op: str, start: int, *, last_only: bool) -> list[Annotation]:
        """``last_only``: of each step, what the last row has to say hides the rest."""
        problem = self.problem
        if last_only and len(problem):
            last = len(problem) - 1 - np.argmax(problem[::-1] != 0, axis=0)
            problem = problem[last, np.arange(problem.shape[1])]
        return [_remark(code, op, start) for code in np.unique(problem).tolist() if code]


def combine(op: str, left: Cells, right: Cells, values: NDArray[np.float64], *, return_bool: bool) -> Outcome:
    """``left op right``, cells of one shape; ``values`` (written to) are the results of the floats.

    Values where histograms stand are absent on both sides.
    """
    combination = _Combination(op, left, right, values, return_bool)
    combination.run()
    return Outcome(values, combination.histograms(), combination.problem)


class _Combination:
    def __init__(self, op: str, left: Cells, right: Cells, values: NDArray[np.float64], return_bool: bool) -> None:
        self.op = op
        self.left = left
        self.right = right
        self.values = values
        self.return_bool = return_bool
        self.problem = np.zeros(values.shape, np.uint8)
        self.row = np.full(values.shape, -1, np.int64)
        self.parts: list[HistogramColumns] = []

    def run(self) -> None:
        left, right = _is_histogram(self.left), _is_histogram(self.right)
        left_float, right_float = present(self.left.values, None), present(self.right.values, None)
        if self.op in TRIMS:
            both = left_float & right_float
            self.problem[both] = _FLOATS
            self.values[both] = ABSENT
        self._with_scale(left & right_float, self.left, self.right, right=True)
        self._with_scale(left_float & right, self.right, self.left, right=False)
        self._of_two(left & right)

    def histograms(self) -> HistogramRows | None:
        if not self.parts:
            return None
        return HistogramRows(self.row, self.parts[0] if len(self.parts) == 1 else concat_histograms(self.parts))

    def _with_scale(self, where: _Mask, side: Cells, other: Cells, *, right: bool) -> None:
        """``where`` a histogram of ``side`` meets a float; ``right``: which is the right operand."""
        if side.histograms is None or not where.any():
            return
        columns, rows, number = side.histograms.columns, side.histograms.row[where], other.values[where]
        if self.op == "*" or (self.op == "/" and right):
            scaled = _histogram_math.scale(columns, rows, number, divide=self.op == "/")
            self._put(where, _histogram_math.compact(scaled))
        elif self.op in TRIMS and right:
            self._put(where, _histogram_math.trim(columns, rows, number, upper=self.op == "</"))
        else:
            self.problem[where] = _FLOAT_RIGHT if right else _FLOAT_LEFT

    def _of_two(self, where: _Mask) -> None:
        left, right = self.left.histograms, self.right.histograms
        if left is None or right is None or not where.any():
            return
        operands = left.columns, left.row[where], right.columns, right.row[where]
        if self.op in ("+", "-"):
            self._put_sums(where, *_histogram_math.add(*operands, subtract=self.op == "-"))
        elif self.op in ("==", "!="):
            holds = np.zeros(where.shape, np.bool_)
            holds[where] = _histogram_math.equals(*operands) == (self.op == "==")
            if self.return_bool:
                self.values[where] = holds[where]
            elif holds.any():
                self._refer(holds, left.row[holds], left.columns)
        else:
            self.problem[where] = _HISTOGRAMS

    def _put_sums(self, where: _Mask, sums: HistogramColumns, flags: NDArray[np.uint8]) -> None:
        problem = np.zeros(len(flags), np.uint8)
        problem[(flags & _histogram_math.RECONCILED) != 0] = _RECONCILED
        problem[(flags & _histogram_math.RESET_COLLISION) != 0] = _COLLISION
        problem[(flags & _histogram_math.INCOMPATIBLE) != 0] = _LAYOUT
        self.problem[where] = problem
        self._put(where, sums)
        self.row[(self.problem == _COLLISION) | (self.problem == _LAYOUT)] = -1

    def _put(self, where: _Mask, columns: HistogramColumns) -> None:
        self._refer(where, np.arange(len(columns)), columns)

    def _refer(self, where: _Mask, rows: NDArray[np.int64], columns: HistogramColumns) -> None:
        self.row[where] = rows + sum(map(len, self.parts))
        self.parts.append(columns)


def scaled(histograms: HistogramRows, factor: float) -> HistogramRows:
    """Each histogram times a number, not compacted."""
    columns = histograms.columns
    rows = np.arange(len(columns), dtype=np.int64)
    return HistogramRows(histograms.row, _histogram_math.scale(columns, rows, np.full(len(rows), factor)))


def _is_histogram(cells: Cells) -> _Mask:
    if cells.histograms is None:
        return np.zeros(cells.values.shape, np.bool_)
    return cells.histograms.row >= 0


def _remark(code: int, op: str, start: int) -> Annotation:
    operation = "subtraction" if op == "-" else "addition"
    if code == _LAYOUT:
        return texts.incompatible_layout(op, start)
    if code == _COLLISION:
        return texts.colliding_resets(operation, start)
    if code == _RECONCILED:
        return texts.reconciled_bounds(operation, start)
    kinds: Sequence[str] = ("float", "histogram")
    left, right = {_FLOATS: (0, 0), _FLOAT_LEFT: (0, 1), _FLOAT_RIGHT: (1, 0), _HISTOGRAMS: (1, 1)}[code]
    return texts.incompatible_types(kinds[left], op, kinds[right], start)
