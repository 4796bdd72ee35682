"""PulledStream: one store's answer, pulled by a thread of its own with a bounded look-ahead."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from pythanos.context import RequestContext
from pythanos.errors import EndpointUnavailable, QueryTimeout
from pythanos.storeapi.batches import SeriesBatch
from pythanos.units import Duration
from pythanos.workers import Pool

# A stream that holds so many bytes is not read further, however few frames they are.
LOOK_AHEAD_BYTES = 16 << 20

Frame = TypeVar("Frame")


def arena_bytes(frame: object) -> int:
    """What a frame of series holds."""
    return len(frame.labels.arena) if isinstance(frame, SeriesBatch) else 0


class FrameTimeout(EndpointUnavailable):
    """A store sent nothing for longer than is allowed between two frames."""


class PulledStream(Generic[Frame]):
    """Iterates over ``source``, which a pool thread reads up to ``look_ahead`` frames, or 16 MiB, ahead.

    ``ctx`` is the stream's own context: giving up cancels it, which is how a source that waits for the network ends.
    Raises what the source raised, FrameTimeout after ``frame_timeout_ms`` (0: never) without a frame, QueryTimeout and
    QueryCanceled as the context says. ``close`` may be called at any time; it does not wait for the thread.
    ``size`` tells the bytes of a frame.
    """

    def __init__(
        self,
        source: Iterator[Frame],
        ctx: RequestContext,
        pool: Pool,
        *,
        look_ahead: int,
        frame_timeout_ms: int = 0,
        size: Callable[[Any], int] = arena_bytes,
    ) -> None:
        self._source = source
        self._ctx = ctx
        self._look_ahead = look_ahead
        self._frame_timeout_ms = frame_timeout_ms
        self._size = size
        self._changed = threading.Condition()
        self._frames: deque[Frame] = deque()
        self._held_bytes = 0
        self._error: BaseException | None = None
        self._done = False
        self._closed = False
        self._asked_at = ctx.monotonic()
        ctx.on_cancel(self._wake)
        self._job = pool.submit(self._pull)

    def __iter__(self) -> PulledStream[Frame]:
        return self

    def __next__(self) -> Frame:
        with self._changed:
            while not self._frames and not self._done:
                self._ctx.check()
                self._ctx.step_aside()
                if not self._changed.wait(self._patience_seconds()):
                    self._out_of_patience()
            if self._frames:
                self._changed.notify_all()
                frame = self._frames.popleft()
                self._held_bytes -= self._size(frame)
                return frame
            if self._error is not None:
                error, self._error = self._error, None
                raise error
        raise StopIteration

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._changed.notify_all()
        self._ctx.cancel()
        self._job.cancel()

    def _patience_seconds(self) -> float | None:
        """How long the next frame may still take; None: for ever."""
        waits = []
        if self._frame_timeout_ms:
            waits.append(max(0.0, self._asked_at + self._frame_timeout_ms / 1000 - self._ctx.monotonic()))
        remaining = self._ctx.remaining_seconds()
        if remaining is not None:
            waits.append(remaining)
        return min(waits, default=None)

    def _out_of_patience(self) -> None:
        """Raises if a limit has really passed."""
        now = self._ctx.monotonic()
        if self._ctx.deadline is not None and now >= self._ctx.deadline:
            raise QueryTimeout("context deadline exceeded")
        if self._frame_timeout_ms and now >= self._asked_at + self._frame_timeout_ms / 1000:
            raise FrameTimeout(f"no data in {Duration(self._frame_timeout_ms)}")

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _pull(self) -> None:
        error: BaseException | None = None
        try:
            for frame in self._source:
                if not self._put(frame):
                    break
        except Exception as raised:
            error = raised
        finally:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()
            with self._changed:
                self._error = error
                self._done = True
                self._changed.notify_all()

    @property
    def _is_full(self) -> bool:
        return len(self._frames) >= self._look_ahead or self._held_bytes >= LOOK_AHEAD_BYTES

    @property
    def _unwanted(self) -> bool:
        return self._closed or self._ctx.canceled

    def _put(self, frame: Frame) -> bool:
        """Queues a frame, waiting for room; False where nobody wants it any more."""
        with self._changed:
            self._frames.append(frame)
            self._held_bytes += self._size(frame)
            self._changed.notify_all()
            while self._is_full and not self._unwanted:
                self._changed.wait()
            self._asked_at = self._ctx.monotonic()
            return not self._unwanted
