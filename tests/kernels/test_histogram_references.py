"""What references to native histograms count as, and what meets in a group (QU-16)."""

from __future__ import annotations

import numpy as np
import pytest
from histogram_arithmetic import columns_of
from hypothesis import given
from hypothesis import strategies as st

from pythanos._histogram_rows import FLOAT, meet, points, sample_sizes
from pythanos.model.histogram import CUSTOM_BUCKETS_SCHEMA
from pythanos.model.series import ABSENT
from pythanos.testing.promqltest.histograms import Histogram

EXPONENTIAL = Histogram(count=3.0, positive={1: 1.0, 2: 1.0, 7: 1.0})
CUSTOM = Histogram(CUSTOM_BUCKETS_SCHEMA, 1.0, bounds=(1.0, 2.0), positive={0: 1.0})
COLUMNS = columns_of([EXPONENTIAL, CUSTOM])
# A sample: nothing, a float, a histogram of either kind.
NOTHING, A_FLOAT, AN_EXPONENTIAL, A_CUSTOM = range(4)
KINDS = st.lists(st.tuples(st.integers(0, 2), st.integers(NOTHING, A_CUSTOM)), max_size=12)


def test_a_histogram_counts_as_its_bytes_in_samples():
    """176 bytes, and 8 for each span, bucket and bound, in samples of 16."""
    assert sample_sizes(COLUMNS).tolist() == [(176 + 8 * (2 + 3)) // 16, (176 + 8 * (1 + 1 + 2)) // 16]
    assert points(np.array([[0, -1, 1], [1, -1, -1]]), COLUMNS) == 13 + 2 * 13


def test_rows_out_of_range_are_refused():
    with pytest.raises(IndexError):
        points(np.array([[2]]), COLUMNS)
    groups = [np.zeros((1, 1), np.uint8) for _ in range(3)]
    with pytest.raises(IndexError, match="row"):
        meet(np.full((1, 1), ABSENT), np.array([[2]]), COLUMNS, np.array([0]), *groups)
    with pytest.raises(IndexError, match="group"):
        meet(np.ones((1, 1)), None, None, np.array([1]), *groups)
    with pytest.raises(ValueError, match="different lengths"):
        meet(np.ones((1, 2)), None, None, np.array([0]), *groups)


@given(KINDS, st.lists(st.booleans(), min_size=3, max_size=3))
def test_what_comes_first_decides(samples: list[tuple[int, int]], known: list[bool]) -> None:
    """As told series by series: floats in front hide histograms, the second kind of buckets is told once a group."""
    floats = np.array(known, np.uint8).reshape(3, 1)
    first, met = np.zeros((2, 3, 1), np.uint8)
    values = np.array([[1.0 if kind == A_FLOAT else ABSENT] for _, kind in samples]).reshape(-1, 1)
    row = np.array([[{AN_EXPONENTIAL: 0, A_CUSTOM: 1}.get(kind, -1)] for _, kind in samples], np.int64).reshape(-1, 1)
    clashes, behind = meet(
        values, row, COLUMNS, np.array([group for group, _ in samples], np.int64), floats, first, met
    )
    for group in range(3):
        places = [i for i, (owner, kind) in enumerate(samples) if owner == group and kind != NOTHING]
        kinds = [A_FLOAT] * known[group] + [samples[i][1] for i in places]
        led_by_float = bool(places) and kinds[0] == A_FLOAT
        assert not places or (first[group, 0] == FLOAT) == led_by_float
        assert bool(met[group, 0]) == any(kind >= AN_EXPONENTIAL for kind in kinds)
        second = next((i for i in places if samples[i][1] >= AN_EXPONENTIAL and samples[i][1] != kinds[0]), None)
        told = [] if led_by_float or second is None else [second]
        assert [i for i in places if clashes[i]] == told
    expected = any(
        kind >= AN_EXPONENTIAL
        and (known[group] or next((k for g, k in samples[:i] if g == group and k != NOTHING), NOTHING) == A_FLOAT)
        for i, (group, kind) in enumerate(samples)
    )
    assert behind == expected
