"""The series of one remote read query, batch by batch, in the bytes of either format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pythanos._dedup import CHAIN, PENALTY, decode_series
from pythanos._remote_read import chunk_frames, sample_series
from pythanos.context import RequestContext
from pythanos.errors import BadRequest
from pythanos.model.chunks import FLOAT_HISTOGRAM
from pythanos.model.resolution import RAW
from pythanos.model.series import SeriesBatch
from pythanos.query.queryable import batch_size_for
from pythanos.query.remote_read.reencode import reencoded
from pythanos.query.remote_read.requests import ReadQuery
from pythanos.storeapi.requests import PartialResponse, QueryHints, SeriesRequest
from pythanos.storeapi.store import Store

ALGORITHMS = {"penalty": PENALTY, "chain": CHAIN}
SOURCE = "chunk of a series response"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """replica_labels: dropped, and the replicas made one by ``deduplication``; empty for none.

    An answer cannot carry warnings, so ``partial_response`` (what a store did not send is missing) is for those who
    asked for it. samples_max: of one query in decoded form, 0 for no limit; frame_bytes: where a frame ends.
    """

    replica_labels: tuple[str, ...] = ()
    deduplication: str = "penalty"
    partial_response: bool = False
    samples_max: int = 50_000_000
    frame_bytes: int = 1 << 20


def read_samples(ctx: RequestContext, store: Store, query: ReadQuery, options: ReadOptions) -> Iterator[bytes]:
    """The TimeSeries of a QueryResult in label order. Raises what the store raises, BadRequest for too many samples."""
    count = 0
    for batch in _batches(ctx, store, query, options):
        samples = decode_series(batch, mint=query.mint, maxt=query.maxt, algorithm=_algorithm(options), file=SOURCE)
        count += len(samples.timestamps) + (0 if samples.histograms is None else len(samples.histograms))
        if 0 < options.samples_max < count:
            raise BadRequest(f"exceeded sample limit ({options.samples_max})")
        yield sample_series(samples)


def read_chunks(
    ctx: RequestContext, store: Store, query: ReadQuery, options: ReadOptions, *, query_index: int
) -> Iterator[bytes]:
    """Frames of chunks in label order; chunks may reach beyond the range that was asked for.

    Chunks pass as they are unless those of a series overlap, as replicas do, or are of an encoding that clients
    before Prometheus 3.14 do not know: then the samples of the batch are deduplicated and encoded anew.
    """
    for batch in _batches(ctx, store, query, options):
        if _passes(batch):
            yield chunk_frames(batch, query_index=query_index, frame_bytes=options.frame_bytes)
            continue
        samples = decode_series(batch, mint=query.mint, maxt=query.maxt, algorithm=_algorithm(options), file=SOURCE)
        anew, arena = reencoded(samples)
        yield chunk_frames(anew, query_index=query_index, frame_bytes=options.frame_bytes, chunk_arena=arena)


def _batches(ctx: RequestContext, store: Store, query: ReadQuery, options: ReadOptions) -> Iterator[SeriesBatch]:
    frames = store.series(ctx, _request(query, options))
    try:
        for frame in frames:
            ctx.check()
            if isinstance(frame, SeriesBatch):
                yield frame
    finally:
        close = getattr(frames, "close", None)
        if close is not None:
            close()


def _request(query: ReadQuery, options: ReadOptions) -> SeriesRequest:
    return SeriesRequest(
        query.mint,
        query.maxt,
        query.matchers,
        aggregates=(RAW,),
        partial_response=PartialResponse.WARN if options.partial_response else PartialResponse.ABORT,
        step_ms=query.step_ms,
        range_ms=query.range_ms,
        query_hints=QueryHints(step_ms=query.step_ms, func=query.func, range_ms=query.range_ms),
        without_replica_labels=options.replica_labels,
        response_batch_size=batch_size_for(query.maxt - query.mint),
    )


def _algorithm(options: ReadOptions) -> int:
    """Without replicas, chunks of one series overlap where blocks do: every sample counts, as in Prometheus."""
    return ALGORITHMS[options.deduplication] if options.replica_labels else CHAIN


def _passes(batch: SeriesBatch) -> bool:
    """Whether clients can take the chunks as they are: known encodings, one after another in each series."""
    if (batch.chunk_encoding > FLOAT_HISTOGRAM).any():
        return False
    overlaps = batch.chunk_mint[1:] <= batch.chunk_maxt[:-1]
    first = batch.chunk_start[(batch.chunk_start > 0) & (batch.chunk_start < batch.chunk_count)]
    overlaps[first - 1] = False
    return not bool(np.any(overlaps))
