"""Heads: the header lines that most answers have in common, made once and remembered."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.web.http import datetimeToString

from pythanos.web.messages import Response

_CORS = (
    b"Access-Control-Allow-Headers: Accept, Accept-Encoding, Authorization, Content-Type, Origin\r\n"
    b"Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
    b"Access-Control-Allow-Origin: *\r\n"
    b"Access-Control-Expose-Headers: Date\r\n"
)


class Heads:
    """Lives in the reactor thread. ``clock`` gives unix seconds; the Date is made once a second."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._second = -1
        self._date = b""
        self._kinds: dict[tuple[str, bool], bytes] = {}

    def lines(self, response: Response, request_id: str, *, cors: bool) -> bytes:
        """Date, type and identity of an answer as whole lines; ``request_id`` is printable ASCII."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._date = second, b"Date: %s\r\n" % datetimeToString(second)
        kind = self._kind("" if response.status == 204 else response.content_type, cors=cors)
        return b"%sX-Request-Id: %s\r\n%s" % (self._date, request_id.encode("ascii"), kind)

    def _kind(self, content_type: str, *, cors: bool) -> bytes:
        found = self._kinds.get((content_type, cors))
        if found is None:
            typed = f"Content-Type: {content_type}\r\nX-Content-Type-Options: nosniff\r\n".encode("latin-1")
            found = (typed if content_type else b"") + (_CORS if cors else b"")
            self._kinds[content_type, cors] = found
        return found
