"""BucketStore.series over one block of 100k series x 10 labels x 2 chunks of 120 samples on a FILESYSTEM bucket.

    python -m bench.bench_store_series [series] [--threads] [--daemon]

Prints ns of wall and of CPU time per series, the least of several runs, and peak RSS for a whole select, labels only,
a replica label and a label of the series that are dropped, and small batches. The block is
made once in a temporary folder.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time

import numpy as np
from prometheus_client import CollectorRegistry

from pythanos._chunks import encode_floats
from pythanos.block.fetcher import MetaFetcher
from pythanos.context import RequestContext
from pythanos.gateway.bucket_store import BucketStore
from pythanos.gateway.config import GatewayConfig
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.series import SeriesBatch
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.runtime.allocator import keep_freed_memory
from pythanos.storeapi.requests import SeriesRequest
from pythanos.testing.block_builder import EncodedChunk, build_block
from pythanos.testing.buckets import numbered_ulid
from pythanos.workers import Workers

SAMPLES = 120
STEP_MS = 30_000
CHUNKS = 2
FIRST = "first select"
REPEATS = 9
EVERYTHING = (Matcher(MatchType.EQ, "__name__", "http_requests_total"),)


def make_block(folder: str, series: int) -> None:
    random = np.random.default_rng(1)
    rows = SAMPLES * CHUNKS
    times = np.arange(rows, dtype=np.int64) * STEP_MS
    rates = random.integers(1, 50, (64, rows)).cumsum(axis=1).astype(np.float64)
    start = np.arange(0, rows + 1, SAMPLES, dtype=np.int64)
    shapes = []
    for values in rates:
        data, offset, length = encode_floats(times, values, start)
        shapes.append(
            [
                EncodedChunk(
                    int(times[start[i]]), int(times[start[i + 1] - 1]), data[offset[i] : offset[i] + length[i]]
                )
                for i in range(CHUNKS)
            ]
        )
    sets = [
        (
            {
                "__name__": "http_requests_total",
                "cluster_zone": f"zone-{i % 3}",
                "code": str(200 + i % 5),
                "container": "server",
                "handler": f"/api/v1/handler/{i % 40}",
                "instance": f"10.0.{i // 256 % 256}.{i % 256}:8080",
                "job": "frontend",
                "method": "GET",
                "namespace": "production",
                "pod": f"frontend-{i:07d}",
            },
            shapes[i % len(shapes)],
        )
        for i in range(series)
    ]
    build_block(FilesystemBucket(folder), numbered_ulid(1), sets, external={"cluster": "eu1", "replica": "a"})


def run(folder: str, threads: bool) -> None:
    bucket = FilesystemBucket(folder)
    workers = Workers.threaded() if threads else Workers.inline()
    with tempfile.TemporaryDirectory() as data_dir:
        config = GatewayConfig(data_dir=data_dir)
        fetcher = MetaFetcher(bucket, [], None, fetch=workers.fetch)
        store = BucketStore(bucket, fetcher, workers, config, CollectorRegistry(), time.time)
        store.sync(RequestContext())
        cases = {
            FIRST: SeriesRequest(0, 1 << 40, EVERYTHING),
            "again, cache warm": SeriesRequest(0, 1 << 40, EVERYTHING),
            "replica label dropped": SeriesRequest(0, 1 << 40, EVERYTHING, without_replica_labels=("replica",)),
            "series label dropped": SeriesRequest(0, 1 << 40, EVERYTHING, without_replica_labels=("cluster_zone",)),
            "labels only": SeriesRequest(0, 1 << 40, EVERYTHING, skip_chunks=True),
            "batches of 64": SeriesRequest(0, 1 << 40, EVERYTHING, response_batch_size=64),
        }
        for name, request in cases.items():
            wall, cpu, count = measure(store, request, 1 if name == FIRST else REPEATS)
            times = f"wall {wall / count * 1e9:8.0f}  cpu {cpu / count * 1e9:8.0f} ns/series"
            print(f"{name:24} {count:8d} series  {times}  peak RSS {peak_rss_mb():6.0f} MB")
        store.close()
    workers.stop()


def peak_rss_mb() -> float:
    """Of this process alone: getrusage would count what it was forked from."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def measure(store: BucketStore, request: SeriesRequest, repeats: int) -> tuple[float, float, int]:
    """The least wall and CPU seconds of a select, and its series."""
    wall, cpu, count = 1e9, 1e9, 0
    for _ in range(repeats):
        begin, used, count = time.perf_counter(), time.process_time(), 0
        for frame in store.series(RequestContext(), request):
            if isinstance(frame, SeriesBatch):
                count += len(frame)
        wall, cpu = min(wall, time.perf_counter() - begin), min(cpu, time.process_time() - used)
    return wall, cpu, count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("series", nargs="?", type=int, default=100_000)
    parser.add_argument("--threads", action="store_true", help="read ahead on threads, as a daemon does")
    parser.add_argument("--daemon", action="store_true", help="with the allocator settings of a daemon")
    parser.add_argument("--folder", help="a folder with the block already in it")
    options = parser.parse_args()
    if options.folder:
        if options.daemon:
            keep_freed_memory()
        run(options.folder, options.threads)
        return
    with tempfile.TemporaryDirectory() as folder:
        make_block(folder, options.series)
        # A process of its own, so that making the block does not count into its memory.
        command = [sys.executable, "-m", "bench.bench_store_series", "--folder", folder]
        command += ["--threads"] * options.threads + ["--daemon"] * options.daemon
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
