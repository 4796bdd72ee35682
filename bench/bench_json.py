"""Printing of query results: CPU ns per point of a matrix of 1000 series x 1000 points, least and median of many.

And how much faster two threads are, by the least wall time.
Shapes: integers (counters sampled), two decimals (percentages, seconds), full mantissa (rates), big integers (bytes
above 2^53), sparse (every third point absent). Also one instant vector of 100,000 series with ten labels, per series.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable

import numpy as np

from pythanos._json import print_matrix, print_vector
from pythanos._labels import labels_from_dicts
from pythanos.model.series import ABSENT

SERIES, STEPS, START_MS, STEP_MS = 1000, 1000, 1_700_000_000_000, 15_000


def shapes(rng: np.random.Generator) -> dict[str, np.ndarray]:
    size = (SERIES, STEPS)
    full = rng.random(size) * 1000
    sparse = full.copy()
    sparse[:, ::3] = ABSENT
    return {
        "integers": rng.integers(0, 1_000_000, size).astype(float),
        "two decimals": np.round(rng.random(size) * 100, 2),
        "full mantissa": full,
        "big integers": rng.random(size) * 1e18,
        "sparse": sparse,
    }


def drain(pieces: object) -> int:
    return sum(len(piece) for piece in pieces)


def cpu_seconds(run: Callable[[], object], repeats: int) -> list[float]:
    """The CPU time of each of ``repeats`` rounds in this thread."""
    times = []
    for _ in range(repeats):
        started = time.thread_time()
        run()
        times.append(time.thread_time() - started)
    return times


def wall_seconds(run: Callable[[], object], repeats: int, threads: int) -> float:
    """The least wall time of ``repeats`` rounds in which every thread runs once."""
    times = []
    for _ in range(repeats):
        workers = [threading.Thread(target=run) for _ in range(threads)]
        started = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(7)
    labels = labels_from_dicts([{"__name__": "up", "instance": f"host-{i}:9100", "job": "node"} for i in range(SERIES)])
    results = {}
    for name, values in shapes(rng).items():
        points = int((values.view(np.uint64) != np.float64(ABSENT).view(np.uint64)).sum())

        def run(values: np.ndarray = values) -> int:
            return drain(print_matrix(labels, values, START_MS, STEP_MS))

        times = cpu_seconds(run, options.repeats)
        one, two = (wall_seconds(run, options.repeats, threads) for threads in (1, 2))
        results[f"matrix, {name}"] = {
            "ns_per_point": round(min(times) * 1e9 / points, 1),
            "median": round(statistics.median(times) * 1e9 / points, 1),
            "bytes_per_point": round(run() / points, 1),
            "two_threads_speedup": round(2 * one / two, 2),
        }
    sets = [
        {"__name__": "http_requests_total", **{f"label_{n}": f"value-{i % 97}-{n}" for n in range(9)}}
        for i in range(100_000)
    ]
    column, values = labels_from_dicts(sets), rng.random(len(sets))
    instants = np.full(len(sets), START_MS)
    one = min(cpu_seconds(lambda: drain(print_vector(column, values, instants)), options.repeats))
    results["vector, 10 labels"] = {"ns_per_series": round(one * 1e9 / len(sets), 1)}
    if options.json:
        print(json.dumps(results))
    else:
        for name, figures in results.items():
            print(f"{name:24}", *(f"{key}={value}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
