"""Sums, differences, resets and trims of native histograms against the dicts of ``histogram_arithmetic`` (QU-16)."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from histogram_arithmetic import (
    added,
    columns_of,
    compacted,
    custom,
    exponential,
    histograms,
    histograms_of,
    was_reset,
)
from hypothesis import given
from hypothesis import strategies as st

from pythanos import _histogram_math as kernel
from pythanos.errors import CorruptData
from pythanos.model.histogram import COUNTER_RESET, CUSTOM_BUCKETS_SCHEMA, GAUGE, NOT_COUNTER_RESET, HistogramColumns
from pythanos.testing.promqltest.histograms import Histogram

_Pair = tuple[Histogram, Histogram]


def _rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def _sum(a: Histogram, b: Histogram, *, subtract: bool = False) -> tuple[Histogram, int]:
    columns, flags = kernel.add(columns_of([a]), _rows(0), columns_of([b]), _rows(0), subtract=subtract)
    return histograms_of(columns)[0], int(flags[0])


@given(st.lists(st.tuples(histograms(), histograms()), min_size=1, max_size=5), st.booleans())
def test_sums_and_differences_are_those_of_the_buckets(
    pairs: list[tuple[Histogram, Histogram]], subtract: bool
) -> None:
    """Schemas, zero buckets and custom bounds are reconciled as the definition has it; flags tell what happened."""
    left, right = columns_of([a for a, _ in pairs]), columns_of([b for _, b in pairs])
    rows = np.arange(len(pairs), dtype=np.int64)
    columns, flags = kernel.add(left, rows, right, rows, subtract=subtract)
    for (a, b), result, flag in zip(pairs, histograms_of(columns), flags.tolist(), strict=True):
        expected = added(a, b, -1 if subtract else 1)
        assert bool(flag & kernel.INCOMPATIBLE) == (expected is None)
        if expected is not None:
            assert result == expected
            assert bool(flag & kernel.RECONCILED) == (a.bounds != b.bounds)
            assert bool(flag & kernel.RESET_COLLISION) == ({a.hint, b.hint} == {COUNTER_RESET, NOT_COUNTER_RESET})


@given(histograms(), histograms())
def test_a_sum_does_not_depend_on_the_order(a: Histogram, b: Histogram) -> None:
    """... where not both the schema and the zero bucket have to give way."""
    if a.custom == b.custom and (a.schema == b.schema or a.zero_threshold == b.zero_threshold):
        assert _sum(a, b)[0] == _sum(b, a)[0]


@given(*[exponential(thresholds=(0.001,))] * 3)
def test_layouts_merge_in_any_order(a: Histogram, b: Histogram, c: Histogram) -> None:
    a, b, c = (replace(one, hint=0) for one in (a, b, c))
    assert _sum(_sum(a, b)[0], c)[0] == _sum(a, _sum(b, c)[0])[0]


@given(exponential(thresholds=(0.25,)), exponential(thresholds=(0.25,)))
def test_what_was_added_can_be_taken_away(a: Histogram, b: Histogram) -> None:
    """a + b - b is a, as far as b's resolution allows."""
    back = _sum(_sum(a, b)[0], b, subtract=True)[0]
    if b.schema >= a.schema:
        assert back == replace(compacted(a), hint=GAUGE)
    assert (back.count, back.sum, back.zero_count) == (a.count, a.sum, a.zero_count)


@given(st.lists(histograms(), min_size=2, max_size=6))
def test_a_reset_is_a_count_that_fell(series: list[Histogram]) -> None:
    found = kernel.detect_resets(columns_of(series)).tolist()
    expected = [was_reset(now, before) for before, now in itertools.pairwise(series)]
    assert found == [False, *expected]


@given(histograms(), histograms(), st.integers(-3, 3).map(float))
def test_scaling_scales_every_count(a: Histogram, b: Histogram, factor: float) -> None:
    """... also the empty buckets' presence stays; a negative factor makes a gauge, a division by zero takes buckets."""
    columns = columns_of([a, b])
    scaled = histograms_of(kernel.scale(columns, _rows(1, 0), np.array([factor, 2.0])))[0]
    assert scaled.count == b.count * factor and scaled.sum == b.sum * factor
    assert scaled.positive == {number: count * factor for number, count in b.positive.items()}
    assert scaled.hint == (GAUGE if factor < 0 else b.hint)
    divided = kernel.scale(columns, _rows(0), np.array([0.0]), divide=True)
    assert len(divided.buckets) == 0 and (np.isinf(divided.count[0]) or a.count == 0)


