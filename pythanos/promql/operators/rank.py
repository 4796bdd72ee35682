"""Aggregations that need all series of a step together: topk, bottomk, limitk, quantile, count_values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pythanos import _aggregate, _labels, _value_counts
from pythanos._aggregate import Rank
from pythanos.errors import QueryFailed
from pythanos.model.matchers import quote
from pythanos.model.series import ABSENT
from pythanos.promql.annotations import Annotation
from pythanos.promql.histograms.printed import print_histogram
from pythanos.promql.histograms.rows import masked
from pythanos.promql.histograms.texts import ignored_in_aggregation
from pythanos.promql.operators.aggregate import Drops, group_names, group_table
from pythanos.promql.operators.operator import (
    Block,
    Evaluation,
    Job,
    Names,
    ScalarOperator,
    VectorOperator,
    empty_block,
    is_present,
)
from pythanos.promql.operators.ranges import invalid_quantiles
from pythanos.promql.operators.relabel import is_label_name
from pythanos.promql.plan.nodes import Aggregate
from pythanos.promql.tree.numbers import plain, short
from pythanos.promql.values import HistogramRows

RANKS: Mapping[str, Rank] = MappingProxyType({"topk": Rank.TOP, "bottomk": Rank.BOTTOM, "limitk": Rank.FIRST})
_INT64_MIN, _INT64_MAX = -(2.0**63), 2.0**63


class Ranking:
    """topk, bottomk, limitk: some series of each group, unchanged. At a single step the best come first."""

    def __init__(self, evaluation: Evaluation, node: Aggregate, operand: VectorOperator, limit: ScalarOperator) -> None:
        self.evaluation = evaluation
        self.op = node.op
        self.rank = RANKS[node.op]
        self.position = node.start
        self.groups = group_table(node)
        self.operand = operand
        self.limit = limit
        self.steps = operand.steps
        self.names = operand.names

    def jobs(self) -> Iterator[Job]:
        limit = np.ascontiguousarray(self.limit.row())
        block = self.evaluation.collect(self.operand)
        if not self._keeps_any(limit):
            yield partial(empty_block, self.steps.count)
            return
        group = self.groups.assign(block.labels)
        last = self._keep(block, group, limit)
        if self.steps.count == 1:
            yield partial(block.take, self._best_first(block, group, last))
        else:
            yield block.without_empty

    def finished(self) -> None:
        pass

    def _keep(self, block: Block, group: NDArray[np.int64], limit: NDArray[np.float64]) -> NDArray[np.int64]:
        """Takes away what does not stay, in place; the rows that stay at the last step."""
        histograms, groups = block.histograms, len(self.groups)
        if histograms is None:
            return _aggregate.keep_ranked(self.rank, block.values, group, groups, limit)
        if self.rank is not Rank.FIRST:
            if (histograms.row[:, limit >= 1] >= 0).any():
                block.annotations.append(ignored_in_aggregation(self.op, self.position))
            block.histograms = None
            return _aggregate.keep_ranked(self.rank, block.values, group, groups, limit)
        chosen = block.samples()
        last = _aggregate.keep_ranked(self.rank, chosen, group, groups, limit)
        kept = is_present(chosen)
        block.values[~kept] = ABSENT
        block.histograms = masked(histograms, kept)
        return last

    def _keeps_any(self, limit: NDArray[np.float64]) -> bool:
        if not np.nanmax(limit, initial=-np.inf) >= 1 and not np.isnan(limit).any():
            return False
        if np.isnan(limit).any():
            raise QueryFailed("Parameter value is NaN")
        if limit.min() <= _INT64_MIN:
            raise QueryFailed(f"Scalar value {short(float(limit.min()))} underflows int64")
        if limit.max() >= _INT64_MAX:
            raise QueryFailed(f"Scalar value {short(float(limit.max()))} overflows int64")
        return True

    def _best_first(self, block: Block, group: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows by group and in it by value, NaN last; equal values in the order of the kernel's heap."""
        if self.rank is Rank.FIRST:
            return rows
        value = block.values[rows, 0]
        key = -value if self.rank is Rank.TOP else value
        return rows[np.lexsort((np.where(np.isnan(key), np.inf, key), np.isnan(key), group[rows]))]


