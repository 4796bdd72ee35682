"""Range reads through the fetch pool, and metas of many blocks: what a store gateway asks of a bucket.

Reads: 16 kB at pseudo-random places of one object of 64 MB, on 1, 8 and 32 threads, of a folder and (with ``--s3``) of
an S3 server; requests per second of wall time and microseconds of CPU per request, this process only. Metas: decode one
meta.json; fetch those of 5,000 blocks in a folder, the first time and again.

    python -m bench.bench_objstore [--requests 2000] [--json] [--s3 HOST:PORT --bucket NAME --key KEY --secret SECRET]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator

from pythanos.block.fetcher import MetaFetcher
from pythanos.objstore.bucket import Bucket
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.objstore.opening import BucketConfig, open_bucket
from pythanos.testing.buckets import make_meta, put_meta
from pythanos.tsdb.meta import decode_meta, encode_meta
from pythanos.workers import ThreadPool

OBJECT = "bench/chunks/000001"
OBJECT_BYTES = 64_000_000
READ_BYTES = 16_000
BLOCKS = 5_000


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall and CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def reads(name: str, bucket: Bucket, requests: int) -> Iterator[dict[str, object]]:
    bucket.upload(OBJECT, os.urandom(OBJECT_BYTES))
    places = [random.Random(1).randrange(OBJECT_BYTES - READ_BYTES) for _ in range(requests)]
    for threads in (1, 8, 32):
        pool = ThreadPool("fetch", threads)

        def read(pool: ThreadPool = pool) -> None:
            for body in pool.map(lambda place: bucket.get_range(OBJECT, place, READ_BYTES), places):
                assert len(body) == READ_BYTES

        list(pool.map(lambda place: bucket.get_range(OBJECT, place, READ_BYTES), places[: 2 * threads]))
        wall, cpu = min(timed(read) for _ in range(3))
        pool.stop()
        yield {
            "what": f"{name} get_range",
            "threads": threads,
            "per_second": round(requests / wall),
            "cpu_us": round(cpu / requests * 1e6, 1),
        }
    bucket.delete(OBJECT)


def metas(folder: str) -> Iterator[dict[str, object]]:
    data = encode_meta(make_meta(1, labels={"cluster": "eu-1", "replica": "a", "prometheus": "infra/main"}))
    count = 20_000
    _, cpu = min(timed(lambda: [decode_meta(data, "meta.json") for _ in range(count)]) for _ in range(3))
    yield {"what": "decode meta.json", "threads": 1, "per_second": round(count / cpu), "cpu_us": cpu / count * 1e6}
    bucket = FilesystemBucket(folder)
    for number in range(BLOCKS):
        put_meta(bucket, make_meta(number))
    pool = ThreadPool("fetch", 32)
    fetcher = MetaFetcher(bucket, [], None, fetch=pool)
    for what in ("first", "again"):
        wall, cpu = timed(fetcher.fetch)
        yield {
            "what": f"fetch {BLOCKS} metas, {what}",
            "threads": 32,
            "per_second": round(BLOCKS / wall),
            "cpu_us": round(cpu / BLOCKS * 1e6, 1),
        }
    pool.stop()


def s3_bucket(options: argparse.Namespace) -> Bucket:
    section = {
        "bucket": options.bucket,
        "endpoint": options.s3,
        "insecure": True,
        "access_key": options.key,
        "secret_key": options.secret,
    }
    return open_bucket(BucketConfig(type="S3", config=section), None, "bench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--s3", metavar="HOST:PORT")
    parser.add_argument("--bucket", default="bench")
    parser.add_argument("--key", default="")
    parser.add_argument("--secret", default="")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        results += reads("folder", FilesystemBucket(os.path.join(folder, "reads")), options.requests)
        results += metas(os.path.join(folder, "metas"))
    if options.s3:
        bucket = s3_bucket(options)
        results += reads("s3", bucket, options.requests)
        bucket.close()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if options.json:
        print(json.dumps({"results": results, "rss_mib": rss}))
        return
    print(f"{'':32} threads  per second  CPU us each")
    for row in results:
        print(f"{row['what']!s:32} {row['threads']:>7}  {row['per_second']:>10,}  {row['cpu_us']:>11.1f}")
    print(f"peak RSS {rss} MiB")


if __name__ == "__main__":
    main()
