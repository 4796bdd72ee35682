"""info(): series that receive the data labels of info series, such as target_info, of the same job and instance.

Semantics: ``prometheus:promql/info.go`` 3.14.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels
from pythanos.errors import QueryFailed
from pythanos.model.histogram import HistogramColumns
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.series import ABSENT, LabelColumn, SampleBatch
from pythanos.promql.histograms.instant import last_samples, last_times
from pythanos.promql.histograms.rows import masked
from pythanos.promql.operators.operator import Block, Evaluation, Job, Names, VectorOperator, merged_duplicates
from pythanos.promql.operators.scan import InstantScan
from pythanos.promql.operators.vectors.newest import newest_rows
from pythanos.promql.plan.nodes import Select
from pythanos.promql.values import Steps

# What tells which info series belongs to a series.
IDENTIFYING_LABELS = ("instance", "job")
_NAME = "__name__"
_TARGET_INFO = Matcher(MatchType.EQ, _NAME, "target_info")
_ANY_INFO = Matcher(MatchType.RE, _NAME, ".+_info")
_REGEX_MEANING = str.maketrans({char: "\\" + char for char in "\\.+*?()|[]{}^$"})


class InfoScan(InstantScan):
    """The times of the samples of info series; native histograms come as such, to be refused."""

    def __init__(self, evaluation: Evaluation, node: Select, steps: Steps) -> None:
        super().__init__(evaluation, node, steps, times=True)

    def _look_at_both(self, samples: SampleBatch, histograms: HistogramColumns) -> Block:
        values, found = last_times(samples, histograms, self.data, self.lookback_ms)
        rows = last_samples(samples, histograms, self.data, self.lookback_ms)[1]
        if rows is not None:
            values[rows.row >= 0] = ABSENT
        return Block(samples.labels, values, scanned=found, read=found, histograms=rows)


class InfoJoin:
    """``scan`` makes the InfoScan of some matchers."""

    def __init__(
        self,
        evaluation: Evaluation,
        operand: VectorOperator,
        matchers: tuple[Matcher, ...],
        scan: Callable[[tuple[Matcher, ...]], VectorOperator],
    ) -> None:
        """``matchers`` are those of the selector of data labels, none where there is no selector."""
        self.evaluation = evaluation
        self.operand = operand
        self.name_matchers = _effective_names(tuple(m for m in matchers if m.name == _NAME))
        self.data_matchers = tuple(m for m in matchers if m.name != _NAME)
        self.scan = scan
        self.steps = operand.steps
        self.names = Names.MANY

    def jobs(self) -> Iterator[Job]:
        base = self.evaluation.collect(self.operand)
        is_info = self._is_info(base.labels)
        known = _known_values(base.labels.take(np.nonzero(~is_info)[0]))
        if not known:
            yield partial(self._without_info, base, is_info)
            return
        identifying = tuple(Matcher(MatchType.RE, name, "|".join(values)) for name, values in known.items())
        info = self.evaluation.collect(self.scan((*identifying, *self.data_matchers, *self.name_matchers)))
        yield partial(self._enriched, base, is_info, info)

    def finished(self) -> None:
        pass

    def _is_info(self, labels: LabelColumn) -> NDArray[np.bool_]:
        """bool[n]: the series that could be info series themselves, which are left alone."""
        index, names = _labels.value_index(labels, _NAME)
        chosen = [all(matcher.matches(name) for matcher in self.name_matchers) for name in names]
        return np.array(chosen, np.bool_)[index] if chosen else np.zeros(len(labels), np.bool_)

    def _without_info(self, base: Block, is_info: NDArray[np.bool_]) -> Block:
        return base if self._may_lack_info() else base.take(is_info)

    def _may_lack_info(self) -> bool:
        return all(matcher.matches_empty for matcher in self.data_matchers)

    def _enriched(self, base: Block, is_info: NDArray[np.bool_], info: Block) -> Block:
        there = base.present()
        if info.histograms is not None and (info.histograms.row >= 0)[:, there.any(axis=0)].any():
            raise QueryFailed("info sample should be float")
        combination, table = _combinations(base, is_info, info, there)
        row, step = np.nonzero(there)
        pairs = np.unique(row * len(table) + combination[row, step])
        row, chosen = pairs // len(table), pairs % len(table)
        if not self._may_lack_info():
            kept = is_info[row] | (table[chosen] >= 0).any(axis=1)
            row, chosen = row[kept], chosen[kept]
        result = base.take(row)
        keep = there[row] & (combination[row] == chosen[:, np.newaxis])
        result.values[~keep] = ABSENT
        result.histograms = masked(result.histograms, keep)
        wanted = {matcher.name for matcher in self.data_matchers}
        for label in _labels.names_of(info.labels):
            if label != _NAME and (not wanted or label in wanted):
                result.labels = _with_label(result.labels, label, info.labels, table[chosen])
        return merged_duplicates(result)


def _effective_names(matchers: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
    """The matchers of the info metrics' names; target_info where there are none."""
    if not matchers:
        return (_TARGET_INFO,)
    positive = any(matcher.type in (MatchType.EQ, MatchType.RE) for matcher in matchers)
    return matchers if positive else (_ANY_INFO, *matchers)


