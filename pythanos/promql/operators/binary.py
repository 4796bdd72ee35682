"""Arithmetic and comparisons between vectors: rows find each other by their labels once, then rows meet rows.

A match that is wrong at some steps only is an error only if it happens: the rare sides with several rows in a match
group are checked step by step.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.typing import NDArray

from pythanos import _labels, _rows
from pythanos._row_parts import RowParts
from pythanos.errors import QueryFailed
from pythanos.model.matchers import quote
from pythanos.model.series import ABSENT, LabelColumn
from pythanos.promql.functions.operators import ARITHMETIC, OPERATORS
from pythanos.promql.histograms.arithmetic import TRIMS, Cells, combine
from pythanos.promql.operators.operator import (
    METADATA_LABELS,
    Block,
    Evaluation,
    Job,
    Names,
    VectorOperator,
    empty_block,
    joined,
    merged_duplicates,
)
from pythanos.promql.operators.vectors.fill import filled
from pythanos.promql.plan.nodes import Binary, Cardinality


@dataclass(slots=True)
class _Side:
    """The rows of an operand, in as many blocks as there are, each with a row."""

    blocks: list[Block]
    steps: int

    def __len__(self) -> int:
        return sum(map(len, self.blocks))

    @property
    def floats_only(self) -> bool:
        return all(block.histograms is None for block in self.blocks)

    def whole(self) -> Block:
        if len(self.blocks) != 1:
            self.blocks = [joined(self.blocks, self.steps)]
        return self.blocks[0]

    def rows(self) -> RowParts:
        return RowParts([block.values for block in self.blocks], self.steps)


@dataclass(slots=True)
class _Pairs:
    """Rows that meet: ``many[i]`` with ``one[i]``, in match group ``group[i]``; rows in the order of the many side."""

    many: NDArray[np.int64]
    one: NDArray[np.int64]
    group: NDArray[np.int64]

    def part(self, start: int, stop: int) -> tuple[slice, NDArray[np.int64], NDArray[np.int64]]:
        """The pairs with the rows [start, stop) of the many side: which they are, those rows from 0 on, the others."""
        first, last = np.searchsorted(self.many, [start, stop])
        return slice(first, last), self.many[first:last] - start, self.one[first:last]


class VectorOperation:
    """``lhs op rhs``. The "one" side is the right one, but for group_right."""

    def __init__(self, evaluation: Evaluation, node: Binary, lhs: VectorOperator, rhs: VectorOperator) -> None:
        if node.matching is None:
            raise AssertionError(node)
        self.evaluation = evaluation
        self.node = node
        self.matching = node.matching
        self.lhs = lhs
        self.rhs = rhs
        self.steps = lhs.steps
        self.swapped = node.matching.card is Cardinality.ONE_TO_MANY
        self.fills = node.matching.fill_left is not None or node.matching.fill_right is not None
        self.drops_names = node.op in ARITHMETIC or (node.return_bool and not evaluation.options.delayed_names)
        self.names = self._names()

    def jobs(self) -> Iterator[Job]:
        left = _Side(self.evaluation.collect_parts(self.lhs), self.steps.count)
        right = _Side(self.evaluation.collect_parts(self.rhs), self.steps.count)
        many, one = (right, left) if self.swapped else (left, right)
        if self.fills:
            many.blocks, one.blocks = ([block] for block in filled(many.whole(), one.whole(), self.matching))
        elif not len(many) or not len(one):
            yield partial(empty_block, self.steps.count)
            return
        columns = _labels.concat([block.labels for block in many.blocks + one.blocks])
        key, groups = _labels.group_by(columns, self.matching.labels, by=self.matching.on)
        many_key, one_key = key[: len(many)], key[len(many) :]
        self._refuse_many_to_many(many, one, one_key, len(groups))
        pairs = _pairs(many_key, one_key, len(groups))
        one_labels = columns.take(slice(len(many), len(columns)))
        labels = self._result_labels(columns.take(pairs.many), one_labels, pairs.one)
        if many.floats_only and one.floats_only and self.node.op not in TRIMS and self._stay_apart(labels, pairs):
            yield from self._meetings(many, one, pairs, labels)
        else:
            yield partial(self._evaluate, many.whole(), one.whole(), pairs, labels)

    def finished(self) -> None:
        pass

    def _names(self) -> Names:
        matching = self.matching
        if any(name in METADATA_LABELS for name in matching.include):
            return Names.MANY
        if matching.card is Cardinality.ONE_TO_ONE and matching.on and not set(matching.labels) & set(METADATA_LABELS):
            return Names.GONE
        if self.drops_names:
            return Names.GONE
        return self.rhs.names if self.swapped else self.lhs.names

    def _stay_apart(self, labels: LabelColumn, pairs: _Pairs) -> bool:
        """Whether no two results can collide, whatever their samples."""
        if len(_labels.distinct(labels)[1]) < len(labels):
            return False
        groups = int(pairs.group.max(initial=-1)) + 1
        return self.matching.card is not Cardinality.ONE_TO_ONE or not _repeats(pairs.group, groups)

    def _meetings(self, many: _Side, one: _Side, pairs: _Pairs, labels: LabelColumn) -> Iterator[Job]:
        """A job for each block of the many side; blocks that nobody else reads are written over."""
        others, start = one.rows(), 0
        own = not _overlap(many.blocks + one.blocks)
        while many.blocks:
            block = many.blocks.pop(0)
            which, rows, other_rows = pairs.part(start, start + len(block))
            start += len(block)
            if len(rows):
                yield partial(self._meet, block, rows, others, other_rows, labels.take(which), own)

    def _meet(
        self,
        block: Block,
        rows: NDArray[np.int64],
        others: RowParts,
        other_rows: NDArray[np.int64],
        labels: LabelColumn,
        own: bool,
    ) -> Block:
        mine = RowParts([block.values], self.steps.count)
        if self.swapped:
            values = self._of_floats(others, other_rows, mine, rows)
        else:
            values = self._of_floats(mine, rows, others, other_rows, in_place=own)
        return self._marked(Block(labels, values)).without_empty()

    def _marked(self, block: Block) -> Block:
        if self.node.return_bool and self.evaluation.options.delayed_names:
            block.drop_name = np.ones(len(block), np.bool_)
        return block

    def _evaluate(self, many: Block, one: Block, pairs: _Pairs, labels: LabelColumn) -> Block:
        node = self.node
        left, right, left_row, right_row = many, one, pairs.many, pairs.one
        if self.swapped:
            left, right, left_row, right_row = one, many, pairs.one, pairs.many
        if node.op in TRIMS or left.histograms is not None or right.histograms is not None:
            block, failed = self._with_histograms(labels, left, left_row, right, right_row)
            self._refuse_ambiguous(many, one, pairs, labels, failed)
        else:
            self._refuse_ambiguous(many, one, pairs, labels)
            block = Block(labels, self._of_floats(_rows_of(left), left_row, _rows_of(right), right_row))
        return merged_duplicates(self._marked(block).without_empty())

    def _of_floats(
        self,
        left: RowParts,
        left_row: NDArray[np.int64],
        right: RowParts,
        right_row: NDArray[np.int64],
        *,
        in_place: bool = False,
    ) -> NDArray[np.float64]:
        """``in_place``: nobody else reads ``left``."""
        keep = _rows.Keep.BOOL if self.node.return_bool else _rows.Keep.LEFT
        operator = OPERATORS[self.node.op]
        return _rows.pairs(operator, left, left_row, right, right_row, keep=keep, in_place=in_place)

    def _with_histograms(
        self,
        labels: LabelColumn,
        left: Block,
        left_row: NDArray[np.int64],
        right: Block,
        right_row: NDArray[np.int64],
    ) -> tuple[Block, NDArray[np.bool_]]:
        """The results, and where there is none because the samples do not go together."""
        node = self.node
        if node.op in TRIMS:
            values = np.full((len(labels), self.steps.count), ABSENT)
        else:
            values = self._of_floats(_rows_of(left), left_row, _rows_of(right), right_row)
        lhs, rhs = Cells(left.values, left.histograms), Cells(right.values, right.histograms)
        outcome = combine(node.op, lhs.take(left_row), rhs.take(right_row), values, return_bool=node.return_bool)
        remarks = outcome.remarks(node.op, node.start, last_only=True)
        block = Block(labels, outcome.values, annotations=remarks, histograms=outcome.histograms)
        return block, outcome.failed

    def _result_labels(self, labels: LabelColumn, one: LabelColumn, row: NDArray[np.int64]) -> LabelColumn:
        """The labels of the results: those of the "many" side, less the names, matched or ignored ones, plus included
        ones.
        """
        matching = self.matching
        if self.drops_names:
            labels = _labels.drop_labels(labels, METADATA_LABELS)
        if matching.card is Cardinality.ONE_TO_ONE:
            edit = _labels.keep_labels if matching.on else _labels.drop_labels
            return edit(labels, matching.labels) if matching.on or matching.labels else labels
        for name in matching.include:
            index, values = _labels.value_index(one, name)
            labels = _labels.set_label(labels, name, values, index[row])
        return labels

    def _refuse_many_to_many(self, many_side: _Side, one_side: _Side, key: NDArray[np.int64], groups: int) -> None:
        """Raises where two rows of the "one" side share a match group at a step at which both sides have samples.

        With fill values it does not matter what the other side has.
        """
        if not _repeats(key, groups):
            return
        many, one = many_side.whole(), one_side.whole()
        counts = np.ones(self.steps.count, np.uint8)
        if not self.fills:
            counts = _rows.presence(many.samples(), np.zeros(len(many), np.int64), 1)[0]
        clash = _rows.find_clash(one.samples(), key, groups, counts)
        if clash is None:
            return
        first, second = sorted(format_labels(labels) for labels in _labels.to_dicts(one.labels.take(np.array(clash))))
        edit = _labels.keep_labels if self.matching.on else _labels.drop_labels
        names = self.matching.labels if self.matching.on else (*self.matching.labels, "__name__")
        group = format_labels(_labels.to_dicts(edit(one.labels.take(np.array(clash[1:])), names))[0])
        side = "left" if self.swapped else "right"
        raise QueryFailed(
            f"found duplicate series for the match group {group} on the {side} hand-side of the operation:"
            f" [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
        )

    def _refuse_ambiguous(
        self,
        many: Block,
        one: Block,
        pairs: _Pairs,
        labels: LabelColumn,
        failed: NDArray[np.bool_] | None = None,
    ) -> None:
        """Raises where rows of the "many" side meet the same row and give the same labels, whatever the operator
        keeps; where it ``failed`` they do not meet.
        """
        if self.matching.card is Cardinality.ONE_TO_ONE:
            key, keys = pairs.group, int(pairs.group.max(initial=-1)) + 1
            reason = "many-to-one matching must be explicit (group_left/group_right)"
        else:
            ids, _ = _labels.distinct(labels)
            found, key = np.unique(pairs.group * (len(labels) + 1) + ids, return_inverse=True)
            keys, reason = len(found), "grouping labels must ensure unique matches"
        if not _repeats(key, keys):
            return
        left, right = RowParts([many.samples()], self.steps.count), RowParts([one.samples()], self.steps.count)
        met = _rows.pairs(OPERATORS["+"], left, pairs.many, right, pairs.one, keep=_rows.Keep.LEFT)
        if failed is not None:
            met[failed] = ABSENT
        if _rows.find_clash(met, key, keys, np.ones(self.steps.count, np.uint8)) is not None:
            raise QueryFailed(f"multiple matches for labels: {reason}")


def _overlap(blocks: list[Block]) -> bool:
    """Whether the matrices of any two share memory."""
    bounds = sorted(byte_bounds(block.values) for block in blocks)
    return any(before[1] > after[0] for before, after in itertools.pairwise(bounds))


def _rows_of(block: Block) -> RowParts:
    return RowParts([block.values], block.values.shape[1])


def _repeats(key: NDArray[np.int64], keys: int) -> bool:
    return bool(len(key)) and int(np.bincount(key, minlength=keys).max()) > 1


def _pairs(many_key: NDArray[np.int64], one_key: NDArray[np.int64], groups: int) -> _Pairs:
    """Every row of the many side with every row of the one side in its match group: one of them, or some that take
    turns.
    """
    order = np.argsort(one_key, kind="stable")
    bounds = np.zeros(groups + 1, np.int64)
    np.cumsum(np.bincount(one_key, minlength=groups), out=bounds[1:])
    count = bounds[many_key + 1] - bounds[many_key]
    many = np.repeat(np.arange(len(many_key)), count)
    within = np.arange(len(many)) - np.repeat(np.cumsum(count) - count, count)
    one = order[np.repeat(bounds[many_key], count) + within]
    return _Pairs(many, one, many_key[many])


def format_labels(labels: dict[str, str]) -> str:
    """A label set as Prometheus prints it: ``{a="b", c="d"}``, names quoted where they are not plain."""
    parts = []
    for name, value in labels.items():
        plain = name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()
        parts.append(f"{name if plain else quote(name)}={quote(value)}")
    return "{" + ", ".join(parts) + "}"
