"""Postings kernels: ns per entry of all inputs, lists drawn from four million references; and the cache codec.

Figures are medians of thread CPU time, beside numpy doing the same where it can.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from pythanos._postings import decode_dss, decode_postings, encode_dss, encode_postings, intersect, subtract, union

SPAN = 4_000_000


def drawn(n: int, seed: int) -> np.ndarray:
    chosen = np.random.default_rng(seed).choice(SPAN, n, replace=False)
    return np.sort(chosen).astype(np.uint32)


def measure(name: str, entries: int, job: Callable[[], object], repeat: int = 9) -> None:
    job()
    median = statistics.median(_timed(job) for _ in range(repeat))
    print(f"{name:52s} {median / entries * 1e9:9.3f} ns/entry {median * 1e3:9.3f} ms")


def _timed(job: Callable[[], object]) -> float:
    start = time.thread_time()
    job()
    return time.thread_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    n = parser.parse_args().entries
    a, b, small, tiny = drawn(n, 1), drawn(n, 2), drawn(n // 100, 3), drawn(n // 10_000, 4)
    tenth = [drawn(n // 10, seed) for seed in range(10, 20)]
    every = np.arange(SPAN, dtype=np.uint32)
    data = encode_postings(a)
    measure("decode, big endian, order checked", n, lambda: decode_postings(data))
    measure("intersect, 1:1", 2 * n, lambda: intersect([a, b]))
    measure("intersect, 1:1, numpy", 2 * n, lambda: np.intersect1d(a, b, assume_unique=True))
    measure("intersect, 1:100, of the small list", len(small), lambda: intersect([small, b]))
    measure("intersect, 1:10000, of the small list", len(tiny), lambda: intersect([tiny, b]))
    measure("union of 2", 2 * n, lambda: union([a, b]))
    measure("union of 10 tenths (bitset)", n, lambda: union(tenth))
    measure("union of 10 tenths, numpy", n, lambda: np.unique(np.concatenate(tenth)))
    measure("subtract, 1:1", 2 * n, lambda: subtract(a, b))
    measure("complement in all of 4M", SPAN + n, lambda: subtract(every, a))
    measure("complement of a hundredth in all of 4M", SPAN, lambda: subtract(every, small))
    for name, refs in (("quarter of all", a), ("all series", every)):
        cached = encode_dss(refs)
        measure(f"dss encode, {name}, {len(cached) / len(refs):.2f} B/entry", len(refs), lambda r=refs: encode_dss(r))
        measure(f"dss decode, {name}", len(refs), lambda c=cached: decode_dss(c))


if __name__ == "__main__":
    main()
