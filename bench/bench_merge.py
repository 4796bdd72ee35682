"""The k-way merge: CPU ns per input series, for series of a fleet (10 labels, 272 bytes, 2 chunks of 150 bytes).

disjoint: every store has its own series (sharded stores); replicas: every store has all series with its own chunks;
identical: the same chunks everywhere (two store gateways over one bucket); single: one store, passed through.
"""

import argparse
import time

import numpy as np

from bench.bench_labels import fleet
from pythanos.runtime.allocator import keep_freed_memory
from pythanos.storeapi.batches import SeriesBatch
from pythanos.storeapi.merge import merge_series, relabeled, take_series

BATCH = 1024
CHUNK_BYTES = 150
REPEATS = 15


def chunked(labels, seed: int) -> SeriesBatch:
    """All series with two chunks each, of random bytes."""
    n = len(labels)
    arena = np.random.default_rng(seed).bytes(2 * n * CHUNK_BYTES)
    bare = SeriesBatch(
        type(labels)(arena, np.zeros(n, np.int64), np.zeros(n, np.int32), np.zeros(n, np.uint64)),
        np.arange(n + 1) * 2,
        np.tile(np.array([0, 7_200_000]), n),
        np.tile(np.array([7_199_000, 14_399_000]), n),
        np.ones(2 * n, np.uint8),
        np.zeros(2 * n, np.uint8),
        np.arange(2 * n) * CHUNK_BYTES,
        np.full(2 * n, CHUNK_BYTES, np.int32),
    )
    return relabeled(bare, labels, np.arange(n))


def cut(batch: SeriesBatch, rows) -> list[SeriesBatch]:
    """Batches with arenas of their own, as a wire would bring them."""
    out = []
    for start in range(0, len(rows), BATCH):
        part = take_series(batch, rows[start : start + BATCH])
        out.append(relabeled(part, part.labels, np.arange(len(part))))
    return out


def measure(name: str, streams: list[list[SeriesBatch]]) -> None:
    series = sum(len(batch) for stream in streams for batch in stream)
    best = 1e9
    for _ in range(REPEATS):
        start = time.thread_time()
        for batch in merge_series([iter(stream) for stream in streams], BATCH):
            len(batch)
        best = min(best, time.thread_time() - start)
    print(f"{name:28s} {best / series * 1e9:8.1f} ns/input series")


def copying(batch: SeriesBatch) -> float:
    """ns per series to copy labels and chunks into a new arena, as any merge that interleaves must."""
    best = 1e9
    parts = cut(batch, np.arange(len(batch)))
    for _ in range(REPEATS):
        start = time.thread_time()
        for part in parts:
            relabeled(part, part.labels, np.arange(len(part)))
        best = min(best, time.thread_time() - start)
    return best / len(batch) * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=100_000)
    n = parser.parse_args().series
    keep_freed_memory()
    labels = fleet(n)
    batch = chunked(labels, 1)
    rows = np.arange(n)
    everything = cut(batch, rows)
    print(f"{'copying alone':28s} {copying(batch):8.1f} ns/series")
    measure("single", [everything])
    for k in (2, 4, 8):
        measure(f"disjoint, {k} stores", [cut(batch, rows[i::k]) for i in range(k)])
        measure(f"identical, {k} stores", [everything] * k)
        measure(f"replicas, {k} stores", [cut(chunked(labels, seed), rows) for seed in range(k)])


if __name__ == "__main__":
    main()
