"""DNSProvider: what dynamic addresses stand for, looked up periodically; the last good answer stays."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from pythanos.discovery.lookups import LookupFailed, Resolver, is_dynamic, lookup

log = logging.getLogger(__name__)


class DNSMetrics:
    """``<prefix>_dns_*`` (XC-36)."""

    def __init__(self, prefix: str, registry: CollectorRegistry | None = None) -> None:
        self.lookups = Counter(
            f"{prefix}_dns_lookups_total", "The number of DNS lookups resolutions attempts", registry=registry
        )
        self.failures = Counter(f"{prefix}_dns_failures_total", "The number of DNS lookup failures", registry=registry)
        self._name = f"{prefix}_dns_provider_results"
        self._counts: dict[str, int] = {}
        if registry is not None:
            registry.register(self)

    def show(self, resolved: Mapping[str, tuple[str, ...]]) -> None:
        self._counts = {address: len(found) for address, found in resolved.items()}

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            self._name, "The number of resolved endpoints for each configured address", labels=["addr"]
        )
        for address, count in sorted(self._counts.items()):
            family.add_metric([address], count)
        yield family


class DNSProvider:
    """The answers of the last lookups, by dynamic address. Safe for use from several threads; ``resolve`` blocks.

    ``make_resolver`` is called at the first lookup, so that a daemon without dynamic addresses pays nothing.
    """

    def __init__(self, make_resolver: Callable[[], Resolver], metrics: DNSMetrics) -> None:
        self._make_resolver = make_resolver
        self._metrics = metrics
        self._resolver: Resolver | None = None
        self._resolving = threading.Lock()
        # Replaced as a whole, so that readers need no lock.
        self._resolved: dict[str, tuple[str, ...]] = {}
        self._tried: frozenset[str] = frozenset()

    def addresses(self, address: str) -> tuple[str, ...]:
        """What an address stands for: itself where it is static, nothing while no lookup of it has succeeded."""
        return self._resolved.get(address, ()) if is_dynamic(address) else (address,)

    def resolve(self, addresses: Iterable[str]) -> None:
        """Looks all of these up, and forgets the others. A failure is logged, counted, and keeps the last answer."""
        with self._resolving:
            wanted = list(dict.fromkeys(addresses))
            self._resolved = {address: found for address in wanted if (found := self._current(address)) is not None}
            self._tried = frozenset(wanted)
            self._metrics.show(self._resolved)

    def resolve_new(self, addresses: Iterable[str]) -> None:
        """Looks up those that were never looked up, so that a new address need not wait for its turn."""
        tried = self._tried
        if new := [address for address in dict.fromkeys(addresses) if address not in tried]:
            with self._resolving:
                self._tried = self._tried.union(new)
                found = {address: answer for address in new if (answer := self._current(address)) is not None}
                self._resolved = {**self._resolved, **found}
                self._metrics.show(self._resolved)

    def _current(self, address: str) -> tuple[str, ...] | None:
        if not is_dynamic(address):
            return (address,)
        self._metrics.lookups.inc()
        try:
            if self._resolver is None:
                self._resolver = self._make_resolver()
            return lookup(self._resolver, address)
        except LookupFailed as error:
            self._metrics.failures.inc()
            log.error("failed to resolve addresses for endpoints: %s: %s", address, error)
            return self._resolved.get(address)


def open_resolver(kind: str) -> Resolver:
    """The resolver of a configured name; dnspython is imported here and not at the start of a daemon."""
    resolver: Resolver = importlib.import_module("pythanos.discovery.resolvers").resolver_of(kind)
    return resolver
