"""Native histograms in process, and beside a Prometheus over the same block: CPU of a query.

    python -m bench.bench_histograms [--prometheus BINARY] [--repeats N] [--json]

Data: 1,000 counter series of 20 + 4 buckets (schema 3) in 20 groups, 260 samples each, 15 s apart, five chunks a
series; a tenth of the buckets grow between two samples. 240 steps of 15 s. CPU and wall time per series and step,
medians; the engine on one compute thread and on two, with the allocator set as in daemons.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.bench_chunks import histograms
from bench.usage import ServerUsage
from pythanos import _chunks, _labels
from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher
from pythanos.model.series import LabelColumn, SampleBatch, SeriesBatch
from pythanos.promql.engine import Engine, EngineOptions, RangeQuery
from pythanos.promql.queryable import EncodedSeries, SelectHints, Selection
from pythanos.runtime.allocator import keep_freed_memory
from pythanos.tsdb.block_writer import write_block
from pythanos.tsdb.meta import BlockMeta, Compaction, new_ulid
from pythanos.workers import InlinePool, ThreadPool, Workers

SERIES, SAMPLES, CHUNKS, INTERVAL_MS, STEPS = 1_000, 260, 5, 15_000, 240
START_MS = 1_700_000_000_000 // 7_200_000 * 7_200_000
HISTOGRAM_CHUNK = 2
BATCH = 256
QUERIES = (
    "histogram_quantile(0.9, sum(rate(h[5m])))",
    "sum by (g) (rate(h[5m]))",
    "histogram_count(sum(rate(h[5m])))",
    "histogram_quantile(0.9, rate(h[5m]))",
    "sum(h)",
    "avg(sum_over_time(h[2m]))",
)
Measure = Callable[[str], tuple[float, float]]


@dataclass(slots=True)
class HistogramChunks:
    """Series of histogram chunks, as many for each."""

    labels: LabelColumn
    arena: bytes
    offset: NDArray[np.int64]
    length: NDArray[np.int32]

    def decode(self) -> SampleBatch:
        encoding = np.full(len(self.offset), HISTOGRAM_CHUNK, np.uint8)
        found = _chunks.decode_chunks(self.arena, self.offset, self.length, encoding)
        start = found.start[::CHUNKS].copy()
        columns = found.histograms
        if columns is not None:
            columns = type(columns)(
                columns.start[::CHUNKS].copy(),
                columns.chunk_reset[::CHUNKS],
                *(getattr(columns, name) for name in list(columns.__slots__)[2:]),
            )
        return SampleBatch(self.labels, start, found.timestamps, found.values, histograms=columns)

    def decoder(self) -> None:
        """None: there is no SeriesBatch."""

    def part(self, start: int, stop: int) -> HistogramChunks:
        chunks = slice(start * CHUNKS, stop * CHUNKS)
        return HistogramChunks(
            self.labels.take(slice(start, stop)), self.arena, self.offset[chunks], self.length[chunks]
        )

    def take(self, rows: NDArray[np.intp]) -> HistogramChunks:
        chunks = (rows[:, np.newaxis] * CHUNKS + np.arange(CHUNKS)).ravel()
        return HistogramChunks(self.labels.take(rows), self.arena, self.offset[chunks], self.length[chunks])


@dataclass(slots=True)
class Held:
    """A Queryable that gives all series, whatever is asked."""

    all: HistogramChunks
    hidden_labels: frozenset[str] = frozenset()

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        return Selection(self._batches())

    def _batches(self) -> Iterator[EncodedSeries]:
        for first in range(0, SERIES, BATCH):
            yield self.all.part(first, min(first + BATCH, SERIES))


def build() -> tuple[Held, SeriesBatch]:
    """The series in memory, and as a batch for a block."""
    rows = [{"__name__": "h", "g": f"g{i % 20}", "pod": f"pod-{i:04d}"} for i in range(SERIES)]
    labels = _labels.labels_from_dicts(rows)
    labels = labels.take(_labels.sort_order(labels))
    columns = histograms(np.random.default_rng(3), SERIES, SAMPLES, 0.1)
    times = np.tile(START_MS + 5_000 + INTERVAL_MS * np.arange(SAMPLES), SERIES)
    start = np.append(np.arange(SERIES * CHUNKS) * (SAMPLES // CHUNKS), SERIES * SAMPLES)
    cut = {name: getattr(columns, name) for name in columns.__slots__}
    cut |= {"timestamps": times, "start": start, "chunk_reset": np.zeros(len(start) - 1, np.uint8)}
    arena, offset, length = _chunks.encode_histograms(type(columns)(**cut))[:3]
    arena = bytes(arena)
    count = len(offset)
    joined = LabelColumn(bytes(labels.arena) + arena, labels.offset, labels.length, labels.hash)
    batch = SeriesBatch(
        joined,
        np.arange(SERIES + 1) * CHUNKS,
        times[start[:-1]],
        times[start[1:] - 1],
        np.full(count, HISTOGRAM_CHUNK, np.uint8),
        np.zeros(count, np.uint8),
        offset + len(bytes(labels.arena)),
        length,
    )
    return Held(HistogramChunks(labels, arena, offset, length)), batch


def in_process(held: Held, threads: int, repeats: int) -> Measure:
    """Median (wall, CPU) seconds of a query by the engine."""
    pool = ThreadPool("compute", threads) if threads > 1 else InlinePool()
    engine = Engine(EngineOptions(), Workers(InlinePool(), pool))
    end = START_MS + SAMPLES * INTERVAL_MS

    def measure(text: str) -> tuple[float, float]:
        query = RangeQuery(text, end - (STEPS - 1) * INTERVAL_MS, end, INTERVAL_MS)
        times = []
        for _ in range(repeats):
            cpu, wall = time.process_time(), time.perf_counter()
            engine.range(RequestContext(), held, query)
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
        return statistics.median(a for a, _ in times), statistics.median(b for _, b in times)

    return measure


@contextlib.contextmanager
def by_prometheus(binary: str, batch: SeriesBatch, repeats: int, port: int) -> Iterator[Measure]:
    """The same of a Prometheus over a block of the series, over HTTP."""
    with tempfile.TemporaryDirectory() as home:
        ulid = new_ulid(START_MS, lambda size: bytes(size))
        meta = BlockMeta(
            ulid=ulid, mint=START_MS, maxt=START_MS + 7_200_000, compaction=Compaction(level=1, sources=(ulid,))
        )
        write_block(Path(home, "data"), meta, [batch])
        Path(home, "prometheus.yml").write_text("scrape_configs: []\n")
        flags = ("--storage.tsdb.retention.time=100y", "--log.level=error", f"--web.listen-address=127.0.0.1:{port}")
        process = subprocess.Popen(
            [binary, f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data", *flags]
        )
        try:
            _until_ready(port)
            usage = ServerUsage(process.pid)
            yield lambda text: _asked(port, usage, text, repeats)
        finally:
            process.terminate()
            process.wait()


def _until_ready(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready"):
            return
        time.sleep(0.1)
    raise TimeoutError("Prometheus is not ready")


def _asked(port: int, usage: ServerUsage, text: str, repeats: int) -> tuple[float, float]:
    end = START_MS + SAMPLES * INTERVAL_MS
    parameters = {"query": text, "start": (end - (STEPS - 1) * INTERVAL_MS) / 1000, "end": end / 1000, "step": 15}
    url = f"http://127.0.0.1:{port}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
    walls, before = [], usage.cpu_seconds() or 0.0
    for _ in range(repeats):
        wall = time.perf_counter()
        with urllib.request.urlopen(url) as answer:
            answer.read()
        walls.append(time.perf_counter() - wall)
    return statistics.median(walls), ((usage.cpu_seconds() or 0.0) - before) / repeats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", metavar="BINARY")
    parser.add_argument("--port", type=int, default=19_190)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--query", action="append")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    keep_freed_memory()
    held, batch = build()
    with contextlib.ExitStack() as stack:
        engines = {
            "1 thread": in_process(held, 1, options.repeats),
            "2 threads": in_process(held, 2, options.repeats),
        }
        if options.prometheus:
            peer = by_prometheus(options.prometheus, batch, options.repeats, options.port)
            engines["prometheus"] = stack.enter_context(peer)
        results = []
        for text in options.query or QUERIES:
            row: dict[str, object] = {"query": text}
            for name, measure in engines.items():
                wall, cpu = measure(text)
                row[name] = {"wall_ms": round(wall * 1e3, 1), "cpu_ns_per_point": round(cpu / SERIES / STEPS * 1e9, 1)}
            results.append(row)
            if not options.json:
                print(f"{text:45}", *(f"{name}: {row[name]}" for name in engines), flush=True)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
