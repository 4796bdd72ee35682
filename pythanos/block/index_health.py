"""What can be wrong with a block's index although every byte of it is readable.

The checks and their names are those of Thanos: chunks out of order, duplicated, or outside of the block's time range
(issue 347 of Prometheus' tsdb: a chunk that begins where the block ends), label sets with names out of order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pythanos._labels import compare, count_misordered, is_sorted
from pythanos.context import RequestContext
from pythanos.errors import CorruptData
from pythanos.model.entries import SeriesEntries
from pythanos.model.series import LabelColumn
from pythanos.model.timerange import BlockRange
from pythanos.tsdb.index_reader import SERIES_ALIGN, IndexReader

SERIES_PER_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class IndexHealth:
    """Counts over a whole index; sizes in bytes.

    ``outside_chunks`` includes the ``complete_outside_chunks`` (nobody will ever read them) and the
    ``issue347_outside_chunks``. A series is in ``out_of_order_series`` for chunks that begin before the one before
    them ends; chunks of an equal range count as duplicates instead.
    """

    series: int = 0
    chunks: int = 0
    out_of_order_series: int = 0
    out_of_order_chunks: int = 0
    duplicated_chunks: int = 0
    outside_chunks: int = 0
    complete_outside_chunks: int = 0
    issue347_outside_chunks: int = 0
    out_of_order_labels: int = 0
    series_size_max: int = 0
    chunk_size_max: int = 0

    def problems(self) -> list[str]:
        """One sentence for each kind of problem; none for a healthy index."""
        partly = self.outside_chunks - self.complete_outside_chunks - self.issue347_outside_chunks
        found = [
            (partly, f"found {partly} chunks non-completely outside the block time range"),
            (
                self.complete_outside_chunks,
                f"found {self.complete_outside_chunks} chunks completely outside the block time range",
            ),
            (
                self.issue347_outside_chunks,
                f"found {self.issue347_outside_chunks} chunks outside the block time range introduced by "
                "https://github.com/prometheus/tsdb/issues/347",
            ),
            (
                self.out_of_order_labels,
                f"index contains {self.out_of_order_labels} postings with out of order labels",
            ),
            (self.out_of_order_series, self._out_of_order()),
        ]
        return [text for count, text in found if count]

    def _out_of_order(self) -> str:
        series, chunks = max(1, self.out_of_order_series), max(1, self.out_of_order_chunks)
        return (
            f"{self.out_of_order_series}/{self.series} series have an average of "
            f"{self.out_of_order_chunks / series:.3f} out-of-order chunks: "
            f"{self.duplicated_chunks / chunks:.3f} of these are exact duplicates (in terms of data and time range)"
        )


def check_index(index: IndexReader, block: BlockRange, ctx: RequestContext | None = None) -> IndexHealth:
    """The health of an index whose block covers the range.

    Raises CorruptData where the index cannot be read, or where series are out of order, repeated, empty or without
    chunks: no reader can work with that.
    """
    ctx = ctx or RequestContext()
    refs, health = index.all_series(), IndexHealth()
    last: LabelColumn | None = None
    for start in range(0, len(refs), SERIES_PER_BATCH):
        ctx.check()
        entries = index.series(refs[start : start + SERIES_PER_BATCH])
        _check_series(entries, min(SERIES_PER_BATCH, len(refs) - start), last, index.file)
        health = _counted(health, entries, block)
        last = entries.labels
    align = 1 if index.index_version == 1 else SERIES_ALIGN
    widest = int(np.diff(refs.astype(np.int64)).max(initial=0)) * align
    return replace(health, series_size_max=widest)


def _check_series(entries: SeriesEntries, asked: int, last: LabelColumn | None, file: str) -> None:
    labels = entries.labels
    if len(entries) < asked:
        raise CorruptData(file, -1, f"{asked - len(entries)} series without chunks")
    if (labels.length == 0).any():
        raise CorruptData(file, -1, "series without labels")
    follows = last is None or compare(last, len(last) - 1, labels, 0) < 0
    if not follows or not is_sorted(labels, strict=True):
        raise CorruptData(file, -1, "series out of order or repeated")


def _counted(health: IndexHealth, entries: SeriesEntries, block: BlockRange) -> IndexHealth:
    mint, maxt, start = entries.chunk_mint, entries.chunk_maxt, entries.chunk_start
    counts = np.diff(start)
    series = np.repeat(np.arange(len(entries)), counts)
    outside = (mint < block.mint) | (maxt > block.maxt)
    complete = (mint > block.maxt) | (maxt < block.mint)
    # Pairs of neighbours within one series.
    pair = series[1:] == series[:-1]
    same = pair & (mint[1:] == mint[:-1]) & (maxt[1:] == maxt[:-1])
    disordered = pair & (mint[1:] <= maxt[:-1]) & ~same
    return IndexHealth(
        series=health.series + len(entries),
        chunks=health.chunks + len(mint),
        out_of_order_series=health.out_of_order_series + len(np.unique(series[1:][disordered])),
        out_of_order_chunks=health.out_of_order_chunks + int(disordered.sum()),
        duplicated_chunks=health.duplicated_chunks + int(same.sum()),
        outside_chunks=health.outside_chunks + int(outside.sum()),
        complete_outside_chunks=health.complete_outside_chunks + int((outside & complete).sum()),
        issue347_outside_chunks=health.issue347_outside_chunks
        + int((outside & ~complete & (mint == block.maxt)).sum()),
        out_of_order_labels=health.out_of_order_labels + count_misordered(entries.labels),
        chunk_size_max=max(health.chunk_size_max, _chunk_size_max(entries, pair)),
    )


def _chunk_size_max(entries: SeriesEntries, pair: np.ndarray) -> int:
    """The largest distance between neighbouring chunks of a series in one segment file."""
    ref = entries.chunk_ref
    same_file = pair & (ref[1:] >> np.uint64(32) == ref[:-1] >> np.uint64(32))
    sizes = ref[1:][same_file].astype(np.int64) - ref[:-1][same_file].astype(np.int64)
    return int(sizes.max(initial=0))
