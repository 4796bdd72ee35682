"""Of several series that claim the same place, the one with the newest sample at each step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels
from pythanos.errors import QueryFailed
from pythanos.promql.operators.binary import format_labels
from pythanos.promql.operators.operator import Block, is_present


def newest_rows(info: Block, place: NDArray[np.int64], places: int, asked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64[places, steps]: which row of ``info`` has each place, -1 for none.

    ``info`` holds the times of samples in seconds, row i claims ``place[i]``. Raises QueryFailed where two samples of
    the same time claim it at a step that is ``asked`` for.
    """
    steps = info.values.shape[1]
    newest = np.full((places, steps), -1, np.int64)
    time = np.full((places, steps), -np.inf)
    order = np.argsort(place, kind="stable")
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(place, minlength=places))])
    turn = np.empty(len(place), np.int64)
    turn[order] = np.arange(len(place)) - first[place[order]]
    for number in range(int(turn.max(initial=-1)) + 1):
        rows = np.nonzero(turn == number)[0]
        mine = place[rows]
        there = is_present(info.values[rows])
        clash = there & asked & (time[mine] == info.values[rows])
        if clash.any():
            step = int(np.nonzero(clash.any(axis=0))[0][0])
            row = int(rows[np.nonzero(clash[:, step])[0][0]])
            raise _conflict(info, int(newest[place[row], step]), row, step)
        newer = there & (info.values[rows] > time[mine])
        newest[mine] = np.where(newer, rows[:, np.newaxis], newest[mine])
        time[mine] = np.where(newer, info.values[rows], time[mine])
    return newest


def _conflict(info: Block, existing: int, new: int, step: int) -> QueryFailed:
    names = [format_labels(labels) for labels in _labels.to_dicts(info.labels.take(np.array([existing, new])))]
    time_ms = round(float(info.values[new, step]) * 1000)
    return QueryFailed(
        f"found duplicate series for info metric: existing {names[0]} @ {time_ms}, new {names[1]} @ {time_ms}"
    )
