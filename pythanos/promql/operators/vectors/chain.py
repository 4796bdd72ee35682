"""Operations in a row, one after the other: however many they are, nothing nests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pythanos.promql.operators.operator import Block, Evaluation, Job, Names, ScalarOperator, VectorOperator
from pythanos.promql.plan.nodes import Binary
from pythanos.promql.syntax.ast import ValueType
from pythanos.promql.values import Steps

Operand = VectorOperator | ScalarOperator
# Makes the operator of an operation from those of its operands.
Combine = Callable[[Binary, Operand, Operand], Operand]


class Chained:
    """``first op right op right ...``, left to right; the result of each operation is held while the next one runs."""

    def __init__(
        self,
        evaluation: Evaluation,
        steps: Steps,
        first: Operand,
        operations: list[tuple[Binary, Operand]],
        combine: Combine,
    ) -> None:
        """``operations`` with the operators of their right operands."""
        self.evaluation = evaluation
        self.steps = steps
        self.first = first
        self.operations = operations
        self.combine = combine
        self.names = Names.MANY

    def jobs(self) -> Iterator[Job]:
        """For a chain that ends with a vector."""
        account = self.evaluation.account
        base = account.samples, account.bytes
        held = self.first
        for number, (node, right) in enumerate(self.operations):
            operator = self.combine(node, held, right)
            if node.type is ValueType.SCALAR:
                held = HeldRow(_row(operator), self.steps)
                continue
            block = self.evaluation.collect(_vector(operator))
            # What the operands took is gone; the result stays until the next operation has read it.
            size = block.size() if number + 1 < len(self.operations) else (0, 0)
            account.release(account.samples - base[0] - size[0], account.bytes - base[1] - size[1])
            held = HeldBlock(block, self.steps)
        yield from _vector(held).jobs()

    def finished(self) -> None:
        pass

    def row(self) -> NDArray[np.float64]:
        """For a chain of scalars."""
        held = self.first
        for node, right in self.operations:
            held = HeldRow(_row(self.combine(node, held, right)), self.steps)
        return _row(held)


class HeldBlock:
    """Rows that are there already."""

    def __init__(self, block: Block, steps: Steps) -> None:
        self.block = block
        self.steps = steps
        self.names = Names.MANY

    def jobs(self) -> Iterator[Job]:
        yield partial(_same, self.block)

    def finished(self) -> None:
        pass


class HeldRow:
    """Numbers that are there already."""

    def __init__(self, row: NDArray[np.float64], steps: Steps) -> None:
        self.held = row
        self.steps = steps

    def row(self) -> NDArray[np.float64]:
        return self.held


def _vector(operand: Operand) -> VectorOperator:
    if not hasattr(operand, "jobs"):
        raise AssertionError(operand)
    return cast(VectorOperator, operand)


def _row(operand: Operand) -> NDArray[np.float64]:
    if not hasattr(operand, "row"):
        raise AssertionError(operand)
    return operand.row()


def _same(block: Block) -> Block:
    return block
