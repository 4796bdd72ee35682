"""Operators of one row: numbers, time(), scalar(), their arithmetic; and of one series: vector(), absent()."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels, _rows
from pythanos.errors import QueryFailed
from pythanos.model.matchers import Matcher, MatchType, quote
from pythanos.model.series import ABSENT
from pythanos.promql.functions.operators import OPERATORS
from pythanos.promql.operators.operator import Block, Evaluation, Job, Names, ScalarOperator, VectorOperator, is_present
from pythanos.promql.values import Steps


class Constant:
    """A number."""

    def __init__(self, value: float, steps: Steps) -> None:
        self.value = value
        self.steps = steps

    def row(self) -> NDArray[np.float64]:
        return np.full(self.steps.count, self.value)


class Time:
    """time(): the evaluation time in seconds."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def row(self) -> NDArray[np.float64]:
        return self.steps.times() / 1000


class ScalarArithmetic:
    """An operation between scalars; comparisons give 0 or 1."""

    def __init__(self, op: str, lhs: ScalarOperator, rhs: ScalarOperator) -> None:
        """Raises QueryFailed for an operator of histograms."""
        if op not in OPERATORS:
            raise QueryFailed(f"operator {quote(op)} not allowed for Scalar operations")
        self.operator = OPERATORS[op]
        self.lhs = lhs
        self.rhs = rhs
        self.steps = lhs.steps

    def row(self) -> NDArray[np.float64]:
        values = np.array(self.lhs.row())[np.newaxis]
        right = np.ascontiguousarray(self.rhs.row())
        _rows.with_scalar(self.operator, values, right, scalar_left=False, keep=_rows.Keep.BOOL)
        return values[0]


class ScalarNegation:
    def __init__(self, operand: ScalarOperator) -> None:
        self.operand = operand
        self.steps = operand.steps

    def row(self) -> NDArray[np.float64]:
        return -self.operand.row()


class ScalarExtreme:
    """max_of(a, b) or min_of(a, b)."""

    def __init__(self, largest: bool, lhs: ScalarOperator, rhs: ScalarOperator) -> None:
        self.largest = largest
        self.lhs = lhs
        self.rhs = rhs
        self.steps = lhs.steps

    def row(self) -> NDArray[np.float64]:
        choose = np.maximum if self.largest else np.minimum
        return choose(self.lhs.row(), self.rhs.row())


class ScalarRepeat:
    """A scalar that is evaluated at one step, at every step."""

    def __init__(self, operand: ScalarOperator, steps: Steps) -> None:
        self.operand = operand
        self.steps = steps

    def row(self) -> NDArray[np.float64]:
        return np.repeat(self.operand.row(), self.steps.count)


class ScalarOfVector:
    """scalar(v): the one float of a step, NaN where there are none or several."""

    def __init__(self, evaluation: Evaluation, operand: VectorOperator) -> None:
        self.evaluation = evaluation
        self.operand = operand
        self.steps = operand.steps

    def row(self) -> NDArray[np.float64]:
        count = np.zeros(self.steps.count, np.int64)
        value = np.full(self.steps.count, np.nan)
        for block in self.evaluation.blocks(self.operand):
            present = is_present(block.values)
            count += present.sum(axis=0)
            for row, there in zip(block.values, present, strict=True):
                value[there] = row[there]
        value[count != 1] = np.nan
        return value


class VectorOfScalar:
    """vector(s), and the date functions' default argument: one series without labels."""

    def __init__(self, operand: ScalarOperator) -> None:
        self.operand = operand
        self.steps = operand.steps
        self.names = Names.GONE

    def jobs(self) -> Iterator[Job]:
        yield partial(_one_row, {}, np.array(self.operand.row()))

    def finished(self) -> None:
        pass


class Absent:
    """absent(v) and absent_over_time(range): 1 at the steps where the operand has no sample."""

    def __init__(self, evaluation: Evaluation, operand: VectorOperator, labels: dict[str, str]) -> None:
        self.evaluation = evaluation
        self.operand = operand
        self.labels = labels
        self.steps = operand.steps
        self.names = Names.GONE

    def jobs(self) -> Iterator[Job]:
        missing = np.ones(self.steps.count, np.bool_)
        for block in self.evaluation.blocks(self.operand):
            missing &= ~block.present().any(axis=0)
        yield partial(_one_row, self.labels, np.where(missing, 1.0, ABSENT))

    def finished(self) -> None:
        pass


def absent_labels(matchers: tuple[Matcher, ...]) -> dict[str, str]:
    """The labels of absent()'s series: those that one equality, and nothing else, asks for; not the name."""
    labels: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in matchers:
        if matcher.name == "__name__":
            continue
        if matcher.type is MatchType.EQ and matcher.name not in seen:
            labels[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            labels.pop(matcher.name, None)
    return labels


def _one_row(labels: dict[str, str], row: NDArray[np.float64]) -> Block:
    return Block(_labels.labels_from_dicts([labels]), row[np.newaxis])
