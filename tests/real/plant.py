"""A made-up plant's metrics for comparing answers: everything that makes PromQL hard in five hours.

Counters that reset, appear late, pause and end with a staleness marker; gauges below zero, NaN and infinite samples;
classic histograms, one of them torn; scrapes that jitter; label values that need escapes. All from one seed.
"""

import math
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

START_MS = 1_700_006_400_000
END_MS = START_MS + 5 * 3_600_000
SCRAPE_MS = 15_000
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
JOBS = {"api": 3, "db": 2, "web": 3}
BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, math.inf)
RESTARTS = {("api", 0): (70, 161), ("web", 1): (155,), ("db", 0): (90, 91, 250)}


@dataclass(frozen=True)
class PlantSeries:
    """Labels with ``__name__``, and (ms, value) samples, oldest first."""

    labels: dict[str, str]
    samples: list[tuple[int, float]]


def plant() -> list[PlantSeries]:
    """All series of the running server."""
    chance = random.Random(20231115)
    found = []
    for job, instances in JOBS.items():
        for i in range(instances):
            times = _scrapes(job, i, chance)
            found += _instance(job, i, times, chance)
        found.append(PlantSeries({"__name__": "limit", "job": job}, [(at, 100.0 * len(job)) for at in _every(60_000)]))
    return found + list(_oddities(chance))


def _every(interval_ms: int, phase_ms: int = 0) -> list[int]:
    return list(range(START_MS + phase_ms, END_MS, interval_ms))


def _scrapes(job: str, i: int, chance: random.Random) -> list[int]:
    """Scrape times with jitter; one instance starts late, one ends early, one is away for 23 minutes."""
    times = [at + chance.choice((0, 0, 0, 0, 1, -1, 3)) for at in _every(SCRAPE_MS, 1_000 + 2_377 * i)]
    if (job, i) == ("api", 2):
        return [at for at in times if at > START_MS + 95 * 60_000]
    if (job, i) == ("web", 2):
        return [at for at in times if at < START_MS + 140 * 60_000]
    if (job, i) == ("db", 1):
        return [at for at in times if not 100 <= (at - START_MS) / 60_000 < 123]
    return times


def _instance(job: str, i: int, times: list[int], chance: random.Random) -> Iterator[PlantSeries]:
    target = {"job": job, "instance": f"{job}-{i}:80"}
    restarts = RESTARTS.get((job, i), ())
    # A target that goes away leaves a marker behind each of its series.
    ends = [(times[-1] + SCRAPE_MS, STALE)] if (job, i) == ("web", 2) else []

    def series(name: str, samples: list[tuple[int, float]], **labels: str) -> PlantSeries:
        return PlantSeries({"__name__": name, **target, **labels}, samples + ends)

    for code, pace in (("200", 7.0), ("404", 0.6), ("500", 0.05)):
        for method in ("GET", "POST"):
            samples = _counter(times, pace * (i + 1) / len(method), restarts, chance, whole=True)
            yield series("requests_total", samples, code=code, method=method)
    yield series("cpu_seconds_total", _counter(times, 0.37 + 0.1 * i, restarts, chance, whole=False), mode="user")
    yield series("cpu_seconds_total", _counter(times, 0.11, restarts, chance, whole=False), mode="system")
    yield series("memory_bytes", _gauge(times, lambda t: 3e8 + 1e8 * math.sin(t / 1800 + i) + chance.random() * 1e6))
    yield series("temperature_celsius", _gauge(times, lambda t: round(8 * math.cos(t / 2700 + i * 2) - 2, 1)))
    yield series("queue_length", _gauge(times, lambda t: float(max(0, int(9 * math.sin(t / 900 + i) + 3)))))
    yield series("up", _gauge(times, lambda t: float(int(t / 60) % 37 != i)))
    yield series("start_time_seconds", _gauge(times, lambda t: START_MS / 1000 + sum(60 * r < t for r in restarts)))
    yield from _histogram(series, times, restarts, chance)