def _known_values(labels: LabelColumn) -> dict[str, list[str]]:
    """The values of the identifying labels, as patterns; labels without any are left out."""
    found = {}
    for name in IDENTIFYING_LABELS:
        values = sorted(value.translate(_REGEX_MEANING) for value in _labels.value_index(labels, name)[1] if value)
        if values:
            found[name] = values
    return found


def _combinations(
    base: Block, is_info: NDArray[np.bool_], info: Block, there: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which info series stand beside each series at each step, one for each info metric at most.

    Returns (combination int64[n, steps], table int64[combinations, info metrics] of rows of ``info``, -1 for none).
    """
    columns = _labels.concat([base.labels, info.labels])
    group, groups = _labels.group_by(columns, IDENTIFYING_LABELS, by=True)
    metric, metrics = _labels.value_index(info.labels, _NAME)
    slots, of_info = np.unique(metric * len(groups) + group[len(base) :], return_inverse=True)
    newest = newest_rows(info, of_info, len(slots), np.logical_or.reduce(there, axis=0))
    combination = np.zeros(there.shape, np.int64)
    table = np.zeros((1, 0), np.int64)
    for number in range(len(metrics)):
        wanted = number * len(groups) + group[: len(base)]
        slot = np.minimum(np.searchsorted(slots, wanted), len(slots) - 1)
        found = np.where(((slots[slot] == wanted) & ~is_info)[:, np.newaxis], newest[slot], -1)
        known, combination = np.unique(combination * (len(info) + 1) + found + 1, return_inverse=True)
        combination = combination.reshape(there.shape)
        row = known % (len(info) + 1) - 1
        table = np.concatenate([table[known // (len(info) + 1)], row[:, np.newaxis]], axis=1)
    return combination, table


def _with_label(labels: LabelColumn, name: str, info: LabelColumn, chosen: NDArray[np.int64]) -> LabelColumn:
    """The label of the chosen info rows (int64[n, info metrics]) where it is not there already.

    Raises QueryFailed where they have different values.
    """
    index, values = _labels.value_index(info, name)
    own, own_values = _labels.value_index(labels, name)
    absent = np.array([not value for value in own_values], np.bool_)[own] if len(own) else np.zeros(0, np.bool_)
    number = np.array([index_of + 1 if value else 0 for index_of, value in enumerate(values)], np.int64)
    found = np.where(chosen >= 0, number[index[chosen]], 0) * absent[:, np.newaxis]
    picked = found.max(axis=1, initial=0)
    if ((found != 0) & (found != picked[:, np.newaxis])).any():
        raise QueryFailed(f"conflicting label: {name}")
    return _labels.set_label(labels, name, [None, *values], picked)
