"""The histograms of a sum or an average by groups, which may hold floats as well.

As in Prometheus (``engine.go``, aggregation): a group of floats and histograms has no result, and whatever comes first
decides what is looked at until then.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels
from pythanos._histogram_rows import FLOAT, meet
from pythanos._histogram_sums import INCOMPATIBLE, RECONCILED, RESET_COLLISION, HistogramSums
from pythanos.model.series import ABSENT, STALE_NAN_BITS, LabelColumn
from pythanos.promql.annotations import Annotation
from pythanos.promql.histograms import texts
from pythanos.promql.histograms.rows import referred
from pythanos.promql.values import HistogramRows


class GroupHistograms:
    """Takes blocks in order, from the first that holds histograms on. ``start`` is where the operand stands."""

    def __init__(self, steps: int, start: int, *, mean: bool) -> None:
        self.sums = HistogramSums(steps, mean=mean)
        self.start = start
        self.steps = steps
        self.first = np.zeros((0, steps), np.uint8)
        self.met = np.zeros((0, steps), np.bool_)
        self.mixed_names: dict[str, None] = {}

    @property
    def nbytes(self) -> int:
        return self.sums.nbytes + self.first.nbytes + self.met.nbytes

    def add(
        self,
        labels: LabelColumn,
        values: NDArray[np.float64],
        histograms: HistogramRows | None,
        group: NDArray[np.int64],
        floats: NDArray[np.bool_],
    ) -> None:
        """One block. floats: bool[groups, steps], where floats were before it."""
        self._grow(len(floats))
        row, columns = (None, None) if histograms is None else (histograms.row, histograms.columns)
        clashes, behind = meet(values, row, columns, group, floats.view(np.uint8), self.first, self.met.view(np.uint8))
        if clashes.any():
            self.mixed_names |= dict.fromkeys(_labels.values_of(labels.take(np.nonzero(clashes)[0]), "__name__"))
        if histograms is None:
            return
        row = histograms.row
        if behind:
            row = np.where(self.first[group] != FLOAT, row, -1)
        growth = histograms.growth
        if growth is None:
            self.sums.add(histograms.columns, row, group)
        else:
            self.sums.add(histograms.columns, row, group, growth.base, growth.factor)

    def finish(self, values: NDArray[np.float64]) -> tuple[HistogramRows | None, list[Annotation]]:
        """The histograms of the groups, and remarks. ``values`` (float64[groups, steps]) lose their mixed groups."""
        self._grow(len(values))
        row, columns, flags = self.sums.finish(len(values))
        incompatible = (flags & INCOMPATIBLE) != 0
        mixed = self.met & (values.view(np.int64) != STALE_NAN_BITS)
        values[mixed] = ABSENT
        row[mixed] = -1
        found = [texts.mixed_schemas(name, self.start) for name in self.mixed_names]
        if (mixed & ~incompatible).any():
            found.append(texts.mixed_aggregation(self.start))
        if (flags & RECONCILED).any():
            found.append(texts.reconciled_bounds("aggregation", self.start))
        if (flags[~mixed & ~incompatible] & RESET_COLLISION).any():
            found.append(texts.colliding_resets("aggregation", self.start))
        return referred(row, columns), found

    def _grow(self, groups: int) -> None:
        more = groups - len(self.first)
        if more > 0:
            self.first = np.concatenate([self.first, np.zeros((more, self.steps), np.uint8)])
            self.met = np.concatenate([self.met, np.zeros((more, self.steps), np.bool_)])
