"""The pages: graph and blocks. Plain files of this package, read when a daemon is built, served with a checksum."""

from __future__ import annotations

import hashlib
import html
import posixpath
from importlib.resources import files
from urllib.parse import quote, unquote, urlsplit

from pythanos.web.errors import NotFound
from pythanos.web.messages import Handler, Request, Response
from pythanos.web.router import Route

_TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
_TYPES |= {"svg": "image/svg+xml"}
# Nothing is loaded from elsewhere, and no other site may show these pages in a frame.
_SECURITY = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}


class Pages:
    """Serves ``pages`` (path -> file of ``static/``) and everything else of that folder below ``/static/``.

    The links on the pages start with ``external_prefix``, or without one with what a request has in the header
    ``prefix_header``; the first page is also where ``/`` leads.
    """

    def __init__(self, pages: dict[str, str], *, external_prefix: str = "", prefix_header: str = "") -> None:
        self._external, self._header = clean_prefix(external_prefix), prefix_header.lower()
        self._pages = pages
        folder = files("pythanos.web").joinpath("static")
        self._files = {
            entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.rpartition(".")[2] in _TYPES
        }

    def routes(self) -> list[Route]:
        routes = [
            Route(path, self._page(name), path.strip("/"), inline=True, always=True)
            for path, name in self._pages.items()
        ]
        home = next(iter(self._pages))
        routes.append(Route("/", lambda request: self._redirect(request, home), inline=True))
        routes.append(Route("/static/*", self._static, "static", inline=True, always=True))
        return routes

    def _prefix(self, request: Request) -> str:
        if self._external or not self._header:
            return self._external
        return clean_prefix(request.header(self._header))

    def _redirect(self, request: Request, home: str) -> Response:
        return Response(302, headers={"Location": self._prefix(request) + home})

    def _page(self, name: str) -> Handler:
        return lambda request: self._send(request, name)

    def _static(self, request: Request) -> Response:
        name = request.path_args["rest"]
        if name not in self._files:
            raise NotFound("not found")
        return self._send(request, name)

    def _send(self, request: Request, name: str) -> Response:
        body = self._files[name].replace(b"{{prefix}}", html.escape(self._prefix(request)).encode())
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache", **_SECURITY}
        if request.header("if-none-match") == tag:
            return Response(304, headers=headers)
        return Response(200, body, _TYPES[name.rpartition(".")[2]], headers)


def clean_prefix(text: str) -> str:
    """The path of a URL or of a part of one, absolute, without dots, doubled slashes and one at its end; "" for none.

    A header may say anything: scheme and host are left out, so that no link leads elsewhere.
    """
    try:
        path = urlsplit(text).path
    except ValueError:
        return ""
    parts = posixpath.normpath("/" + unquote(path).replace("\\", "/")).strip("/")
    return f"/{quote(parts)}" if parts else ""
