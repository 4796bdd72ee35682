"""histogram_count, histogram_sum, histogram_avg, histogram_stddev, histogram_stdvar: a number of each histogram."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pythanos._histogram_quantile import spread
from pythanos.model.histogram import HistogramColumns
from pythanos.model.series import ABSENT
from pythanos.promql.operators.elementwise import Change, Elementwise
from pythanos.promql.operators.operator import Block, Evaluation, Names, VectorOperator

# float64[k] of some rows (int64[k]).
Figure = Callable[[HistogramColumns, NDArray[np.int64]], NDArray[np.float64]]


class HistogramFigures(Elementwise):
    """A number of each histogram; floats are left out. Of the names, only the metric's goes at once."""

    def __init__(self, evaluation: Evaluation, operand: VectorOperator, function: str) -> None:
        super().__init__(evaluation, operand, _put_figures(FIGURES[function]), sparse=True)
        self.name_labels = ("__name__",)
        self.names = Names.GONE if operand.names is Names.GONE else Names.MANY


def _put_figures(figure: Figure) -> Change:
    def change(block: Block, rows: tuple[NDArray[np.float64], ...]) -> None:
        block.values = np.full_like(block.values, ABSENT)
        histograms = block.histograms
        if histograms is not None:
            there = histograms.row >= 0
            with np.errstate(all="ignore"):
                block.values[there] = figure(histograms.columns, histograms.row[there])
            block.histograms = None

    return change


def _count(columns: HistogramColumns, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return columns.count[rows]


def _sum(columns: HistogramColumns, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return columns.sum[rows]


def _avg(columns: HistogramColumns, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return columns.sum[rows] / columns.count[rows]


def _stddev(columns: HistogramColumns, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.sqrt(spread(columns, rows))


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "histogram_count": _count,
        "histogram_sum": _sum,
        "histogram_avg": _avg,
        "histogram_stddev": _stddev,
        "histogram_stdvar": spread,
    }
)
