"""Request and Response: what a handler sees of HTTP. Nothing here knows Twisted.

A handler is a plain function ``handler(request) -> Response`` that runs in a thread of the request pool, or in the
reactor thread where its route says it is cheap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from pythanos.context import RequestContext
from pythanos.errors import BadRequest

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_PART_NAME = re.compile(rb'(?im)^content-disposition:[^\r\n]*;[ \t]*name="([^"\r\n]*)"')
_FILE_NAME = re.compile(rb"(?im)^content-disposition:[^\r\n]*;[ \t]*filename")


class Args:
    """The parameters of a request: those of a form body before those of the URL, as Go's ``r.Form`` has them."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def get(self, name: str, default: str = "") -> str:
        """The first value."""
        values = self._values.get(name)
        return values[0] if values else default

    def all(self, name: str) -> tuple[str, ...]:
        """Every value, in order."""
        return tuple(self._values.get(name, ()))


@dataclass(slots=True)
class Request:
    """One HTTP request.

    path: decoded, without query; query: the raw query string; headers: lower-case names, the last value of each;
    path_args: the parts of the path that the route names. Strings from the wire hold undecodable bytes as surrogates.
    """

    method: str
    path: str
    query: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    context: RequestContext = field(default_factory=RequestContext)
    path_args: Mapping[str, str] = field(default_factory=dict)
    _args: Args | None = None

    @property
    def args(self) -> Args:
        """The parameters, parsed when first asked for. Raises BadRequest."""
        if self._args is None:
            pairs: list[tuple[str, str]] = []
            content_type = self.headers.get("content-type", "")
            kind = content_type.partition(";")[0].strip().lower()
            if self.method in ("POST", "PUT", "PATCH") and kind == _FORM:
                pairs = parse_form(self.body)
            elif self.method == "POST" and kind == _MULTIPART:
                pairs = parse_multipart(content_type, self.body)
            self._args = Args(pairs + parse_form(self.query))
        return self._args

    def header(self, name: str, default: str = "") -> str:
        return self.headers.get(name.lower(), default)


@dataclass(slots=True)
class Response:
    """An answer: ``body`` is one buffer, or an iterable of buffers that is closed when the client goes away."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Response]


def parse_form(text: bytes) -> list[tuple[str, str]]:
    """The pairs of a query string or form body, as Go's url.ParseQuery. Raises BadRequest."""
    pairs = []
    for part in text.split(b"&"):
        if not part:
            continue
        if b";" in part:
            raise BadRequest("error parsing form values: invalid semicolon separator in query")
        name, _, value = part.partition(b"=")
        pairs.append((_unescape(name), _unescape(value)))
    return pairs


def parse_multipart(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """The fields of a form in parts (RFC 7578), as ``curl -F`` sends them; files are left out. Raises BadRequest."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise BadRequest("error parsing form values: no multipart boundary param in Content-Type")
    delimiter = b"\r\n--" + (boundary[1] or boundary[2]).encode("latin-1")
    pairs = []
    parts = (b"\r\n" + body).split(delimiter)[1:]
    if not parts or not parts[-1].startswith(b"--"):
        raise BadRequest("error parsing form values: multipart: NextPart: EOF")
    for part in parts[:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = _PART_NAME.search(head)
        if name is not None and not _FILE_NAME.search(head):
            pairs.append((name[1].decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")))
    return pairs


def _unescape(text: bytes) -> str:
    if b"%" not in text:
        return text.replace(b"+", b" ").decode("utf-8", "surrogateescape")
    bad = _BAD_ESCAPE.search(text)
    if bad:
        escape = bad[0].decode("utf-8", "replace")
        raise BadRequest(f'error parsing form values: invalid URL escape "{escape}"')
    return unquote_to_bytes(text.replace(b"+", b" ")).decode("utf-8", "surrogateescape")
