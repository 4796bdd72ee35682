"""Whom a querier asks, as a configuration says it; paths and defaults are those of the ``thanos query`` flags."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import msgspec

from pythanos.config import Section
from pythanos.discovery.lookups import check_target, is_dynamic
from pythanos.query.client_config import ClientConfig
from pythanos.query.endpoints import EndpointTimes
from pythanos.storeapi.limited import SelectLimits
from pythanos.units import Duration


class EndpointEntry(Section, frozen=True):
    """One endpoint; ``group`` is one connection balanced over all addresses, ``service_config`` gRPC's JSON for it."""

    address: str
    strict: bool = False
    group: bool = False
    service_config: str = ""
    client_config: ClientConfig = ClientConfig()

    def __post_init__(self) -> None:
        check_target(self.address)
        if self.strict and is_dynamic(self.address):
            raise ValueError(
                f"{self.address} is a dynamically specified endpoint i.e. it uses SD and that is not permitted"
                " under strict mode."
            )
        if self.service_config and not self.group:
            raise ValueError(f"{self.address} service_config is only valid for endpoint groups.")
        if self.service_config:
            try:
                json.loads(self.service_config)
            except ValueError as error:
                raise ValueError(f"{self.address} service_config is not JSON: {error}") from error


class EndpointSdConfig(Section, frozen=True):
    """The content of ``endpoint.sd_config``."""

    default_client_config: ClientConfig = ClientConfig()
    endpoints: tuple[EndpointEntry, ...] = ()


class EndpointSection(Section, frozen=True):
    """``endpoint``: whom to ask. ``endpoint: [a, b]`` is short for ``endpoint: {addresses: [a, b]}``."""

    addresses: tuple[str, ...] = ()
    sd_config_file: str = ""
    sd_config: EndpointSdConfig | None = None
    sd_config_reload_interval: Duration = Duration(300_000)
    info_timeout: Duration = Duration(5_000)

    def __post_init__(self) -> None:
        if self.info_timeout <= 0:
            raise ValueError("info_timeout must be more than 0")


class SelectLimitsConfig(Section, frozen=True):
    """``store.limits``: the most of one select; 0 is no limit."""

    request_series: Annotated[int, msgspec.Meta(ge=0)] = 0
    request_samples: Annotated[int, msgspec.Meta(ge=0)] = 0

    def limits(self) -> SelectLimits:
        return SelectLimits(self.request_series, self.request_samples)


class ProxyConfig(Section, frozen=True):
    """``grpc``: Thanos' ways to read the streams of stores, of which there is one here."""

    proxy_strategy: Literal["eager", "lazy"] = "eager"


class AlertConfig(Section, frozen=True):
    """``alert``: the URL under which the links of alerts find this querier."""

    query_url: str = ""


class EndpointsSection(Section, frozen=True):
    """``store``: discovery by files and DNS, and patience with endpoints."""

    sd_files: tuple[str, ...] = ()
    sd_interval: Duration = Duration(300_000)
    sd_dns_interval: Duration = Duration(30_000)
    sd_dns_resolver: Literal["golang", "miekgdns"] = "miekgdns"
    unhealthy_timeout: Duration = Duration(300_000)
    response_timeout: Duration = Duration(0)
    limits: SelectLimitsConfig = SelectLimitsConfig()

    def __post_init__(self) -> None:
        if self.sd_dns_interval <= 0:
            raise ValueError("sd_dns_interval must be more than 0")


class DiscoveryConfig(Section, frozen=True):
    """The top-level keys about endpoints; a daemon's configuration composes it with others."""

    endpoint: tuple[str, ...] | EndpointSection = EndpointSection()
    endpoint_strict: tuple[str, ...] = ()
    endpoint_group: tuple[str, ...] = ()
    endpoint_group_strict: tuple[str, ...] = ()
    store: EndpointsSection = EndpointsSection()
    selector_label: dict[str, str] = msgspec.field(default_factory=dict)
    grpc: ProxyConfig = ProxyConfig()
    alert: AlertConfig = AlertConfig()

    def __post_init__(self) -> None:
        # For the checks of what the flags give.
        self.entries(EndpointSdConfig())

    @property
    def endpoint_section(self) -> EndpointSection:
        return self.endpoint if isinstance(self.endpoint, EndpointSection) else EndpointSection(addresses=self.endpoint)

    def entries(self, listed: EndpointSdConfig) -> tuple[EndpointEntry, ...]:
        """All endpoints in Thanos' order: those of endpoint.sd_config, then the flags'. Raises ValueError."""
        flags = (
            ("endpoint", self.endpoint_section.addresses, False, False),
            ("endpoint_group", self.endpoint_group, True, False),
            ("endpoint_strict", self.endpoint_strict, False, True),
            ("endpoint_group_strict", self.endpoint_group_strict, True, True),
        )
        given: list[EndpointEntry] = []
        for name, addresses, group, strict in flags:
            try:
                given += [EndpointEntry(address=address, group=group, strict=strict) for address in addresses]
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        return (*listed.endpoints, *given)

    def endpoint_times(self, query_timeout_ms: int) -> EndpointTimes:
        return EndpointTimes(self.endpoint_section.info_timeout, self.store.unhealthy_timeout, query_timeout_ms)
