"""Site: HTTP/1.1 on Twisted around handlers that do not know it: routing, admission, streaming, draining."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet import defer, protocol
from twisted.python.failure import Failure
from twisted.web import http, http_headers

from pythanos.context import DEFAULT_TENANT, RequestContext
from pythanos.errors import QueryCanceled
from pythanos.runtime import logs
from pythanos.runtime.clock import Clock
from pythanos.runtime.request_log import RequestLog
from pythanos.runtime.workers import RequestPool
from pythanos.web.access.guard import Guard
from pythanos.web.api import responses
from pythanos.web.delivery import Heads, deliver
from pythanos.web.errors import BodyTooLarge, MethodNotAllowed, NotReady, classify
from pythanos.web.messages import Request, Response
from pythanos.web.metrics import HTTPMetrics
from pythanos.web.router import Match, Router
from pythanos.web.stream import InlineSink, ThreadSink
from pythanos.web.tenants import tenant_of, tenant_of_certificate

IDLE_SECONDS = 120
_API = "/api/"
_REQUEST_LINE = re.compile(rb"[A-Z]+ [^ ]+ HTTP/1\.[01]")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_ORIGIN = re.compile(rb"^https?://[^/?]*(?=/)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """Limits in bytes; ``tenant_header`` names the header that becomes the request's tenant.

    With ``tenant_certificate_field`` (a key of ``tenants.CERTIFICATE_FIELDS``) the client's certificate does that.
    """

    body_bytes_max: int = 32 << 20
    header_bytes_max: int = 1 << 20
    cors: bool = True
    tenant_header: str = ""
    default_tenant: str = ""
    tenant_certificate_field: str = ""
    request_log: RequestLog = field(default_factory=RequestLog)


class Site(protocol.ServerFactory):
    """Accepts connections and answers requests; closed for everything but probes until ``open`` is called."""

    noisy = False

    def __init__(
        self,
        router: Router,
        pool: RequestPool,
        *,
        reactor: Any,
        clock: Clock,
        metrics: HTTPMetrics,
        options: SiteOptions | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.router, self.pool, self.reactor, self.clock, self.metrics = router, pool, reactor, clock, metrics
        self.options = options or SiteOptions()
        self.guard = guard
        self.heads = Heads()
        self.logger = logs.make_logger()
        self.is_open = False
        self.is_closing = False
        self.active: set[Exchange] = set()
        self._idle: list[defer.Deferred[None]] = []

    def buildProtocol(self, addr: Any) -> http.HTTPChannel:
        channel = _Channel()
        channel.factory = self
        # As Twisted's own factory sets it: a method that stands for a reactor.
        channel.callLater = self.reactor.callLater  # type: ignore[method-assign]
        channel.timeOut = IDLE_SECONDS
        channel.totalHeadersSize = channel.MAX_LENGTH = self.options.header_bytes_max
        return channel

    def log(self, request: http.Request) -> None:
        """No access log: the http_* metrics count, and request logging is a setting of its own."""

    def open(self) -> None:
        """From now on every route answers."""
        self.is_open = True

    def drain(self, grace_seconds: float) -> defer.Deferred[None]:
        """Refuses new requests, fires when the running ones are done; those that last longer are cancelled."""
        self.is_open, self.is_closing = False, True
        if not self.active:
            return defer.succeed(None)
        done: defer.Deferred[None] = defer.Deferred()
        self._idle.append(done)
        timer = self.reactor.callLater(grace_seconds, self._cancel_active)

        def settle(result: None) -> None:
            if timer.active():
                timer.cancel()

        return done.addCallback(settle)

    def exchange_ended(self, exchange: Exchange) -> None:
        self.active.discard(exchange)
        if not self.active:
            waiting, self._idle = self._idle, []
            for one in waiting:
                one.callback(None)

    def _cancel_active(self) -> None:
        for exchange in list(self.active):
            exchange.abort()


class Exchange:
    """One request and its answer. Lives in the reactor thread, but for ``work``."""

    def __init__(self, site: Site, wire: _WireRequest) -> None:
        self.site = site
        self.wire = wire
        self.request = wire.to_request(site.options)
        self.handler_name = ""
        self.started = site.clock.monotonic()
        self.bytes_sent = 0
        self._sink: ThreadSink | None = None
        self._ended = False
        self._is_logged = False

    def begin(self) -> None:
        """Asks the guard, if there is one, then finds the route and has it answered."""
        self.site.active.add(self)
        guard = self.site.guard
        if guard is None:
            self._route()
        else:
            guard.refusal(self.request.header("authorization")).addCallback(self._pass)

    def _pass(self, refusal: Response | None) -> None:
        if self._ended:
            return
        if refusal is None:
            self._route()
        else:
            self._send(refusal)

    def _route(self) -> None:
        site, request = self.site, self.request
        try:
            if self.wire.too_large:
                raise BodyTooLarge(f"the request body is larger than {site.options.body_bytes_max} bytes")
            match = site.router.find(request.method, self.wire.raw_path())
            request.path_args = match.path_args
            self.handler_name = match.route.name
            if self.handler_name:
                site.metrics.begin(self.handler_name, request)
            try:
                if site.options.tenant_header:
                    request.context.tenant = self.wire.tenant(request.headers, request.path)
            finally:
                self._log_start()
            if not (site.is_open or match.route.always):
                raise NotReady("shutting down" if site.is_closing else "not ready")
        except Exception as error:
            self._send(self.error_response(error))
            return
        if match.route.inline:
            self._answer_inline(match.route.handler)
        else:
            self._answer_in_thread(match)

    def client_gone(self) -> None:
        """The connection was lost: the work stops at its next check."""
        self.request.context.cancel()
        if self._sink is not None:
            self._sink.close()
        self.end(499)

    def abort(self) -> None:
        """Ends the exchange whether or not its answer is complete."""
        self.request.context.cancel()
        if not self._ended:
            self.wire.channel.loseConnection()

    def end(self, status: int) -> None:
        """Counts the exchange; whatever comes later is nobody's business any more."""
        if self._ended:
            return
        self._ended = True
        if self.handler_name:
            seconds = self.site.clock.monotonic() - self.started
            sizes = (self.wire.bytes_received, self.bytes_sent)
            self.site.metrics.end(self.handler_name, self.request, code=status, seconds=seconds, sizes=sizes)
            if self._is_logged:
                fields = {**self._log_fields(), "http.status_code": status, "http.time_ms": round(seconds * 1000, 3)}
                self.site.options.request_log.finished(fields, failed=status >= 500)
        self.site.exchange_ended(self)

    def error_response(self, error: Exception) -> Response:
        """The answer to an error: an envelope under the API, one line of text elsewhere. Any thread."""
        outcome = classify(error)
        if not outcome.expected:
            self.site.logger.failure("request broke", failure=Failure(error), path=self.request.path)
        if _API in self.request.path:
            response = responses.error(outcome)
        else:
            response = Response(outcome.status, f"{outcome.message}\n".encode("utf-8", "replace"))
        if isinstance(error, MethodNotAllowed):
            response.headers["Allow"] = error.allowed
        return response

    def head(self, response: Response, length: int | None) -> None:
        """Hands status and headers to the wire, which writes them before the first piece."""
        site, wire = self.site, self.wire
        wire.setResponseCode(response.status)
        cors = site.options.cors and _API in self.request.path
        wire.usual_head = site.heads.lines(response, self.request.context.request_id, cors=cors)
        headers = wire.responseHeaders
        if length is not None and response.status != 204:
            headers.setRawHeaders(b"Content-Length", [b"%d" % length])
        extra = site.guard.headers() if site.guard is not None else {}
        for name, value in (*extra.items(), *response.headers.items()):
            headers.setRawHeaders(name, [value])
        if site.is_closing:
            headers.setRawHeaders(b"Connection", [b"close"])
            wire.channel.persistent = False

    def _log_start(self) -> None:
        """Request logging concerns the handlers that are counted, too: no probes, no metrics page."""
        request_log, path = self.site.options.request_log, self.request.path
        if self.handler_name and request_log.ends:
            self._is_logged = request_log.wants(f"{path}:{self.wire.getHost().port}", f"{path}:0")
            if self._is_logged:
                request_log.started(self._log_fields())

    def _log_fields(self) -> dict[str, object]:
        request, client = self.request, self.wire.getClientAddress()
        return {
            "http.method": f"{request.method} {self.wire.uri.decode('latin-1')}",
            "http.request_id": request.context.request_id,
            "http.user_agent": request.header("user-agent"),
            "http.remote_addr": request.header("x-forwarded-for") or f"{client.host}:{client.port}",
            "tenant": request.context.tenant,
            "thanos.method_name": self.handler_name,
        }

    def _answer_inline(self, handler: Callable[[Request], Response]) -> None:
        try:
            response = handler(self.request)
        except Exception as error:
            response = self.error_response(error)
        self._send(response)

    def _send(self, response: Response) -> None:
        deliver(self.request, response, InlineSink(self))

    def _answer_in_thread(self, match: Match) -> None:
        self._sink = ThreadSink(self, self.site.reactor)
        sink = self._sink
        pool = self.site.pool
        working = (pool.call_spare if match.route.always else pool.call)(self.work, match, sink)
        working.addCallbacks(lambda _: sink.settle(), self._not_admitted)

    def work(self, match: Match, sink: ThreadSink) -> None:
        """Runs the handler and sends its answer; never raises. In a thread of the request pool."""
        try:
            response = match.route.handler(self.request)
        except Exception as error:
            response = self.error_response(error)
        try:
            deliver(self.request, response, sink)
        except Exception as error:
            if sink.begun:
                if not isinstance(error, QueryCanceled):
                    self.site.logger.failure("answer broke off", failure=Failure(error), path=self.request.path)
                sink.break_off()
            else:
                with suppress(QueryCanceled):
                    deliver(self.request, self.error_response(error), sink)

    def _not_admitted(self, failure: Failure) -> None:
        if not self._ended:
            error = failure.value if isinstance(failure.value, Exception) else RuntimeError(str(failure.value))
            self._send(self.error_response(error))