def _histogram(
    series: Callable[..., PlantSeries], times: list[int], restarts: tuple[int, ...], chance: random.Random
) -> Iterator[PlantSeries]:
    paces = [chance.uniform(0.05, 2.0) for _ in BOUNDS]
    columns = [_counter(times, pace, restarts, chance, whole=True) for pace in paces]
    total = [0.0] * len(times)
    for bound, column in zip(BOUNDS, columns, strict=True):
        total = [held + value for held, (_, value) in zip(total, column, strict=True)]
        le = "+Inf" if bound == math.inf else f"{bound:g}"
        yield series("latency_seconds_bucket", list(zip(times, total, strict=True)), le=le)
    yield series("latency_seconds_count", list(zip(times, total, strict=True)))
    yield series("latency_seconds_sum", [(at, round(held * 0.173, 3)) for at, held in zip(times, total, strict=True)])


def _counter(
    times: list[int], pace: float, restarts: tuple[int, ...], chance: random.Random, *, whole: bool
) -> list[tuple[int, float]]:
    """A counter that grows by about ``pace`` a second, and is 0 again after each restart (in minutes)."""
    found: list[tuple[int, float]] = []
    value, before = chance.uniform(0, 500), START_MS
    ahead = list(restarts)
    for at in times:
        if ahead and at >= START_MS + ahead[0] * 60_000:
            value, ahead = 0.0, ahead[1:]
        value += pace * (at - before) / 1000 * chance.uniform(0.5, 1.5)
        before = at
        found.append((at, float(int(value)) if whole else value))
    return found


def _gauge(times: list[int], value: Callable[[float], float]) -> list[tuple[int, float]]:
    return [(at, value((at - START_MS) / 1000)) for at in times]


def _oddities(chance: random.Random) -> Iterator[PlantSeries]:
    minutes = _every(30_000)

    def odd(kind: str, samples: list[tuple[int, float]]) -> PlantSeries:
        return PlantSeries({"__name__": "odd", "kind": kind}, samples)

    # No subnormal: Go's logarithm on amd64 takes them all for 2^-1023.
    special = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1e308, -1e308, 2.3e-308, 1.5, -2.5)
    yield odd("nan", [(at, math.nan) for at in minutes])
    yield odd("inf", [(at, math.inf) for at in minutes])
    yield odd("mixed", [(at, special[n % len(special)]) for n, at in enumerate(minutes)])
    yield odd("some nan", [(at, math.nan if n % 7 == 3 else n * 0.25) for n, at in enumerate(minutes)])
    yield odd("huge", [(at, 1e300 * (-1) ** n * chance.random()) for n, at in enumerate(minutes)])
    yield odd("tiny steps", [(at, 1e9 + n * 1e-7) for n, at in enumerate(minutes)])
    yield odd("constant", [(at, 0.1) for at in minutes])
    yield odd("flapping", [(at, STALE if n % 5 == 4 else float(n)) for n, at in enumerate(minutes)])
    yield odd("once", [(minutes[200], 42.0)])
    yield odd("twice", [(minutes[200], 42.0), (minutes[201], 40.0)])
    yield odd("every 6m", [(at, float(at % 1_000_003)) for at in _every(360_000, 17)])
    text = 'quote " backslash \\ newline \n ünïcode 世界'
    yield PlantSeries({"__name__": "escapes", "path": text, "empty_is_absent": "x"}, _gauge(minutes, lambda t: t))
    for le, value in (("0.1", 3.0), ("1", 2.0), ("10", 7.0), ("nonsense", 1.0)):
        # Neither monotonic nor complete.
        yield PlantSeries({"__name__": "torn_bucket", "le": le}, _gauge(minutes, lambda t, v=value: v + t // 600))


def openmetrics() -> str:
    """Series of their own for promtool: three hours that end where the plant begins."""
    lines = ["# TYPE imported counter"]
    begin = START_MS // 1000 - 3 * 3600
    for series in range(4):
        for step in range(3 * 120):
            value = (step * (series + 1) * 3) % 5000
            lines.append(f'imported_total{{site="s{series % 2}",unit="u{series}"}} {value} {begin + step * 30}.5')
    lines.append("# TYPE imported_level gauge")
    for step in range(3 * 120):
        lines.append(f'imported_level{{site="s0"}} {math.sin(step / 30) * 100} {begin + step * 30}')
    return "\n".join([*lines, "# EOF", ""])
