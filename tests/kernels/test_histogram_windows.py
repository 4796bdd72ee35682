"""Windows of native histograms: sums and means to the bit, and looks at whether the query has ended (QU-16)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from histogram_arithmetic import THRESHOLDS, added, compacted, exponential, histograms_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pythanos import _labels
from pythanos._extended import Function as Extended
from pythanos._extended_histograms import extended_histogram_rows, smoothed_histogram_rows
from pythanos._histogram_math import supported
from pythanos._histogram_rows import sample_sizes
from pythanos._histogram_windows import histogram_rows
from pythanos._windows import Function
from pythanos.errors import QueryCanceled
from pythanos.model.histogram import HistogramColumns
from pythanos.model.series import ABSENT, SampleBatch
from pythanos.testing.promqltest.histogram_columns import to_columns
from pythanos.testing.promqltest.histograms import Histogram

SECOND = 1_000
NOTHING = np.zeros(0, np.int64)
Numbers = list[float]

# Whole numbers, some of whose sums are beyond 2^53, and what else doubles can be; more of the former.
WHOLE = st.sampled_from([0.0, 1.0, 2.0, 7.0, 1e6, -3.0, 2.0**40, 2.0**50, 2.0**52])
ODD = st.sampled_from([0.1, -0.7, 1 / 3, 1e16, 2.0**53 + 2, 1e300, 1.7e308, -1.7e308, math.inf, -math.inf, -0.0])
NUMBERS = st.one_of(
    st.lists(WHOLE, min_size=6, max_size=6),
    st.lists(WHOLE, min_size=6, max_size=6),
    st.lists(st.one_of(WHOLE, ODD), min_size=6, max_size=6),
)


def floats_of(series: int) -> SampleBatch:
    labels = _labels.labels_from_dicts([{"n": str(i)} for i in range(series)])
    return SampleBatch(labels, np.zeros(series + 1, np.int64), NOTHING, np.zeros(0))


def windows(
    columns: HistogramColumns, function: int, steps: int, step_ms: int, range_ms: int, **more: object
) -> tuple[NDArray[np.int64], HistogramColumns]:
    series = len(columns.start) - 1
    row, made, *_ = histogram_rows(
        function,
        floats_of(series),
        columns,
        columns.start,
        columns.timestamps,
        np.arange(len(columns)),
        np.full((series, steps), ABSENT),
        first_end=0,
        end_step=step_ms,
        range_ms=range_ms,
        sizes=sample_sizes(columns),
        **more,
    )
    return row, made


def added_to(sum: float, lost: float, x: float) -> tuple[float, float]:
    """One compensated addition."""
    total = sum + x
    if math.isinf(total):
        return total, 0.0
    return total, lost + ((sum - total) + x if abs(sum) >= abs(x) else (x - total) + sum)


def summed(samples: list[Numbers], mean: bool) -> Numbers:
    """What adding up, one after another, gives of each number; a mean is the sum divided until one overflows."""
    sums, lost, incremental = list(samples[0]), [0.0] * len(samples[0]), False
    for n, sample in enumerate(samples[1:], 2):
        trial = [added_to(*one) for one in zip(sums, lost, sample, strict=True)]
        if mean and not incremental and any(math.isinf(total) for total, _ in trial):
            incremental = True
            sums, lost = [x / (n - 1) for x in sums], [x / (n - 1) for x in lost]
        if incremental:
            old = [(x * ((n - 1) / n), y * ((n - 1) / n)) for x, y in zip(sums, lost, strict=True)]
            trial = [added_to(*one, x / n) for one, x in zip(old, sample, strict=True)]
        sums, lost = [total for total, _ in trial], [rest for _, rest in trial]
    if mean and not incremental:
        sums, lost = [x / len(samples) for x in sums], [x / len(samples) for x in lost]
    return sums if len(samples) == 1 else [x + y for x, y in zip(sums, lost, strict=True)]


@given(st.lists(NUMBERS, min_size=1, max_size=9), st.integers(1, 9), st.booleans())
def test_sums_and_means_are_those_of_compensated_additions_in_order(
    samples: list[Numbers], length: int, mean: bool
) -> None:
    """Count, zero count, sum of observations and three buckets, whole or not, finite or not."""
    histograms = [
        Histogram(
            schema=1,
            count=count,
            zero_count=zero,
            sum=sum,
            zero_threshold=1e-9,
            positive={2: a, 3: b},
            negative={1: c},
        )
        for count, zero, sum, a, b, c in samples
    ]
    columns = to_columns([[(i * SECOND, one, one.hint, 0) for i, one in enumerate(histograms)]])
    row, made = windows(columns, Function.AVG if mean else Function.SUM, len(samples), SECOND, length * SECOND)
    for k, at in enumerate(row[0].tolist()):
        buckets = made.buckets[made.bucket_start[at] : made.bucket_start[at + 1]].tolist()
        found = np.array([made.count[at], made.zero_count[at], made.sum[at], *buckets])
        expected = np.array(summed(samples[max(0, k + 1 - length) : k + 1], mean))
        assert np.array_equal(np.isnan(found), np.isnan(expected))
        assert found[~np.isnan(found)].tobytes() == expected[~np.isnan(found)].tobytes(), k


@given(
    st.lists(exponential(thresholds=THRESHOLDS), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=12),
    st.integers(1, 12),
    st.booleans(),
)
def test_whole_counts_of_changing_layouts_add_up(
    layouts: list[Histogram], samples: list[tuple[int, int]], length: int, mean: bool
) -> None:
    """Windows of one layout, of several that have a schema and a zero bucket in common, and of any."""
    histograms = []
    for number, times in samples:
        like = layouts[number % len(layouts)]
        histograms.append(
            Histogram(
                schema=like.schema,
                count=float(times),
                sum=float(times * 3),
                zero_count=float(times * 2),
                zero_threshold=like.zero_threshold,
                positive={at: float(times + i) for i, at in enumerate(like.positive)},
                negative={at: float(times * i) for i, at in enumerate(like.negative)},
                hint=like.hint,
            )
        )
    columns = to_columns([[(i * SECOND, one, one.hint, 0) for i, one in enumerate(histograms)]])
    row, made = windows(columns, Function.AVG if mean else Function.SUM, len(samples), SECOND, length * SECOND)
    results = histograms_of(made)
    for k, at in enumerate(row[0].tolist()):
        first = max(0, k + 1 - length)
        expected: Histogram | None = histograms[first]
        for one in histograms[first + 1 : k + 1]:
            assert expected is not None
            expected = added(expected, one)
        assert expected is not None
        assert compacted(results[at]) == compacted(divided(expected, k + 1 - first if mean else 1)), k


def divided(one: Histogram, by: int) -> Histogram:
    return Histogram(
        schema=one.schema,
        count=one.count / by,
        sum=one.sum / by,
        zero_count=one.zero_count / by,
        zero_threshold=one.zero_threshold,
        positive={at: count / by for at, count in one.positive.items()},
        negative={at: count / by for at, count in one.negative.items()},
        hint=one.hint,
    )


class Ended(QueryCanceled):
    """What the looks below raise."""


def looking(last: float) -> tuple[list[int], Callable[[], None]]:
    """(looks so far, a check that ends the work at its ``last`` look)."""
    looks: list[int] = []

    def check() -> None:
        looks.append(len(looks) + 1)
        if len(looks) >= last:
            raise Ended("ended")

    return looks, check


def long_series(fraction: float) -> HistogramColumns:
    """One series of 1,500 samples of 12 buckets, a second apart."""
    histograms = [
        Histogram(schema=0, count=fraction * i, sum=float(i), positive={at: fraction * i for at in range(12)})
        for i in range(1_500)
    ]
    return to_columns([[(i * SECOND, one, one.hint, 0) for i, one in enumerate(histograms)]])


# A function whose windows cost a sample what they cost a bucket needs more of them.
SLOW = {Function.SUM, Function.AVG}


@pytest.mark.parametrize("function", list(Function), ids=lambda function: function.name)
def test_a_single_series_of_many_steps_looks_whether_the_query_has_ended(function: Function) -> None:
    columns, steps = long_series(0.7), 600 if function in SLOW else 10_000
    step_ms = 1_500 * SECOND // steps
    looks, check = looking(math.inf)
    row, made = windows(columns, function, steps, step_ms, 1_000 * SECOND, check=check)
    assert len(looks) >= 1
    silent, same = windows(columns, function, steps, step_ms, 1_000 * SECOND)
    assert row.tobytes() == silent.tobytes() and made.buckets.tobytes() == same.buckets.tobytes()
    with pytest.raises(Ended):
        windows(columns, function, steps, step_ms, 1_000 * SECOND, check=looking(1)[1])


@pytest.mark.parametrize("name", ["RATE", "INCREASE", "DELTA", "CHANGES", "RESETS"])
def test_windows_that_reach_beyond_their_edges_look_too(name: str) -> None:
    columns, steps = long_series(1), 600 if name in ("RATE", "INCREASE") else 10_000
    arguments = dict(
        first_end=0, end_step=1_500 * SECOND // steps, lookback_ms=400 * SECOND, sizes=sample_sizes(columns)
    )
    places = (floats_of(1), columns, columns.start, columns.timestamps, np.arange(len(columns)))
    function = Extended[name]
    with pytest.raises(Ended):
        extended_histogram_rows(
            function,
            *places,
            np.full((1, steps), ABSENT),
            range_ms=600 * SECOND,
            check=looking(1)[1],
            **arguments,
        )


def test_smoothed_instants_look_too() -> None:
    columns = long_series(1)
    arguments = dict(first_end=0, end_step=50, lookback_ms=500 * SECOND, sizes=sample_sizes(columns))
    places = (floats_of(1), columns, columns.start, columns.timestamps, np.arange(len(columns)))
    with pytest.raises(Ended):
        smoothed_histogram_rows(*places, np.full((1, 25_000), ABSENT), check=looking(1)[1], **arguments)


def test_whole_counts_take_as_long_whatever_the_length_of_windows() -> None:
    """So there is less to look at for them."""
    looks = {}
    for fraction in (1.0, 0.7):
        looks[fraction], check = looking(math.inf)
        windows(long_series(fraction), Function.AVG, 1_000, 1_500, 1_000 * SECOND, check=check)
    assert len(looks[0.7]) >= 3 and len(looks[1.0]) <= 1


@pytest.mark.parametrize("schema", [9, 12, 52])
def test_schemas_finer_than_promql_knows_are_reduced_whatever_their_zero_bucket(schema: int) -> None:
    """A chunk may have them, of any zero threshold; there are no bounds of their buckets to compare it with."""
    fine = Histogram(schema=8, count=6, sum=1, zero_threshold=1e-3, positive={-2: 2, 3: 4})
    columns = to_columns([[(0, fine, fine.hint, 0)]])
    columns.layouts.schema[:] = schema
    (found,) = histograms_of(supported(columns))
    assert (found.schema, found.count, found.zero_threshold) == (8, 6, 1e-3)
    assert sum(found.positive.values()) == 6
