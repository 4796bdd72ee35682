"""Addresses that name a lookup, and what a provider does with the answers."""

import pytest
from prometheus_client import CollectorRegistry

from pythanos.discovery.dns_provider import DNSMetrics, DNSProvider
from pythanos.discovery.lookups import LookupFailed, NameNotFound, Service, check_target, is_dynamic, lookup, split_port


class Zone:
    """A resolver over dictionaries; an exception as a value is raised."""

    def __init__(self, v4=None, v6=None, srv=None):
        self.v4, self.v6, self.srv = v4 or {}, v6 or {}, srv or {}
        self.asked = []

    def hosts(self, name):
        return self._look(self.v6, name) if name in self.v6 else self._look(self.v4, name)

    def hosts_of_family(self, name, version):
        return self._look(self.v4 if version == 4 else self.v6, name)

    def services(self, name):
        return [Service(*one) for one in self._look(self.srv, name)]

    def _look(self, records, name):
        self.asked.append(name)
        found = records.get(name, NameNotFound(name))
        if isinstance(found, Exception):
            raise found
        return found


DOWN = LookupFailed("server is down")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("dns+a:10901", ("10.0.0.1:10901", "10.0.0.2:10901")),
        ("dns+six:1", ("[fd00::6]:1",)),
        ("dns+127.0.0.1:1", ("127.0.0.1:1",)),
        ("dns+gone:1", ()),
        ("dnsdualstack+both:1", ("[fd00::1]:1", "10.0.0.3:1")),
        ("dnsdualstack+half:1", ("10.0.0.4:1",)),
        ("dnsdualstack+gone:1", ()),
        ("dnssrv+_grpc._tcp.x", ("10.0.0.1:7", "10.0.0.2:7", "[fd00::6]:8")),
        ("dnssrv+_grpc._tcp.x:9", ("10.0.0.1:9", "10.0.0.2:9", "[fd00::6]:9")),
        ("dnssrvnoa+_grpc._tcp.x", ("a:7", "six:8")),
        ("dnssrv+gone", ()),
        ("dns+http://a:80", ("http://10.0.0.1:80", "http://10.0.0.2:80")),
    ],
)
def test_an_address_stands_for_what_dns_says(address, expected):
    """XC-34: and for nothing where there is no such name (XC-35)."""
    zone = Zone(
        v4={"a": ["10.0.0.1", "10.0.0.2"], "a.": ["10.0.0.1", "10.0.0.2"], "both": ["10.0.0.3"], "half": ["10.0.0.4"]},
        v6={"six": ["fd00::6"], "six.": ["fd00::6"], "both": ["fd00::1"], "half": DOWN},
        srv={"_grpc._tcp.x": [("a.", 7), ("six.", 8)]},
    )
    assert lookup(zone, address) == expected


@pytest.mark.parametrize("address", ["dns+a", "dnsdualstack+a", "dns+down:1", "dnssrv+down", "nonsense+a:1"])
def test_a_lookup_that_fails_says_nothing_about_the_name(address):
    """XC-34: the port is needed; an unknown prefix is no address."""
    with pytest.raises(LookupFailed):
        lookup(Zone(v4={"a": ["10.0.0.1"], "down": DOWN}, srv={"down": DOWN}), address)


def test_static_addresses_are_not_looked_up():
    assert not is_dynamic("a:1") and is_dynamic("dns+a:1") and is_dynamic("dnssrvnoa+a")
    assert split_port("[fd00::1]:5") == ("fd00::1", "5")
    assert split_port("fd00::1") == ("fd00::1", "")


class Providing:
    def __init__(self, **zone):
        self.zone = Zone(**zone)
        self.registry = CollectorRegistry()
        self.made = 0
        self.provider = DNSProvider(self.make, DNSMetrics("thanos_query_endpoints", self.registry))

    def make(self):
        self.made += 1
        return self.zone

    def metric(self, name, **labels):
        return self.registry.get_sample_value(f"thanos_query_endpoints_dns_{name}", labels)


def test_the_last_good_answer_stays_while_lookups_fail():
    """XC-35; XC-36: counted."""
    dns = Providing(v4={"a": ["10.0.0.1"]})
    dns.provider.resolve(["dns+a:1", "static:2"])
    assert dns.provider.addresses("dns+a:1") == ("10.0.0.1:1",)
    dns.zone.v4["a"] = DOWN
    dns.provider.resolve(["dns+a:1", "static:2"])
    assert dns.provider.addresses("dns+a:1") == ("10.0.0.1:1",)
    assert (dns.metric("lookups_total"), dns.metric("failures_total")) == (2, 1)
    assert dns.metric("provider_results", addr="dns+a:1") == 1
    assert dns.metric("provider_results", addr="static:2") == 1
    dns.zone.v4["a"] = NameNotFound("a")
    dns.provider.resolve(["dns+a:1"])
    assert dns.provider.addresses("dns+a:1") == ()
    assert dns.metric("provider_results", addr="dns+a:1") == 0
    assert dns.metric("provider_results", addr="static:2") is None


def test_a_new_address_is_looked_up_at_once_and_only_once():
    """A name that fails waits for its turn like all others: it must not hold up those who ask."""
    dns = Providing(v4={"a": ["10.0.0.1"], "down": DOWN})
    for _ in range(3):
        dns.provider.resolve_new(["dns+a:1", "dns+down:1"])
    assert dns.zone.asked == ["a", "down"]
    dns.provider.resolve(["dns+a:1"])
    assert dns.zone.asked == ["a", "down", "a"]


def test_a_daemon_without_dynamic_addresses_makes_no_resolver():
    dns = Providing()
    dns.provider.resolve_new(["static:1"])
    dns.provider.resolve(["static:1"])
    assert dns.made == 0 and dns.provider.addresses("static:1") == ("static:1",)


@pytest.mark.parametrize(
    "address",
    [
        "a:1",
        "10.0.0.1:65535",
        "[::1]:80",
        "dns+a:1",
        "dnsdualstack+a:1",
        "dnssrv+_grpc._tcp.a",
        "dnssrvnoa+_a:5",
        "unix:/x",
        "passthrough:///a",
        "dns+http://a:1",
    ],
)
def test_what_may_be_a_target(address):
    check_target(address)


@pytest.mark.parametrize(
    "address", ["", "a", "a:", ":1", "a:b", "a:0", "a:65536", "::1", "dns+", "dns+a", "dnssrv+", "dnsx+a:1"]
)
def test_what_cannot_be_a_target(address):
    """Neither to be connected to nor to be looked up: said when the configuration is read, not in every round."""
    with pytest.raises(ValueError, match=r"expected host:port|no lookup is called"):
        check_target(address)
