"""From configuration, files and DNS to endpoints."""

import json

import pytest
from prometheus_client import CollectorRegistry

from pythanos.config import loads
from pythanos.context import RequestContext
from pythanos.discovery.dns_provider import DNSMetrics, DNSProvider
from pythanos.discovery.lookups import LookupFailed
from pythanos.query.config import DiscoveryConfig
from pythanos.query.endpoint_discovery import EndpointDiscovery
from pythanos.query.endpoints import EndpointSpec
from pythanos.tls import CLEARTEXT, ClientTLS


class Names:
    """A resolver: host name -> IPs."""

    def __init__(self, names):
        self.names = names

    def hosts(self, name):
        if name not in self.names:
            raise LookupFailed("down")
        return self.names[name]


class Found:
    """A discovery with its clock and names at hand."""

    def __init__(self, text, tls=CLEARTEXT, **names):
        self.now, self.names = 0, names
        registry = CollectorRegistry()
        self.discovery = EndpointDiscovery(
            loads(text, DiscoveryConfig),
            tls,
            endpoints=self.provider("endpoints", registry),
            groups=self.provider("groups", registry),
            now_ms=lambda: self.now,
            environment={"CA": "from-environment:1"},
        )

    def provider(self, prefix, registry):
        return DNSProvider(lambda: Names(self.names), DNSMetrics(prefix, registry))

    def specs(self):
        return self.discovery.specs()

    def addresses(self):
        return [spec.address for spec in self.specs()]


def test_dynamic_addresses_are_replaced_by_what_they_stand_for():
    """XC-34: static ones come first; each answer is an endpoint of its own."""
    found = Found("endpoint: [dns+a:1, b:2]\nendpoint_strict: [c:3]\n", a=["10.0.0.1", "10.0.0.2"])
    assert found.specs() == [
        EndpointSpec("b:2"),
        EndpointSpec("c:3", strict=True),
        EndpointSpec("10.0.0.1:1"),
        EndpointSpec("10.0.0.2:1"),
    ]


def test_names_are_looked_up_again_when_it_is_time():
    """XC-35: and keep their last answer where that fails."""
    found = Found("endpoint: [dns+a:1]", a=["10.0.0.1"])
    assert found.addresses() == ["10.0.0.1:1"]
    found.names["a"] = ["10.0.0.2"]
    assert found.addresses() == ["10.0.0.1:1"]
    found.discovery.resolve(RequestContext())
    assert found.addresses() == ["10.0.0.2:1"]
    del found.names["a"]
    found.discovery.resolve(RequestContext())
    assert found.addresses() == ["10.0.0.2:1"]


def test_a_group_is_one_endpoint_with_members():
    """QU-3: while it has any; other members are another connection."""
    found = Found("endpoint_group: [dns+a:1, b:2]\nendpoint_group_strict: [c:3]", a=["10.0.0.2", "10.0.0.1"])
    assert found.specs() == [
        EndpointSpec("thanos:///dns+a:1", members=("10.0.0.1:1", "10.0.0.2:1")),
        EndpointSpec("thanos:///b:2", members=("b:2",)),
        EndpointSpec("thanos:///c:3", strict=True, members=("c:3",)),
    ]
    before = found.specs()[0]
    found.names["a"] = ["10.0.0.3"]
    found.discovery.resolve(RequestContext())
    assert not found.specs()[0].connects_like(before)
    found.names["a"] = []
    found.discovery.resolve(RequestContext())
    assert found.addresses() == ["thanos:///b:2", "thanos:///c:3"]


def test_targets_in_files_may_be_names(tmp_path):
    """XC-37."""
    path = tmp_path / "sd.json"
    path.write_text(json.dumps([{"targets": ["dns+a:1", "b:2"]}]))
    found = Found(f"store: {{sd_files: ['{path}']}}", a=["10.0.0.1"])
    assert found.addresses() == ["10.0.0.1:1", "b:2"]


def test_discovered_endpoints_have_the_tls_of_all(tmp_path):
    """QU-6: whatever their entry says, which is about no one address."""
    text = (
        "endpoint: {addresses: [d:4], sd_config: {default_client_config: {tls_config: {ca_file: all}}, endpoints: ["
        "{address: a:1}, {address: b:2, client_config: {tls_config: {enabled: false}}}, {address: 'dns+c:3',"
        " client_config: {tls_config: {ca_file: own}}}]}}"
    )
    found = Found(text, tls=ClientTLS(enabled=True, ca_file="flags"), c=["10.0.0.1"])
    of_all = ClientTLS(enabled=True, ca_file="all")
    assert {spec.address: spec.tls for spec in found.specs()} == {
        "a:1": of_all,
        "b:2": CLEARTEXT,
        "d:4": of_all,
        "10.0.0.1:3": of_all,
    }


@pytest.fixture
def sd_file(tmp_path):
    path = tmp_path / "endpoints.yaml"
    path.write_text("endpoints: [{address: a:1}]")
    return path


def test_the_file_is_read_again_when_it_changes(sd_file):
    """QU-6: a bad one is ignored."""
    found = Found(f"endpoint: {{addresses: [z:9], sd_config_file: '{sd_file}'}}")
    assert found.addresses() == ["a:1", "z:9"]
    sd_file.write_text("endpoints: [{address: a:1}, {address: $(CA)}]")
    assert found.addresses() == ["a:1", "from-environment:1", "z:9"]
    for bad in ("endpoints: [{adress: b}]", "{", "endpoints: [{address: dns+b:1, strict: true}, {address: more}]"):
        sd_file.write_text(bad)
        assert found.addresses() == ["a:1", "from-environment:1", "z:9"]
    sd_file.unlink()
    assert found.addresses() == ["a:1", "from-environment:1", "z:9"]
    sd_file.write_text("endpoints: []")
    assert found.addresses() == ["z:9"]
