"""Start of a store over many blocks whose index-headers are on disk already: seconds and memory of the sync.

    python -m bench.bench_store_start [blocks] [--lazy]

Blocks have 2000 series of 10 labels each (an index-header of about 150 KB); budget: 500 blocks in 3 s and 150 MB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prometheus_client import CollectorRegistry

from bench.bench_store_series import EVERYTHING, peak_rss_mb
from pythanos.block.fetcher import MetaFetcher
from pythanos.config import loads
from pythanos.context import RequestContext
from pythanos.gateway.bucket_store import BucketStore
from pythanos.gateway.config import GatewayConfig
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.objstore.memory import MemoryBucket
from pythanos.storeapi.requests import SeriesRequest
from pythanos.testing.block_builder import build_block, float_chunk
from pythanos.testing.buckets import numbered_ulid
from pythanos.tsdb.meta import META_FILENAME
from pythanos.workers import Workers

SERIES = 2000
HOUR_MS = 3_600_000


def make_blocks(folder: Path, blocks: int) -> None:
    """One block is built, the others are copies of its files with a meta.json of their own."""
    chunk = float_chunk([(i, 1.0) for i in range(10)])
    series = [
        (
            {
                "__name__": "http_requests_total",
                "code": str(200 + i % 5),
                "container": "server",
                "handler": f"/api/v1/handler/{i % 40}",
                "instance": f"10.0.{i // 256}.{i % 256}:8080",
                "job": "frontend",
                "method": "GET",
                "namespace": "production",
                "pod": f"frontend-{i:07d}",
                "zone": f"zone-{i % 3}",
            },
            [chunk],
        )
        for i in range(SERIES)
    ]
    bucket = FilesystemBucket(str(folder))
    for number in range(blocks):
        ulid, memory = numbered_ulid(number + 1), MemoryBucket()
        if not number:
            build_block(bucket, ulid, series, external={"cluster": "eu1"}, mint=0, maxt=HOUR_MS)
            continue
        build_block(
            memory, ulid, series[:1], external={"cluster": "eu1"}, mint=number * HOUR_MS, maxt=(number + 1) * HOUR_MS
        )
        first = folder / numbered_ulid(1)
        for path in first.rglob("*"):
            if path.is_file() and path.name != META_FILENAME:
                bucket.upload(f"{ulid}/{path.relative_to(first)}", path.read_bytes())
        bucket.upload(f"{ulid}/{META_FILENAME}", memory.get(f"{ulid}/{META_FILENAME}"))


def start(folder: Path, data_dir: Path, lazy: bool) -> None:
    bucket, workers = FilesystemBucket(str(folder)), Workers.threaded()
    text = f"data_dir: {data_dir}\nstore: {{enable_index_header_lazy_reader: {str(lazy).lower()}}}"
    fetcher = MetaFetcher(bucket, [], str(data_dir), fetch=workers.fetch)
    before = peak_rss_mb()
    store = BucketStore(bucket, fetcher, workers, loads(text, GatewayConfig), CollectorRegistry(), time.time)
    begin = time.perf_counter()
    store.sync(RequestContext())
    seconds = time.perf_counter() - begin
    count = len(store.loaded_metas())
    after = peak_rss_mb()
    print(f"{count} blocks loaded in {seconds:.2f} s, peak RSS {after:.0f} MB (of which {before:.0f} MB before)")
    if not lazy:
        begin = time.perf_counter()
        request = SeriesRequest(0, count * HOUR_MS, EVERYTHING, skip_chunks=True)
        series = sum(len(frame) for frame in store.series(RequestContext(), request) if hasattr(frame, "labels"))
        seconds = time.perf_counter() - begin
        print(f"labels only over {count} blocks: {series} series, {seconds / count * 1e3:.2f} ms a block")
    store.close()
    workers.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("blocks", nargs="?", type=int, default=500)
    parser.add_argument("--lazy", action="store_true")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.folder:
        start(options.folder / "bucket", options.folder / "data", options.lazy)
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bucket").mkdir()
        make_blocks(Path(folder) / "bucket", options.blocks)
        command = [sys.executable, "-m", "bench.bench_store_start", "--folder", folder] + ["--lazy"] * options.lazy
        # The first start makes the index-headers, the second finds them.
        for _ in range(2):
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