class _WireRequest(http.Request):
    """A request as Twisted's channel fills it."""

    content: Any = None
    args: Any = None
    exchange: Exchange | None = None
    too_large = False
    bytes_received = 0
    usual_head = b""

    @property
    def site(self) -> Site:
        return self.channel.factory

    def parseCookies(self) -> None:
        """Nothing here uses them."""

    def gotLength(self, length: int | None) -> None:
        self.content = io.BytesIO()
        if length is not None and length > self.site.options.body_bytes_max:
            self.too_large = True

    def handleContentChunk(self, data: bytes) -> None:
        self.bytes_received += len(data)
        if self.bytes_received > self.site.options.body_bytes_max:
            # Read on and forget, so that the client gets to see the answer; but not for ever.
            self.too_large = True
            if self.bytes_received > 4 * self.site.options.body_bytes_max:
                self.channel.loseConnection()
        if not self.too_large:
            self.content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        # Clients that take this server for a proxy send the whole URL.
        path = _ORIGIN.sub(b"", path)
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        self.args = {}
        self.exchange = Exchange(self.site, self)
        self.exchange.begin()

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        if self.exchange is not None:
            self.exchange.client_gone()

    def raw_path(self) -> str:
        return self.path.decode("latin-1")

    def tenant(self, headers: Mapping[str, str], path: str) -> str:
        """Whose request it is; probes and metrics need no certificate. Raises BadRequest."""
        options = self.site.options
        if options.tenant_certificate_field and _API in path:
            certificate = getattr(self.channel.transport, "getPeerCertificate", lambda: None)()
            return tenant_of_certificate(certificate, options.tenant_certificate_field)
        return tenant_of(headers, options.tenant_header, options.default_tenant or DEFAULT_TENANT)

    def to_request(self, options: SiteOptions) -> Request:
        """The request as handlers see it."""
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in self.requestHeaders.getAllRawHeaders()
        }
        self.bytes_received += len(self.uri) + len(self.method) + sum(len(k) + len(v) for k, v in headers.items())
        request_id = headers.get("x-request-id", "")
        if not (0 < len(request_id) <= 128 and request_id.isascii() and request_id.isprintable()):
            request_id = os.urandom(16).hex()
        context = RequestContext(request_id=request_id, step_aside=self.site.pool.step_aside)
        return Request(
            method=self.method.decode("latin-1"),
            path=unquote_to_bytes(self.path).decode("utf-8", "surrogateescape"),
            query=self.uri.partition(b"?")[2],
            headers=headers,
            body=self.content.getvalue(),
            context=context,
        )


class _Channel(http.HTTPChannel):
    """HTTP/1.1 with our request class and without an access log."""

    requestFactory = _WireRequest
    _host: Any = None

    def getHost(self) -> Any:
        """Twisted asks the system for each request; a connection keeps its address."""
        if self._host is None:
            self._host = super().getHost()
        return self._host

    def lineReceived(self, line: bytes) -> None:
        """As Twisted does it, but for label names and values in UTF-8 that a client has not escaped in its URL."""
        if not line.isascii() and _REQUEST_LINE.fullmatch(line):
            line = _BEYOND_ASCII.sub(lambda found: b"%%%02X" % found[0][0], line)
        super().lineReceived(line)

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: http_headers.Headers) -> None:
        """In one write, with what all answers have; ``headers`` are sanitized by Twisted."""
        lines = [b"%s %s %s\r\n" % (version, code, reason)]
        lines += [b"%s: %s\r\n" % (name, value) for name, values in headers.getAllRawHeaders() for value in values]
        transport: Any = self.transport
        transport.write(b"".join((*lines, self.requests[0].usual_head, b"\r\n")))
