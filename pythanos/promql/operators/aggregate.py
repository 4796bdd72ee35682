"""Aggregations that add: blocks are taken in order and added into the rows of their groups; no matrix of the operand
exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pythanos._aggregate import Accumulator, GroupTable, Kind
from pythanos.promql.histograms.groups import GroupHistograms
from pythanos.promql.histograms.texts import ignored_in_aggregation
from pythanos.promql.operators.operator import METADATA_LABELS, Block, Evaluation, Job, Names, VectorOperator
from pythanos.promql.plan.nodes import Aggregate
from pythanos.promql.values import Steps

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "sum": Kind.SUM,
        "avg": Kind.AVG,
        "min": Kind.MIN,
        "max": Kind.MAX,
        "count": Kind.COUNT,
        "group": Kind.GROUP,
        "stddev": Kind.STDDEV,
        "stdvar": Kind.STDVAR,
    }
)


class Aggregation:
    """sum, avg, min, max, count, group, stddev, stdvar."""

    def __init__(self, evaluation: Evaluation, node: Aggregate, operand: VectorOperator) -> None:
        self.evaluation = evaluation
        self.op = node.op
        self.kind = KINDS[node.op]
        self.position = node.expr.start
        self.groups = group_table(node)
        self.operand = operand
        self.steps: Steps = operand.steps
        self.names = group_names(node)

    def jobs(self) -> Iterator[Job]:
        account = self.evaluation.account
        accumulator = Accumulator(self.kind, self.steps.count)
        histograms: GroupHistograms | None = None
        drops = Drops()
        held = samples = 0
        for block in self.evaluation.blocks(self.operand):
            group = self.groups.assign(block.labels)
            if histograms is None and block.histograms is not None and self.op in ("sum", "avg"):
                histograms = GroupHistograms(self.steps.count, self.position, mean=self.op == "avg")
            if histograms is not None:
                before = accumulator.present(len(self.groups))
                histograms.add(block.labels, block.values, block.histograms, group, before)
            accumulator.add(self._floats(block), group, len(self.groups))
            drops.add(group, block)
            nbytes = accumulator.nbytes + (0 if histograms is None else histograms.nbytes)
            grown = len(self.groups) * self.steps.count - samples, nbytes - held
            account.hold(*grown)
            samples, held = samples + grown[0], held + grown[1]
        count = len(self.groups)
        block = Block(self.groups.labels(), accumulator.finish(count), drops.mask(count))
        if histograms is not None:
            block.histograms, block.annotations = histograms.finish(block.values)
        account.release(samples, held)
        yield partial(_same, block)

    def finished(self) -> None:
        pass

    def _floats(self, block: Block) -> NDArray[np.float64]:
        """What is to be accumulated of a block as floats."""
        if block.histograms is not None and self.kind in (Kind.COUNT, Kind.GROUP):
            return block.samples()
        if block.histograms is not None and self.kind not in (Kind.SUM, Kind.AVG):
            self.evaluation.annotations.add(ignored_in_aggregation(self.op, self.position))
        return block.values


class Drops:
    """Which groups have a member whose name is to go (delayed name removal)."""

    def __init__(self) -> None:
        self.groups: list[np.ndarray] = []

    def add(self, group: np.ndarray, block: Block) -> None:
        if block.drop_name is not None:
            self.groups.append(group[block.drop_name])

    def mask(self, count: int) -> np.ndarray | None:
        if not self.groups:
            return None
        mask = np.zeros(count, np.bool_)
        mask[np.concatenate(self.groups)] = True
        return mask


def group_table(node: Aggregate) -> GroupTable:
    """Numbers groups by the labels that ``by`` names, or by all but those of ``without`` and the metric name."""
    names = (*node.grouping, "__name__") if node.without else node.grouping
    return GroupTable(names, by=not node.without)


def group_names(node: Aggregate) -> Names:
    """What the groups' label sets hold of metric names, types and units."""
    named = set(node.grouping)
    if node.without:
        return Names.GONE if named.issuperset(METADATA_LABELS[1:]) else Names.MANY
    return Names.MANY if named.intersection(METADATA_LABELS) else Names.GONE


def _same(block: Block) -> Block:
    return block
