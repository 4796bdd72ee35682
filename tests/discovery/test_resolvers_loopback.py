"""The resolvers against a DNS server on the loopback."""

import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from pythanos.discovery.lookups import LookupFailed, NameNotFound, Service, lookup
from pythanos.discovery.resolvers import DNSResolver, SystemResolver, from_resolv_conf, resolver_of

ZONE = {
    ("store.test.", "A"): ["10.0.0.1", "10.0.0.2"],
    ("both.test.", "A"): ["10.0.0.3"],
    ("both.test.", "AAAA"): ["fd00::3"],
    ("_grpc._tcp.test.", "SRV"): ["0 0 7 store.test.", "0 0 8 both.test."],
    ("alias.test.", "CNAME"): ["store.test."],
}


class Server(threading.Thread):
    """Answers over UDP from ZONE; SERVFAIL for ``broken.test.``."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = []

    def run(self):
        while True:
            data, sender = self.socket.recvfrom(4096)
            if data == b"stop":
                return
            self.socket.sendto(self.answer(dns.message.from_wire(data)).to_wire(), sender)

    def answer(self, query):
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        (question,) = query.question
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name == "broken.test.":
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif all(known != name for known, _ in ZONE):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if target := ZONE.get((name, "CNAME")):
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", *target))
            name = target[0]
        if records := ZONE.get((name, kind)):
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records))
        return reply

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"stop", ("127.0.0.1", self.port))
        self.join()
        self.socket.close()


@pytest.fixture
def server():
    server = Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def make(server):
    def resolver():
        made = dns.resolver.Resolver(configure=False)
        made.nameservers, made.port = ["127.0.0.1"], server.port
        made.search = [dns.name.from_text("test.")]
        return made

    return resolver


def test_names_become_addresses(make):
    """XC-34: over the wire, aliases and the search domain included."""
    resolver = DNSResolver(make)
    assert sorted(resolver.hosts("store.test")) == ["10.0.0.1", "10.0.0.2"]
    assert sorted(resolver.hosts("alias.test")) == ["10.0.0.1", "10.0.0.2"]
    assert sorted(resolver.hosts("store")) == ["10.0.0.1", "10.0.0.2"]
    assert resolver.hosts("both.test") == ["fd00::3"]
    assert resolver.hosts_of_family("both.test", 4) == ["10.0.0.3"]
    assert set(resolver.services("_grpc._tcp.test")) == {Service("store.test.", 7), Service("both.test.", 8)}
    assert set(lookup(resolver, "dnssrv+_grpc._tcp.test")) == {"10.0.0.1:7", "10.0.0.2:7", "[fd00::3]:8"}
    assert set(lookup(resolver, "dnssrvnoa+_grpc._tcp.test")) == {"store.test:7", "both.test:8"}
    assert lookup(resolver, "dnsdualstack+both.test:5") == ("[fd00::3]:5", "10.0.0.3:5")


def test_no_such_name_is_not_a_failure_of_dns(make):
    """XC-35: the one empties the answer, the other keeps it."""
    resolver = DNSResolver(make)
    for name in ("gone.test.", "_grpc._tcp.test."):
        with pytest.raises(NameNotFound):
            resolver.hosts(name)
    with pytest.raises(NameNotFound):
        resolver.services("gone.test.")
    with pytest.raises(LookupFailed) as failure:
        resolver.hosts("broken.test.")
    assert not isinstance(failure.value, NameNotFound)
    assert lookup(resolver, "dns+gone.test.:1") == ()


def test_the_system_knows_more_names_than_dns(make):
    """``golang`` reads /etc/hosts; SRV records come from DNS either way."""
    resolver = SystemResolver(make)
    assert "127.0.0.1" in resolver.hosts_of_family("localhost", 4)
    assert "127.0.0.1" in resolver.hosts("localhost")
    with pytest.raises(LookupFailed):
        resolver.hosts("no-such-host.invalid")
    assert len(resolver.services("_grpc._tcp.test")) == 2


def test_a_system_without_servers_is_a_failure(monkeypatch, tmp_path):
    """Not an empty answer."""
    monkeypatch.setattr("pythanos.discovery.resolvers.RESOLV_CONF", str(tmp_path / "none"))
    with pytest.raises(LookupFailed, match="none"):
        from_resolv_conf()
    assert isinstance(resolver_of("golang"), SystemResolver)
    assert not isinstance(resolver_of("miekgdns"), SystemResolver)
