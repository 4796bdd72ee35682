"""TLS of gRPC over the loopback: who is let in, who is trusted, what is noticed when files change."""

import socket
import ssl
from contextlib import contextmanager

import pytest
from certificates import Authority
from prometheus_client import CollectorRegistry

from pythanos.context import RequestContext
from pythanos.errors import ConfigError, PythanosError
from pythanos.query.endpoints import EndpointSpec
from pythanos.rpc.channels import open_connection, target_of
from pythanos.rpc.client import connect
from pythanos.rpc.info_servicer import SERVICE, InfoServicer
from pythanos.rpc.server import GRPCServer
from pythanos.rpc.tls.floor import check_min_version
from pythanos.rpc.tls.server import ServerTLSConfig
from pythanos.testing.fake_store import FakeStore
from pythanos.tls import CLEARTEXT, ClientTLS


@contextmanager
def serving(component="store", **tls):
    config = ServerTLSConfig(**{name: str(value) for name, value in tls.items()})
    handlers = [(SERVICE, InfoServicer(component, FakeStore()).handler())]
    server = GRPCServer("127.0.0.1:0", handlers, registry=CollectorRegistry(), tls=config)
    server.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        server.stop(0)


def component_of(address, tls=CLEARTEXT, seconds=5, members=None, service_config=""):
    client = connect(EndpointSpec(address, tls=tls, members=members, service_config=service_config))
    try:
        return client.fetch_info(RequestContext(timeout_seconds=seconds)).component
    finally:
        client.close()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def server(authority):
    return authority.issue("server", "127.0.0.1", "store.example")


def test_a_server_is_known_by_its_certificate(authority, server, tmp_path):
    """XC-31: the CA of the configuration, and the name in the address or the one that is given."""
    ca = ClientTLS(enabled=True, ca_file=str(authority.ca))
    other = Authority(tmp_path, "other")
    with serving(cert=server.cert, key=server.key) as address:
        assert component_of(address, ca) == "store"
        named = ClientTLS(enabled=True, ca_file=str(authority.ca), server_name="store.example")
        assert component_of(address, named) == "store"
        for wrong in (
            ClientTLS(enabled=True, ca_file=str(other.ca)),
            ClientTLS(enabled=True, ca_file=str(authority.ca), server_name="elsewhere.example"),
            CLEARTEXT,
        ):
            with pytest.raises(PythanosError):
                component_of(address, wrong, seconds=1)


def test_a_client_has_to_show_a_certificate_where_a_ca_is_given(authority, server, tmp_path):
    """XC-30: one that the CA has signed."""
    good = authority.issue("client", "client.example")
    bad = Authority(tmp_path, "other").issue("bad", "client.example")
    with serving(cert=server.cert, key=server.key, client_ca=authority.ca) as address:
        known = ClientTLS(enabled=True, ca_file=str(authority.ca), cert_file=str(good.cert), key_file=str(good.key))
        assert component_of(address, known) == "store"
        stranger = ClientTLS(enabled=True, ca_file=str(authority.ca), cert_file=str(bad.cert), key_file=str(bad.key))
        for wrong in (stranger, ClientTLS(enabled=True, ca_file=str(authority.ca))):
            with pytest.raises(PythanosError):
                component_of(address, wrong, seconds=1)


def test_a_certificate_that_is_replaced_serves_the_next_connection(authority, server, tmp_path):
    """XC-30: without a restart."""
    with serving(cert=server.cert, key=server.key) as address:
        assert component_of(address, ClientTLS(enabled=True, ca_file=str(authority.ca))) == "store"
        other = Authority(tmp_path, "other")
        other.issue("server", "127.0.0.1")
        assert component_of(address, ClientTLS(enabled=True, ca_file=str(other.ca))) == "store"


