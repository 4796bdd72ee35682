"""EndpointDiscovery: from configuration, files and DNS to the endpoints that there should be right now."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping

from pythanos.config import load
from pythanos.context import RequestContext
from pythanos.discovery.dns_provider import DNSProvider
from pythanos.discovery.file_sd import FileDiscovery
from pythanos.discovery.lookups import is_dynamic
from pythanos.errors import ConfigError
from pythanos.query.config import DiscoveryConfig, EndpointEntry, EndpointSdConfig
from pythanos.query.endpoints import EndpointSpec
from pythanos.tls import ClientTLS

log = logging.getLogger(__name__)

GROUP_SCHEME = "thanos:///"


class EndpointSdFile:
    """The content of endpoint.sd_config_file, read again when it changes; a bad one is logged, the last good one stays.

    Not safe for use from several threads.
    """

    def __init__(self, config: DiscoveryConfig, environment: Mapping[str, str]) -> None:
        section = config.endpoint_section
        self._path = section.sd_config_file
        self._interval_ms = section.sd_config_reload_interval
        self._environment = environment
        self._content = section.sd_config or EndpointSdConfig()
        self._stamp: tuple[int, int] | None = None
        self._read_at_ms = 0

    def content(self, now_ms: int) -> EndpointSdConfig:
        """What the file says, as of now."""
        if not self._path:
            return self._content
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp and now_ms - self._read_at_ms < self._interval_ms:
                return self._content
            self._stamp, self._read_at_ms = stamp, now_ms
            self._content = load(self._path, EndpointSdConfig, environment=self._environment)
        except (OSError, ConfigError) as error:
            log.error("failed to reload endpoint config: %s", error)
        return self._content


class EndpointDiscovery:
    """``specs`` is what an EndpointSet asks for; ``resolve`` looks all dynamic names up, as periodic work.

    Dynamic endpoints that are no group become one endpoint an address, with the connection options of all (QU-6). A
    group is one endpoint, whatever number of addresses it has (QU-3).
    """

    def __init__(
        self,
        config: DiscoveryConfig,
        tls: ClientTLS,
        *,
        endpoints: DNSProvider,
        groups: DNSProvider,
        now_ms: Callable[[], int],
        environment: Mapping[str, str],
    ) -> None:
        self._config = config
        self._tls = tls
        self._endpoints = endpoints
        self._groups = groups
        self._now_ms = now_ms
        self._sd_file = EndpointSdFile(config, environment)
        self._files = FileDiscovery(config.store.sd_files, config.store.sd_interval)
        self._dynamic: tuple[str, ...] = ()
        self._grouped: tuple[str, ...] = ()

    def specs(self) -> list[EndpointSpec]:
        """Static endpoints and groups as configured, then those that DNS and files name; duplicates included.

        Blocks for a lookup where a name is new, and only then. For use in one thread.
        """
        now = self._now_ms()
        listed = self._sd_file.content(now)
        entries = self._config.entries(listed)
        found = self._files.addresses(now)
        self._grouped = tuple(entry.address for entry in entries if entry.group)
        single = [entry for entry in entries if not entry.group]
        self._dynamic = (*(entry.address for entry in single if is_dynamic(entry.address)), *found)
        self._endpoints.resolve_new(self._dynamic)
        self._groups.resolve_new(self._grouped)
        of_all = listed.default_client_config.tls(self._tls)
        return [*self._configured(entries, of_all), *self._discovered(of_all)]

    def resolve(self, ctx: RequestContext) -> None:
        """Looks up again what the last ``specs`` contained."""
        self._endpoints.resolve(self._dynamic)
        self._groups.resolve(self._grouped)

    def _configured(self, entries: Iterable[EndpointEntry], of_all: ClientTLS) -> Iterable[EndpointSpec]:
        for entry in entries:
            tls = entry.client_config.tls(of_all)
            if entry.group:
                if members := self._groups.addresses(entry.address):
                    name = GROUP_SCHEME + entry.address
                    yield EndpointSpec(name, entry.strict, tls, tuple(sorted(members)), entry.service_config)
            elif not is_dynamic(entry.address):
                yield EndpointSpec(entry.address, entry.strict, tls)

    def _discovered(self, of_all: ClientTLS) -> Iterable[EndpointSpec]:
        for address in dict.fromkeys(self._dynamic):
            for found in self._endpoints.addresses(address):
                yield EndpointSpec(found, tls=of_all)
