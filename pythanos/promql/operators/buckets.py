"""histogram_quantile, histogram_quantiles, histogram_fraction over classic histograms: series with ``le`` labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pythanos import _buckets, _labels
from pythanos.errors import NotSupported, QueryFailed
from pythanos.model.matchers import quote
from pythanos.model.series import LabelColumn
from pythanos.promql.annotations import Annotation, ForcedMonotonic, Severity, format_g, warning
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

_FLOAT = re.compile(
    r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE | re.ASCII
)
_FORCED = (
    "input to histogram_quantile needed to be fixed for monotonicity (see"
    " https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)


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
        block = self.evaluation.collect(self.operand)
        if block.histograms is not None:
            raise NotSupported("functions of the buckets of native histograms are not supported yet")
        yield partial(self._evaluate, block, rows, limits)

    def finished(self) -> None:
        pass

    def _evaluate(
        self, block: Block, rows: list[NDArray[np.float64]], limits: tuple[NDArray[np.float64], ...]
    ) -> Block:
        found: list[Annotation] = []
        for row, (_, position) in zip(rows, self.quantiles, strict=True):
            found.extend(invalid_quantiles(row, position))
        bounds, good = self._bounds(block.labels, found)
        block = block if good.all() else block.take(good)
        histogram, labels = _labels.distinct(_labels.drop_labels(block.labels, ("le",)))
        labels = _labels.drop_labels(block.labels.take(labels), ("le",))
        order, start = _ordered(histogram, bounds[good], len(labels))
        results = []
        for parameters in [limits] if limits else [(row,) for row in rows]:
            values, forced = _buckets.bucket_rows(block.values, bounds[good], order, start, *parameters)
            found.extend(self._forced_infos(labels, forced))
            results.append(Block(self._labelled(labels, parameters), values))
        result = merged_duplicates(without_names(self.evaluation, joined(results, self.steps.count)))
        result.annotations = found
        return result

    def _labelled(self, labels: LabelColumn, parameters: tuple[NDArray[np.float64], ...]) -> LabelColumn:
        if not self.label:
            return labels
        row = parameters[0]
        if len(row) and not ((row == row[0]).all() or np.isnan(row).all()):
            raise QueryFailed("histogram_quantiles with quantiles that change over time is not supported yet")
        return _labels.set_label(labels, self.label, _open_metrics(float(row[0])) if len(row) else "")

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
        names = _labels.values_of(labels.take(touched), "__name__")
        start_ms, step_ms = self.steps.start_ms, self.steps.step_ms
        return [
            ForcedMonotonic(
                Severity.INFO,
                _FORCED + self._of_metric(name),
                self.position,
                bucket_min=low,
                bucket_max=high,
                difference_max=difference,
                samples=int(samples),
                mint=start_ms + int(first) * step_ms,
                maxt=start_ms + int(last) * step_ms,
            )
            for name, (samples, low, high, difference, first, last) in zip(names, forced[touched].tolist(), strict=True)
        ]


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
