"""From a Response to the buffers on the wire: what heads have in common, small pieces joined, gzip where taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from email.utils import formatdate
from typing import Protocol

from isal import isal_zlib

from pythanos.web.messages import Request, Response

# Pieces smaller than this are joined; a smaller answer goes out in one write, with its length.
JOIN_BYTES = 64 * 1024
# As in Thanos' middleware: what fits into one packet is not worth compressing.
GZIP_MIN_BYTES = 1024
GZIP_LEVEL = 1
_GZIP_WINDOW = 31
_COMPRESSIBLE = ("text/", "application/json", "application/openmetrics-text", "application/javascript", "image/svg+xml")

_CORS = (
    b"Access-Control-Allow-Headers: Accept, Accept-Encoding, Authorization, Content-Type, Origin\r\n"
    b"Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
    b"Access-Control-Allow-Origin: *\r\n"
    b"Access-Control-Expose-Headers: Date\r\n"
)


class Sink(Protocol):
    """Where an answer goes. Calls may wait for the client to read, and raise QueryCanceled when it has gone away."""

    def begin(self, response: Response, length: int | None) -> None:
        """Status and headers; ``length`` bytes will follow, or an unknown number (None)."""

    def write(self, piece: bytes) -> None: ...

    def end(self) -> None: ...


def deliver(request: Request, response: Response, sink: Sink) -> None:
    """Sends ``response`` to ``sink``; closes its body in any case. Raises what the body raises."""
    body = response.body
    try:
        pieces = join((body,) if isinstance(body, bytes) else body)
        first = next(pieces, b"")
        if _wants_gzip(request, response, first):
            response.headers["Content-Encoding"] = "gzip"
            pieces = join(compress(_chain(first, pieces)))
            first = next(pieces, b"")
        second = next(pieces, None)
        sink.begin(response, len(first) if second is None else None)
        sink.write(first)
        if second is not None:
            sink.write(second)
            for piece in pieces:
                sink.write(piece)
        sink.end()
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def join(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of at least JOIN_BYTES, but for the last."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= JOIN_BYTES:
            yield b"".join(waiting) if len(waiting) > 1 else piece
            waiting, size = [], 0
    if size:
        yield b"".join(waiting)


def compress(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes as a gzip stream; ISA-L releases the GIL for its work."""
    stream = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
    for piece in pieces:
        packed = stream.compress(piece)
        if packed:
            yield packed
    yield stream.flush()


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _wants_gzip(request: Request, response: Response, first: bytes) -> bool:
    if len(first) < GZIP_MIN_BYTES or "Content-Encoding" in response.headers:
        return False
    if not response.content_type.startswith(_COMPRESSIBLE):
        return False
    response.headers["Vary"] = "Accept-Encoding"
    for item in request.header("accept-encoding").split(","):
        name, _, parameters = item.partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class Heads:
    """The header lines that most answers have in common, made once and remembered.

    Lives in the reactor thread. ``clock`` gives unix seconds; the Date is made once a second.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._second = -1
        self._date = b""
        self._kinds: dict[tuple[str, bool], bytes] = {}

    def lines(self, response: Response, request_id: str, *, cors: bool) -> bytes:
        """Date, type and identity of an answer as whole lines; ``request_id`` is printable ASCII."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._date = second, b"Date: %s\r\n" % formatdate(second, usegmt=True).encode("ascii")
        kind = self._kind("" if response.status == 204 else response.content_type, cors=cors)
        return b"%sX-Request-Id: %s\r\n%s" % (self._date, request_id.encode("ascii"), kind)

    def _kind(self, content_type: str, *, cors: bool) -> bytes:
        found = self._kinds.get((content_type, cors))
        if found is None:
            typed = f"Content-Type: {content_type}\r\nX-Content-Type-Options: nosniff\r\n".encode("latin-1")
            found = (typed if content_type else b"") + (_CORS if cors else b"")
            self._kinds[content_type, cors] = found
        return found
