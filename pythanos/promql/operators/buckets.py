"""histogram_quantile, histogram_quantiles, histogram_fraction: over series with ``le`` labels and native histograms."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pythanos import _buckets, _labels, _rows
from pythanos._row_parts import RowParts
from pythanos.model.matchers import quote
from pythanos.model.series import ABSENT, LabelColumn
from pythanos.promql.annotations import Annotation, ForcedMonotonic, Severity, format_g, info, warning
from pythanos.promql.histograms.quantiles import bucket_values
from pythanos.promql.operators.operator import (
    Block,
    Evaluation,
    Job,
    Names,
    ScalarOperator,
    VectorOperator,
    joined,
    merged_duplicates,
    without_names,
)
from pythanos.promql.operators.ranges import invalid_quantiles
from pythanos.promql.values import HistogramRows

_FLOAT = re.compile(
    r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE | re.ASCII
)
_FORCED = (
    "input to histogram_quantile needed to be fixed for monotonicity (see"
    " https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)


@dataclass(slots=True)
class _Native:
    """The series of a vector that hold native histograms."""

    labels: LabelColumn
    histograms: HistogramRows


class BucketFunction:
    """A function of the buckets of each histogram. ``position`` is that of the vector argument."""

    def __init__(
        self,
        evaluation: Evaluation,
        operand: VectorOperator,
        quantiles: tuple[tuple[ScalarOperator, int], ...],
        fraction: tuple[ScalarOperator, ...],
        position: int,
        *,
        label: str = "",
    ) -> None:
        """``quantiles`` with their positions, or the two limits of a ``fraction``; ``label`` receives the quantile as
        text.
        """
        self.evaluation = evaluation
        self.operand = operand
        self.quantiles = quantiles
        self.fraction = fraction
        self.position = position
        self.label = label
        self.steps = operand.steps
        self.names = Names.GONE

    def jobs(self) -> Iterator[Job]:
        rows = [np.ascontiguousarray(scalar.row()) for scalar, _ in self.quantiles]
        limits = tuple(np.ascontiguousarray(scalar.row()) for scalar in self.fraction)
        blocks = self.evaluation.collect_parts(self.operand)
        if not blocks or any(block.histograms is not None for block in blocks):
            blocks = [joined(blocks, self.steps.count)]
        yield partial(self._evaluate, blocks, rows, limits)

    def finished(self) -> None:
        pass

    def _evaluate(
        self, blocks: list[Block], rows: list[NDArray[np.float64]], limits: tuple[NDArray[np.float64], ...]
    ) -> Block:
        """``blocks``: one, or several without native histograms."""
        found: list[Annotation] = []
        for row, (_, position) in zip(rows, self.quantiles, strict=True):
            found.extend(invalid_quantiles(row, position))
        native, blocks = _kinds(blocks)
        members = _labels.concat([block.labels for block in blocks])
        bounds, good = self._bounds(members, found)
        if not good.all():
            blocks = [joined(blocks, self.steps.count).take(good)]
            members, bounds = blocks[0].labels, bounds[good]
        histogram, first = _labels.distinct(_labels.drop_labels(members, ("le",)))
        labels = _labels.drop_labels(members.take(first), ("le",))
        order, start = _ordered(histogram, bounds, len(labels))
        if native is not None:
            self._refuse_both_kinds(native, blocks[0], histogram, labels, found)
        counts = RowParts([block.values for block in blocks], self.steps.count)
        results: list[Block] = []
        for parameters in [limits] if limits else [(row,) for row in rows]:
            if native is not None:
                values, remarks = bucket_values(native.histograms, parameters)
                found.extend(self._native_infos(native.labels, remarks))
                results.extend(self._labelled(native.labels, values, parameters))
            values, forced = _buckets.bucket_rows(counts, bounds, order, start, *parameters)
            found.extend(self._forced_infos(labels, forced))
            results.extend(self._labelled(labels, values, parameters))
        result = merged_duplicates(without_names(self.evaluation, joined(results, self.steps.count)))
        result.annotations = found
        return result

    def _refuse_both_kinds(
        self,
        native: _Native,
        classic: Block,
        histogram: NDArray[np.int64],
        labels: LabelColumn,
        found: list[Annotation],
    ) -> None:
        """Takes both away, with a warning, where a native histogram has the labels of a classic one at that step.

        ``labels`` are those of the classic histograms, to which the rows of ``classic`` belong by ``histogram``.
        """
        ids, _ = _labels.distinct(_labels.concat([labels, native.labels]))
        rows = np.nonzero(ids[len(labels) :] < len(labels))[0]
        if not len(rows):
            return
        twin = ids[len(labels) :][rows]
        there = _rows.presence(classic.values, histogram, len(labels)) != 0
        clash = np.zeros(native.histograms.row.shape, np.bool_)
        clash[rows] = there[twin] & (native.histograms.row[rows] >= 0)
        for name in _labels.values_of(native.labels.take(np.nonzero(clash.any(axis=1))[0]), "__name__"):
            text = "vector contains a mix of classic and native histograms" + self._of_metric(name)
            found.append(warning(text, self.position))
        hidden = np.zeros(there.shape, np.uint8)
        hidden[twin] = clash[rows]
        _rows.mask_rows(classic.values, histogram, hidden, where=False)
        native.histograms.row[clash] = -1

    def _labelled(
        self, labels: LabelColumn, values: NDArray[np.float64], parameters: tuple[NDArray[np.float64], ...]
    ) -> Iterator[Block]:
        """The results; where the quantile becomes a label, a block for each quantile that is asked for at any step."""
        if not self.label:
            yield Block(labels, values)
            return
        row = parameters[0]
        for quantile in np.unique(row).tolist():
            asked = np.isnan(row) if math.isnan(quantile) else row == quantile
            own = _labels.set_label(labels, self.label, _open_metrics(quantile))
            yield Block(own, values if asked.all() else np.where(asked, values, ABSENT))

    def _native_infos(self, labels: LabelColumn, remarks: list[tuple[str, NDArray[np.bool_]]]) -> Iterator[Annotation]:
        for text, rows in remarks:
            for name in dict.fromkeys(_labels.values_of(labels.take(np.nonzero(rows)[0]), "__name__")):
                yield info(text + self._of_metric(name), self.position)

    def _bounds(self, labels: LabelColumn, found: list[Annotation]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """(upper bound of each row, whether it has one); rows without become warnings."""
        index, texts = _labels.value_index(labels, "le")
        parsed = np.array([float(text) if _FLOAT.fullmatch(text) else np.nan for text in texts], np.float64)
        valid = np.array([_FLOAT.fullmatch(text) is not None for text in texts], np.bool_)
        if not valid.all():
            bad = labels.take(np.nonzero(~valid[index])[0])
            for name, text in dict.fromkeys(
                zip(_labels.values_of(bad, "__name__"), _labels.values_of(bad, "le"), strict=True)
            ):
                message = f'bucket label "le" is missing or has a malformed value of {quote(text)}'
                found.append(warning(message + self._of_metric(name), self.position))
        return parsed[index] if len(parsed) else np.zeros(0), valid[index] if len(valid) else np.zeros(0, np.bool_)

    def _of_metric(self, name: str) -> str:
        return f" for metric name {quote(name)}" if name and self.evaluation.options.delayed_names else ""

    def _forced_infos(self, labels: LabelColumn, forced: NDArray[np.float64]) -> list[Annotation]:
        touched = np.nonzero(forced[:, 0])[0]
        if not len(touched):
            return []
        index, names = _labels.value_index(labels.take(touched), "__name__")
        return [self._forced_info(name, forced[touched[index == number]]) for number, name in enumerate(names)]

    def _forced_info(self, name: str, forced: NDArray[np.float64]) -> ForcedMonotonic:
        """What there is to say of the histograms of one name."""
        samples, low, high, difference, first, last = forced.T
        start_ms, step_ms = self.steps.start_ms, self.steps.step_ms
        return ForcedMonotonic(
            Severity.INFO,
            _FORCED + self._of_metric(name),
            self.position,
            bucket_min=float(low.min()),
            bucket_max=float(high.max()),
            difference_max=float(difference.max()),
            samples=int(samples.sum()),
            mint=start_ms + int(first.min()) * step_ms,
            maxt=start_ms + int(last.max()) * step_ms,
        )


def _kinds(blocks: list[Block]) -> tuple[_Native | None, list[Block]]:
    """(the native histograms, the floats) of a block, or of several that have floats only."""
    block = blocks[0]
    histograms = block.histograms
    if histograms is None:
        return None, blocks
    rows = np.nonzero((histograms.row >= 0).any(axis=1))[0]
    block.histograms = None
    native = _Native(block.labels.take(rows), HistogramRows(histograms.row[rows], histograms.columns))
    return native, [block.without_empty()]


def _ordered(
    histogram: NDArray[np.int64], bounds: NDArray[np.float64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows by histogram and rising bound, and where each histogram begins."""
    order = np.lexsort((bounds, histogram)).astype(np.int64, copy=False)
    start = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(histogram, minlength=count), out=start[1:])
    return order, start


def _open_metrics(value: float) -> str:
    """A float as OpenMetrics writes it: like %g, and with a point where there is none."""
    text = format_g(value)
    return text if any(char in text for char in ".eNI") else text + ".0"
