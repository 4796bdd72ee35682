"""``pythanos-query``: PromQL over many StoreAPIs, and their StoreAPI as one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.threads import deferToThreadPool

from pythanos.config import Composed, flatten
from pythanos.context import RequestContext
from pythanos.daemons.distributed import DistributedQuerySection, query_servicer, remotes_factory
from pythanos.daemons.http import HTTPParts, build_http
from pythanos.daemons.launch import Daemon, DaemonStack, make_service
from pythanos.daemons.options import DaemonOptions
from pythanos.daemons.prom_apis import endpoints_with
from pythanos.daemons.querying import QueryParts, build_query
from pythanos.daemons.sections import GRPCConfig, SelectorSection, ServiceConfig
from pythanos.discovery.dns_provider import DNSMetrics, DNSProvider, open_resolver
from pythanos.query.client_config import GRPCClientConfig
from pythanos.query.config import DiscoveryConfig
from pythanos.query.endpoint_discovery import EndpointDiscovery
from pythanos.query.endpoint_metrics import EndpointMetrics
from pythanos.query.endpoints import EndpointSet
from pythanos.query.fanout.exemplars import selectors_in
from pythanos.query.fanout.gather import FanOut
from pythanos.query.fanout.questions import PromQuestions
from pythanos.rpc.client import connect
from pythanos.rpc.info_servicer import SERVICE as INFO_SERVICE
from pythanos.rpc.info_servicer import InfoServicer
from pythanos.rpc.metrics import CallMetrics
from pythanos.rpc.promapi.servicer import APIS as PROM_APIS
from pythanos.rpc.promapi.servicer import PromAPIServicer
from pythanos.rpc.queryapi.servicer import API as QUERY_API
from pythanos.rpc.queryapi.servicer import SERVICE as QUERY_SERVICE
from pythanos.rpc.server import GRPCServer, ServerLimits
from pythanos.rpc.service import GRPCService
from pythanos.rpc.store_servicer import SERVICE as STORE_SERVICE
from pythanos.rpc.store_servicer import StoreServicer
from pythanos.runtime.loops import Loop, LoopMetrics
from pythanos.runtime.platform import Platform
from pythanos.runtime.request_log import RequestLog
from pythanos.runtime.workers import DataPlane
from pythanos.storeapi.external_labels import TsdbSelector
from pythanos.storeapi.proxy import ProxyMetrics, ProxyStore
from pythanos.units import Duration
from pythanos.web.api.stores import StoresAPI
from pythanos.web.pages import Pages
from pythanos.workers import ThreadPool, Workers

COMPONENT = "query"
INFO_THREADS = 16
# One for each stream of each running query; threads are made when they are needed.
STREAM_THREADS = 256


class QueryServiceConfig(ServiceConfig, frozen=True):
    http_address: str = "0.0.0.0:10904"


class QueryGRPCConfig(GRPCConfig, frozen=True):
    grpc_address: str = "0.0.0.0:10903"


class QueryDaemonConfig(Composed, frozen=True):
    """etc/query.yaml."""

    service: QueryServiceConfig
    grpc: QueryGRPCConfig
    query: DistributedQuerySection
    discovery: DiscoveryConfig
    client: GRPCClientConfig
    selector: SelectorSection


@dataclass(frozen=True, slots=True)
class QueryDaemonParts:
    http: HTTPParts
    data_plane: DataPlane
    endpoints: EndpointSet
    connections: Connections
    updates: Loop
    lookups: Loop
    proxy: ProxyStore
    query: QueryParts
    grpc: GRPCService

    def services(self) -> Iterable[Any]:
        """The table of contents of the daemon, in start order."""
        return [
            self.http.probe,
            self.http.server,
            self.data_plane,
            self.query.active,
            self.connections,
            self.updates,
            self.lookups,
            self.http.pool,
            self.grpc,
            self.http.doors,
        ]


class Connections(Service):
    """Ends the connections to the endpoints, and the threads that use them, when nobody asks any more."""

    def __init__(self, endpoints: EndpointSet, pools: Iterable[ThreadPool], reactor: Any) -> None:
        self.setName("connections")
        self._endpoints, self._pools, self._reactor = endpoints, tuple(pools), reactor

    def stopService(self) -> defer.Deferred[None]:
        super().stopService()
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._close)

    def _close(self) -> None:
        self._endpoints.close()
        for pool in self._pools:
            pool.stop()


def build(config: QueryDaemonConfig, platform: Platform) -> QueryDaemonParts:
    """The parts of a querier, not started. Raises ConfigError."""
    registry, clock, discovery = platform.registry, platform.clock, config.discovery
    workers, info_pool, stream_pool = (
        Workers.threaded(),
        ThreadPool("endpoint-info", INFO_THREADS),
        ThreadPool("streams", STREAM_THREADS),
    )
    found = build_discovery(config, platform)
    endpoints = EndpointSet(
        found.specs,
        partial(connect, metrics=CallMetrics(registry, "client")),
        info_pool,
        EndpointMetrics(registry, config.query.query.conn_metric.label),
        now_ms=clock.now_ms,
        times=discovery.endpoint_times(config.query.query.timeout),
    )
    loops = LoopMetrics(registry)

    def loop(name: str, interval: Duration, job: Callable[[RequestContext], None]) -> Loop:
        return Loop(
            name,
            interval.seconds,
            job,
            reactor=platform.reactor,
            clock=clock,
            metrics=loops,
            rng=platform.random,
        )

    updates = loop("endpoints", discovery.endpoint_section.info_timeout, endpoints.update)
    lookups = loop("endpoint lookups", discovery.store.sd_dns_interval, found.resolve)
    proxy = ProxyStore(
        endpoints.endpoints,
        stream_pool,
        ProxyMetrics(registry),
        selector_labels=discovery.selector_label,
        selector=TsdbSelector(config.selector.rules()),
        response_timeout_ms=discovery.store.response_timeout,
    )
    questions = PromQuestions(endpoints_with(endpoints), FanOut(stream_pool), discovery.selector_label)
    remotes = remotes_factory(
        config.query.query,
        endpoints,
        stream_pool,
        frozenset(discovery.selector_label),
        limited=bool(config.selector.rules()),
    )
    query = build_query(config.query, proxy, questions, workers, platform, remotes, discovery.store.limits.limits())
    pages = Pages({"/graph": "graph.html"}, **config.service.web.page_prefixes())
    http = build_http(
        COMPONENT,
        config.service,
        platform,
        routes=[*query.routes(), *StoresAPI(endpoints.statuses).routes(), *pages.routes()],
        parts=[updates],
        flags=flatten(config),
        tenant_header=config.query.query.tenant_header,
        default_tenant=config.query.query.default_tenant_id,
        tenant_certificate_field=config.query.query.tenant_certificate_field,
    )
    connections = Connections(endpoints, (info_pool, stream_pool), platform.reactor)
    services = [
        (STORE_SERVICE, StoreServicer(query.limited, registry).handler()),
        (INFO_SERVICE, InfoServicer(COMPONENT, proxy, (*PROM_APIS, QUERY_API)).handler()),
        (QUERY_SERVICE, query_servicer(query, config.query.settings(), clock).handler()),
        *PromAPIServicer(questions, partial(selectors_in, options=query.engine.options.parser)).handlers(),
    ]
    grpc = build_grpc(config.grpc, services, platform, config.service.request.grpc_log())
    return QueryDaemonParts(http, DataPlane(workers), endpoints, connections, updates, lookups, proxy, query, grpc)


def build_discovery(config: QueryDaemonConfig, platform: Platform) -> EndpointDiscovery:
    """Whom there is to ask, from the configuration, files and DNS."""
    store = config.discovery.store

    def provider(prefix: str) -> DNSProvider:
        return DNSProvider(lambda: open_resolver(store.sd_dns_resolver), DNSMetrics(prefix, platform.registry))

    return EndpointDiscovery(
        config.discovery,
        config.client.tls(),
        endpoints=provider("thanos_query_endpoints"),
        groups=provider("thanos_query_endpoint_groups"),
        now_ms=platform.clock.now_ms,
        environment=os.environ,
    )


def build_grpc(config: GRPCConfig, services: Sequence[Any], platform: Platform, request_log: RequestLog) -> GRPCService:
    """The gRPC server of (name, handler) services: the StoreAPI of everything that this querier can reach, and more."""
    limits = ServerLimits(max_connection_age_seconds=config.grpc_server_max_connection_age.seconds)

    def server() -> GRPCServer:
        return GRPCServer(
            config.grpc_address,
            services,
            registry=platform.registry,
            tls=config.tls(),
            limits=limits,
            request_log=request_log,
        )

    return GRPCService(server, config.grpc_grace_period.seconds, platform.reactor)


class Options(DaemonOptions):
    """Options of ``twistd pythanos-query``."""

    schema = QueryDaemonConfig
    component = COMPONENT

    def check(self, config: QueryDaemonConfig) -> None:
        config.selector.rules()


def makeService(options: Options) -> DaemonStack:
    return make_service(Daemon(COMPONENT, build), options)
