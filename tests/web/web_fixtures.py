"""A site over an in-memory transport, with a request pool whose threads are the test's own."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from twisted.internet import defer
from twisted.internet.testing import MemoryReactorClock, StringTransport

from pythanos.errors import LimitExceeded
from pythanos.runtime.clock import ManualClock
from pythanos.web.metrics import HTTPMetrics
from pythanos.web.router import Route, Router
from pythanos.web.site import Site, SiteOptions


class DirectReactor(MemoryReactorClock):
    """Hands over from "threads" at once, or when ``perform`` is called."""

    held: list | None = None

    def callFromThread(self, function: Callable[..., object], *args: object) -> None:
        if self.held is None:
            function(*args)
        else:
            self.held.append((function, args))

    def hold(self) -> None:
        self.held = []

    def perform(self) -> None:
        held, self.held = self.held or [], []
        for function, args in held:
            function(*args)


@dataclass
class HandPool:
    """Runs a job at once, keeps it for later, or turns it away."""

    keeps: bool = False
    full: bool = False
    jobs: list[tuple[defer.Deferred, Callable[..., object], tuple]] = field(default_factory=list)

    def call(self, job: Callable[..., object], *args: object) -> defer.Deferred:
        if self.full:
            return defer.fail(LimitExceeded("http_requests", 1, "every thread is taken", admission=True))
        if self.keeps:
            self.jobs.append((defer.Deferred(), job, args))
            return self.jobs[-1][0]
        return defer.maybeDeferred(job, *args)

    def call_spare(self, job: Callable[..., object], *args: object) -> defer.Deferred:
        return defer.maybeDeferred(job, *args)

    def step_aside(self) -> None:
        """Nobody takes turns here."""

    def run_one(self) -> None:
        done, job, args = self.jobs.pop(0)
        done.callback(job(*args))


@dataclass
class Answer:
    """A parsed HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool

    @property
    def text(self) -> str:
        return self.body.decode()

    def gunzipped(self) -> bytes:
        return zlib.decompress(self.body, 31)


class Served:
    """One site and one connection to it."""

    def __init__(
        self, routes: Iterable[Route], *, prefix: str = "", tenant_header: str = "", **options: object
    ) -> None:
        self.reactor, self.clock, self.registry, self.pool = (
            DirectReactor(), ManualClock(), CollectorRegistry(), HandPool()
        )  # fmt: skip
        metrics = HTTPMetrics(self.registry, tenant_header=tenant_header, default_tenant="default-tenant")
        self.site = Site(
            Router(routes, prefix),
            self.pool,
            reactor=self.reactor,
            clock=self.clock,
            metrics=metrics,
            options=SiteOptions(tenant_header=tenant_header, **options),
        )
        self.site.open()
        self.connect()

    def connect(self) -> None:
        self.transport = StringTransport()
        self.channel = self.site.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.channel.dataReceived(data)

    def ask(self, target: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        """Sends one request and reads what came back."""
        self.transport.clear()
        lines = [f"{method} {target} HTTP/1.1", "Host: test"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return self.answer(no_body=method == "HEAD")

    def answer(self, *, no_body: bool = False) -> Answer:
        return parse(self.transport.value(), no_body=no_body)


def parse(raw: bytes, *, no_body: bool = False) -> Answer:
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first.split()[1])
    if no_body or status in (204, 304):
        return Answer(status, headers, rest, True)
    if headers.get("transfer-encoding") == "chunked":
        body, complete = unchunk(rest)
        return Answer(status, headers, body, complete)
    length = int(headers["content-length"])
    return Answer(status, headers, rest[:length], len(rest) >= length)


def unchunk(data: bytes) -> tuple[bytes, bool]:
    out = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        if not size:
            return out, False
        if int(size, 16) == 0:
            return out, True
        out, data = out + data[: int(size, 16)], data[int(size, 16) + 2 :]