def test_verification_can_be_skipped(authority, server):
    """XC-31: whatever the server shows is taken, whoever signed it and whatever it is for."""
    unchecked = ClientTLS(enabled=True, skip_verify=True)
    authority.issue("server", "elsewhere.example")
    with serving(cert=server.cert, key=server.key) as address:
        client = connect(EndpointSpec(address, tls=unchecked))
        assert client.fetch_info(RequestContext(timeout_seconds=5)).component == "store"
        assert not client.is_outdated()
        client.close()
    with pytest.raises(PythanosError):
        component_of(address, unchecked, seconds=1)


def test_a_server_that_shows_another_certificate_than_the_trusted_one_is_noticed(authority, server):
    """After a call has failed, and not before: the look costs a connection."""
    with serving(cert=server.cert, key=server.key) as address:
        connection = open_connection(address, ClientTLS(enabled=True, skip_verify=True))
        assert not connection.shows_another()
        authority.issue("server", "127.0.0.1")
        assert connection.shows_another()
        connection.channel.close()


def test_client_certificates_that_are_replaced_outdate_a_connection(authority, server):
    """XC-31: the endpoint set opens a new one."""
    own = authority.issue("client", "client.example")
    tls = ClientTLS(enabled=True, ca_file=str(authority.ca), cert_file=str(own.cert), key_file=str(own.key))
    connection = open_connection("127.0.0.1:1", tls)
    assert not connection.is_outdated()
    authority.issue("client", "client.example")
    assert connection.is_outdated()
    own.cert.unlink()
    assert not connection.is_outdated()
    connection.channel.close()
    with pytest.raises(ConfigError, match=r"client\.pem"):
        open_connection("127.0.0.1:1", tls)


def test_tls_1_2_is_refused(authority, server):
    """XC-30: 1.3 is the least, as in Thanos; grpcio itself would take 1.2."""
    with serving(cert=server.cert, key=server.key) as address:
        host, port = address.split(":")
        assert handshake(host, int(port), ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        with pytest.raises(OSError):
            handshake(host, int(port), ssl.TLSVersion.TLSv1_2)


def handshake(host, port, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, port), 5) as plain, context.wrap_socket(plain) as secured:
        return secured.version()


def test_a_version_that_cannot_be_had_is_refused_at_the_start():
    """The process has one lowest version; a configuration that says another one is wrong."""
    check_min_version("1.2", "key", {"GRPC_SSL_CIPHER_SUITES": "HIGH"})
    for version, environment in (
        ("1.3", {"GRPC_SSL_CIPHER_SUITES": "HIGH"}),
        ("1.2", {"GRPC_SSL_CIPHER_SUITES": "ECDHE-PSK-AES128-CBC-SHA"}),
        ("1.1", {}),
    ):
        with pytest.raises(ConfigError, match="key"):
            check_min_version(version, "key", environment)
    with pytest.raises(ConfigError, match="min_version"):
        ServerTLSConfig(cert="a", key="b", min_version="1.0").check()


def test_the_calls_of_a_group_go_to_its_members_in_turn():
    """QU-3: one endpoint, whose answers come from each; and from the others when one is gone."""
    with serving("first") as first:
        with serving("second") as second:
            client = connect(EndpointSpec("thanos:///dns+stores:1", members=(first, second)))
            seen = {client.fetch_info(RequestContext(timeout_seconds=5)).component for _ in range(20)}
            assert seen == {"first", "second"}
        after = [client.fetch_info(RequestContext(timeout_seconds=5)).component for _ in range(4)]
        assert after == ["first"] * 4
        client.close()


def test_the_members_of_a_group_are_one_target():
    """gRPC takes addresses of one kind only."""
    assert target_of(["10.0.0.1:1", "10.0.0.2:2"]) == "ipv4:10.0.0.1:1,10.0.0.2:2"
    assert target_of(["10.0.0.1:1", "[fd00::1]:2"]) == "ipv6:[::ffff:10.0.0.1]:1,[fd00::1]:2"
    assert "127.0.0.1:3" in target_of(["localhost:3"])
