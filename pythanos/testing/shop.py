"""A made-up shop's metrics: the deterministic series behind the demo and the benchmarks.

Every value is a function of its series and its timestamp alone, so any time window can be made on its own and windows
fit together: counters are the integral of a rate with a daily and a three-hour wave, minus its value at the
instance's last restart; noise is a hash of series and scrape. Two replicas scrape at different moments and each misses
some scrapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SCRAPE_INTERVAL_MS = 30_000
REPLICAS = ("a", "b")
INSTANCES = 12
PATHS = ("/", "/api/cart", "/api/items", "/api/orders", "/login", "/search")
SLOW_PATHS = ("/api/orders", "/login", "/search")
METHODS = ("GET", "POST")
CODES = {"200": 0.96, "404": 0.03, "500": 0.01}
CPU_MODES = {"idle": 2.6, "iowait": 0.1, "system": 0.35, "user": 0.95}
QUEUES = ("email", "invoice", "shipping")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, float("inf"))

_DAY_SECONDS = 86_400.0
_WAVE_SECONDS = 10_800.0
_OUTAGE_WINDOW_MS = 9 * 3_600_000
_OUTAGE_MS = 20 * 60_000
_JITTER_MS = 5

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ShopSeries:
    """Series of one replica over one window. ``labels`` in label order; ``values`` is float64[series, scrapes]."""

    labels: list[dict[str, str]]
    timestamps: Times
    values: Floats


def scrape_times(mint: int, maxt: int, replica: str) -> Times:
    """int64 ms in ``[mint, maxt)`` at which a replica scraped: its own phase and jitter, with outages."""
    phase = 1_000 + 7_000 * REPLICAS.index(replica)
    scrapes = np.arange((mint - phase) // SCRAPE_INTERVAL_MS, (maxt - phase) // SCRAPE_INTERVAL_MS + 1)
    seed = 1_000 + REPLICAS.index(replica)
    jitter = (_noise(seed, scrapes) * _JITTER_MS).astype(np.int64)
    times = scrapes * SCRAPE_INTERVAL_MS + phase + jitter
    shifted = times + REPLICAS.index(replica) * _OUTAGE_WINDOW_MS // 2
    begin = (_noise(seed + 7, shifted // _OUTAGE_WINDOW_MS) * (_OUTAGE_WINDOW_MS // 3)).astype(np.int64)
    since = shifted % _OUTAGE_WINDOW_MS - begin
    kept = (times >= mint) & (times < maxt) & ~((since >= 0) & (since < _OUTAGE_MS))
    return times[kept]


def shop(mint: int, maxt: int, replica: str, *, instances: int = INSTANCES) -> ShopSeries:
    """All series of the shop, as ``replica`` saw them in ``[mint, maxt)`` ms."""
    timestamps = scrape_times(mint, maxt, replica)
    seconds = timestamps / 1000.0
    rows = [
        ({"__name__": name, "instance": f"10.0.0.{i + 1}:9100", "job": "shop", **labels}, values)
        for i in range(instances)
        for name, labels, values in _instance(i, seconds)
    ]
    rows.sort(key=lambda row: sorted(row[0].items()))
    values = np.vstack([row[1] for row in rows]) if len(timestamps) else np.empty((len(rows), 0))
    return ShopSeries([row[0] for row in rows], timestamps, values)


def request_rates(at_ms: int, range_ms: int) -> dict[str, float]:
    """What ``sum by (path) (rate(demo_http_requests_total[range]))`` must be near to: requests a second by path."""
    return {
        path: sum(share * rate for _, share, rate in _path_rates(p, at_ms, range_ms)) for p, path in enumerate(PATHS)
    }


def latency_quantile(q: float, at_ms: int, range_ms: int) -> float:
    """What ``histogram_quantile`` must be near to over the buckets' rates, in seconds."""
    under = np.zeros(len(BUCKETS))
    bounds = np.array(BUCKETS)
    for p in range(len(SLOW_PATHS)):
        fast = sum(_mean_rate(i, 64 + p, at_ms, range_ms) for i in range(INSTANCES)) * (5.0 - p)
        slow = sum(_mean_rate(i, 80 + p, at_ms, range_ms) for i in range(INSTANCES)) * (0.4 + 0.1 * p)
        under += fast * (1.0 - np.exp(-bounds / 0.03)) + slow * (1.0 - np.exp(-bounds / 0.6))
    rank = q * under[-1]
    b = int(np.searchsorted(under, rank))
    low, below = (bounds[b - 1], under[b - 1]) if b else (0.0, 0.0)
    return float(low + (bounds[b] - low) * (rank - below) / (under[b] - below))


def _path_rates(p: int, at_ms: int, range_ms: int) -> Iterator[tuple[str, float, float]]:
    for i in range(INSTANCES):
        for m, method in enumerate(METHODS):
            base = _request_base(p, method, i)
            for c, (code, share) in enumerate(CODES.items()):
                yield code, share, base * _mean_rate(i, 16 + p * 6 + m * 3 + c, at_ms, range_ms)


