"""Counting what one endpoint of a fan-out sends."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import numpy as np

from pythanos.model.usage import StoreUsage
from pythanos.storeapi.batches import SeriesBatch, SeriesFrame


def metered(
    frames: Iterator[SeriesFrame], address: str, clock: Callable[[], float]
) -> Generator[SeriesFrame, None, None]:
    """The frames, then a StoreUsage of them, also where an error ends them. ``clock`` gives seconds.

    Its time is what the consumer waited for frames, so that a slow consumer does not count as a slow store.
    """
    seconds, nbytes, responses, series, chunks, samples = 0.0, 0, 0, 0, 0, 0
    try:
        while True:
            began = clock()
            try:
                frame = next(frames, None)
            finally:
                seconds += clock() - began
            if frame is None:
                break
            responses += 1
            if isinstance(frame, SeriesBatch):
                nbytes += len(frame.labels.arena)
                series += len(frame)
                chunks += frame.chunk_count
                samples += sample_count(frame)
            yield frame
    except Exception:
        yield StoreUsage(address, seconds, nbytes, responses, series, chunks, samples)
        raise
    finally:
        close = getattr(frames, "close", None)
        if close is not None:
            close()
    yield StoreUsage(address, seconds, nbytes, responses, series, chunks, samples)


def sample_count(batch: SeriesBatch) -> int:
    """How many samples the chunks of a batch claim to hold: every encoding begins with the number, 16 bits big-endian.

    Chunks of a downsampled series count once for each aggregate.
    """
    arena = np.frombuffer(batch.labels.arena, np.uint8)
    offset = batch.chunk_offset[batch.chunk_length >= 2]
    offset = offset[(offset >= 0) & (offset < len(arena) - 1)]
    return int((arena[offset].astype(np.int64) * 256 + arena[offset + 1]).sum())
