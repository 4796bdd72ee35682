"""Sinks: how the pieces of an answer get from where they are made to the connection.

A thread that makes pieces faster than the client reads them waits: at most WINDOW_BYTES are on their way. The transport
tells through the producer interface whether it takes more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from pythanos.errors import QueryCanceled
from pythanos.web.messages import Response

WINDOW_BYTES = 1 << 20
# A client that takes nothing for so long has gone away without saying so.
STALL_SECONDS = 120.0


class Outgoing(Protocol):
    """The exchange that an answer belongs to; used in the reactor thread. ``wire`` is a twisted.web.http.Request."""

    wire: Any
    bytes_sent: int

    def head(self, response: Response, length: int | None) -> None: ...

    def end(self, status: int) -> None: ...

    def abort(self) -> None: ...


class InlineSink:
    """Writes at once, in the reactor thread; for answers that are small and complete."""

    def __init__(self, exchange: Outgoing) -> None:
        self._exchange = exchange
        self._status = 200

    def begin(self, response: Response, length: int | None) -> None:
        self._status = response.status
        self._exchange.head(response, length)

    def write(self, piece: bytes) -> None:
        self._exchange.bytes_sent += len(piece)
        self._exchange.wire.write(piece)

    def end(self) -> None:
        wire = self._exchange.wire
        self._exchange.end(self._status)
        wire.finish()


@implementer(IPushProducer)
class ThreadSink:
    """Carries pieces from a worker thread to the reactor, with back-pressure.

    ``begin``, ``write``, ``end`` and ``break_off`` are called in the worker thread, everything else in the reactor's;
    ``settle`` when the worker is done, for the last step: an answer of one piece wakes the reactor once.
    """

    def __init__(self, exchange: Outgoing, reactor: Any) -> None:
        self.begun = False
        self._exchange = exchange
        self._reactor = reactor
        self._free = threading.Condition()
        self._underway = 0
        self._owed = 0
        self._paused = False
        self._closed = False
        self._held: tuple[Response, int | None] | None = None
        self._whole: tuple[Response, bytes] | None = None
        self._last: Callable[[], None] | None = None
        self._status = 200

    def begin(self, response: Response, length: int | None) -> None:
        # Sent with the first piece. An answer of one piece goes out at its end, in one hand-over to the reactor: a
        # client that has its whole answer may hang up before the next one.
        self.begun = True
        self._status = response.status
        self._held = (response, length)

    def write(self, piece: bytes) -> None:
        """Raises QueryCanceled when the client has gone away or stalls."""
        with self._free:
            while self._underway >= WINDOW_BYTES and not self._closed:
                if not self._free.wait(STALL_SECONDS):
                    self._closed = True
            if self._closed:
                raise QueryCanceled("the client does not read its answer")
            self._underway += len(piece)
        head, self._held = self._held, None
        if head is not None and head[1] is not None:
            self._whole = (head[0], piece)
        else:
            self._reactor.callFromThread(self._write, head, piece)

    def end(self) -> None:
        self._last = self._send_whole if self._whole is not None else self._finish

    def break_off(self) -> None:
        """Ends the connection so that the client sees that the answer is not complete."""
        self._last = self._exchange.abort

    def settle(self) -> None:
        """Takes the last step, which the worker has named."""
        last, self._last = self._last, None
        if last is not None:
            last()

    def close(self) -> None:
        """No piece is wanted any more; wakes the thread."""
        with self._free:
            self._closed = True
            self._free.notify_all()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        owed, self._owed = self._owed, 0
        self._release(owed)

    def stopProducing(self) -> None:
        self.close()

    def _send_whole(self) -> None:
        if not self._closed and self._whole is not None:
            response, piece = self._whole
            self._exchange.head(response, len(piece))
            self._exchange.bytes_sent += len(piece)
            self._exchange.wire.write(piece)
            self._finish()

    def _write(self, head: tuple[Response, int | None] | None, piece: bytes) -> None:
        if self._closed:
            return
        wire = self._exchange.wire
        if head is not None:
            self._exchange.head(*head)
            wire.registerProducer(self, True)
        self._exchange.bytes_sent += len(piece)
        wire.write(piece)
        if self._paused:
            self._owed += len(piece)
        else:
            self._release(len(piece))

    def _finish(self) -> None:
        if self._closed:
            return
        wire = self._exchange.wire
        if wire.producer is not None:
            wire.unregisterProducer()
        self._exchange.end(self._status)
        wire.finish()

    def _release(self, size: int) -> None:
        with self._free:
            self._underway -= size
            self._free.notify_all()
