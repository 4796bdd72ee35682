"""Remarks about native histograms, with Prometheus' texts (``prometheus:util/annotations``)."""

from __future__ import annotations

from pythanos.model.matchers import quote
from pythanos.promql.annotations import Annotation, info, warning


def incompatible_types(left: str, op: str, right: str, start: int) -> Annotation:
    """``left`` and ``right`` are "float" or "histogram"."""
    text = "incompatible sample types encountered for binary operator"
    return info(f"{text} {quote(op)}: {left} {op} {right}", start)


def incompatible_layout(op: str, start: int) -> Annotation:
    return warning(f"incompatible bucket layout encountered for binary operator {op}", start)


def colliding_resets(operation: str, start: int) -> Annotation:
    """``operation`` is "addition", "subtraction" or "aggregation"."""
    return warning(f"conflicting counter resets during histogram {operation}", start)


def reconciled_bounds(operation: str, start: int) -> Annotation:
    return info(f"mismatched custom buckets were reconciled during {operation}", start)


def mixed_schemas(metric: str, start: int) -> Annotation:
    text = "vector contains a mix of histograms with exponential and custom buckets schemas for metric name"
    return warning(f"{text} {quote(metric)}", start)


def mixed_aggregation(start: int) -> Annotation:
    return warning("encountered a mix of histograms and floats for aggregation", start)


def ignored_in_aggregation(op: str, start: int) -> Annotation:
    return info(f"ignored histogram in {op} aggregation", start)


def mixed_range(metric: str, start: int) -> Annotation:
    return warning(f"encountered a mix of histograms and floats for metric name {quote(metric)}", start)


def ignored_in_range(metric: str, start: int) -> Annotation:
    text = "ignored histograms in a range containing both floats and histograms for metric name"
    return info(f"{text} {quote(metric)}", start)


def not_counter(metric: str, start: int) -> Annotation:
    return warning(f"this native histogram metric is not a counter: {quote(metric)}", start)


def not_gauge(metric: str, start: int) -> Annotation:
    return warning(f"this native histogram metric is not a gauge: {quote(metric)}", start)
