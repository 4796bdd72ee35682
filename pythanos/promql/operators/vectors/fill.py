"""Rows that stand in for missing partners: fill, fill_left and fill_right of a binary operation.

A match group that has samples on one side only, at some step, gets a row on the other side that holds the fill value
there; the operation then goes on as if stores had given it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels, _rows
from pythanos.model.series import ABSENT, LabelColumn
from pythanos.promql.operators.operator import Block, joined
from pythanos.promql.plan.nodes import VectorMatching


def filled(many: Block, one: Block, matching: VectorMatching) -> tuple[Block, Block]:
    """Both sides with the rows that the match lacks; the blocks given are used up.

    As in Prometheus the right fill value is for the "one" side, the left one for the "many" side, which group_right
    turns round.
    """
    columns = _labels.concat([many.labels, one.labels])
    key, groups = _labels.group_by(columns, matching.labels, by=matching.on)
    many_there = _rows.presence(many.samples(), key[: len(many)], len(groups)) != 0
    one_there = _rows.presence(one.samples(), key[len(many) :], len(groups)) != 0
    many = _with_rows(many, groups, one_there & ~many_there, matching.fill_left)
    return many, _with_rows(one, groups, many_there & ~one_there, matching.fill_right)


def _with_rows(block: Block, groups: LabelColumn, missing: NDArray[np.bool_], value: float | None) -> Block:
    rows = np.nonzero(missing.any(axis=1))[0]
    if value is None or not len(rows):
        return block
    extra = Block(groups.take(rows), np.where(missing[rows], value, ABSENT))
    return joined([block, extra], missing.shape[1])