def _request_base(p: int, method: str, i: int) -> float:
    return (9.0 - p) * (1.0 if method == "GET" else 0.25) * (1.0 + 0.05 * i)


def _mean_rate(i: int, seed: int, at_ms: int, range_ms: int) -> float:
    ends = np.array([(at_ms - range_ms) / 1000, at_ms / 1000])
    return float(np.diff(_integral(i, seed, ends))[0] / (range_ms / 1000))


def _instance(i: int, seconds: Floats) -> Iterator[tuple[str, dict[str, str], Floats]]:
    yield "up", {}, np.ones_like(seconds)
    yield "demo_memory_usage_bytes", {}, np.floor(_gauge(i, seconds, 3.0e8, 1.2e8, 4096.0))
    yield "demo_temperature_celsius", {}, np.round(_gauge(i + 100, seconds, 47.0, 9.0, 0.5), 1)
    for q, queue in enumerate(QUEUES):
        level = np.maximum(_gauge(i * 7 + q, seconds, 12.0, 14.0, 6.0), 0.0)
        yield "demo_queue_length", {"queue": queue}, np.floor(level)
    for m, (mode, share) in enumerate(CPU_MODES.items()):
        yield "demo_cpu_seconds_total", {"mode": mode}, np.round(_counter(i, m, seconds, share, noise=False), 2)
    yield from _requests(i, seconds)
    yield from _latencies(i, seconds)


def _requests(i: int, seconds: Floats) -> Iterator[tuple[str, dict[str, str], Floats]]:
    for p, path in enumerate(PATHS):
        for m, method in enumerate(METHODS):
            base = _request_base(p, method, i)
            for c, (code, share) in enumerate(CODES.items()):
                counter = np.floor(_counter(i, 16 + p * 6 + m * 3 + c, seconds, base * share))
                yield "demo_http_requests_total", {"code": code, "method": method, "path": path}, counter


def _latencies(i: int, seconds: Floats) -> Iterator[tuple[str, dict[str, str], Floats]]:
    for p, path in enumerate(SLOW_PATHS):
        fast = _counter(i, 64 + p, seconds, 5.0 - p)
        slow = _counter(i, 80 + p, seconds, 0.4 + 0.1 * p)
        for bound in BUCKETS:
            under = fast * (1.0 - np.exp(-bound / 0.03)) + slow * (1.0 - np.exp(-bound / 0.6))
            le = "+Inf" if np.isinf(bound) else f"{bound:g}"
            yield "demo_http_request_duration_seconds_bucket", {"le": le, "path": path}, np.floor(under)
        yield "demo_http_request_duration_seconds_count", {"path": path}, np.floor(fast + slow)
        yield "demo_http_request_duration_seconds_sum", {"path": path}, np.round(fast * 0.03 + slow * 0.6, 3)


def _noise(seed: int, steps: NDArray[np.int64]) -> Floats:
    """Uniform in [0, 1), by splitmix64 of seed and step."""
    x = steps.astype(np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15) & (2**64 - 1))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _gauge(seed: int, seconds: Floats, middle: float, swing: float, noise: float) -> Floats:
    day = np.sin(2 * np.pi * (seconds / _DAY_SECONDS + seed * 0.037))
    wave = np.sin(2 * np.pi * (seconds / _WAVE_SECONDS + seed * 0.211))
    rough = _noise(seed + 5000, seconds.astype(np.int64)) - 0.5
    return middle + swing * (0.6 * day + 0.4 * wave) + noise * rough


def _counter(i: int, seed: int, seconds: Floats, per_second: float, *, noise: bool = True) -> Floats:
    """A counter that grows by ``per_second`` on average and starts at 0 when its instance restarts."""
    period = 3600.0 * (31.0 + 1.7 * i)
    restart = np.floor((seconds + i * 1777.0) / period) * period - i * 1777.0
    grown = _integral(i, seed, seconds) - _integral(i, seed, restart)
    if noise:
        # Less than the least that two scrapes can add, so the counter never falls.
        step = SCRAPE_INTERVAL_MS / 1000 * 0.2
        grown = grown + step * _noise(seed * 131 + i, seconds.astype(np.int64))
    return np.maximum(grown * per_second, 0.0)


def _integral(i: int, seed: int, seconds: Floats) -> Floats:
    """The integral of a rate of mean 1 that stays above 0.2."""
    day, wave = 2 * np.pi / _DAY_SECONDS, 2 * np.pi / _WAVE_SECONDS
    phase = 0.4 * i + 0.9 * seed
    return seconds - 0.5 / day * np.cos(day * seconds + 0.1 * phase) - 0.25 / wave * np.cos(wave * seconds + phase)
