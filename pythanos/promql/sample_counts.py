"""Which steps of a query looked at how many samples, as Prometheus counts them for its query statistics.

A sample counts as queryable in each step whose window holds it, and as read once, in the first such step. What is
evaluated once for all steps counts in all of them; inside a subquery nothing counts as queryable, since the function
around it counts the subquery's points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pythanos.promql.values import Steps

Counts = NDArray[np.int64]
# (queryable, read) at each step of an operator's own grid.
StepCounts = Callable[[], tuple[Counts, Counts]]


@dataclass(frozen=True, slots=True)
class Counted:
    """Samples charged to a query; ``scanned_steps`` and ``read_steps`` are int64[steps of the query], or None."""

    scanned: int
    read: int
    scanned_steps: Counts | None = None
    read_steps: Counts | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a query an operator stands.

    ``steps``: those of the query; ``per_step``: counts by step are wanted. ``repeats``: how often what is queryable at
    one of the operator's own steps counts, all in all. ``step``: int64[own steps], the query's step at which each own
    one is read, -1 where nothing uses it; None where they are the same. ``spread``: int64[steps], how often the one own
    step counts at each of the query's, None where it counts where it is read.
    """

    steps: Steps
    per_step: bool = False
    repeats: int = 1
    step: Counts | None = None
    spread: Counts | None = None

    @property
    def plain(self) -> bool:
        """Counts are what the operator itself counts."""
        return self.repeats == 1 and self.step is None and not self.per_step

    @property
    def by_step(self) -> bool:
        """It matters at which steps samples are, not only how many."""
        return self.per_step or (self.step is not None and bool((self.step < 0).any()))

    def once(self, own: Steps) -> Place:
        """The place of what is evaluated at the first of ``own`` steps and holds at all of them."""
        step = np.arange(own.count) if self.step is None else self.step
        spread = np.bincount(step[step >= 0], minlength=self.steps.count)
        return replace(self, repeats=self.repeats * own.count, step=step[:1], spread=spread)

    def subquery(self, ends: Steps, range_ms: int, grid: Steps) -> Place:
        """The place of the expression inside a subquery with windows that end at ``ends``, and steps of ``grid``.

        A step of the grid is read at the first end that is not before it; not at all where its window begins later.
        """
        if ends.count <= 1:
            number = np.zeros(grid.count, np.int64)
        else:
            times = grid.times()
            number = np.clip(-((ends.start_ms - times) // ends.step_ms), 0, ends.count - 1)
            number[times <= ends.times()[number] - range_ms] = -1
        if self.step is not None:
            number = np.where(number >= 0, self.step[number], -1)
        return replace(self, repeats=0, step=number, spread=None)

    def whole_subquery(self, grid: Steps) -> Place:
        """The place of the expression inside a subquery that is the query: all counts at the one step."""
        return replace(self, step=np.zeros(grid.count, np.int64))

    def at_once(self, count: int) -> Counted:
        """What samples that a query with one step gives as they are count for."""
        by_step = np.full(1, count) if self.per_step else None
        return Counted(count, count, by_step, by_step)

    def counted_whole(self, scanned: int, read: int) -> Counted | None:
        """As ``counted``, where it does not matter at which steps."""
        return None if self.plain else Counted(scanned * self.repeats, read)

    def counted(self, scanned: int, read: int, counts: StepCounts) -> Counted | None:
        """What samples that an operator looked at count for; None where that is what the operator counted.

        ``counts`` is called where it matters at which steps.
        """
        if self.plain or not self.by_step:
            return self.counted_whole(scanned, read)
        by_step, reads = counts()
        read_steps = self._at_steps(reads)
        if not self.repeats:
            scanned_steps = np.zeros(self.steps.count, np.int64)
        elif self.spread is not None:
            scanned_steps = self.spread * int(by_step.sum())
        else:
            scanned_steps = self._at_steps(by_step)
        return Counted(int(scanned_steps.sum()), int(read_steps.sum()), scanned_steps, read_steps)

    def _at_steps(self, counts: Counts) -> Counts:
        if self.step is None:
            return counts
        used = self.step >= 0
        found = np.zeros(self.steps.count, np.int64)
        np.add.at(found, self.step[used], counts[used])
        return found


def window_counts(
    timestamps: NDArray[np.int64], worth: Counts | None, ends: Steps, count: int, range_ms: int
) -> tuple[Counts, Counts]:
    """(queryable, read), int64[count]: of samples at ``timestamps`` (ms, any order) those in ``(end - range, end]``.

    ``worth``: int64 beside the timestamps, as how many samples each counts, None for one. ``ends`` may be one for all
    steps; it is read once then.
    """
    order = np.argsort(timestamps, kind="stable")
    times = timestamps[order]
    before = np.arange(len(times) + 1)
    if worth is not None:
        before[0] = 0
        np.cumsum(worth[order], out=before[1:])
    last = ends.times()
    upto = before[np.searchsorted(times, last, "right")]
    outside = before[np.searchsorted(times, last - range_ms, "right")]
    scanned = upto - outside
    read = scanned.copy()
    if ends.count > 1:
        read[1:] = upto[1:] - np.maximum(outside, before[np.searchsorted(times, last - ends.step_ms, "right")])[1:]
    if len(scanned) < count:
        scanned = np.repeat(scanned[:1], count)
        read = np.concatenate([read[:1], np.zeros(count - 1, np.int64)])
    return scanned, read


def column_counts(sizes: Counts, count: int) -> tuple[Counts, Counts]:
    """(queryable, read) of an instant selector that found ``sizes`` samples at each time it looked at."""
    if len(sizes) == count:
        return sizes, sizes
    return np.repeat(sizes[:1], count), np.concatenate([sizes[:1], np.zeros(count - 1, np.int64)])
