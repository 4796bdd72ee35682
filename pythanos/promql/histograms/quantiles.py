"""Quantiles and fractions of native histograms at the steps of a query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pythanos._histogram_quantile import NAN_EXCLUDED, NAN_RESULT, NAN_SKEW, fraction, quantile
from pythanos.model.series import ABSENT
from pythanos.promql.values import HistogramRows

# What is said about histograms that observed NaN.
_REMARKS = (
    (NAN_RESULT, "input to histogram_quantile has NaN observations, result is NaN"),
    (NAN_SKEW, "input to histogram_quantile has NaN observations, result is skewed higher"),
)
_FRACTION_REMARKS = (
    (NAN_EXCLUDED, "input to histogram_fraction has NaN observations, which are excluded from all fractions"),
)


def bucket_values(
    histograms: HistogramRows, parameters: tuple[NDArray[np.float64], ...]
) -> tuple[NDArray[np.float64], list[tuple[str, NDArray[np.bool_]]]]:
    """(float64[n, steps], remarks): the quantile of each histogram, or the fraction between two limits.

    parameters: one row of quantiles, or two of limits, float64[steps] each. A remark is a text and bool[n], the series
    that it is about.
    """
    there = histograms.row >= 0
    rows, step = histograms.row[there], np.nonzero(there)[1]
    texts: tuple[tuple[int, str], ...] = _REMARKS
    columns = tuple(np.ascontiguousarray(parameter[step]) for parameter in parameters)
    if len(columns) == 1:
        found, flags = quantile(histograms.columns, rows, columns[0])
    else:
        found, flags = fraction(histograms.columns, rows, columns[0], columns[1])
        texts = _FRACTION_REMARKS
    values: NDArray[np.float64] = np.full(there.shape, ABSENT)
    values[there] = found
    remarks: list[tuple[str, NDArray[np.bool_]]] = []
    for flag, text in texts:
        marked = np.zeros(there.shape, np.bool_)
        marked[there] = (flags & flag) != 0
        if marked.any():
            remarks.append((text, np.logical_or.reduce(marked, axis=1)))
    return values, remarks
