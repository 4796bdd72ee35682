"""Streaming merges of sorted SeriesBatch streams: equal label sets joined, identical chunks dropped.

One batch per stream is held, whatever the length of the streams. Nothing here decodes samples: replicas that have
the same labels are joined chunk by chunk, and deduplicated above.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels
from pythanos._batches import relabeled, slice_batch
from pythanos._merge import DONE, FULL, Merger
from pythanos.storeapi.batches import SeriesBatch, SeriesFrame

__all__ = ["merge_frames", "merge_series", "relabeled", "resorted", "slice_batch", "take_series"]


def merge_series(streams: Sequence[Iterator[SeriesBatch]], batch_size: int) -> Iterator[SeriesBatch]:
    """All series of the streams in label order, each label set once, at most ``batch_size`` series a batch.

    Each stream must be in label order; a label set may be repeated, within a stream too. Chunks of a joined series are
    sorted by mint, and those with the same range, kind, encoding and bytes are kept once. A single stream is passed
    through without a copy. Raises CorruptData where a stream is out of order.
    """
    for frame in merge_frames(streams, batch_size):
        if isinstance(frame, SeriesBatch):
            yield frame


def merge_frames(streams: Sequence[Iterator[SeriesFrame]], batch_size: int) -> Generator[SeriesFrame, None, None]:
    """As ``merge_series``; frames that are not batches are passed on when they are met. Closing closes the streams."""
    try:
        if len(streams) == 1:
            yield from _single(streams[0], batch_size)
        elif streams:
            yield from _merged(streams, batch_size)
    finally:
        for stream in streams:
            close = getattr(stream, "close", None)
            if close is not None:
                close()


def _merged(streams: Sequence[Iterator[SeriesFrame]], batch_size: int) -> Iterator[SeriesFrame]:
    merger = Merger(len(streams))
    for number, stream in enumerate(streams):
        yield from _feed(merger, number, stream)
    state = 0
    while state != DONE:
        state = merger.advance(batch_size)
        if state in (FULL, DONE):
            batch = merger.take()
            if batch is not None:
                yield batch
        else:
            yield from _feed(merger, state, streams[state])


def _feed(merger: Merger, number: int, stream: Iterator[SeriesFrame]) -> Iterator[SeriesFrame]:
    """Gives the merger the stream's next batch and passes on what comes before it."""
    for frame in stream:
        if not isinstance(frame, SeriesBatch):
            yield frame
        elif len(frame):
            merger.feed(number, frame)
            return
    merger.feed(number, None)


def _single(stream: Iterator[SeriesFrame], batch_size: int) -> Iterator[SeriesFrame]:
    """Batches as they come, cut to size, as long as no label set is repeated; then merged with themselves."""
    held: SeriesBatch | None = None
    for frame in stream:
        if not isinstance(frame, SeriesBatch):
            yield frame
            continue
        if not len(frame):
            continue
        if held is not None:
            if held.labels.hash[-1] == frame.labels.hash[0]:
                yield from _merged([chain((held, frame), stream)], batch_size)
                return
            yield from _cut(held, batch_size)
            held = None
        if _repeats(frame.labels.hash):
            yield from _merged([chain((frame,), stream)], batch_size)
            return
        held = frame
    if held is not None:
        yield from _cut(held, batch_size)


def _repeats(hashes: NDArray[np.uint64]) -> bool:
    return len(hashes) > 1 and bool((hashes[1:] == hashes[:-1]).any())


def _cut(batch: SeriesBatch, size: int) -> Iterator[SeriesBatch]:
    for start in range(0, len(batch), size):
        yield slice_batch(batch, start, min(start + size, len(batch)))


def take_series(batch: SeriesBatch, rows: NDArray[np.int64]) -> SeriesBatch:
    """Some of a batch's series in the order given, sharing its arena."""
    start = batch.chunk_start[rows]
    count = batch.chunk_start[rows + 1] - start
    chunk_start = np.concatenate(([0], np.cumsum(count)))
    chunks = np.arange(chunk_start[-1]) + np.repeat(start - chunk_start[:-1], count)
    return SeriesBatch(
        batch.labels.take(rows),
        chunk_start,
        batch.chunk_mint[chunks],
        batch.chunk_maxt[chunks],
        batch.chunk_encoding[chunks],
        batch.chunk_aggregate[chunks],
        batch.chunk_offset[chunks],
        batch.chunk_length[chunks],
    )


def resorted(
    stream: Iterator[SeriesFrame],
    drop: tuple[str, ...],
    batch_size: int,
    check: Callable[[], None] = lambda: None,
) -> Iterator[SeriesFrame]:
    """The whole stream without the labels ``drop``, in label order: it is read to its end before the first batch.

    For stores that cannot strip replica labels themselves, whose order the removal breaks. ``check`` runs per batch.
    """
    batches = []
    for frame in stream:
        check()
        if not isinstance(frame, SeriesBatch):
            yield frame
        elif len(frame):
            batches.append(_sorted_without(frame, drop))
    if len(batches) == 1:
        yield from _single(iter(batches), batch_size)
    else:
        yield from merge_series([iter((batch,)) for batch in batches], batch_size)


def _sorted_without(batch: SeriesBatch, drop: tuple[str, ...]) -> SeriesBatch:
    labels = _labels.drop_labels(batch.labels, drop)
    return relabeled(batch, labels, _labels.sort_order(labels))
