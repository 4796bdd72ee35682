"""The blocks that the end-to-end drivers ask for, written once into bench/.data by a fixed seed.

    python -m bench.data            writes what is missing and prints where it is

``fleet``: 100,000 series of one counter with 10 labels (8 of the series, 2 of the block) and 2 chunks of 120 samples,
30 s apart. ``graph``: 10,000 series of the counter ``m`` in 100 groups ``g``, 260 samples 15 s apart, and 1,000 series
of the counter ``j`` with 1,030 samples; 1 of 20 scrapes comes up to 5 ms early or late. Each is a bucket folder with
one block, which a Prometheus can serve too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pythanos.model.series import SeriesBatch
from pythanos.testing.series_batches import encode_matrix
from pythanos.tsdb.block_writer import write_block
from pythanos.tsdb.meta import BlockMeta, Compaction, ThanosMeta, new_ulid

FOLDER = Path(__file__).parent / ".data"
START_MS = 1_700_006_400_000
BATCH = 500

FLEET_SERIES, FLEET_SAMPLES, FLEET_STEP_MS = 100_000, 240, 30_000
GRAPH_SERIES, GRAPH_GROUPS, GRAPH_SAMPLES = 10_000, 100, 260
JSON_SERIES, JSON_SAMPLES = 1_000, 1_030
GRAPH_STEP_MS = 15_000


@dataclass(frozen=True, slots=True)
class Dataset:
    """A bucket folder with one block; ``[mint, maxt)`` ms is where it has samples."""

    folder: Path
    mint: int
    maxt: int


def fleet() -> Dataset:
    return _dataset("fleet", FLEET_SAMPLES * FLEET_STEP_MS, _fleet_batches)


def graph() -> Dataset:
    return _dataset("graph", JSON_SAMPLES * GRAPH_STEP_MS, _graph_batches)


def _dataset(name: str, span_ms: int, batches: Callable[[], Iterator[SeriesBatch]]) -> Dataset:
    found = Dataset(FOLDER / name, START_MS, START_MS + span_ms)
    if not any(found.folder.glob("*/meta.json")):
        found.folder.mkdir(parents=True, exist_ok=True)
        ulid = new_ulid(found.maxt, lambda size: bytes(size))
        labels = {"cluster": "bench", "replica": "a"}
        thanos = ThanosMeta(version=1, labels=labels, source="bucket.upload")
        compaction = Compaction(level=1, sources=(ulid,))
        meta = BlockMeta(ulid=ulid, mint=found.mint, maxt=found.maxt, compaction=compaction, thanos=thanos)
        write_block(found.folder, meta, batches())
    return found


def _counters(labels: list[dict[str, str]], times: NDArray[np.int64], rng: np.random.Generator) -> SeriesBatch:
    values = np.cumsum(rng.integers(0, 50, (len(labels), len(times))), axis=1).astype(np.float64)
    return encode_matrix(labels, times, values)


def _fleet_batches() -> Iterator[SeriesBatch]:
    rng = np.random.default_rng(1)
    times = START_MS + np.arange(FLEET_SAMPLES, dtype=np.int64) * FLEET_STEP_MS
    rows = [
        {
            "__name__": "http_requests_total",
            "code": str(200 + i % 5),
            "container": "server",
            "handler": f"/api/v1/handler/{i % 40}",
            "instance": f"10.0.{i // 256 % 256}.{i % 256}:8080",
            "job": f"frontend-{i % 7}",
            "namespace": "production",
            "pod": f"frontend-{i:07d}",
        }
        for i in range(FLEET_SERIES)
    ]
    rows.sort(key=lambda row: sorted(row.items()))
    for first in range(0, len(rows), BATCH):
        yield _counters(rows[first : first + BATCH], times, rng)


def _graph_batches() -> Iterator[SeriesBatch]:
    rng = np.random.default_rng(7)
    yield from _jittered("j", JSON_SERIES, JSON_SAMPLES, rng)
    yield from _jittered("m", GRAPH_SERIES, GRAPH_SAMPLES, rng)


def _jittered(name: str, series: int, samples: int, rng: np.random.Generator) -> Iterator[SeriesBatch]:
    """Every hundred series share their scrape times."""
    rows = [
        {
            "__name__": name,
            "g": f"g{i % GRAPH_GROUPS}",
            "instance": f"10.0.{i % 256}.{i // 256}",
            "job": "bench",
            "pod": f"pod-{i:06d}",
        }
        for i in range(series)
    ]
    rows.sort(key=lambda row: sorted(row.items()))
    for first in range(0, series, 100):
        jitter = np.where(rng.random(samples) < 0.05, rng.integers(-5, 6, samples), 0)
        phase = 10 + rng.integers(0, GRAPH_STEP_MS - 20)
        times = START_MS + phase + GRAPH_STEP_MS * np.arange(samples, dtype=np.int64) + jitter
        yield _counters(rows[first : first + 100], times, rng)


def main() -> None:
    for dataset in (fleet(), graph()):
        size = sum(path.stat().st_size for path in dataset.folder.rglob("*") if path.is_file())
        print(f"{dataset.folder}: {size / 1e6:.1f} MB, {dataset.mint} to {dataset.maxt} ms")


if __name__ == "__main__":
    main()
