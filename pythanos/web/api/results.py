"""The value of a query as JSON: the kernel prints what has samples, the generic encoder the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pythanos._json import format_double, print_matrix, print_samples, print_vector
from pythanos.model.gojson import go_json
from pythanos.model.histogram import HistogramColumns
from pythanos.promql.values import HistogramRows, Matrix, RangeVector, Scalar, String, Value, Vector


@dataclass(frozen=True, slots=True)
class HistogramPoints:
    """Which histogram stands at which time of a series, in the form that ``_json.print_matrix`` takes."""

    columns: HistogramColumns
    start: NDArray[np.int64]
    row: NDArray[np.int64]
    timestamps: NDArray[np.int64]


def print_value(value: Value) -> tuple[str, Iterable[bytes]]:
    """The ``resultType`` of a query's value, and its JSON in pieces."""
    if isinstance(value, Matrix):
        steps = value.steps
        histograms = histogram_points(value.histograms, steps.times())
        return "matrix", print_matrix(value.labels, value.values, steps.start_ms, steps.step_ms, histograms)
    if isinstance(value, Vector):
        times = np.full(len(value.values), value.time_ms, np.int64)
        histograms = histogram_points(value.histograms, times[:1])
        return "vector", print_vector(value.labels, value.values, times, histograms)
    if isinstance(value, RangeVector):
        samples = value.samples
        histograms = _series_histograms(samples.histograms)
        return "matrix", print_samples(samples.labels, samples.start, samples.timestamps, samples.values, histograms)
    if isinstance(value, Scalar):
        # Not the codec of samples: time as a plain number, value always without exponent.
        return "scalar", (f'[{_seconds(value.time_ms)},"{_plain(value.value)}"]'.encode(),)
    if isinstance(value, String):
        return "string", (f"[{_seconds(value.time_ms)},{go_json(value.value)}]".encode(),)
    raise TypeError(f"no JSON form for {type(value).__name__}")


def histogram_points(rows: HistogramRows | None, times: NDArray[np.int64]) -> HistogramPoints | None:
    """The histograms of a vector or matrix in the order of series and steps; ``times``: int64[steps] ms."""
    if rows is None:
        return None
    present = rows.row >= 0
    start = np.zeros(len(present) + 1, np.int64)
    np.cumsum(present.sum(axis=1), out=start[1:])
    return HistogramPoints(rows.columns, start, rows.row[present], np.broadcast_to(times, present.shape)[present])


def _series_histograms(columns: object) -> HistogramPoints | None:
    if not isinstance(columns, HistogramColumns):
        return None
    return HistogramPoints(columns, columns.start, np.arange(len(columns), dtype=np.int64), columns.timestamps)


def _seconds(ms: int) -> str:
    """Go's JSON float of ms / 1000."""
    return format_double(ms / 1000)


def _plain(value: float) -> str:
    """Go's FormatFloat with 'f': never an exponent."""
    text = format_double(value)
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    sign, mantissa = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    whole, _, fraction = mantissa.partition(".")
    shift = int(exponent)
    if shift < 0:
        return f"{sign}0.{'0' * (-shift - 1)}{whole}{fraction}"
    return f"{sign}{whole}{fraction}{'0' * (shift - len(fraction))}"
