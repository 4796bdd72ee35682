"""The keys that every daemon has: log, http, web, grpc, objstore."""

from __future__ import annotations

from typing import Any, Literal

from pythanos.config import FileOrContent, Section
from pythanos.errors import ConfigError
from pythanos.model.relabel import SELECTOR_ACTIONS, RelabelRule, check_rules
from pythanos.objstore.opening import BucketConfig
from pythanos.rpc.tls.server import ServerTLSConfig
from pythanos.runtime.request_log import RequestSection
from pythanos.tls import TLSVersion
from pythanos.units import Duration
from pythanos.web.server import GRACE, HTTPConfig, WebConfig, parse_address
from pythanos.web.site import SiteOptions


class LogConfig(Section, frozen=True):
    level: Literal["debug", "info", "warn", "error"] = "info"
    format: Literal["logfmt", "json"] = "logfmt"


class ServiceConfig(Section, frozen=True):
    """Logging and HTTP. A daemon's own subclass gives ``http_address`` its port."""

    log: LogConfig = LogConfig()
    http_address: str = "0.0.0.0:10902"
    http_grace_period: Duration = GRACE
    http: HTTPConfig = HTTPConfig()
    web: WebConfig = WebConfig()
    request: RequestSection = RequestSection()

    def __post_init__(self) -> None:
        check_address(self.http_address, "http_address")

    def site_options(
        self, *, tenant_header: str = "", default_tenant: str = "", tenant_certificate_field: str = ""
    ) -> SiteOptions:
        return SiteOptions(
            body_bytes_max=self.http.max_body_size,
            header_bytes_max=self.http.max_header_size,
            cors=not self.web.disable_cors,
            tenant_header=tenant_header,
            default_tenant=default_tenant,
            tenant_certificate_field=tenant_certificate_field,
            request_log=self.request.http_log(),
        )


class BlocksServiceConfig(ServiceConfig, frozen=True):
    """HTTP of a daemon that shows its blocks. ``bucket_web_label`` groups their timeline."""

    bucket_web_label: str = ""
    disable_admin_operations: bool = False


class GRPCConfig(Section, frozen=True):
    """The gRPC server. A daemon's own subclass gives ``grpc_address`` its port."""

    grpc_address: str = "0.0.0.0:10901"
    grpc_grace_period: Duration = GRACE
    grpc_server_tls_cert: str = ""
    grpc_server_tls_key: str = ""
    grpc_server_tls_client_ca: str = ""
    grpc_server_tls_min_version: TLSVersion = "1.3"
    grpc_server_max_connection_age: Duration = Duration(3_600_000)

    def __post_init__(self) -> None:
        check_address(self.grpc_address, "grpc_address")
        if bool(self.grpc_server_tls_cert) != bool(self.grpc_server_tls_key):
            raise ValueError("grpc_server_tls_cert and grpc_server_tls_key: give both or neither")

    def tls(self) -> ServerTLSConfig:
        return ServerTLSConfig(
            cert=self.grpc_server_tls_cert,
            key=self.grpc_server_tls_key,
            client_ca=self.grpc_server_tls_client_ca,
            min_version=self.grpc_server_tls_min_version,
        )


class BucketSection(Section, frozen=True):
    """Where the blocks are."""

    objstore: FileOrContent[BucketConfig] = FileOrContent[BucketConfig]()

    def bucket(self) -> BucketConfig:
        """The bucket's configuration. Raises ConfigError where there is none."""
        if self.objstore.config is None:
            raise ConfigError("", "objstore", "the bucket is missing: give config_file or config")
        return self.objstore.config


class SelectorPair(Section, frozen=True):
    """``selector``: relabel rules as a file or as content."""

    relabel_config_file: str = ""
    relabel_config: list[RelabelRule] | None = None


class SelectorSection(Section, frozen=True):
    """Which blocks or stores are served, by their external labels."""

    selector: SelectorPair = SelectorPair()

    def rules(self) -> tuple[RelabelRule, ...]:
        """The checked rules. Raises ConfigError."""
        rules = tuple(self.selector.relabel_config or ())
        check_rules(rules, "selector.relabel_config", actions=SELECTOR_ACTIONS)
        return rules


def check_address(address: str, key: str) -> Any:
    """Raises ValueError, which the reader of the configuration reports with its place."""
    try:
        parse_address(address, key)
    except ConfigError as error:
        raise ValueError(f"{error.key}: {error.hint}") from None
