"""Index kernels: ns per series of a block of 10-label series with two chunks of 120 samples each, and header opening.

Figures are medians of thread CPU time. "block to batch" is decode_series and assemble in batches of 1024, CRCs checked.
"""

import argparse
import io
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pythanos import _assemble, _wire
from pythanos._chunks import encode_floats
from pythanos._index import decode_series
from pythanos._labels import concat, labels_from_dicts, sort_order
from pythanos._symbols import crc32c_of
from pythanos.model.entries import SeriesEntries
from pythanos.model.series import LabelColumn, SeriesBatch
from pythanos.runtime.allocator import keep_freed_memory
from pythanos.tsdb.index_header import IndexHeader, write_index_header
from pythanos.tsdb.index_reader import IndexReader
from pythanos.tsdb.index_writer import IndexWriter
from pythanos.workers import InlinePool

CHUNKS = 2
SAMPLES = 120
START = 1_700_000_000_000
BATCH = 1024


def fleet(n: int) -> LabelColumn:
    rng = random.Random(3)
    sets = [
        {
            "__name__": f"http_request_duration_{i % 20}_seconds_total",
            "cluster": f"eu-west-{i % 3}",
            "container": "server",
            "endpoint": "metrics",
            "instance": f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}:9090",
            "job": f"team/service-{i % 40}",
            "method": rng.choice(["GET", "PUT", "POST", "DELETE"]),
            "namespace": f"namespace-{i % 200}",
            "pod": f"service-{i % 40}-7d9f8b6c5-{i:05x}",
            "status": rng.choice(["200", "204", "404", "500"]),
        }
        for i in range(n)
    ]
    column = labels_from_dicts(sets)
    return concat([column.take(sort_order(column))])


def segment(n: int) -> tuple[bytes, np.ndarray]:
    """A segment file of counters with two chunks a series, and the chunk references."""
    rng = np.random.default_rng(5)
    kinds = 64
    at = np.tile(np.arange(SAMPLES, dtype=np.int64) * 15_000 + START, kinds)
    values = np.cumsum(rng.integers(0, 40, kinds * SAMPLES)).astype(np.float64)
    arena, offset, length = encode_floats(at, values, np.arange(kinds + 1, dtype=np.int64) * SAMPLES)
    records = []
    for start, size in zip(offset.tolist(), length.tolist(), strict=True):
        body = b"\x01" + bytes(arena[start : start + size])
        head = bytes([size & 0x7F | 0x80, size >> 7]) if size >= 128 else bytes([size])
        records.append(head + body + crc32c_of(body).to_bytes(4, "big"))
    order = rng.integers(0, kinds, n * CHUNKS)
    sizes = np.array([len(record) for record in records])[order]
    refs = 8 + np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return bytes.fromhex("85bd40dd01000000") + b"".join(records[k] for k in order.tolist()), refs.astype(np.uint64)


def index_of(labels: LabelColumn, refs: np.ndarray) -> bytes:
    n = len(labels)
    mint = START + np.tile(np.arange(CHUNKS, dtype=np.int64) * SAMPLES * 15_000, n)
    writer = IndexWriter()
    writer.add(labels, np.arange(n + 1, dtype=np.int64) * CHUNKS, mint, mint + (SAMPLES - 1) * 15_000, refs)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def measure(name: str, n: int, jobs: Sequence[Callable[[], object]], unit: str = "ns/series", repeat: int = 15) -> None:
    """Runs the jobs that make the whole a few times: the sum of the least time of each, and the median sum."""
    for job in jobs:
        job()
    times = [[_timed(job) for job in jobs] for _ in range(repeat)]
    least = sum(map(min, zip(*times, strict=True)))
    print(f"{name:42s} {least / n * 1e9:9.1f} {unit}, median {statistics.median(map(sum, times)) / n * 1e9:.1f}")


def _timed(job: Callable[[], object]) -> float:
    start = time.thread_time()
    job()
    return time.thread_time() - start


class Folder:
    """The part of a bucket that write_index_header reads."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def attributes(self, name: str) -> "Folder":
        self.size = len(self.objects[name])
        return self

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        return self.objects[name][offset : offset + length]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=100_000)
    n = parser.parse_args().series
    keep_freed_memory()
    labels = fleet(n)
    chunks, refs = segment(n)
    index = index_of(labels, refs)
    reader = IndexReader(index)
    places = reader.all_series().astype(np.int64) * 16
    print(
        f"{n} series, {len(reader.symbols)} symbols, index {len(index) / n:.0f}, chunks {len(chunks) / n:.0f} B/series"
    )
    measure("index write", n, [lambda: index_of(labels, refs)])
    measure("decode_series, one call", n, [lambda: decode_series(index, places, reader.symbols, 0, 2**62)])
    cuts = [places[at : at + BATCH] for at in range(0, n, BATCH)]

    def decoded(part: np.ndarray, check: bool) -> SeriesEntries:
        return decode_series([index], part, reader.symbols, 0, 2**62, check_crc=check)

    entries = [decoded(part, False) for part in cuts]
    for check in (False, True):
        measure(f"decode_series, {BATCH} each, crc {check}", n, [partial(decoded, part, check) for part in cuts])
    for check in (False, True):
        measure(
            f"assemble, {BATCH} each, crc {check}", n, [partial(assembled, each, chunks, check) for each in entries]
        )
    for check in (False, True):
        measure(
            f"block to wire bytes, {BATCH} each, crc {check}",
            n,
            [lambda p=part, c=check: _wire.encode_series(assembled(decoded(p, c), chunks, c)) for part in cuts],
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index-header"
        write_index_header(Folder({"b/index": index}), "b", path, InlinePool())
        measure("open index-header", len(reader.symbols), [lambda: IndexHeader(path)], "ns/symbol")
        header = IndexHeader(path)
        print(f"header {path.stat().st_size} B, {len(header.postings)} lists, tables {header.nbytes} B in memory")


def assembled(entries: SeriesEntries, chunks: bytes, check: bool) -> SeriesBatch:
    part = np.zeros(entries.chunk_count, np.int32)
    place = (entries.chunk_ref & np.uint64(0xFFFFFFFF)).astype(np.int64)
    columns = entries.labels, entries.chunk_start, entries.chunk_mint, entries.chunk_maxt
    batch, _, _ = _assemble.assemble(*columns, [chunks], part, place, check_crc=check, wire=True)
    assert batch is not None
    return batch


if __name__ == "__main__":
    main()
