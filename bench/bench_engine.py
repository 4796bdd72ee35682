"""The engine in process: queries over chunks in memory, ns per output point (per series and step before aggregation).

Data: 10,000 series in 100 groups of `g`, 260 samples each, 15 s apart, counters with 5 % of the scrapes jittered by
up to 5 ms; three XOR chunks a series. 240 steps of 15 s. Wall time and CPU time, medians; on all compute threads and
on one.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pythanos import _chunks, _labels
from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher
from pythanos.promql.engine import Engine, EngineOptions, RangeQuery
from pythanos.promql.queryable import EncodedSeries, SelectHints, Selection
from pythanos.testing.memory_queryable import ChunkSeries
from pythanos.workers import InlinePool, ThreadPool, Workers

SAMPLES, INTERVAL_MS, STEPS, CHUNK = 260, 15_000, 240, 120
START_MS = 1_700_000_000_000 // INTERVAL_MS * INTERVAL_MS
BATCH = 1024
QUERIES = (
    "sum by (g) (rate(m[5m]))",
    "sum(rate(m[5m]))",
    "rate(m[5m])",
    "sum(m)",
    "m",
    "sum by (g) (sum_over_time(m[5m]))",
    "max by (pod) (m)",
    "topk(5, rate(m[5m]))",
    "quantile(0.9, rate(m[5m]))",
    "m * on (pod) group_left () m",
    "sum(rate(m[5m]) * 2 > 0)",
    "max_over_time(rate(m[5m])[1h:1m])",
)


@dataclass(slots=True)
class Chunks:
    """A Queryable over chunks in memory: whatever is asked, all series."""

    all: ChunkSeries
    hidden_labels: frozenset[str] = frozenset()

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        return Selection(self._batches())

    def _batches(self) -> Iterator[EncodedSeries]:
        for first in range(0, len(self.all.labels), BATCH):
            yield self.all.part(first, min(first + BATCH, len(self.all.labels)))


def build(series: int) -> Chunks:
    rng = np.random.default_rng(7)
    rows = [
        {
            "__name__": "m",
            "g": f"g{i % 100}",
            "pod": f"pod-{i:06d}",
            "job": "bench",
            "instance": f"10.0.{i % 256}.{i // 256}",
        }
        for i in range(series)
    ]
    labels = _labels.labels_from_dicts(rows)
    labels = labels.take(_labels.sort_order(labels))
    jitter = np.where(rng.random((series, SAMPLES)) < 0.05, rng.integers(-5, 6, (series, SAMPLES)), 0)
    phase = rng.integers(0, INTERVAL_MS, (series, 1))
    times = START_MS + phase + INTERVAL_MS * np.arange(SAMPLES) + jitter
    values = np.cumsum(rng.integers(0, 50, (series, SAMPLES)), axis=1).astype(float)
    per_series = -(-SAMPLES // CHUNK)
    starts = np.minimum(np.arange(per_series) * CHUNK, SAMPLES)
    start = (np.arange(series)[:, np.newaxis] * SAMPLES + starts).ravel()
    start = np.append(start, series * SAMPLES)
    arena, offset, length = _chunks.encode_floats(times.ravel(), values.ravel(), start)
    encoding = np.ones(len(offset), np.uint8)
    return Chunks(ChunkSeries(labels, np.arange(series + 1) * per_series, arena, offset, length, encoding))


def measure(engine: Engine, queryable: Chunks, text: str, repeats: int) -> tuple[float, float]:
    """Median (wall, CPU) seconds."""
    end = START_MS + SAMPLES * INTERVAL_MS
    query = RangeQuery(text, end - (STEPS - 1) * INTERVAL_MS, end, INTERVAL_MS)
    walls, cpus = [], []
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        engine.range(RequestContext(), queryable, query)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(cpus)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--query", action="append")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    queryable = build(options.series)
    pools = {"2 threads": ThreadPool("compute", 2), "1 thread": InlinePool()}
    results = []
    for text in options.query or QUERIES:
        row: dict[str, object] = {"query": text}
        for name, pool in pools.items():
            engine = Engine(EngineOptions(), Workers(InlinePool(), pool))
            wall, cpu = measure(engine, queryable, text, options.repeats)
            points = options.series * STEPS
            row[name] = {"wall_ns": round(wall / points * 1e9, 2), "cpu_ns": round(cpu / points * 1e9, 2)}
        results.append(row)
        if not options.json:
            print(
                f"{text:40}", *(f"{name}: wall {row[name]['wall_ns']:7} cpu {row[name]['cpu_ns']:7}" for name in pools)
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if options.json:
        print(json.dumps({"results": results, "peak_rss_mib": peak}))
    else:
        print(f"peak RSS {peak} MiB")
    for pool in pools.values():
        pool.stop()


if __name__ == "__main__":
    main()
