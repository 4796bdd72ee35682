"""The two resolvers of ``sd_dns_resolver``, by dnspython. Imported only where a name has to be looked up."""

from __future__ import annotations

import socket
from collections.abc import Callable

import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from pythanos.discovery.lookups import LookupFailed, NameNotFound, Resolver, Service

RESOLV_CONF = "/etc/resolv.conf"
LOOKUP_SECONDS_MAX = 5.0
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
ADDRESS_TYPES = {4: dns.rdatatype.A, 6: dns.rdatatype.AAAA}


def from_resolv_conf() -> dns.resolver.Resolver:
    """Servers and search domains as they are now. Raises LookupFailed where there are none."""
    try:
        return dns.resolver.Resolver(RESOLV_CONF)
    except dns.exception.DNSException as error:
        raise LookupFailed(f"read {RESOLV_CONF}: {error}") from error


class DNSResolver:
    """``miekgdns``: asks the servers of resolv.conf and nobody else; IPv6 addresses of a name, or else its IPv4 ones.

    ``make`` gives the servers anew for each lookup, so that a changed resolv.conf needs no restart.
    """

    def __init__(self, make: Callable[[], dns.resolver.Resolver] = from_resolv_conf) -> None:
        self._make = make

    def hosts(self, name: str) -> list[str]:
        return self._addresses(name, 6) or self._found(name, self._addresses(name, 4))

    def hosts_of_family(self, name: str, version: int) -> list[str]:
        return self._found(name, self._addresses(name, version))

    def services(self, name: str) -> list[Service]:
        records = self._ask(name, dns.rdatatype.SRV)
        return [Service(record.target.to_text(), record.port) for record in records]

    def _addresses(self, name: str, version: int) -> list[str]:
        return [record.address for record in self._ask(name, ADDRESS_TYPES[version])]

    def _found(self, name: str, addresses: list[str]) -> list[str]:
        if not addresses:
            raise NameNotFound(f"no such host: {name}")
        return addresses

    def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> list:
        """The records of a kind, none where the name has only others."""
        try:
            answer = self._make().resolve(
                name, kind, search=True, lifetime=LOOKUP_SECONDS_MAX, raise_on_no_answer=False
            )
        except dns.resolver.NXDOMAIN as error:
            raise NameNotFound(f"no such host: {name}") from error
        except dns.exception.DNSException as error:
            raise LookupFailed(f"lookup {dns.rdatatype.to_text(kind)} {name}: {error}") from error
        return list(answer) if answer.rrset is not None else []


class SystemResolver(DNSResolver):
    """``golang``: host names as the system resolves them, /etc/hosts included, both kinds; SRV records from DNS."""

    def hosts(self, name: str) -> list[str]:
        return self._system(name, socket.AF_UNSPEC)

    def hosts_of_family(self, name: str, version: int) -> list[str]:
        return self._system(name, FAMILIES[version])

    def _system(self, name: str, family: int) -> list[str]:
        try:
            found = socket.getaddrinfo(name, None, family=family, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
                raise NameNotFound(f"no such host: {name}") from error
            raise LookupFailed(f"lookup {name}: {error.strerror}") from error
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def resolver_of(kind: str) -> Resolver:
    """The resolver of a name that configurations use: ``golang`` or ``miekgdns``."""
    return {"golang": SystemResolver, "miekgdns": DNSResolver}[kind]()
