"""Estimates from native histograms: monotone, inverse to each other, and right where they can be exact (QU-16)."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from histogram_arithmetic import columns_of, end_of, exponential, histograms
from hypothesis import assume, given
from hypothesis import strategies as st

from pythanos import _histogram_quantile as kernel
from pythanos.model.histogram import CUSTOM_BUCKETS_SCHEMA, HistogramColumns
from pythanos.testing.promqltest.histograms import Histogram


def _quantiles(one: Histogram, *q: float) -> tuple[list[float], list[int]]:
    values, flags = kernel.quantile(columns_of([one]), np.zeros(len(q), np.int64), np.array(q, np.float64))
    return values.tolist(), flags.tolist()


def _fraction(one: Histogram, lower: float, upper: float) -> tuple[float, int]:
    rows = np.zeros(1, np.int64)
    values, flags = kernel.fraction(
        columns_of([one]), rows, np.array([lower], np.float64), np.array([upper], np.float64)
    )
    return float(values[0]), int(flags[0])


def _variance(columns: HistogramColumns) -> float:
    return float(kernel.spread(columns, np.zeros(1, np.int64))[0])


@given(histograms(), st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_quantiles_rise_with_q(one: Histogram, q: list[float]) -> None:
    """Custom buckets without a bound aside, of which nothing is known."""
    assume(one.count > 0 and (one.bounds or not one.custom))
    values, flags = _quantiles(one, *sorted(q))
    assert all(b >= a or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in itertools.pairwise(values))
    assert not any(flags)


@given(exponential(), st.floats(0.01, 0.99))
def test_the_fraction_below_a_quantile_is_its_q(one: Histogram, q: float) -> None:
    """... wherever the quantile is no edge of the zero bucket, of which all or nothing is below."""
    assume(one.count > 0)
    (value,), _ = _quantiles(one, q)
    assume(abs(value) != one.zero_threshold)
    below, _ = _fraction(one, -math.inf, value)
    assert below == pytest.approx(q, rel=1e-6, abs=1e-9)


@given(histograms(), st.floats(-20, 20), st.floats(-20, 20), st.floats(-20, 20))
def test_fractions_of_neighbouring_ranges_add_up(one: Histogram, a: float, b: float, c: float) -> None:
    """Custom buckets that reach to minus infinity aside, inside which nothing is known."""
    assume(one.count > 0 and not one.custom)
    a, b, c = sorted((a, b, c))
    parts = _fraction(one, a, b)[0] + _fraction(one, b, c)[0]
    assert parts == pytest.approx(_fraction(one, a, c)[0], abs=1e-9)
    assert _fraction(one, -math.inf, math.inf)[0] == pytest.approx(1)


def test_custom_buckets_are_interpolated_linearly() -> None:
    one = Histogram(CUSTOM_BUCKETS_SCHEMA, 10.0, 30.0, bounds=(2.0, 4.0, 8.0), positive={0: 2.0, 1: 4.0, 2: 4.0})
    assert _quantiles(one, 0.1, 0.2, 0.4, 0.8, 1.0)[0] == pytest.approx([1, 2, 3, 6, 8])
    assert _fraction(one, 2, 6)[0] == pytest.approx(0.6)


def test_exponential_buckets_are_interpolated_on_a_logarithmic_scale() -> None:
    one = Histogram(schema=0, count=4.0, sum=6.0, positive={1: 4.0})
    assert _quantiles(one, 0.0, 0.5, 1.0)[0] == pytest.approx([1, math.sqrt(2), 2])
    mirrored = Histogram(schema=0, count=4.0, sum=-6.0, negative={1: 4.0})
    assert _quantiles(mirrored, 0.0, 0.5, 1.0)[0] == pytest.approx([-2, -math.sqrt(2), -1])


@given(histograms())
def test_quantiles_outside_of_their_range_are_infinite(one: Histogram) -> None:
    values, _ = _quantiles(one, -0.1, 1.1, math.nan)
    assert values[:2] == [-math.inf, math.inf] and math.isnan(values[2])


def test_nothing_is_estimated_without_observations() -> None:
    assert math.isnan(_quantiles(Histogram(), 0.5)[0][0])
    assert math.isnan(_fraction(Histogram(), 0, 1)[0])


def test_observations_of_nan_are_told() -> None:
    """They are in the count and in no bucket."""
    one = Histogram(schema=0, count=4.0, sum=math.nan, positive={1: 3.0})
    values, flags = _quantiles(one, 0.5, 0.9)
    assert flags == [kernel.NAN_SKEW, kernel.NAN_RESULT] and 1 < values[0] < 2 and math.isnan(values[1])
    assert _fraction(one, -math.inf, math.inf) == (0.75, kernel.NAN_EXCLUDED)
    assert not _quantiles(replace(one, count=3.0), 0.9)[1][0]


@given(exponential())
def test_the_variance_is_that_of_the_buckets_middles(one: Histogram) -> None:
    """Observations are taken for the geometric middle of their bucket, those in the zero bucket for zero."""
    assume(one.count > 0)
    mean = one.sum / one.count
    parts = [one.zero_count * mean**2]
    for sign, side in ((1, one.positive), (-1, one.negative)):
        for number, count in side.items():
            lower = max(end_of(number - 1, one.schema), one.zero_threshold)
            middle = sign * math.sqrt(lower * end_of(number, one.schema))
            parts.append(count * (middle - mean) ** 2)
    assert _variance(columns_of([one])) == pytest.approx(math.fsum(parts) / one.count, rel=1e-12)


def test_custom_buckets_have_their_middle_in_the_middle() -> None:
    one = Histogram(CUSTOM_BUCKETS_SCHEMA, 4.0, 12.0, bounds=(2.0, 4.0), positive={1: 4.0})
    assert _variance(columns_of([one])) == 0.0


def test_rows_that_are_not_there_are_refused() -> None:
    with pytest.raises(IndexError):
        kernel.spread(columns_of([Histogram()]), np.array([1]))
