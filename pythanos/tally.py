"""Metric families for paths that run many times a second.

prometheus_client looks a child up by its label values, takes a lock for each number of a histogram and walks its
buckets one by one: some ten microseconds an observation, a good part of what a small query costs. A
``TallyHistogram`` takes one lock and a binary search, and whole columns at once; ``Remembered`` keeps the children of
any other family at hand.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

C = TypeVar("C", covariant=True)
# Values for which a loop is faster than a column's worth of calls.
FEW = 16


class Family(Protocol[C]):
    """What prometheus_client's metrics with labels are."""

    def labels(self, *labelvalues: str) -> C: ...


class Remembered(Generic[C]):
    """A family whose children are remembered by their label values. Thread-safe."""

    __slots__ = ("_children", "_family")

    def __init__(self, family: Family[C]) -> None:
        self._family = family
        self._children: dict[tuple[str, ...], C] = {}

    def labels(self, *values: str) -> C:
        """The child with the label values, strings in the order of the names."""
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = self._family.labels(*values)
        return child


class Tally:
    """One histogram: how many values fell into each bucket, and their sum. Thread-safe."""

    __slots__ = ("_counts", "_edges", "_lock", "_sum")

    def __init__(self, edges: Sequence[float]) -> None:
        self._edges = edges
        self._lock = threading.Lock()
        self._counts = [0] * (len(edges) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        place = bisect_left(self._edges, value)
        with self._lock:
            self._counts[place] += 1
            self._sum += value

    def observe_all(self, values: NDArray[np.int64]) -> None:
        """Counts every value of a column."""
        if len(values) <= FEW:
            for value in values.tolist():
                self.observe(value)
            return
        places = np.searchsorted(self._edges, values, side="left")
        counts = np.bincount(places, minlength=len(self._counts)).tolist()
        with self._lock:
            self._counts = [before + more for before, more in zip(self._counts, counts, strict=True)]
            self._sum += float(values.sum())

    def taken(self) -> tuple[list[int], float]:
        """(counts by bucket, the one above all edges last; sum of the values)."""
        with self._lock:
            return list(self._counts), self._sum


class TallyHistogram(Collector):
    """A histogram family, registered at once where there is a registry. ``buckets`` are upper edges, rising, without
    +Inf.
    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: tuple[str, ...] = (),
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry | None,
    ) -> None:
        self._name = name
        self._text = text
        self._names = labels
        self._edges = tuple(float(edge) for edge in buckets)
        self._tallies: dict[tuple[str, ...], Tally] = {}
        self._lock = threading.Lock()
        if not labels:
            self.labels()
        if registry is not None:
            registry.register(self)

    def labels(self, *values: str) -> Tally:
        """The histogram with the label values, strings in the order of the names."""
        found = self._tallies.get(values)
        if found is not None:
            return found
        if len(values) != len(self._names):
            raise ValueError(f"{self._name} has {len(self._names)} labels, not {len(values)}")
        with self._lock:
            return self._tallies.setdefault(values, Tally(self._edges))

    def observe(self, value: float) -> None:
        """For a family without labels."""
        self.labels().observe(value)

    def describe(self) -> Iterator[HistogramMetricFamily]:
        yield HistogramMetricFamily(self._name, self._text, labels=self._names)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._text, labels=self._names)
        with self._lock:
            tallies = list(self._tallies.items())
        edges = [*(repr(edge) for edge in self._edges), "+Inf"]
        for values, tally in tallies:
            counts, total = tally.taken()
            family.add_metric(values, list(zip(edges, np.cumsum(counts).tolist(), strict=True)), total)
        yield family
