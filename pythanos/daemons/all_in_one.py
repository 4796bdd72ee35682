"""``pythanos``: store and query in one process over one bucket, with nothing but function calls between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pythanos.config import Composed, flatten
from pythanos.daemons.bucket import BucketParts, blocks_api, build_bucket
from pythanos.daemons.http import HTTPParts, build_http
from pythanos.daemons.launch import Daemon, DaemonStack, make_service
from pythanos.daemons.options import DaemonOptions
from pythanos.daemons.prom_apis import no_endpoints
from pythanos.daemons.querying import QueryParts, QuerySection, build_query
from pythanos.daemons.sections import BlocksServiceConfig, BucketSection, SelectorSection
from pythanos.gateway.config import GatewayConfig
from pythanos.query.endpoints import EndpointStatus
from pythanos.query.fanout.gather import FanOut
from pythanos.query.fanout.questions import PromQuestions
from pythanos.runtime.loops import LoopMetrics
from pythanos.runtime.platform import Platform
from pythanos.runtime.workers import DataPlane
from pythanos.storeapi.proxy import Endpoint, ProxyMetrics, ProxyStore
from pythanos.web.api.stores import StoresAPI
from pythanos.web.pages import Pages
from pythanos.workers import Workers

COMPONENT = "all-in-one"
BUCKET_ENDPOINT = "bucket"


class AllInOneServiceConfig(BlocksServiceConfig, frozen=True):
    http_address: str = "127.0.0.1:10904"


class AllInOneConfig(Composed, frozen=True):
    """etc/pythanos.yaml."""

    service: AllInOneServiceConfig
    objstore: BucketSection
    selector: SelectorSection
    gateway: GatewayConfig
    query: QuerySection


@dataclass(frozen=True, slots=True)
class AllInOneParts:
    http: HTTPParts
    data_plane: DataPlane
    blocks: BucketParts
    proxy: ProxyStore
    query: QueryParts

    def services(self) -> Iterable[Any]:
        """The table of contents of the daemon, in start order."""
        return [
            self.http.probe,
            self.http.server,
            self.data_plane,
            self.query.active,
            *self.blocks.services(),
            self.http.pool,
            self.http.doors,
        ]


def build(config: AllInOneConfig, platform: Platform) -> AllInOneParts:
    """The parts, not started. Raises ConfigError."""
    registry, clock = platform.registry, platform.clock
    workers = Workers.threaded()
    blocks = build_bucket(
        config.objstore.bucket(),
        config.gateway,
        config.selector.rules(),
        workers,
        platform,
        component=COMPONENT,
        loops=LoopMetrics(registry),
    )
    store = blocks.store
    proxy = ProxyStore(
        lambda: [Endpoint(BUCKET_ENDPOINT, store, store.info(), local=True)], workers.fetch, ProxyMetrics(registry)
    )
    questions = PromQuestions(no_endpoints, FanOut(workers.fetch))
    query = build_query(config.query, proxy, questions, workers, platform)
    api = blocks_api(blocks, config.service, clock)

    def endpoints() -> list[EndpointStatus]:
        info = store.info()
        return [EndpointStatus(BUCKET_ENDPOINT, "store", info.mint, info.maxt, info.label_sets, clock.now_ms())]

    pages = Pages({"/graph": "graph.html", "/loaded": "blocks.html"}, **config.service.web.page_prefixes())
    http = build_http(
        COMPONENT,
        config.service,
        platform,
        routes=[*query.routes(), *StoresAPI(endpoints).routes(), *api.routes(), *pages.routes()],
        parts=[blocks.sync],
        flags=flatten(config),
        tenant_header=config.query.query.tenant_header,
        default_tenant=config.query.query.default_tenant_id,
        tenant_certificate_field=config.query.query.tenant_certificate_field,
    )
    return AllInOneParts(http, DataPlane(workers), blocks, proxy, query)


class Options(DaemonOptions):
    """Options of ``twistd pythanos``."""

    schema = AllInOneConfig
    component = COMPONENT

    def check(self, config: AllInOneConfig) -> None:
        config.objstore.bucket()
        config.selector.rules()


def makeService(options: Options) -> DaemonStack:
    return make_service(Daemon(COMPONENT, build), options)
