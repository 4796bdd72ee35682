"""Does an answer meet the expectations of an eval? Each check gives the first difference as text, or None."""

from __future__ import annotations

import math
import sys
from itertools import pairwise

import numpy as np

from pythanos import _labels
from pythanos.model.series import STALE_NAN_BITS, LabelColumn, SampleBatch
from pythanos.promql.engine import QueryResult
from pythanos.promql.values import HistogramRows, Matrix, RangeVector, Scalar, String, Value, Vector
from pythanos.testing.promqltest.histogram_columns import from_columns, is_stale
from pythanos.testing.promqltest.histograms import Buckets, Histogram, without_empty
from pythanos.testing.promqltest.notation import Item, LabelSet
from pythanos.testing.promqltest.script import Eval

EPSILON = 1e-6
Sample = float | Histogram
Points = dict[int, Sample]


def almost_equal(a: float, b: float) -> bool:
    """Equal within a relative 1e-6 of both together; any NaN equals any other but the staleness marker."""
    if is_stale(a) or is_stale(b):
        return is_stale(a) and is_stale(b)
    if a == b or (math.isnan(a) and math.isnan(b)):
        return True
    total, difference = abs(a) + abs(b), abs(a - b)
    if a == 0 or b == 0 or total < sys.float_info.min:
        return difference < EPSILON * sys.float_info.min
    return difference / min(total, sys.float_info.max) < EPSILON


def same_sample(want: Item, got: Sample) -> bool:
    """Whether a sample meets an expectation: both floats or both histograms, equal within the tolerance."""
    if isinstance(want, float) and isinstance(got, float):
        return almost_equal(want, got)
    return isinstance(want, Histogram) and isinstance(got, Histogram) and _same_histogram(want, got)


def _same_histogram(want: Histogram, got: Histogram) -> bool:
    """Empty buckets count for nothing; the counter reset hint only where the expectation gives one."""
    if want.hint_given and want.hint != got.hint:
        return False
    if (want.schema, want.zero_threshold, want.bounds) != (got.schema, got.zero_threshold, got.bounds):
        return False
    figures = ((want.count, got.count), (want.sum, got.sum), (want.zero_count, got.zero_count))
    if not all(almost_equal(a, b) for a, b in figures):
        return False
    return _same_buckets(want.positive, got.positive) and _same_buckets(want.negative, got.negative)


def _same_buckets(want: Buckets, got: Buckets) -> bool:
    want, got = without_empty(want), without_empty(got)
    return want.keys() == got.keys() and all(almost_equal(want[number], got[number]) for number in want)


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
    histograms = value.histograms
    if histograms is None:
        return Vector(int(value.steps.times()[step]), value.labels.take(there), column[there])
    row = histograms.row[:, step]
    there |= row >= 0
    kept = HistogramRows(row[there].reshape(-1, 1), histograms.columns)
    return Vector(int(value.steps.times()[step]), value.labels.take(there), column[there], kept)


def check_sorted(value: Matrix | RangeVector) -> str | None:
    labels = value.samples.labels if isinstance(value, RangeVector) else value.labels
    return None if _labels.is_sorted(labels) else "series of a matrix are not in label order"


def _check_vector(command: Eval, value: Vector) -> str | None:
    expected = {labels: (number, items[0]) for number, (labels, items) in enumerate(command.series)}
    seen: set[LabelSet] = set()
    for number, (labels, got) in enumerate(zip(_label_sets(value.labels), _vector_samples(value), strict=True)):
        if labels not in expected:
            return f"unexpected metric {_text(labels)} in result, has value {got}"
        position, want = expected[labels]
        if command.expects("ordered") and position != number:
            return f"expected metric {_text(labels)} at position {position + 1} but it was at {number + 1}"
        if not same_sample(want, got):
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
        if want.keys() != got.keys() or not all(same_sample(want[time], got[time]) for time in want):
            return f"expected {want} for {_text(labels)} but got {got}"
        seen.add(labels)
    return _missing(command, seen)


def _expected_points(items: list[Item], start: int, step: int) -> dict[int, Item]:
    return {start + number * step: item for number, item in enumerate(items) if item is not None}


def _vector_samples(value: Vector) -> list[Sample]:
    samples: list[Sample] = value.values.tolist()
    if value.histograms is not None:
        for number, row in enumerate(value.histograms.row[:, 0].tolist()):
            if row >= 0:
                samples[number] = from_columns(value.histograms.columns, row)
    return samples


def _points(value: Matrix | RangeVector) -> list[tuple[LabelSet, Points]]:
    if isinstance(value, RangeVector):
        return list(zip(_label_sets(value.samples.labels), _range_points(value.samples), strict=True))
    times = value.steps.times().tolist()
    rows: list[Points] = [
        {time: got for time, got in zip(times, row, strict=True) if not is_stale(got)} for row in value.values.tolist()
    ]
    if value.histograms is not None:
        columns = value.histograms.columns
        for points, found in zip(rows, value.histograms.row.tolist(), strict=True):
            points |= {time: from_columns(columns, row) for time, row in zip(times, found, strict=True) if row >= 0}
    return list(zip(_label_sets(value.labels), rows, strict=True))


def _range_points(samples: SampleBatch) -> list[Points]:
    bounds = samples.start.tolist()
    times, values = samples.timestamps.tolist(), samples.values.tolist()
    rows: list[Points] = [dict(zip(times[a:b], values[a:b], strict=True)) for a, b in pairwise(bounds)]
    columns = samples.histograms
    if columns is not None:
        for points, (first, last) in zip(rows, pairwise(columns.start.tolist()), strict=True):
            points |= {int(columns.timestamps[row]): from_columns(columns, row) for row in range(first, last)}
    return rows


def _missing(command: Eval, seen: set[LabelSet]) -> str | None:
    for labels, items in command.series:
        if labels not in seen:
            return f"expected metric {_text(labels)} with {items} not found"
    return None


def _label_sets(labels: LabelColumn) -> list[LabelSet]:
    return [tuple(sorted(row.items())) for row in _labels.to_dicts(labels)]


def _text(labels: LabelSet) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"
