"""The answer to one Series call: a select per block, merged, limited, counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pythanos._reads import row_sums
from pythanos.gateway.bucket_block import BucketBlock
from pythanos.gateway.select.block_select import BlockRequest, BlockSelect
from pythanos.gateway.select.run import SelectRun
from pythanos.model.matchers import Matcher
from pythanos.model.series import SeriesBatch
from pythanos.model.timerange import ClosedRange
from pythanos.storeapi.batches import SeriesFrame, SeriesHints
from pythanos.storeapi.merge import merge_series, slice_batch
from pythanos.storeapi.requests import SeriesRequest

# Series in a batch where the request does not say: large enough that the cost per batch vanishes.
BATCH_SERIES = 4096


class SeriesAnswer:
    """Iterable once. The blocks are pinned by the caller for as long as it iterates."""

    def __init__(
        self,
        run: SelectRun,
        request: SeriesRequest,
        wanted: ClosedRange,
        blocks: Sequence[tuple[BucketBlock, tuple[Matcher, ...]]],
    ) -> None:
        self._run = run
        self._request = request
        self._blocks = blocks
        share = run.options.prefetch_bytes_max // max(1, len(blocks))
        self._selects = [
            BlockSelect(run, block, self._block_request(block, matchers, wanted, share)) for block, matchers in blocks
        ]

    def __iter__(self) -> Iterator[SeriesFrame]:
        try:
            yield from self._frames()
        finally:
            for select in self._selects:
                select.close()
            self._run.metrics.observe(self._run.stats, self._run.tenant)

    def _frames(self) -> Iterator[SeriesFrame]:
        run, ctx = self._run, self._run.ctx
        begin = ctx.monotonic()
        for phase in (BlockSelect.begin, BlockSelect.start, BlockSelect.start_chunks):
            for select in self._selects:
                ctx.check()
                phase(select)
        merging = ctx.monotonic()
        run.stats.add(blocks_queried=len(self._selects), get_all_duration=(merging - begin) * 1e9)
        run.metrics.get_all_seconds.labels(run.tenant).observe(merging - begin)
        run.metrics.blocks_queried.labels(run.tenant).observe(len(self._selects))
        yield from self._merged()
        seconds = ctx.monotonic() - merging
        run.stats.add(merge_duration=seconds * 1e9)
        run.metrics.merge_seconds.labels(run.tenant).observe(seconds)
        queried = tuple(block.ulid for block, _ in self._blocks)
        yield SeriesHints(queried, run.stats.hints() if self._request.enable_query_stats else {})

    def _merged(self) -> Iterator[SeriesBatch]:
        left = self._request.limit
        for batch in merge_series(self._selects, self._request.response_batch_size or BATCH_SERIES):
            self._run.ctx.check()
            last = bool(left) and len(batch) >= left
            if last:
                batch = slice_batch(batch, 0, left)
            self._count(batch)
            yield batch
            if last:
                return
            left -= len(batch) if left else 0

    def _count(self, batch: SeriesBatch) -> None:
        self._run.stats.add(merged_series_count=len(batch), merged_chunks_count=batch.chunk_count)
        if not self._request.skip_chunks:
            sizes = row_sums(batch.chunk_length, batch.chunk_start)
            self._run.metrics.sent_chunk_bytes.labels(self._run.tenant).observe_all(sizes)

    def _block_request(
        self, block: BucketBlock, matchers: tuple[Matcher, ...], wanted: ClosedRange, share: int
    ) -> BlockRequest:
        request, drop = self._request, frozenset(self._request.without_replica_labels)
        return BlockRequest(
            wanted.mint,
            wanted.maxt,
            matchers,
            {name: value for name, value in block.labels.items() if name not in drop},
            drop=tuple(sorted(drop)),
            aggregates=request.aggregates,
            skip_chunks=request.skip_chunks,
            shard=request.shard,
            limit=request.limit,
            prefetch_bytes=share,
            alone=len(self._blocks) == 1,
        )
