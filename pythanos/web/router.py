"""Router: which handler answers which path. A route, its parameters and its metric name are written once, here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from pythanos.web.errors import MethodNotAllowed, NotFound
from pythanos.web.messages import Handler

_SLASHES = re.compile("/{2,}")


@dataclass(frozen=True, slots=True)
class Route:
    """``pattern`` is a path whose parts in angle brackets match one segment: ``/api/v1/label/<name>/values``.

    name: the ``handler`` label of the http_* metrics; empty for paths that are not instrumented (probes, /metrics).
    inline: cheap and never blocking, so it runs in the reactor thread. always: answers before the daemon is ready, too.
    """

    pattern: str
    handler: Handler
    name: str = ""
    methods: tuple[str, ...] = ("GET",)
    inline: bool = False
    always: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    route: Route
    path_args: dict[str, str]


class Router:
    """Exact paths first, then patterns, then prefixes (patterns that end in ``/*``); the first that was added wins."""

    def __init__(self, routes: Iterable[Route], prefix: str = "", *, unprefixed: Iterable[Route] = ()) -> None:
        """``unprefixed``: what answers where a path is not below ``prefix``."""
        self._prefix = prefix.rstrip("/")
        self._outside = Router(unprefixed) if self._prefix else None
        self._exact: dict[str, list[Route]] = {}
        self._patterns: list[tuple[tuple[str, ...], Route]] = []
        self._prefixes: list[tuple[str, Route]] = []
        for route in routes:
            if route.pattern.endswith("/*"):
                self._prefixes.append((route.pattern[:-1], route))
            elif "<" in route.pattern:
                self._patterns.append((tuple(route.pattern.split("/")), route))
            else:
                self._exact.setdefault(route.pattern, []).append(route)

    def find(self, method: str, raw_path: str) -> Match:
        """The route for a raw (still escaped) path. Raises NotFound, MethodNotAllowed.

        A path that leads nowhere is read without doubled slashes and the one at its end, which clients with a base URL
        make. Go's servers send such clients elsewhere instead, which loses the body of a POST.
        """
        try:
            return self._find(method, raw_path)
        except NotFound:
            tidy = _SLASHES.sub("/", raw_path).rstrip("/") or "/"
            if tidy == raw_path:
                raise
            return self._find(method, tidy)

    def _find(self, method: str, raw_path: str) -> Match:
        if self._outside is not None:
            if not raw_path.startswith(f"{self._prefix}/"):
                return self._outside.find(method, raw_path)
            raw_path = raw_path[len(self._prefix) :]
        allowed: list[str] = []
        for match in self._candidates(raw_path):
            methods = match.route.methods
            if method in methods or (method == "HEAD" and "GET" in methods):
                return match
            # The preflight of any path says nothing about which paths there are.
            if methods != ("OPTIONS",):
                allowed += methods
        if allowed:
            raise MethodNotAllowed(", ".join(sorted(set(allowed))))
        raise NotFound("not found")

    def _candidates(self, raw_path: str) -> Iterable[Match]:
        for route in self._exact.get(unquote(raw_path), ()):
            yield Match(route, {})
        segments = raw_path.split("/")
        for pattern, route in self._patterns:
            args = _bind(pattern, segments)
            if args is not None:
                yield Match(route, args)
        for prefix, route in self._prefixes:
            if raw_path.startswith(prefix):
                yield Match(route, {"rest": unquote(raw_path[len(prefix) :], errors="surrogateescape")})


def _bind(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    """The named segments, decoded one by one, so that an escaped slash stays inside its segment; None for no match."""
    if len(pattern) != len(segments):
        return None
    args = {}
    for part, segment in zip(pattern, segments, strict=True):
        if part.startswith("<"):
            if not segment:
                return None
            args[part[1:-1]] = unquote(segment, errors="surrogateescape")
        elif part != segment:
            return None
    return args
