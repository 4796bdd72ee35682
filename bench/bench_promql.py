"""The engine's shapes in process, over encoded series in memory: CPU ns per point, and memory.

    python -m bench.bench_promql [--row NAME ...] [--threads N] [--repeats N] [--json]

A point is a series at a step before aggregation, of deduplicated series; 240 steps of 15 s. Each row runs in a process
of its own, with the allocator set as in daemons; its peak RSS is that of the interpreter, the encoded series and the
query. ``floor`` is the decoding of the same chunks alone, the part that no engine can leave out.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from bench import held
from pythanos._chunks import decode_chunks
from pythanos.context import RequestContext
from pythanos.promql.engine import Engine, EngineOptions, RangeQuery
from pythanos.runtime.allocator import keep_freed_memory
from pythanos.web.api.results import print_value
from pythanos.workers import InlinePool, ThreadPool, Workers


@dataclass(frozen=True, slots=True)
class Row:
    """``series`` are those that the points are counted by."""

    query: str
    kind: str
    series: int
    prints: bool = False


ROWS = {
    "sum by rate": Row("sum by (g) (rate(m[5m]))", "10k", 10_000),
    "sum by rate, 100k": Row("sum by (g) (rate(m[5m]))", "100k", 100_000),
    "rate": Row("rate(m[5m])", "10k", 10_000),
    "rate as json": Row("rate(m[5m])", "10k", 10_000, prints=True),
    "group_left": Row("m * on (pod) group_left () m", "10k", 10_000),
    "classic quantile": Row("histogram_quantile(0.9, b_bucket)", "buckets", 110_000),
    "classic quantile of rates": Row("histogram_quantile(0.9, rate(b_bucket[5m]))", "buckets", 110_000),
    "two replicas": Row("sum(rate(m[5m]))", "two replicas", 50_000),
    "topk": Row("topk(5, rate(m[5m]))", "10k", 10_000),
    "quantile": Row("quantile(0.9, rate(m[5m]))", "10k", 10_000),
    "count_values": Row('count_values("v", round(rate(m[5m]), 0.01))', "10k", 10_000),
    "subquery": Row("max_over_time(rate(m[5m])[1h:1m])", "10k", 10_000),
}


@dataclass(frozen=True, slots=True)
class Measurement:
    row: str
    cpu_ns: float
    cpu_ns_least: float
    wall_ns: float
    floor_ns: float
    peak_rss_mib: int


def spent(job: Callable[[], object], repeats: int) -> tuple[list[float], list[float]]:
    """(CPU, wall) seconds of each call after one that is not counted."""
    job()
    cpus, walls = [], []
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        job()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return cpus, walls


def measure(name: str, threads: int, repeats: int) -> Measurement:
    row = ROWS[name]
    keep_freed_memory()
    series = held.load(row.kind)
    pool = ThreadPool("compute", threads) if threads > 1 else InlinePool()
    engine = Engine(EngineOptions(), Workers(InlinePool(), pool))
    query = RangeQuery(row.query, held.END_MS - (held.STEPS - 1) * held.INTERVAL_MS, held.END_MS, held.INTERVAL_MS)

    def run() -> None:
        value = engine.range(RequestContext(), series, query).value
        if row.prints:
            for _ in print_value(value)[1]:
                pass

    cpus, walls = spent(run, repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    floor = min(spent(lambda: decode_all(series), repeats)[0])
    pool.stop()
    points = row.series * held.STEPS / 1e9
    return Measurement(
        name,
        round(statistics.median(cpus) / points, 1),
        round(min(cpus) / points, 1),
        round(statistics.median(walls) / points, 1),
        round(floor / points, 1),
        peak,
    )


def decode_all(series: held.Held) -> None:
    batch = series.all
    for first in range(0, batch.chunk_count, 3 * held.BATCH):
        part = slice(first, first + 3 * held.BATCH)
        decode_chunks(
            batch.labels.arena, batch.chunk_offset[part], batch.chunk_length[part], batch.chunk_encoding[part]
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", action="append", choices=ROWS, help="only these")
    parser.add_argument("--threads", type=int, default=1, help="compute threads; 1 runs all in the caller's")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--here", action="store_true", help="the one --row, in this process")
    options = parser.parse_args()
    if options.here:
        row = asdict(measure(options.row[0], options.threads, options.repeats))
        print(json.dumps(row) if options.json else "  ".join(f"{key} {value}" for key, value in row.items()))
        return
    same = ["--threads", str(options.threads), "--repeats", str(options.repeats), *(["--json"] if options.json else [])]
    for name in options.row or ROWS:
        subprocess.run([sys.executable, "-m", "bench.bench_promql", "--here", "--row", name, *same], check=True)


if __name__ == "__main__":
    main()
