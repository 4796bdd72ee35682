"""Whom a querier asks, as a configuration says it; paths and defaults are those of the ``thanos query`` flags."""

from __future__ import annotations

import msgspec

from pythanos.config import Section
from pythanos.query.endpoints import EndpointSpec, EndpointTimes
from pythanos.units import Duration

DNS_PREFIXES = ("dns+", "dnssrv+", "dnssrvnoa+", "dnsdualstack+")


class EndpointEntry(Section, frozen=True):
    """One entry of the endpoint service discovery file."""

    address: str
    strict: bool = False


class EndpointSdConfig(Section, frozen=True):
    """The content of ``endpoint.sd_config``."""

    endpoints: tuple[EndpointEntry, ...] = ()


class EndpointSection(Section, frozen=True):
    """``endpoint``: whom to ask. ``endpoint: [a, b]`` is short for ``endpoint: {addresses: [a, b]}``."""

    addresses: tuple[str, ...] = ()
    sd_config_file: str = ""
    sd_config: EndpointSdConfig | None = None
    info_timeout: Duration = Duration(5_000)


class EndpointsSection(Section, frozen=True):
    """``store``: discovery by files, and patience with endpoints."""

    sd_files: tuple[str, ...] = ()
    sd_interval: Duration = Duration(300_000)
    unhealthy_timeout: Duration = Duration(300_000)
    response_timeout: Duration = Duration(0)


class DiscoveryConfig(Section, frozen=True):
    """The top-level keys about endpoints; a daemon's configuration composes it with others."""

    endpoint: tuple[str, ...] | EndpointSection = EndpointSection()
    endpoint_strict: tuple[str, ...] = ()
    store: EndpointsSection = EndpointsSection()
    selector_label: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for spec in self.static_specs():
            if spec.address.startswith(DNS_PREFIXES) and spec.strict:
                raise ValueError(
                    f"{spec.address} is a dynamically specified endpoint i.e. it uses SD and that is not permitted"
                    " under strict mode."
                )
            if spec.address.startswith(DNS_PREFIXES):
                raise ValueError(f"{spec.address}: discovery by DNS is not supported, list the addresses")

    @property
    def endpoint_section(self) -> EndpointSection:
        return self.endpoint if isinstance(self.endpoint, EndpointSection) else EndpointSection(addresses=self.endpoint)

    def static_specs(self) -> tuple[EndpointSpec, ...]:
        """The endpoints that stand in the configuration itself, in Thanos' order: the file's, the plain, the strict."""
        section = self.endpoint_section
        entries = section.sd_config.endpoints if section.sd_config is not None else ()
        return (
            *(EndpointSpec(entry.address, entry.strict) for entry in entries),
            *(EndpointSpec(address) for address in section.addresses),
            *(EndpointSpec(address, True) for address in self.endpoint_strict),
        )

    def endpoint_times(self, query_timeout_ms: int) -> EndpointTimes:
        return EndpointTimes(self.endpoint_section.info_timeout, self.store.unhealthy_timeout, query_timeout_ms)
