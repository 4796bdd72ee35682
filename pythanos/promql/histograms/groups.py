"""The histograms of a sum or an average by groups, which may hold floats as well.

As in Prometheus (``engine.go``, aggregation): a group of floats and histograms has no result, and whatever comes first
decides what is looked at until then.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels, _rows
from pythanos._histogram_sums import INCOMPATIBLE, RECONCILED, RESET_COLLISION, HistogramSums
from pythanos.model.histogram import CUSTOM_BUCKETS_SCHEMA
from pythanos.model.series import ABSENT, STALE_NAN_BITS, LabelColumn
from pythanos.promql.annotations import Annotation
from pythanos.promql.histograms import texts
from pythanos.promql.histograms.rows import referred
from pythanos.promql.values import HistogramRows

# What a group at a step has met first; _MIXED: then also the other kind of buckets.
_NOTHING, _FLOAT, _EXPONENTIAL, _CUSTOM, _MIXED = range(5)


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
        self.first[(self.first == _NOTHING) & floats] = _FLOAT
        kinds = _kinds(values, histograms)
        found = np.bincount(kinds.ravel(), minlength=_MIXED + 1) + np.bincount(self.first.ravel(), minlength=_MIXED + 1)
        if np.count_nonzero(found[_FLOAT:]) <= 1:
            _rows.raise_groups(self.first, kinds, group)
        else:
            self._look_closely(labels, kinds, group)
        if histograms is None:
            return
        there = histograms.row >= 0
        _rows.raise_groups(self.met.view(np.uint8), there.view(np.uint8), group)
        row = np.where(there & (self.first[group] != _FLOAT), histograms.row, -1)
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

    def _look_closely(self, labels: LabelColumn, kinds: NDArray[np.uint8], group: NDArray[np.int64]) -> None:
        """Row by row, where kinds of samples differ: which came first, which does not go with it."""
        bad = []
        for number, (kind, owner) in enumerate(zip(kinds, group.tolist(), strict=True)):
            first = self.first[owner]
            np.copyto(first, kind, where=first == _NOTHING)
            clash = (first >= _EXPONENTIAL) & (first != _MIXED) & (kind >= _EXPONENTIAL) & (kind != first)
            if clash.any():
                first[clash] = _MIXED
                bad.append(number)
        if bad:
            self.mixed_names |= dict.fromkeys(_labels.values_of(labels.take(np.array(bad)), "__name__"))


def _kinds(values: NDArray[np.float64], histograms: HistogramRows | None) -> NDArray[np.uint8]:
    kinds = (values.view(np.int64) != STALE_NAN_BITS).view(np.uint8)
    if histograms is not None:
        columns = histograms.columns
        custom = columns.layouts.schema[columns.layout] == CUSTOM_BUCKETS_SCHEMA
        # The last element is for no histogram, row -1.
        of_row = np.append(np.where(custom, _CUSTOM, _EXPONENTIAL), _NOTHING).astype(np.uint8)
        np.maximum(kinds, of_row[histograms.row], out=kinds)
    return kinds
