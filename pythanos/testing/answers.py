"""Answers of the engine as plain values, to be compared exactly."""

from __future__ import annotations

from pythanos import _labels
from pythanos.promql.values import Matrix, RangeVector, Scalar, String, Value, Vector


def plain(value: Value) -> object:
    """Everything that an answer says: labels as dicts, floats as their bits, histograms as their columns' text."""
    match value:
        case Scalar():
            return "scalar", value.time_ms, value.value.hex()
        case String():
            return "string", value.time_ms, value.value
        case Vector():
            return "vector", value.time_ms, _labels.to_dicts(value.labels), value.values.tobytes(), _rows(value)
        case Matrix():
            return "matrix", value.steps, _labels.to_dicts(value.labels), value.values.tobytes(), _rows(value)
        case RangeVector():
            samples = value.samples
            columns = samples.start.tobytes(), samples.timestamps.tobytes(), samples.values.tobytes()
            return "range", _labels.to_dicts(samples.labels), columns
    raise AssertionError(value)


def _rows(value: Vector | Matrix) -> object:
    rows = value.histograms
    return None if rows is None else (rows.row.tolist(), repr(rows.columns))
