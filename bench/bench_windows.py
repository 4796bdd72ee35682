"""Range functions by kernel: ns per output point on one and two threads.

Shapes: 128 series x 260 samples, 15 s apart, 240 steps of 15 s over 5 m (windows of 20 samples that move by one); the
same with steps of 60 s (they move by four); and with scrapes that jitter across the steps' edges. One kernel call is
one job.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable

import numpy as np

from pythanos import _windows
from pythanos._windows import Function

SERIES, SAMPLES, INTERVAL_MS, RANGE_MS = 128, 260, 15_000, 300_000
# Steps, their distance in ms, how far scrapes jitter in ms.
SHAPES = {"dense": (240, 15_000, 5), "sparse": (60, 60_000, 5), "jitter": (240, 15_000, 9_000)}


def job(function: Function, shape: tuple[int, int, int]) -> tuple[Callable[[], None], int]:
    """A call of the kernel, and how many points it gives."""
    steps, step_ms, jitter_ms = shape
    rng = np.random.default_rng(5)
    start = np.arange(SERIES + 1) * SAMPLES
    phase = np.repeat(rng.integers(INTERVAL_MS // 3, INTERVAL_MS // 2, SERIES), SAMPLES)
    times = np.tile(np.arange(SAMPLES) * INTERVAL_MS, SERIES) + phase + rng.integers(0, jitter_ms, SERIES * SAMPLES)
    values = np.cumsum(rng.integers(0, 50, (SERIES, SAMPLES)), axis=1).astype(float).ravel()
    out, parameter = np.empty((SERIES, steps)), np.full(steps, 0.9)

    def run() -> None:
        _windows.range_rows(
            function,
            start,
            times,
            values,
            out,
            first_end=RANGE_MS,
            end_step=step_ms,
            range_ms=RANGE_MS,
            eval_start=RANGE_MS,
            eval_step=step_ms,
            first_parameter=parameter,
            second_parameter=parameter,
        )

    return run, SERIES * steps


def measure(function: Function, shape: tuple[int, int, int], threads: int, rounds: int, calls: int) -> float:
    """Median ns per point of rounds in which each thread makes some calls on data of its own."""
    jobs = [job(function, shape) for _ in range(threads)]

    def repeat(run: Callable[[], None]) -> None:
        for _ in range(calls):
            run()

    times = []
    for _ in range(rounds):
        workers = [threading.Thread(target=repeat, args=(run,)) for run, _ in jobs]
        started = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        times.append(time.perf_counter() - started)
    return statistics.median(times) / (threads * calls * jobs[0][1]) * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--function", action="append", help="Only these, by name.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = []
    for function in Function:
        if options.function and function.name not in options.function:
            continue
        row: dict[str, object] = {"function": function.name}
        for name, shape in SHAPES.items():
            for threads in (1, 2):
                row[f"{name}, {threads} thr"] = round(
                    measure(function, shape, threads, options.rounds, options.calls), 2
                )
        results.append(row)
        if not options.json:
            print(" | ".join(f"{key}: {value}" for key, value in row.items()))
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
