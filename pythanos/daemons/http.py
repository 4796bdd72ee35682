"""The HTTP side that all daemons share: probes, metrics, debug, status and the routes of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pythanos.daemons.sections import ServiceConfig
from pythanos.runtime.platform import Platform
from pythanos.runtime.probe import Part, Probe
from pythanos.runtime.workers import RequestPool
from pythanos.web.access.guard import open_access
from pythanos.web.api.status import StatusAPI
from pythanos.web.debug import debug_routes
from pythanos.web.messages import Request, Response
from pythanos.web.metrics import HTTPMetrics, MetricsPage
from pythanos.web.probes import probe_routes
from pythanos.web.router import Route, Router
from pythanos.web.server import HTTPDoors, HTTPServer
from pythanos.web.site import Site


@dataclass(frozen=True, slots=True)
class HTTPParts:
    """server and probe start first, so that a starting daemon is seen; pool follows; doors is the last child."""

    server: HTTPServer
    probe: Probe
    pool: RequestPool
    doors: HTTPDoors


def build_http(
    component: str,
    config: ServiceConfig,
    platform: Platform,
    *,
    routes: Iterable[Route],
    parts: Iterable[Part],
    flags: Mapping[str, str],
    tenant_header: str = "",
    default_tenant: str = "",
    tenant_certificate_field: str = "",
) -> HTTPParts:
    """``parts`` decide, besides the doors, whether the daemon is ready; ``flags`` are shown by the status API.

    Raises ConfigError for an ``http.config`` that cannot be honoured.
    """
    registry, reactor, clock = platform.registry, platform.reactor, platform.clock
    guard, transport = open_access(config.http.config, reactor)
    pool = RequestPool("http_requests", config.http.request_threads, reactor, registry, limit="http.request_threads")
    probe = Probe(component, parts, reactor, registry)
    prefix = (config.web.route_prefix or config.web.external_prefix).rstrip("/")
    outside = [
        *probe_routes(probe),
        Route("/metrics", MetricsPage(registry), always=True),
        *debug_routes(clock.monotonic),
    ]
    shared = [*outside, *StatusAPI(flags, clock).routes()]
    site = Site(
        Router([*shared, *routes], prefix, unprefixed=[*outside, *_redirects(prefix)]),
        pool,
        reactor=reactor,
        clock=clock,
        guard=guard,
        metrics=HTTPMetrics(registry, tenant_header=tenant_header, default_tenant=default_tenant),
        options=config.site_options(
            tenant_header=tenant_header,
            default_tenant=default_tenant,
            tenant_certificate_field=tenant_certificate_field,
        ),
    )
    doors = HTTPDoors(site, config.http_grace_period)
    probe.watch(doors)
    return HTTPParts(HTTPServer(config.http_address, site, reactor, transport=transport), probe, pool, doors)


def _redirects(prefix: str) -> list[Route]:
    """From the top to what is below ``prefix``, which has its own way from there to the first page."""

    def lead(request: Request) -> Response:
        return Response(302, headers={"Location": f"{prefix}/"})

    return [Route(path, lead, inline=True) for path in ("/", prefix)]
