"""Encoding and decoding of chunks: nanoseconds per sample by data shape, on one and two threads.

4000 chunks of 120 samples, 15 s apart, per shape; best of 15 runs; fixed seeds. "jitter": every timestamp is off by up
to 5 ms; "rare": 5 % of them are. Nanoseconds are CPU time of the thread, so that a busy machine does not show; the gain
of a second thread is wall time and wants an idle machine.

Budget: XOR decode of a counter with rare jitter 5 ns, two threads 1.8 times one.

    python bench/bench_chunks.py [--json] [--samples 120] [--chunks 4000]
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pythanos._chunks import decode_chunks, encode_floats
from pythanos.model.chunks import XOR, XOR2

Columns = tuple[NDArray[np.int64], NDArray[np.float64]]
STEP_MS = 15_000
START_MS = 1_700_000_000_000


def times(rng: np.random.Generator, chunks: int, n: int, share: float) -> NDArray[np.int64]:
    regular = START_MS + STEP_MS * np.arange(n, dtype=np.int64)[None, :] + np.zeros((chunks, 1), np.int64)
    off = rng.integers(-5, 6, (chunks, n)) * (rng.random((chunks, n)) < share)
    return regular + off


def constant(rng: np.random.Generator, c: int, n: int) -> Columns:
    return times(rng, c, n, 0), np.repeat(rng.random((c, 1)) * 100, n, axis=1)


def idle_counter(rng: np.random.Generator, c: int, n: int) -> Columns:
    return times(rng, c, n, 0), np.cumsum(rng.integers(1, 10, (c, n)) * (rng.random((c, n)) < 0.1), axis=1).astype(
        float
    )


def counter(rng: np.random.Generator, c: int, n: int, share: float) -> Columns:
    base = rng.integers(0, 100_000, (c, 1))
    return times(rng, c, n, share), (base + np.cumsum(rng.integers(0, 200, (c, n)), axis=1)).astype(float)


def cpu_seconds(rng: np.random.Generator, c: int, n: int) -> Columns:
    return times(rng, c, n, 0.05), np.round(rng.random((c, 1)) * 1e5 + np.cumsum(rng.random((c, n)) * 15, axis=1), 2)


def gauge_walk(rng: np.random.Generator, c: int, n: int) -> Columns:
    return times(rng, c, n, 0), 100 + np.cumsum(rng.normal(size=(c, n)), axis=1)


def gauge_2_decimals(rng: np.random.Generator, c: int, n: int) -> Columns:
    return times(rng, c, n, 1), np.round(rng.random((c, n)) * 100, 2)


SHAPES: dict[str, Callable[[np.random.Generator, int, int], Columns]] = {
    "constant": constant,
    "idle counter": idle_counter,
    "counter aligned": lambda rng, c, n: counter(rng, c, n, 0),
    "counter rare jitter": lambda rng, c, n: counter(rng, c, n, 0.05),
    "counter jitter": lambda rng, c, n: counter(rng, c, n, 1),
    "cpu seconds": cpu_seconds,
    "gauge random walk": gauge_walk,
    "gauge 2 decimals": gauge_2_decimals,
}


def best_seconds(work: Callable[[], object], threads: int, runs: int = 15) -> tuple[float, float]:
    """The shortest (wall, CPU) time of `threads` threads that each do `work` once; CPU time is of one thread."""
    wall = cpu = float("inf")
    for _ in range(runs):
        barrier = threading.Barrier(threads + 1)
        used: list[float] = []

        def body(barrier: threading.Barrier = barrier, used: list[float] = used) -> None:
            barrier.wait()
            begin = time.thread_time()
            work()
            used.append(time.thread_time() - begin)

        crew = [threading.Thread(target=body) for _ in range(threads)]
        for thread in crew:
            thread.start()
        barrier.wait()
        begin = time.perf_counter()
        for thread in crew:
            thread.join()
        wall = min(wall, time.perf_counter() - begin)
        cpu = min(cpu, *used)
    return wall, cpu


def measure(columns: Columns, encoding: int) -> dict[str, float]:
    timestamps, values = columns
    chunks, n = timestamps.shape
    start = np.arange(chunks + 1, dtype=np.int64) * n
    flat_times, flat_values = timestamps.ravel(), values.ravel()
    arena, offset, length = encode_floats(flat_times, flat_values, start, encoding)
    encodings = np.full(chunks, encoding, np.uint8)
    total = chunks * n

    def decode() -> object:
        return decode_chunks(arena, offset, length, encodings)

    def encode() -> object:
        return encode_floats(flat_times, flat_values, start, encoding)

    one, one_cpu = best_seconds(decode, 1)
    return {
        "bytes_per_sample": len(arena) / total,
        "decode_ns": one_cpu / total * 1e9,
        "decode_speedup_2_threads": 2 * one / best_seconds(decode, 2)[0],
        "encode_ns": best_seconds(encode, 1)[1] / total * 1e9,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--chunks", type=int, default=4000)
    parser.add_argument("--samples", type=int, default=120, help="samples per chunk")
    options = parser.parse_args()
    results = {}
    for name, shape in SHAPES.items():
        columns = shape(np.random.default_rng(42), options.chunks, options.samples)
        results[name] = {"XOR": measure(columns, XOR), "XOR2": measure(columns, XOR2)}
    if options.json:
        print(json.dumps(results, indent=1))
        return
    print(f"{'shape':22}{'':6}{'B/sample':>9}{'decode ns':>11}{'2 threads':>11}{'encode ns':>11}")
    for name, encodings in results.items():
        for encoding, r in encodings.items():
            print(
                f"{name:22}{encoding:6}{r['bytes_per_sample']:9.2f}{r['decode_ns']:11.2f}"
                f"{r['decode_speedup_2_threads']:10.2f}x{r['encode_ns']:11.2f}"
            )


if __name__ == "__main__":
    main()
