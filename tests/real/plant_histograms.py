"""Native histograms of the plant: counters that reset and change their resolution, gauges, custom bounds, and a series
that is a float now and a histogram then.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from real.plant import END_MS, JOBS, START_MS

EVERY_MS = 30_000
CUSTOM = -53


@dataclass(frozen=True)
class PlantHistogram:
    """One sample. ``positive``, ``negative``: counts by bucket number; ``bounds`` with schema -53 only."""

    schema: int
    positive: dict[int, int]
    negative: dict[int, int] = field(default_factory=dict)
    zero_threshold: float = 0.0
    zero_count: int = 0
    sum: float = 0.0
    gauge: bool = False
    floats: bool = False
    bounds: tuple[float, ...] = ()

    @property
    def count(self) -> int:
        return self.zero_count + sum(self.positive.values()) + sum(self.negative.values())


@dataclass(frozen=True)
class HistogramSeries:
    """Labels with ``__name__``; (ms, float or histogram) samples, oldest first."""

    labels: dict[str, str]
    samples: list[tuple[int, float | PlantHistogram]]


def plant_histograms() -> list[HistogramSeries]:
    chance = random.Random(77)
    return [*_seconds(chance), *_levels(chance), *_customs(chance), *_mixtures(chance)]


def _times(phase_ms: int) -> list[int]:
    return list(range(START_MS + phase_ms, END_MS, EVERY_MS))


def _bucket(value: float, schema: int) -> int:
    """The number of the bucket that holds a value above zero."""
    return math.ceil(math.log2(value) * 2.0**schema)


def _observed(chance: random.Random, times: Sequence[int], resets: Sequence[int]) -> Iterator[tuple[int, list[float]]]:
    """All observations since the last reset (in minutes) at each time."""
    seen: list[float] = []
    ahead = list(resets)
    for at in times:
        if ahead and at >= START_MS + ahead[0] * 60_000:
            seen, ahead = [], ahead[1:]
        seen.extend(chance.lognormvariate(-2, 1) for _ in range(chance.randint(0, 4)))
        yield at, seen


def _seconds(chance: random.Random) -> Iterator[HistogramSeries]:
    """Counters: one resets twice, one becomes coarser half way, one is a histogram of floats."""
    for job, instances in JOBS.items():
        for i in range(instances):
            samples: list[tuple[int, float | PlantHistogram]] = []
            resets = {("api", 0): (70, 161), ("db", 1): (33,)}.get((job, i), ())
            for at, seen in _observed(chance, _times(700 * i), resets):
                schema = 1 if (job, i) == ("web", 0) and at > (START_MS + END_MS) // 2 else 3
                counts = Counter(_bucket(value, schema) for value in seen if value > 0.01)
                zero = sum(value <= 0.01 for value in seen)
                floats = (job, i) == ("db", 0)
                found = PlantHistogram(schema, counts, {}, 0.01, zero, sum(seen), floats=floats)
                samples.append((at, found))
            yield HistogramSeries({"__name__": "native_seconds", "job": job, "instance": f"{job}-{i}:80"}, samples)


def _levels(chance: random.Random) -> Iterator[HistogramSeries]:
    """Gauges with values on both sides of zero."""
    for job in JOBS:
        samples: list[tuple[int, float | PlantHistogram]] = []
        for at in _times(5_000):
            values = [chance.gauss(math.sin(at / 1e6), 2) for _ in range(12)]
            positive = Counter(_bucket(value, 2) for value in values if value > 1e-3)
            negative = Counter(_bucket(-value, 2) for value in values if value < -1e-3)
            found = PlantHistogram(2, positive, negative, 1e-3, 0, sum(values), gauge=True, floats=job == "web")
            samples.append((at, found))
        yield HistogramSeries({"__name__": "native_level", "job": job}, samples)


def _customs(chance: random.Random) -> Iterator[HistogramSeries]:
    """Counters with custom bounds, which differ from job to job."""
    for n, job in enumerate(JOBS):
        bounds = (0.05, 0.1, 0.5, 1.0, 5.0) if n else (0.1, 0.5, 2.0, 5.0)
        samples: list[tuple[int, float | PlantHistogram]] = []
        for at, seen in _observed(chance, _times(9_000), (90,) if n == 1 else ()):
            counts = Counter(sum(bound < value for bound in bounds) for value in seen)
            samples.append((at, PlantHistogram(CUSTOM, counts, sum=sum(seen), bounds=bounds)))
        yield HistogramSeries({"__name__": "native_custom", "job": job}, samples)


def _mixtures(chance: random.Random) -> Iterator[HistogramSeries]:
    """Floats and histograms by turns of ten minutes, and custom bounds after exponential buckets."""
    for kind in ("a", "b"):
        samples: list[tuple[int, float | PlantHistogram]] = []
        for at, seen in _observed(chance, _times(2_000), ()):
            turn = (at - START_MS) // 600_000 % 3
            if turn == 0 and kind == "a":
                samples.append((at, float(len(seen))))
            elif turn == 1:
                counts = Counter(sum(bound < value for bound in (0.1, 1.0)) for value in seen)
                samples.append((at, PlantHistogram(CUSTOM, counts, sum=sum(seen), bounds=(0.1, 1.0))))
            else:
                samples.append((at, PlantHistogram(0, Counter(_bucket(v, 0) for v in seen), sum=sum(seen))))
        yield HistogramSeries({"__name__": "native_mixed", "kind": kind}, samples)
