"""Does an answer meet the expectations of an eval? Each check gives the first difference as text, or None."""

from __future__ import annotations

import math
import sys

import numpy as np

from pythanos import _labels
from pythanos.model.series import ABSENT, STALE_NAN_BITS
from pythanos.promql.engine import QueryResult
from pythanos.promql.values import Matrix, RangeVector, Scalar, String, Value, Vector
from pythanos.testing.promqltest.notation import HistogramText, Item, LabelSet
from pythanos.testing.promqltest.script import Eval

EPSILON = 1e-6
Points = dict[int, float]


def almost_equal(a: float, b: float) -> bool:
    """Equal within a relative 1e-6 of both together; any NaN equals any other but the staleness marker."""
    if _is_stale(a) or _is_stale(b):
        return _is_stale(a) and _is_stale(b)
    if a == b or (math.isnan(a) and math.isnan(b)):
        return True
    total, difference = abs(a) + abs(b), abs(a - b)
    if a == 0 or b == 0 or total < sys.float_info.min:
        return difference < EPSILON * sys.float_info.min
    return difference / min(total, sys.float_info.max) < EPSILON


def check_annotations(command: Eval, result: QueryResult) -> str | None:
    """Every expected annotation must be there, and where some are expected no others."""
    for kind, found in (("warn", result.warnings(0)), ("info", result.infos(0))):
        expected = command.expects(kind)
        if command.expects(f"no_{kind}") and found:
            return f"expected no {kind} annotations but got {found}"
        if not expected:
            continue
        if not found:
            return f"expected {kind} annotations but got none"
        for expectation in expected:
            if not any(expectation.matches(text) for text in found):
                return f"expected {kind} {expectation.message or expectation.pattern!r} but got {found}"
        for text in found:
            if not any(expectation.matches(text) for expectation in expected):
                return f"unexpected {kind} annotation {text!r}"
    return None


def check_value(command: Eval, value: Value) -> str | None:
    """The value against the expected series, scalar or string."""
    match value:
        case String():
            return None if command.string == value.value else f"expected string {command.string!r}, got {value.value!r}"
        case Scalar():
            if command.scalar is None:
                return f"expected a vector or matrix, got scalar {value.value}"
            same = almost_equal(command.scalar, value.value)
            return None if same else f"expected scalar {command.scalar}, got {value.value}"
    if command.scalar is not None:
        return "expected a scalar, got series"
    if isinstance(value, Vector):
        return _check_vector(command, value)
    return _check_matrix(command, value)


def middle_of(value: Matrix, step: int) -> Vector:
    """The samples of one step of a matrix."""
    column = np.ascontiguousarray(value.values[:, step])
    there = column.view(np.int64) != STALE_NAN_BITS
    return Vector(int(value.steps.times()[step]), value.labels.take(there), column[there])


def check_sorted(value: Matrix | RangeVector) -> str | None:
    labels = value.samples.labels if isinstance(value, RangeVector) else value.labels
    return None if _labels.is_sorted(labels) else "series of a matrix are not in label order"


def _check_vector(command: Eval, value: Vector) -> str | None:
    expected = {labels: (number, items[0]) for number, (labels, items) in enumerate(command.series)}
    seen: set[LabelSet] = set()
    for number, (labels, got) in enumerate(zip(_label_sets(value.labels), value.values.tolist(), strict=True)):
        if labels not in expected:
            return f"unexpected metric {_text(labels)} in result, has value {got}"
        position, want = expected[labels]
        if command.expects("ordered") and position != number:
            return f"expected metric {_text(labels)} at position {position + 1} but it was at {number + 1}"
        if isinstance(want, HistogramText) or want is None or not almost_equal(want, got):
            return f"expected {want} for {_text(labels)} but got {got}"
        seen.add(labels)
    return _missing(command, seen)


def _check_matrix(command: Eval, value: Matrix | RangeVector) -> str | None:
    if command.expects("ordered"):
        return "expected an ordered result, but the query returned a matrix"
    unsorted = check_sorted(value)
    if unsorted:
        return unsorted
    start, end, step = command.steps or (command.time_ms, command.time_ms, 1)
    expected = dict(command.series)
    seen: set[LabelSet] = set()
    for labels, got in _points(value):
        if labels not in expected:
            return f"unexpected metric {_text(labels)} in result, has {got}"
        want = _expected_points(expected[labels], start, step)
        if any(time > end for time in want):
            return f"expected {len(want)} points for {_text(labels)}, but the range cannot have as many"
        if want.keys() != got.keys() or not all(
            not isinstance(want[time], HistogramText) and almost_equal(want[time], got[time]) for time in want
        ):
            return f"expected {want} for {_text(labels)} but got {got}"
        seen.add(labels)
    return _missing(command, seen)


def _expected_points(items: list[Item], start: int, step: int) -> dict[int, Item]:
    return {start + number * step: item for number, item in enumerate(items) if item is not None}


def _points(value: Matrix | RangeVector) -> list[tuple[LabelSet, Points]]:
    if isinstance(value, RangeVector):
        samples = value.samples
        bounds = samples.start.tolist()
        times, values = samples.timestamps.tolist(), samples.values.tolist()
        rows = [dict(zip(times[a:b], values[a:b], strict=True)) for a, b in zip(bounds, bounds[1:], strict=False)]
        return list(zip(_label_sets(samples.labels), rows, strict=True))
    times = value.steps.times().tolist()
    rows = [
        {time: got for time, got in zip(times, row, strict=True) if not _is_stale(got)} for row in value.values.tolist()
    ]
    return list(zip(_label_sets(value.labels), rows, strict=True))


def _missing(command: Eval, seen: set[LabelSet]) -> str | None:
    for labels, items in command.series:
        if labels not in seen:
            return f"expected metric {_text(labels)} with {items} not found"
    return None


def _label_sets(labels: object) -> list[LabelSet]:
    return [tuple(sorted(row.items())) for row in _labels.to_dicts(labels)]


def _is_stale(value: float) -> bool:
    return math.isnan(value) and np.float64(value).view(np.int64) == np.float64(ABSENT).view(np.int64)


def _text(labels: LabelSet) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"
