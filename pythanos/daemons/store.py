"""``pythanos-store``: the blocks of a bucket over gRPC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pythanos.config import Composed, flatten
from pythanos.daemons.bucket import BucketParts, blocks_api, build_bucket
from pythanos.daemons.http import HTTPParts, build_http
from pythanos.daemons.launch import Daemon, DaemonStack, make_service
from pythanos.daemons.options import DaemonOptions
from pythanos.daemons.sections import BlocksServiceConfig, BucketSection, GRPCConfig, SelectorSection
from pythanos.gateway.config import GatewayConfig
from pythanos.rpc.info_servicer import SERVICE as INFO_SERVICE
from pythanos.rpc.info_servicer import InfoServicer
from pythanos.rpc.server import GRPCServer, ServerLimits
from pythanos.rpc.service import GRPCService
from pythanos.rpc.store_servicer import SERVICE as STORE_SERVICE
from pythanos.rpc.store_servicer import StoreServicer
from pythanos.runtime.loops import LoopMetrics
from pythanos.runtime.platform import Platform
from pythanos.runtime.workers import DataPlane
from pythanos.web.pages import Pages
from pythanos.workers import Workers

COMPONENT = "store"


class StoreServiceConfig(BlocksServiceConfig, frozen=True):
    http_address: str = "0.0.0.0:10906"


class StoreGRPCConfig(GRPCConfig, frozen=True):
    grpc_address: str = "0.0.0.0:10905"


class StoreConfig(Composed, frozen=True):
    """etc/store.yaml."""

    service: StoreServiceConfig
    grpc: StoreGRPCConfig
    objstore: BucketSection
    selector: SelectorSection
    gateway: GatewayConfig


@dataclass(frozen=True, slots=True)
class StoreParts:
    http: HTTPParts
    data_plane: DataPlane
    blocks: BucketParts
    grpc: GRPCService

    def services(self) -> Iterable[Any]:
        """The table of contents of the daemon, in start order."""
        return [
            self.http.probe,
            self.http.server,
            self.data_plane,
            self.http.pool,
            *self.blocks.services(),
            self.grpc,
            self.http.doors,
        ]


def build(config: StoreConfig, platform: Platform) -> StoreParts:
    """The parts of a store, not started. Raises ConfigError."""
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
    api = blocks_api(blocks, config.service, clock)
    pages = Pages({"/loaded": "blocks.html"}, **config.service.web.page_prefixes())
    http = build_http(
        COMPONENT,
        config.service,
        platform,
        routes=[*api.routes(), *pages.routes()],
        parts=[blocks.sync],
        flags=flatten(config),
    )
    handlers = [
        (STORE_SERVICE, StoreServicer(blocks.store, registry).handler()),
        (INFO_SERVICE, InfoServicer(COMPONENT, blocks.store).handler()),
    ]
    limits = ServerLimits(max_connection_age_seconds=config.grpc.grpc_server_max_connection_age.seconds)

    def grpc_server() -> GRPCServer:
        return GRPCServer(
            config.grpc.grpc_address,
            handlers,
            registry=registry,
            tls=config.grpc.tls(),
            limits=limits,
            request_log=config.service.request.grpc_log(),
        )

    grpc = GRPCService(grpc_server, config.grpc.grpc_grace_period.seconds, platform.reactor)
    return StoreParts(http, DataPlane(workers), blocks, grpc)


class Options(DaemonOptions):
    """Options of ``twistd pythanos-store``."""

    schema = StoreConfig
    component = COMPONENT

    def check(self, config: StoreConfig) -> None:
        config.objstore.bucket()
        config.selector.rules()


def makeService(options: Options) -> DaemonStack:
    return make_service(Daemon(COMPONENT, build), options)
