"""Encoding and decoding of chunks: nanoseconds per sample by data shape, on one and two threads.

4000 chunks of 120 samples, 15 s apart, per shape; best of 12 runs of 5; fixed seeds. "jitter": every timestamp is off
by up to 5 ms; "rare": 5 % of them are. Nanoseconds are CPU time of the thread, so that a busy machine shows less; the
gain of a second thread is wall time and wants an idle machine. Histograms: a tenth of the chunks, 24 buckets a sample.

Budget: XOR decode of a counter with rare jitter 5 ns, two threads 1.8 times one.

    python -m bench.bench_chunks [--json] [--samples 120] [--chunks 4000]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pythanos._chunks import decode_chunks, encode_floats, encode_histograms
from pythanos.model.chunks import FLOAT_HISTOGRAM, HISTOGRAM, XOR, XOR2
from pythanos.model.histogram import HistogramColumns, HistogramLayouts, IntegerCounts

Columns = tuple[NDArray[np.int64], NDArray[np.float64]]
Encoded = tuple[bytes, NDArray[np.int64], NDArray[np.int32]]
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


def best_seconds(work: Callable[[], object], threads: int, runs: int = 12, rounds: int = 5) -> tuple[float, float]:
    """The shortest (wall, CPU) time per round of `threads` threads that each do `work`; CPU time is of one thread."""
    wall = cpu = float("inf")
    for _ in range(runs):
        barrier = threading.Barrier(threads + 1)
        used: list[float] = []

        def body(barrier: threading.Barrier = barrier, used: list[float] = used) -> None:
            barrier.wait()
            for _ in range(rounds):
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
        wall = min(wall, (time.perf_counter() - begin) / rounds)
        cpu = min(cpu, *used)
    return wall, cpu


def histograms(rng: np.random.Generator, chunks: int, n: int, share: float) -> HistogramColumns:
    """Counter histograms of 20 + 4 buckets (schema 3), of which `share` grow between two samples."""
    width, rows = 24, chunks * n
    layouts = HistogramLayouts(
        schema=np.array([3], np.int32),
        zero_threshold=np.array([2.0**-128]),
        span_start=np.array([0, 3]),
        negative_start=np.array([2]),
        span_offset=np.array([-8, 3, 0], np.int32),
        span_length=np.array([12, 8, 4], np.uint32),
        bound_start=np.array([0, 0]),
        bounds=np.empty(0),
        positive_buckets=np.array([20]),
        negative_buckets=np.array([4]),
    )
    growth = rng.integers(1, 20, (chunks, n, width)) * (rng.random((chunks, n, width)) < share)
    buckets = np.cumsum(growth, axis=1)
    count = buckets.sum(axis=2)
    return HistogramColumns(
        start=np.arange(chunks + 1) * n,
        chunk_reset=np.zeros(chunks, np.uint8),
        timestamps=times(rng, chunks, n, 0.05).ravel(),
        count=count.ravel().astype(float),
        zero_count=np.zeros(rows),
        sum=np.cumsum(rng.random((chunks, n)), axis=1).ravel(),
        reset_hint=np.zeros(rows, np.uint8),
        layout=np.zeros(rows, np.int32),
        layouts=layouts,
        bucket_start=np.arange(rows + 1) * width,
        buckets=buckets.ravel().astype(float),
        integers=IntegerCounts(
            np.ones(rows, np.bool_), count.ravel().astype(np.uint64), np.zeros(rows, np.uint64), buckets.ravel()
        ),
    )


HISTOGRAM_SHAPES = {"histogram, idle": 0.02, "histogram, a tenth": 0.1, "histogram, half": 0.5}


def measure_floats(columns: Columns, encoding: int) -> dict[str, float]:
    timestamps, values = columns
    chunks, n = timestamps.shape
    start = np.arange(chunks + 1, dtype=np.int64) * n
    flat_times, flat_values = timestamps.ravel(), values.ravel()

    def encode() -> Encoded:
        return encode_floats(flat_times, flat_values, start, encoding)

    return measure(encode, encoding, chunks * n)


def measure_histograms(columns: HistogramColumns, encoding: int) -> dict[str, float]:
    if encoding == FLOAT_HISTOGRAM:
        columns = dataclasses.replace(columns, integers=None)
    return measure(lambda: encode_histograms(columns)[:3], encoding, len(columns))


def measure(encode: Callable[[], Encoded], encoding: int, total: int) -> dict[str, float]:
    arena, offset, length = encode()
    encodings = np.full(len(offset), encoding, np.uint8)

    def decode() -> object:
        return decode_chunks(arena, offset, length, encodings)

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
        results[name] = {"XOR": measure_floats(columns, XOR), "XOR2": measure_floats(columns, XOR2)}
    for name, share in HISTOGRAM_SHAPES.items():
        rows = histograms(np.random.default_rng(42), options.chunks // 10, options.samples, share)
        results[name] = {
            "int": measure_histograms(rows, HISTOGRAM),
            "float": measure_histograms(rows, FLOAT_HISTOGRAM),
        }
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
