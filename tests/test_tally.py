"""Histograms that take many observations: they show what prometheus_client's own would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from pythanos.tally import Remembered, TallyHistogram

BUCKETS = (0.5, 1, 32)
values = st.lists(st.integers(-5, 100), max_size=20)


def lines(registry):
    text = generate_latest(registry).decode()
    return sorted(line for line in text.splitlines() if "_created" not in line)


@given(values, values)
def test_a_tally_is_exposed_as_a_histogram_of_the_client_library(first, second):
    """One by one or a column at a time: the same text."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally = TallyHistogram("seconds", "How long.", ("kind",), buckets=BUCKETS, registry=ours)
    histogram = Histogram("seconds", "How long.", ("kind",), buckets=BUCKETS, registry=theirs)
    tally.labels("b").observe_all(np.array(second, np.int64))
    for value in first:
        tally.labels("a").observe(value)
    for kind, observed in (("a", first), ("b", second)):
        for value in observed:
            histogram.labels(kind).observe(value)
    histogram.labels("b")
    if first:
        assert lines(ours) == lines(theirs)
    else:
        assert 'seconds_count{kind="a"}' not in "".join(lines(ours))


def test_a_family_without_labels_is_there_from_the_start():
    registry = CollectorRegistry()
    histogram = TallyHistogram("seconds", "How long.", buckets=BUCKETS, registry=registry)
    assert registry.get_sample_value("seconds_count") == 0
    histogram.observe(1)
    assert registry.get_sample_value("seconds_bucket", {"le": "1.0"}) == 1


def test_another_number_of_label_values_is_refused():
    histogram = TallyHistogram("seconds", "How long.", ("kind",), buckets=BUCKETS, registry=CollectorRegistry())
    with pytest.raises(ValueError, match="1 labels, not 2"):
        histogram.labels("a", "b")


def test_a_name_can_be_registered_once():
    registry = CollectorRegistry()
    TallyHistogram("seconds", "How long.", ("kind",), buckets=BUCKETS, registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Histogram("seconds", "Again.", registry=registry)


def test_a_remembered_child_is_the_familys_own():
    registry = CollectorRegistry()
    family = Counter("calls", "How many.", ("kind",), registry=registry)
    remembered = Remembered(family)
    remembered.labels("a").inc()
    remembered.labels("a").inc()
    family.labels("a").inc()
    assert registry.get_sample_value("calls_total", {"kind": "a"}) == 3
