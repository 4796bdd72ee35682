"""Metric families for paths that run many times a second.

prometheus_client looks a child up by its label values, takes a lock for each number and walks the buckets of a
histogram one by one: one to ten microseconds a change, a good part of what a small query costs. These families remember
their children, whose numbers are kept by the kernel ``_tally``; in the registry they look the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from pythanos._tally import Number, Tally

C = TypeVar("C")
Shown = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class _Family(Collector, Generic[C]):
    """A family, registered at once where there is a registry; one without labels has its only child from the start."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str] = (), *, registry: CollectorRegistry | None = None
    ) -> None:
        self._name = name
        self._text = text
        self._names = tuple(labels)
        self._children: dict[tuple[str, ...], C] = {}
        self._lock = threading.Lock()
        if not self._names:
            self.labels()
        if registry is not None:
            registry.register(self)

    def labels(self, *values: str) -> C:
        """The child with the label values, strings in the order of the names."""
        found = self._children.get(values)
        if found is not None:
            return found
        if len(values) != len(self._names):
            raise ValueError(f"{self._name} has {len(self._names)} labels, not {len(values)}")
        with self._lock:
            return self._children.setdefault(values, self._new())

    def describe(self) -> Iterator[Shown]:
        yield self._shown(())

    def collect(self) -> Iterator[Shown]:
        with self._lock:
            children = list(self._children.items())
        yield self._shown(children)

    def _new(self) -> C:
        raise NotImplementedError

    def _shown(self, children: Iterable[tuple[tuple[str, ...], C]]) -> Shown:
        raise NotImplementedError


class _Numbers(_Family[Number]):
    """What counters and gauges have in common."""

    shown_as: type[CounterMetricFamily] | type[GaugeMetricFamily]

    def inc(self, amount: float = 1) -> None:
        """For a family without labels."""
        self.labels().inc(amount)

    def _new(self) -> Number:
        return Number()

    def _shown(self, children: Iterable[tuple[tuple[str, ...], Number]]) -> Shown:
        family = self.shown_as(self._name, self._text, labels=self._names)
        for values, number in children:
            family.add_metric(values, number.get())
        return family


class TallyCounter(_Numbers):
    """A counter family."""

    shown_as = CounterMetricFamily


class TallyGauge(_Numbers):
    """A gauge family; ``dec`` and ``set``, as ``inc``, are for one without labels."""

    shown_as = GaugeMetricFamily

    def dec(self, amount: float = 1) -> None:
        self.labels().dec(amount)

    def set(self, value: float) -> None:
        self.labels().set(value)


class TallyHistogram(_Family[Tally]):
    """A histogram family. ``buckets`` are upper edges, rising, without +Inf."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._edges = tuple(float(edge) for edge in buckets)
        super().__init__(name, text, labels, registry=registry)

    def observe(self, value: float) -> None:
        """For a family without labels."""
        self.labels().observe(value)

    def _new(self) -> Tally:
        return Tally(self._edges)

    def _shown(self, children: Iterable[tuple[tuple[str, ...], Tally]]) -> HistogramMetricFamily:
        family = HistogramMetricFamily(self._name, self._text, labels=self._names)
        edges = [*(repr(edge) for edge in self._edges), "+Inf"]
        for values, tally in children:
            counts, total = tally.taken()
            family.add_metric(values, list(zip(edges, np.cumsum(counts).tolist(), strict=True)), total)
        return family
