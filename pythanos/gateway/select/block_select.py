"""One block's part of a request, as a stream of batches in label order.

Three phases, each started for every block before the next one is waited for, so that the round trips of many blocks
overlap: ``begin`` (postings), ``start`` (first series entries), ``start_chunks`` (first chunks). Iteration then keeps
reading ahead by bytes. Nothing holds more of the answer than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pythanos._labels import label_block
from pythanos.gateway.limits import ChunkBudget
from pythanos.gateway.select.chunks_fetch import ChunksFetch
from pythanos.gateway.select.ordering import METRIC_NAME, in_label_order, may_reorder, sorted_refs
from pythanos.gateway.select.postings_fetch import Expanded, PostingsFetch
from pythanos.gateway.select.read_ahead import ReadAhead
from pythanos.gateway.select.run import SelectableBlock, SelectRun
from pythanos.gateway.select.series_fetch import EntryFilter, SeriesFetch
from pythanos.model.entries import SeriesEntries
from pythanos.model.matchers import Matcher
from pythanos.model.series import LabelColumn, SeriesBatch
from pythanos.storeapi.requests import ShardInfo
from pythanos.tsdb.index_header import IndexHeader

T = TypeVar("T")
R = TypeVar("R")

SLICE_BYTES_MIN, SLICE_BYTES_MAX = 256 << 10, 2 << 20


@dataclass(frozen=True, slots=True)
class BlockRequest:
    """What a request wants of each block of one external label set.

    ``matchers``: those on the series' own labels, at least one. ``external``: labels to merge in, replica labels left
    out already. ``drop``: replica labels to take out of the series. ``limit`` 0: all series. ``aggregates``: kinds
    wanted of downsampled chunks. ``prefetch_bytes``: this block's share of what may be on its way. ``alone``: it is
    the only block of the request.
    """

    mint: int
    maxt: int
    matchers: tuple[Matcher, ...]
    external: dict[str, str]
    drop: tuple[str, ...] = ()
    aggregates: tuple[int, ...] = ()
    skip_chunks: bool = False
    shard: ShardInfo | None = None
    limit: int = 0
    prefetch_bytes: int = SLICE_BYTES_MAX
    alone: bool = False


class BlockSelect:
    """An iterator of SeriesBatch. Close it to release what is on its way."""

    def __init__(self, run: SelectRun, block: SelectableBlock, wanted: BlockRequest) -> None:
        self._run = run
        self._block = block
        self._wanted = wanted
        eager = frozenset((*wanted.external, *wanted.drop))
        self._postings = PostingsFetch(run, block, wanted.matchers, eager=eager, alone=wanted.alone)
        self._header: IndexHeader | None = None
        self._entries: Iterator[SeriesEntries] = iter(())
        self._batches: Iterator[SeriesBatch] = iter(())
        self._stages: list[ReadAhead[Any, Any]] = []
        self._fetches: list[SeriesFetch | ChunksFetch] = []
        share = wanted.prefetch_bytes // 2
        self._slice_bytes = max(SLICE_BYTES_MIN, min(SLICE_BYTES_MAX, share))
        self._stage_bytes = max(share, self._slice_bytes)

    def begin(self) -> None:
        """Starts reading postings."""
        self._header = self._block.open_header()
        self._postings.begin(self._header)

    def start(self) -> None:
        """Waits for the postings and starts reading the first series. Raises LimitExceeded, CorruptData, Retryable."""
        expanded = self._postings.finish()
        if not expanded.lazy:
            self._run.limits.series.take(len(expanded.refs))
        if len(expanded.refs) and self._header is not None:
            self._entries = self._limited(self._in_order(expanded, self._header))
        self._batches = self._without_chunks() if self._wanted.skip_chunks else self._with_chunks()

    def start_chunks(self) -> None:
        """Waits for the first series and starts reading their chunks."""
        if isinstance(self._batches, ReadAhead):
            self._batches.begin()

    def __iter__(self) -> Iterator[SeriesBatch]:
        return self

    def __next__(self) -> SeriesBatch:
        self._run.ctx.check()
        return next(self._batches)

    def close(self) -> None:
        self._postings.cancel()
        for stage in reversed(self._stages):
            stage.close()
        for fetch in self._fetches:
            fetch.observe()
        self._fetches.clear()

    def _in_order(self, expanded: Expanded, header: IndexHeader) -> Iterator[SeriesEntries]:
        wanted = self._wanted
        entry_filter = EntryFilter(
            wanted.mint,
            wanted.maxt,
            external=label_block(wanted.external),
            drop=tuple(name.encode("utf-8", "surrogateescape") for name in wanted.drop),
            lazy=expanded.lazy,
            shard=wanted.shard,
            skip_chunks=wanted.skip_chunks,
        )
        if not may_reorder(header.has_label, wanted.external, wanted.drop):
            stage = self._series_stage(SeriesFetch(self._run, self._block, header, entry_filter), (expanded.refs,))
            stage.begin()
            return in_label_order(stage)
        labels_only = SeriesFetch(self._run, self._block, header, replace(entry_filter, skip_chunks=True))
        by_metric = header.label_names()[0] == METRIC_NAME and self._keeps_metric_name()
        runs = sorted_refs(
            self._labels_stage(labels_only, expanded.refs), by_metric=by_metric, check=self._run.ctx.check
        )
        # Lazy matchers and shard have done their work in the first pass.
        second = SeriesFetch(self._run, self._block, header, replace(entry_filter, lazy=(), shard=None))
        return iter(self._series_stage(second, runs))

    def _keeps_metric_name(self) -> bool:
        """Whether every series that matches has a metric name, and keeps it."""
        if METRIC_NAME in self._wanted.external or METRIC_NAME in self._wanted.drop:
            return False
        return any(one.name == METRIC_NAME and not one.matches_empty for one in self._wanted.matchers)

    def _series_stage(
        self, series: SeriesFetch, runs: Iterable[NDArray[np.uint32]]
    ) -> ReadAhead[NDArray[np.uint32], SeriesEntries]:
        self._fetches.append(series)
        slices = (part for refs in runs for part in series.slices(refs, self._items_max(), self._slice_bytes))
        return self._stage(series.read, slices)

    def _labels_stage(
        self, series: SeriesFetch, refs: NDArray[np.uint32]
    ) -> ReadAhead[NDArray[np.uint32], tuple[NDArray[np.uint32], LabelColumn]]:
        def read(some: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], LabelColumn]:
            entries = series.read(some)
            return some[entries.rows], entries.labels

        slices = series.slices(refs, self._items_max(), self._slice_bytes)
        return self._stage(read, slices)

    def _with_chunks(self) -> Iterator[SeriesBatch]:
        chunks = ChunksFetch(self._run, self._block, self._wanted.aggregates)
        self._fetches.append(chunks)
        slices = (
            part for entries in self._entries for part in chunks.slices(entries, self._items_max(), self._slice_bytes)
        )
        return self._stage(chunks.read, slices, self._run.budget)

    def _without_chunks(self) -> Iterator[SeriesBatch]:
        for entries in self._entries:
            none = np.empty(0, np.int64)
            kinds = np.empty(0, np.uint8)
            start = np.zeros(len(entries) + 1, np.int64)
            yield SeriesBatch(entries.labels, start, none, none, kinds, kinds, none, np.empty(0, np.int32))

    def _limited(self, batches: Iterator[SeriesEntries]) -> Iterator[SeriesEntries]:
        """At most ``limit`` series (ST-22)."""
        left = self._wanted.limit
        for entries in batches:
            if left and len(entries) >= left:
                yield entries.take(np.arange(left))
                return
            if left:
                left -= len(entries)
            if len(entries):
                yield entries

    def _items_max(self) -> int:
        return min(self._run.options.series_batch_size, self._wanted.limit or self._run.options.series_batch_size)

    def _stage(
        self, job: Callable[[T], R], items: Iterable[tuple[T, int]], budget: ChunkBudget | None = None
    ) -> ReadAhead[T, R]:
        stage = ReadAhead(
            self._run.fetch, job, items, bytes_max=self._stage_bytes, budget=budget, alone=self._wanted.alone
        )
        self._stages.append(stage)
        return stage
