"""Rates of native histograms that are left to the sum over them: to the bit what made rates give (QU-16)."""

from __future__ import annotations

import numpy as np
import pytest
from histogram_arithmetic import THRESHOLDS, added, compacted, exponential, histograms_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pythanos import _labels
from pythanos._histogram_rows import sample_sizes
from pythanos._histogram_sums import HistogramSums
from pythanos._histogram_windows import histogram_rows
from pythanos._windows import Function
from pythanos.model.histogram import HistogramColumns, concat_histograms
from pythanos.model.series import ABSENT, SampleBatch
from pythanos.testing.promqltest.histogram_columns import to_columns
from pythanos.testing.promqltest.histograms import Histogram

SECOND = 1_000
STEPS = 6

# Series of a few layouts, so that some windows have one layout and some have several.
LAYOUTS = st.lists(exponential(thresholds=THRESHOLDS), min_size=1, max_size=3)
SERIES = st.lists(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=12), min_size=1, max_size=4
)


def _columns(layouts: list[Histogram], series: list[list[tuple[int, int]]]) -> HistogramColumns:
    """Ten seconds apart; each sample is one of the layouts with its counts times a number that may also fall."""
    rows = []
    for samples in series:
        row = []
        for i, (number, times) in enumerate(samples):
            like = layouts[number % len(layouts)]
            grown = Histogram(
                schema=like.schema,
                count=like.count * times,
                sum=like.sum * times,
                zero_count=like.zero_count * times,
                zero_threshold=like.zero_threshold,
                positive={at: count * times for at, count in like.positive.items()},
                negative={at: count * times for at, count in like.negative.items()},
            )
            row.append((10 * SECOND * i, grown, grown.hint, 0))
        rows.append(row)
    return to_columns(rows)


def _windows(
    columns: HistogramColumns, function: int, base: NDArray[np.int64] | None, factor: NDArray[np.float64] | None
) -> tuple[NDArray[np.int64], HistogramColumns]:
    n = len(columns.start) - 1
    nothing = np.zeros(0, np.int64)
    floats = SampleBatch(
        _labels.labels_from_dicts([{"n": str(i)} for i in range(n)]), np.zeros(n + 1, np.int64), nothing, np.zeros(0)
    )
    row, made, _, _, _ = histogram_rows(
        function,
        floats,
        columns,
        columns.start,
        columns.timestamps,
        np.arange(len(columns)),
        np.full((n, STEPS), ABSENT),
        first_end=20 * SECOND,
        end_step=17 * SECOND,
        range_ms=45 * SECOND,
        sizes=sample_sizes(columns),
        base=base,
        factor=factor,
    )
    return row, made


def _sum(columns: HistogramColumns, row: NDArray[np.int64], mean: bool, *growth: NDArray) -> list[Histogram | None]:
    sums = HistogramSums(STEPS, mean=mean)
    for part in range(len(row)):
        sums.add(columns, row[part : part + 1], np.zeros(1, np.int64), *(one[part : part + 1] for one in growth))
    found, made, _ = sums.finish(1)
    histograms = histograms_of(made)
    return [histograms[at] if at >= 0 else None for at in found[0].tolist()]


@given(LAYOUTS, SERIES, st.sampled_from([Function.RATE, Function.INCREASE]), st.booleans())
def test_growths_add_up_as_rates_do(
    layouts: list[Histogram], series: list[list[tuple[int, int]]], function: int, mean: bool
) -> None:
    columns = _columns(layouts, series)
    row, made = _windows(columns, function, None, None)
    base = np.full(row.shape, -1, np.int64)
    factor = np.empty(row.shape)
    referred, more = _windows(columns, function, base, factor)
    assert ((referred >= 0) == (row >= 0)).all()
    both = concat_histograms([columns, more])
    assert _sum(both, referred, mean, base, factor) == _sum(made, row, mean)


@given(LAYOUTS, SERIES)
def test_a_growth_is_between_samples_of_one_layout_without_a_reset(
    layouts: list[Histogram], series: list[list[tuple[int, int]]]
) -> None:
    """Else it would not be the whole increase."""
    columns = _columns(layouts, series)
    base = np.full((len(series), STEPS), -1, np.int64)
    row, _ = _windows(columns, Function.INCREASE, base, np.empty(base.shape))
    for i, k in zip(*np.nonzero(base >= 0), strict=True):
        rows = range(int(base[i, k]), int(row[i, k]) + 1)
        assert len({int(columns.layout[at]) for at in rows}) == 1 and len(rows) > 1
        assert (np.diff(columns.count[rows.start : rows.stop]) >= 0).all()


@given(exponential(thresholds=(1.0, 3.0)), st.integers(1, 4))
def test_a_difference_keeps_the_buckets_that_end_in_the_zero_bucket(one: Histogram, times: int) -> None:
    """Prometheus does not subtract them."""
    columns = _columns([one], [[(0, times), (0, times + 2)]])
    row, made = _windows(columns, Function.INCREASE, None, None)
    first, last = histograms_of(columns)
    difference = added(last, first, -1)
    assert difference is not None
    found = histograms_of(made)[int(row[0].max())] if row.max() >= 0 else None
    if found is not None:
        assert set(found.positive) == set(compacted(difference).positive)
        assert set(found.negative) == set(compacted(difference).negative)


def test_what_does_not_fit_is_refused() -> None:
    """A base of another layout, or none at all, is no base."""
    one = Histogram(count=1.0, positive={1: 1.0})
    columns = _columns([one, Histogram(count=1.0, positive={1: 1.0, 2: 0.0})], [[(0, 1), (1, 1)]])
    sums, row, group = HistogramSums(1), np.array([[1]]), np.array([0])
    for base in (0, 2):
        with pytest.raises(IndexError):
            sums.add(columns, row, group, np.array([[base]]), np.ones((1, 1)))
    with pytest.raises(ValueError, match="do not fit"):
        sums.add(columns, row, group, np.zeros((1, 2), np.int64), np.ones((1, 2)))
