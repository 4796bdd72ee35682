"""The http_* families of Thanos (XC-48), and the ``/metrics`` page of our own registry."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from pythanos._tally import Number, Tally
from pythanos.tally import TallyCounter, TallyGauge, TallyHistogram
from pythanos.web.messages import Request, Response

DURATION_BUCKETS_SECONDS = (0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120, 240, 360, 720)
SIZE_BUCKETS_BYTES = tuple(64 * 2**n for n in range(10))


@dataclass(frozen=True, slots=True)
class _Ended:
    """What counts the exchanges with one status code of one handler, method and tenant."""

    requests: Number
    seconds: Tally
    request_bytes: Tally
    response_bytes: Tally


class HTTPMetrics:
    """Instrumentation of named handlers. With a tenant header every family has a label ``tenant``, as the querier's."""

    def __init__(self, registry: CollectorRegistry, *, tenant_header: str = "", default_tenant: str = "") -> None:
        self._tenant_header = tenant_header.lower()
        self._default_tenant = default_tenant
        extra = ("tenant",) if tenant_header else ()
        labels = ("code", "handler", "method", *extra)
        self._requests = TallyCounter("http_requests", "Tracks the number of HTTP requests.", labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> TallyHistogram:
            return TallyHistogram(name, text, labels, buckets=buckets, registry=registry)

        self._duration = histogram(
            "http_request_duration_seconds", "Tracks the latencies for HTTP requests.", DURATION_BUCKETS_SECONDS
        )
        self._request_size = histogram(
            "http_request_size_bytes", "Tracks the size of HTTP requests.", SIZE_BUCKETS_BYTES
        )
        self._response_size = histogram(
            "http_response_size_bytes", "Tracks the size of HTTP responses.", SIZE_BUCKETS_BYTES
        )
        self._inflight = TallyGauge(
            "http_inflight_requests",
            "Current number of HTTP requests the handler is responding to.",
            ["handler", "method", *extra],
            registry=registry,
        )
        self._ended: dict[tuple[str, ...], _Ended] = {}

    def begin(self, handler: str, request: Request) -> None:
        """Counts a request in; ``method`` of this one family is upper-case, as in Thanos."""
        self._inflight.labels(handler, request.method, *self._tenant(request)).inc()

    def end(self, handler: str, request: Request, *, code: int, seconds: float, sizes: tuple[int, int]) -> None:
        """Counts a request out; ``sizes`` are the bytes received and sent."""
        tenant = self._tenant(request)
        self._inflight.labels(handler, request.method, *tenant).dec()
        labels = (str(code), handler, request.method.lower(), *tenant)
        ended = self._ended.get(labels)
        if ended is None:
            ended = self._ended[labels] = _Ended(
                self._requests.labels(*labels),
                self._duration.labels(*labels),
                self._request_size.labels(*labels),
                self._response_size.labels(*labels),
            )
        ended.requests.inc()
        ended.seconds.observe(seconds)
        ended.request_bytes.observe(sizes[0])
        ended.response_bytes.observe(sizes[1])

    def _tenant(self, request: Request) -> tuple[str, ...]:
        if not self._tenant_header:
            return ()
        return (request.headers.get(self._tenant_header) or self._default_tenant,)


class MetricsPage:
    """``/metrics``: the registry in the text format, or as OpenMetrics where the client prefers it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def __call__(self, request: Request) -> Response:
        encoder, content_type = choose_encoder(request.header("accept"))
        registry = self._registry
        names = request.args.all("name[]")
        return Response(
            body=encoder(registry.restricted_registry(names) if names else registry), content_type=content_type
        )
