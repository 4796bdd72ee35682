"""Series in memory as a store would send them, built once by a fixed seed and kept in bench/.data.

Counters of 260 samples 15 s apart, one of 20 scrapes up to 5 ms early or late, in three XOR chunks; every hundred
series share their scrape times. Built by a process of their own, so that what a bench holds is what it asked for.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bench import data
from pythanos import _labels
from pythanos._dedup import NAIVE, PENALTY
from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher
from pythanos.model.series import LabelColumn, SeriesBatch
from pythanos.promql.queryable import EncodedSeries, SelectHints, Selection
from pythanos.query.aggregates import COUNTER_FUNCTIONS, aggregate_for
from pythanos.query.queryable import Decoding, EncodedBatch
from pythanos.storeapi.merge import slice_batch
from pythanos.testing.series_batches import encode_matrix

SAMPLES, INTERVAL_MS, STEPS = 260, 15_000, 240
START_MS = data.START_MS
END_MS = START_MS + SAMPLES * INTERVAL_MS
BATCH, SHARED = 1024, 100
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "10", "+Inf")

Labels = dict[str, str]


def fleet(name: str, count: int, groups: int = 100) -> list[Labels]:
    return [
        {
            "__name__": name,
            "g": f"g{i % groups}",
            "instance": f"10.0.{i % 256}.{i // 256}",
            "job": "bench",
            "pod": f"pod-{i:06d}",
        }
        for i in range(count)
    ]


def buckets(count: int) -> list[Labels]:
    """The buckets of ``count`` classic histograms."""
    return [row | {"le": le} for row in fleet("b_bucket", count) for le in BOUNDS]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a set of series is made of; with ``replicas`` each series has the chunks of so many."""

    rows: Callable[[], list[Labels]]
    replicas: int = 1


KINDS = {
    "10k": Kind(lambda: fleet("m", 10_000)),
    "100k": Kind(lambda: fleet("m", 100_000)),
    "two replicas": Kind(lambda: fleet("m", 50_000), 2),
    "buckets": Kind(lambda: buckets(10_000)),
}


@dataclass(frozen=True, slots=True)
class Held:
    """A Queryable over one batch of series: whatever is asked, all of them, decoded as the answer of a store is."""

    all: SeriesBatch
    dedups: bool
    hidden_labels: frozenset[str] = frozenset()

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        algorithm = PENALTY if self.dedups else NAIVE
        counter = self.dedups and hints.func in COUNTER_FUNCTIONS
        return Selection(self._batches(Decoding(hints.mint, hints.maxt, aggregate_for(hints.func), algorithm, counter)))

    def _batches(self, decoding: Decoding) -> Iterator[EncodedSeries]:
        for first in range(0, len(self.all), BATCH):
            yield EncodedBatch(slice_batch(self.all, first, min(first + BATCH, len(self.all))), decoding)


def load(kind: str) -> Held:
    """A key of KINDS; what has not been written yet is written."""
    path = data.FOLDER / f"{kind.replace(' ', '-')}.npz"
    if not path.exists():
        subprocess.run([sys.executable, "-m", "bench.held", kind], check=True)
    with np.load(path) as found:
        columns = {name: found[name] for name in found.files}
    labels = LabelColumn(columns.pop("arena").tobytes(), *(columns.pop(name) for name in ("offset", "length", "hash")))
    return Held(SeriesBatch(labels, **columns), KINDS[kind].replicas > 1)


def build(kind: Kind) -> SeriesBatch:
    rows = sorted(kind.rows(), key=lambda row: sorted(row.items()))
    rng = np.random.default_rng(7)
    parts = [_part(rows[first : first + SHARED], kind.replicas, rng) for first in range(0, len(rows), SHARED)]
    arenas, columns, at, chunks = [], [], 0, 0
    for part in parts:
        labels = part.labels
        columns.append(
            (
                labels.offset + at,
                labels.length,
                labels.hash,
                part.chunk_start[:-1] + chunks,
                part.chunk_mint,
                part.chunk_maxt,
                part.chunk_encoding,
                part.chunk_aggregate,
                part.chunk_offset + at,
                part.chunk_length,
            )
        )
        arenas.append(bytes(labels.arena))
        at, chunks = at + len(arenas[-1]), chunks + part.chunk_count
    offset, length, hashes, start, *rest = (np.concatenate(column) for column in zip(*columns, strict=True))
    return SeriesBatch(LabelColumn(b"".join(arenas), offset, length, hashes), np.append(start, chunks), *rest)


def _part(rows: list[Labels], replicas: int, rng: np.random.Generator) -> SeriesBatch:
    """Some series, the chunks of their replicas one after the other in order of time."""
    values = np.cumsum(rng.integers(0, 50, (len(rows), SAMPLES)), axis=1).astype(np.float64)
    found = []
    for _ in range(replicas):
        jitter = np.where(rng.random(SAMPLES) < 0.05, rng.integers(-5, 6, SAMPLES), 0)
        phase = 10 + rng.integers(0, INTERVAL_MS - 20)
        found.append(encode_matrix(rows, START_MS + phase + INTERVAL_MS * np.arange(SAMPLES) + jitter, values))
    if replicas == 1:
        return found[0]
    arenas = [bytes(batch.labels.arena) for batch in found]
    sizes = np.cumsum([0, *map(len, arenas)])
    series = np.concatenate([np.repeat(np.arange(len(rows)), np.diff(batch.chunk_start)) for batch in found])
    names = ("chunk_mint", "chunk_maxt", "chunk_encoding", "chunk_aggregate", "chunk_offset", "chunk_length")
    joined = {name: np.concatenate([getattr(batch, name) for batch in found]) for name in names}
    joined["chunk_offset"] = np.concatenate(
        [batch.chunk_offset + size for batch, size in zip(found, sizes[:-1], strict=True)]
    )
    order = np.lexsort((joined["chunk_mint"], series))
    start = np.searchsorted(series[order], np.arange(len(rows) + 1))
    labels = found[0].labels
    column = LabelColumn(b"".join(arenas), labels.offset, labels.length, labels.hash)
    return SeriesBatch(column, start, **{name: values[order] for name, values in joined.items()})


def main() -> None:
    for name in sys.argv[1:] or KINDS:
        batch = build(KINDS[name])
        columns = {field: getattr(batch, field) for field in batch.__slots__ if field not in ("labels", "wire")}
        columns |= {field: getattr(batch.labels, field) for field in ("offset", "length", "hash")}
        data.FOLDER.mkdir(exist_ok=True)
        arena = np.frombuffer(batch.labels.arena, np.uint8)
        np.savez(data.FOLDER / f"{name.replace(' ', '-')}.npz", arena=arena, **columns)
        order = _labels.sort_order(batch.labels)
        assert (order[1:] > order[:-1]).all(), "series are not in label order"


if __name__ == "__main__":
    main()
