"""Addresses that name a DNS lookup (``dns+host:port``, ``dnssrv+_grpc._tcp.name``), and how one becomes addresses."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from pythanos.errors import Retryable

log = logging.getLogger(__name__)


class LookupFailed(Retryable):
    """A lookup gave no answer, which says nothing about the name."""


class NameNotFound(LookupFailed):
    """DNS says that there is no such name, or no such record of it."""


LOOKUPS = ("dns", "dnsdualstack", "dnssrv", "dnssrvnoa")


class Service(NamedTuple):
    """An SRV record: a host, and a port of it."""

    target: str
    port: int


class Resolver(Protocol):
    """Asks DNS. All raise NameNotFound and LookupFailed."""

    def hosts(self, name: str) -> list[str]:
        """The IP addresses of a name, of one kind or of both, as this resolver does it."""

    def hosts_of_family(self, name: str, version: int) -> list[str]:
        """Its IPv4 or IPv6 addresses."""

    def services(self, name: str) -> list[Service]:
        """The SRV records of a name."""


def split_lookup(address: str) -> tuple[str, str]:
    """(kind of lookup, the rest) of an address; the kind is "" where the address stands for itself."""
    kind, plus, rest = address.partition("+")
    return (kind, rest) if plus else ("", address)


def is_dynamic(address: str) -> bool:
    """Whether an address has to be looked up."""
    return split_lookup(address)[0] != ""


def check_target(address: str) -> None:
    """Raises ValueError for what can neither be connected to nor looked up; addresses with a scheme are not judged."""
    kind, rest = split_lookup(address)
    if kind not in ("", *LOOKUPS):
        raise ValueError(
            f"{address}: no lookup is called {kind!r}; valid are {', '.join(f'{one}+' for one in LOOKUPS)}"
        )
    if "//" in rest or rest.startswith("unix:"):
        return
    host, port = split_port(rest)
    if kind.startswith("dnssrv") and host and not port:
        return
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"expected host:port, got {address!r}")


def lookup(resolver: Resolver, address: str) -> tuple[str, ...]:
    """The addresses that ``address`` stands for now (XC-34); a name that does not exist stands for none.

    A scheme before the host (``dns+http://host:80``) stays in front of each. Raises LookupFailed.
    """
    kind, rest = split_lookup(address)
    scheme, slashes, name = rest.rpartition("//")
    host, port = split_port(name)
    if kind == "dns":
        found = [(ip, port) for ip in _hosts(resolver, host, _needed(port, name, kind))]
    elif kind == "dnsdualstack":
        found = [(ip, port) for ip in _both(resolver, host, _needed(port, name, kind))]
    elif kind in ("dnssrv", "dnssrvnoa"):
        found = list(_of_services(resolver, host, port, resolved=kind == "dnssrv"))
    else:
        raise LookupFailed(f'invalid lookup scheme "{kind}"')
    if not found:
        log.warning("IP address lookup yielded no results. No host found or no addresses found: %s", host)
    return tuple(f"{scheme}{slashes}{join_port(ip, at)}" for ip, at in found)


def split_port(name: str) -> tuple[str, str]:
    """(host, port) of ``host:port`` or ``[v6]:port``; the port is "" where there is none."""
    host, colon, port = name.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        return name.removeprefix("[").removesuffix("]"), ""
    return host.removeprefix("[").removesuffix("]"), port


def join_port(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _needed(port: str, name: str, kind: str) -> str:
    if not port:
        raise LookupFailed(f"missing port in address given for {kind} lookup: {name}")
    return port


def _hosts(resolver: Resolver, host: str, asked_for: str) -> list[str]:
    """The IPs of a host, an IP being its own; none where there is no such name."""
    if _is_ip(host):
        return [host]
    try:
        return resolver.hosts(host)
    except NameNotFound as error:
        log.error("lookup of IP addresses of %s (for %s): %s", host, asked_for, error)
        return []


def _both(resolver: Resolver, host: str, port: str) -> list[str]:
    """IPv6 addresses, then IPv4; a kind that fails is left out where the other one answers."""
    if _is_ip(host):
        return [host]
    found: list[str] = []
    failure: LookupFailed | None = None
    for version in (6, 4):
        try:
            found += resolver.hosts_of_family(host, version)
        except NameNotFound:
            continue
        except LookupFailed as error:
            failure = error
    if failure is not None and not found:
        raise failure
    return found


def _of_services(resolver: Resolver, name: str, port: str, *, resolved: bool) -> Iterable[tuple[str, str]]:
    try:
        services = resolver.services(name)
    except NameNotFound as error:
        log.error("lookup of SRV records of %s: %s", name, error)
        return
    for service in services:
        # A port that was given wins over the record's.
        at = port or str(service.port)
        if resolved:
            for ip in _hosts(resolver, service.target, name):
                yield ip, at
        else:
            yield service.target.rstrip("."), at


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
