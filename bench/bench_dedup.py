"""Decoding with deduplication: CPU ns per decoded input sample, for 15 s scrapes in chunks of 120.

plain: decode_chunks alone, the floor; single: one replica; replicas: two or three with their own offsets; gaps: two
replicas, each missing every fifth chunk; counter: with the correction of counters; chain: all samples kept.
"""

import argparse
import time

import numpy as np

from bench.bench_labels import fleet
from pythanos._chunks import decode_chunks, encode_floats
from pythanos._dedup import CHAIN, PENALTY, decode_series
from pythanos.model.series import LabelColumn, SeriesBatch

CHUNK_SAMPLES = 120
SCRAPE_MS = 15_000


def batch_of_replicas(labels: LabelColumn, replicas: int, chunks: int, *, missing: int = 0) -> SeriesBatch:
    """Counters with jitter; replica r lacks every chunk c with c % missing == r."""
    rng = np.random.default_rng(7)
    kept = [(c, r) for c in range(chunks) for r in range(replicas) if not (missing and c % missing == r)]
    n, m = len(labels), len(kept)
    ticks = np.arange(chunks * CHUNK_SAMPLES) * SCRAPE_MS
    rises = np.cumsum(rng.integers(0, 50, (n, chunks * CHUNK_SAMPLES)), axis=1).astype(np.float64)
    parts = []
    for c, r in kept:
        at = slice(c * CHUNK_SAMPLES, (c + 1) * CHUNK_SAMPLES)
        times = np.tile(ticks[at] + r * 4_000, n) + rng.integers(0, 3, n * CHUNK_SAMPLES)
        parts.append((times, rises[:, at].ravel()))
    start = np.arange(n * m + 1) * CHUNK_SAMPLES
    times = np.stack([t.reshape(n, CHUNK_SAMPLES) for t, _ in parts], axis=1).ravel()
    values = np.stack([v.reshape(n, CHUNK_SAMPLES) for _, v in parts], axis=1).ravel()
    arena, offset, length = encode_floats(times, values, start)
    bounds = times.reshape(-1, CHUNK_SAMPLES)
    # The batch's arena holds chunks only: its label sets are empty, which decoding does not mind.
    bare = LabelColumn(arena, np.zeros(n, np.int64), np.zeros(n, np.int32), labels.hash)
    return SeriesBatch(
        bare,
        np.arange(n + 1) * m,
        bounds[:, 0].copy(),
        bounds[:, -1].copy(),
        np.ones(n * m, np.uint8),
        np.zeros(n * m, np.uint8),
        offset,
        length,
    )


def measure(name: str, samples: int, job) -> None:
    best = 1e9
    for _ in range(7):
        start = time.thread_time()
        job()
        best = min(best, time.thread_time() - start)
    print(f"{name:28s} {best / samples * 1e9:8.2f} ns/input sample")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=500)
    labels = fleet(parser.parse_args().series)
    single = batch_of_replicas(labels, 1, 8)
    double = batch_of_replicas(labels, 2, 8)
    triple = batch_of_replicas(labels, 3, 8)
    gaps = batch_of_replicas(labels, 2, 8, missing=5)

    def count(batch: SeriesBatch) -> int:
        return batch.chunk_count * CHUNK_SAMPLES

    columns = (single.labels.arena, single.chunk_offset, single.chunk_length, single.chunk_encoding)
    measure("plain", count(single), lambda: decode_chunks(*columns))
    measure("single", count(single), lambda: decode_series(single, algorithm=PENALTY))
    measure("single, counter", count(single), lambda: decode_series(single, algorithm=PENALTY, counter=True))
    measure("two replicas", count(double), lambda: decode_series(double, algorithm=PENALTY))
    measure("two replicas, counter", count(double), lambda: decode_series(double, algorithm=PENALTY, counter=True))
    measure("three replicas", count(triple), lambda: decode_series(triple, algorithm=PENALTY))
    measure("gaps", count(gaps), lambda: decode_series(gaps, algorithm=PENALTY))
    measure("gaps, counter", count(gaps), lambda: decode_series(gaps, algorithm=PENALTY, counter=True))
    measure("chain", count(double), lambda: decode_series(double, algorithm=CHAIN))


if __name__ == "__main__":
    main()