class Quantile:
    """quantile(q, v): the q-quantile of each group at each step."""

    def __init__(
        self, evaluation: Evaluation, node: Aggregate, operand: VectorOperator, quantile: ScalarOperator, position: int
    ) -> None:
        self.evaluation = evaluation
        self.groups = group_table(node)
        self.operand = operand
        self.quantile = quantile
        self.position = position
        self.operand_position = node.expr.start
        self.steps = operand.steps
        self.names = group_names(node)

    def jobs(self) -> Iterator[Job]:
        row = np.ascontiguousarray(self.quantile.row())
        block = self.evaluation.collect(self.operand)
        group = self.groups.assign(block.labels)
        count = len(self.groups)
        drops = Drops()
        drops.add(group, block)
        values = _aggregate.quantile_rows(block.values, group, count, row)
        result = Block(self.groups.labels(), values, drops.mask(count))
        result.annotations = _extreme_quantiles(row, self.position)
        if block.histograms is not None:
            result.annotations.append(ignored_in_aggregation("quantile", self.operand_position))
        yield partial(_same, result)

    def finished(self) -> None:
        pass


class CountValues:
    """count_values("label", v): how many series of a group have each value."""

    def __init__(self, evaluation: Evaluation, node: Aggregate, operand: VectorOperator, label: str) -> None:
        if not is_label_name(label):
            raise QueryFailed(f"invalid label name {quote(label)}")
        self.evaluation = evaluation
        self.label = label
        self.node = node
        self.operand = operand
        self.steps = operand.steps
        self.names = Names.MANY

    def jobs(self) -> Iterator[Job]:
        block = self.evaluation.collect(self.operand)
        without, grouping = self.node.without, self.node.grouping
        # What the values are counted by: the groups, but for the label that the value will replace.
        others = (*grouping, self.label) if without else tuple(name for name in grouping if name != self.label)
        group, _ = _labels.group_by(block.labels, others, by=not without)
        number, row, distinct = _value_counts.number_values(block.values, group)
        texts = [plain(value) for value in distinct.tolist()]
        if block.histograms is not None:
            number, row, texts = _with_histograms(block.histograms, number, row, texts)
        # Values of one text are one value; so are those of groups that the value's label does not tell apart.
        known = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        place = np.array([known[text] for text in texts], np.int64)
        labels = _labels.set_label(block.labels.take(row), self.label, list(known) or [""], place)
        result, labels = _labels.group_by(labels, grouping if without else (*others, self.label), by=not without)
        self.evaluation.account.room(len(labels) * self.steps.count * 8)
        yield partial(_same, Block(labels, _value_counts.count_numbers(number, result, len(labels))))

    def finished(self) -> None:
        pass


def _with_histograms(
    histograms: HistogramRows, number: NDArray[np.int32], row: NDArray[np.int64], texts: list[str]
) -> tuple[NDArray[np.int32], NDArray[np.int64], list[str]]:
    """What ``number_values`` found, and the texts of it, with the histograms numbered behind the floats."""
    series, step = np.nonzero(histograms.row >= 0)
    referred, index = np.unique(histograms.row[series, step], return_inverse=True)
    printed = [print_histogram(histograms.columns, int(at)) for at in referred]
    pair, of_sample = np.unique(series * max(1, len(referred)) + index, return_inverse=True)
    number[series, step] = len(row) + of_sample
    count = max(1, len(referred))
    return number, np.append(row, pair // count), texts + [printed[at] for at in (pair % count).tolist()]


def _extreme_quantiles(row: NDArray[np.float64], position: int) -> list[Annotation]:
    """Warnings about the largest value if it is above 1 and the smallest if it is below 0, or only about NaN."""
    if np.isnan(row).any():
        return invalid_quantiles(np.array([math.nan]), position)
    highest, lowest = row.max(initial=0), row.min(initial=1)
    chosen = [value for value, bad in ((highest, highest > 1), (lowest, lowest < 0)) if bad]
    return invalid_quantiles(np.array(chosen), position)


def _same(block: Block) -> Block:
    return block
