"""Metrics that change often: they show what prometheus_client's own would."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from pythanos._tally import Tally, observe_counts
from pythanos.tally import TallyCounter, TallyGauge, TallyHistogram

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


@given(values)
def test_counters_and_gauges_are_exposed_as_those_of_the_client_library(changes):
    """With labels and without, the same text."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    kinds = ((TallyCounter, TallyGauge, ours), (Counter, Gauge, theirs))
    for counter, gauge, registry in kinds:
        calls = counter("calls_total", "How many.", ("kind",), registry=registry)
        alone = counter("alone", "How many.", registry=registry)
        level = gauge("level", "How high.", registry=registry)
        calls.labels("a")
        for change in changes:
            calls.labels("b").inc(abs(change))
            alone.inc()
            level.inc(change)
            level.dec()
        level.inc()
    assert lines(ours) == lines(theirs)


def test_a_gauge_is_set():
    registry = CollectorRegistry()
    gauge = TallyGauge("level", "How high.", ("kind",), registry=registry)
    gauge.labels("a").set(2.5)
    gauge.labels("a").inc(0.5)
    assert registry.get_sample_value("level", {"kind": "a"}) == 3


def test_many_tallies_take_their_counts_by_name():
    """Each has one value more; one whose name is not among the counts has a zero."""
    tallies = [(name, Tally(BUCKETS)) for name in "abc"]
    observe_counts(tallies, {"a": 0.75, "c": 100, "d": 1})
    assert [tally.taken() for _, tally in tallies] == [([0, 1, 0, 0], 0.75), ([1, 0, 0, 0], 0), ([0, 0, 0, 1], 100)]
    with pytest.raises(TypeError):
        observe_counts([("a", None)], {})


def test_threads_lose_no_change():
    """What several threads add is all there."""
    histogram = TallyHistogram("seconds", "How long.", buckets=BUCKETS)
    counter = TallyCounter("calls", "How many.")

    def work():
        for _ in range(20_000):
            counter.inc()
            histogram.observe(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (counter.labels().get(), histogram.labels().taken()) == (80_000, ([0, 80_000, 0, 0], 80_000))
