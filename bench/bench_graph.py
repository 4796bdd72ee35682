"""PromQL in process over the block ``graph`` of bench.data: store, engine and allocator of a daemon, no HTTP, no gRPC.

    python -m bench.bench_graph [--shape NAME] [--repeats N] [--threads N]

Prints for each shape of bench.drive_promql median and least wall and CPU time per point (series times steps).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time

from prometheus_client import CollectorRegistry

from bench import data
from bench.drive_promql import SHAPES, Shape
from pythanos.block.fetcher import MetaFetcher
from pythanos.context import RequestContext
from pythanos.gateway.bucket_store import BucketStore
from pythanos.gateway.config import GatewayConfig
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.promql.engine import Engine, EngineOptions, RangeQuery
from pythanos.query.queryable import SelectOptions, StoreQueryable
from pythanos.runtime.allocator import keep_freed_memory
from pythanos.workers import InlinePool, ThreadPool, Workers


def measure(engine: Engine, queryable: StoreQueryable, shape: Shape, repeats: int) -> tuple[float, ...]:
    """ns per point: median and least wall time, median and least CPU time, after one query that is not counted."""
    end = data.START_MS + shape.samples * data.GRAPH_STEP_MS
    query = RangeQuery(shape.query, end - (shape.steps - 1) * data.GRAPH_STEP_MS, end, data.GRAPH_STEP_MS)
    engine.range(RequestContext(), queryable, query)
    walls, cpus = [], []
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        engine.range(RequestContext(), queryable, query)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    points = shape.series * shape.steps
    return tuple(of(times) / points * 1e9 for times in (walls, cpus) for of in (statistics.median, min))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", action="append", choices=SHAPES, help="only these")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2, help="compute threads; 1 runs all in the caller's")
    options = parser.parse_args()
    keep_freed_memory()
    compute = InlinePool() if options.threads == 1 else ThreadPool("compute", options.threads)
    workers = Workers(ThreadPool("fetch", 8), compute)
    bucket = FilesystemBucket(str(data.graph().folder))
    with tempfile.TemporaryDirectory() as folder:
        fetcher = MetaFetcher(bucket, [], None, fetch=workers.fetch)
        config = GatewayConfig(data_dir=folder)
        store = BucketStore(bucket, fetcher, workers, config, CollectorRegistry(), time.time)
        store.sync(RequestContext())
        queryable = StoreQueryable(store, SelectOptions(replica_labels=("replica",)))
        engine = Engine(EngineOptions(), workers)
        for name in options.shape or SHAPES:
            wall, wall_least, cpu, cpu_least = measure(engine, queryable, SHAPES[name], options.repeats)
            print(
                f"{name:20} ns/point: wall {wall:7.1f}, least {wall_least:7.1f}  cpu {cpu:7.1f}, least {cpu_least:7.1f}"
            )
        store.close()
    workers.stop()
    print(f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