@given(histograms(), histograms())
def test_equal_histograms_have_the_same_buckets(a: Histogram, b: Histogram) -> None:
    columns = columns_of([a, b, replace(a, hint=GAUGE), compacted(a)])
    same = kernel.equals(columns, _rows(0, 0, 0, 3), columns, _rows(1, 2, 3, 3)).tolist()
    assert same == [replace(a, hint=b.hint) == b, True, a == compacted(a), True]


@given(histograms())
def test_compaction_takes_empty_buckets_out(a: Histogram) -> None:
    columns = columns_of([a])
    assert histograms_of(kernel.compact(columns)) == [compacted(a)]
    if all(columns.buckets):
        assert kernel.compact(columns) is columns


@given(st.one_of(exponential(), custom()), st.sampled_from((-5.0, -1.0, 0.0, 0.1, 0.5, 1.0, 2.5, 4.0, 100.0)))
def test_trimming_splits_the_observations(a: Histogram, limit: float) -> None:
    """What is kept below and above a limit together is what was there, unless it lay in a bucket without end."""
    columns = columns_of([a])
    below = histograms_of(kernel.trim(columns, _rows(0), np.array([limit]), upper=True))[0]
    above = histograms_of(kernel.trim(columns, _rows(0), np.array([limit]), upper=False))[0]
    assert 0 <= below.count <= a.count and 0 <= above.count <= a.count
    if not a.custom:
        assert below.count + above.count == pytest.approx(a.count)
    everything = histograms_of(kernel.trim(columns, _rows(0), np.array([-1e300]), upper=False))[0]
    assert a.custom or everything == a


def test_rows_of_reserved_schemas_are_reduced_to_known_ones() -> None:
    """Schema 12 becomes 8, sixteen buckets one; columns without such rows are given back as they are."""
    fine = columns_of([Histogram(schema=12, count=6.0, positive={1: 1.0, 16: 2.0, 17: 3.0})])
    assert histograms_of(kernel.supported(fine)) == [Histogram(schema=8, count=6.0, positive={1: 3.0, 2: 3.0})]
    usual = columns_of([Histogram(schema=8, count=1.0, positive={1: 1.0})])
    assert kernel.supported(usual) is usual


def _replaced(columns: HistogramColumns, **fields: object) -> HistogramColumns:
    return replace(columns, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"layout": np.array([7], np.int32)},
        {"layout": np.array([-1], np.int32)},
        {"bucket_start": np.array([0, 9], np.int64)},
        {"bucket_start": np.array([3, 0], np.int64)},
        {"buckets": np.zeros(1)},
    ],
)
def test_columns_that_contradict_themselves_are_corrupt(fields: dict[str, np.ndarray]) -> None:
    columns = columns_of([Histogram(count=3.0, positive={1: 1.0, 5: 2.0})])
    with pytest.raises(CorruptData):
        kernel.compact(_replaced(_replaced(columns, buckets=np.zeros(2)), **fields))


@pytest.mark.parametrize(
    "change", [{"span_offset": [1, -3]}, {"span_length": [5, 1]}, {"schema": [-5]}, {"schema": [9]}]
)
def test_layouts_that_no_histogram_has_are_corrupt(change: dict[str, list[int]]) -> None:
    columns = columns_of([Histogram(count=3.0, positive={1: 1.0, 5: 2.0})])
    layouts = columns.layouts
    changed = {name: np.array(values, getattr(layouts, name).dtype) for name, values in change.items()}
    with pytest.raises(CorruptData):
        kernel.detect_resets(replace(columns, layouts=replace(layouts, **changed)))


def test_rows_that_are_not_there_are_refused() -> None:
    columns = columns_of([Histogram(schema=CUSTOM_BUCKETS_SCHEMA, bounds=(1.0,))])
    with pytest.raises(IndexError):
        kernel.scale(columns, _rows(1), np.ones(1))
    with pytest.raises(ValueError, match="different lengths"):
        kernel.scale(columns, _rows(0), np.ones(2))
