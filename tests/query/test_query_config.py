"""The configuration of endpoints."""

import pytest

from pythanos.config import flatten, loads
from pythanos.errors import ConfigError
from pythanos.query.client_config import ClientConfig, GRPCClientConfig
from pythanos.query.config import DiscoveryConfig, EndpointSdConfig
from pythanos.query.endpoints import EndpointTimes
from pythanos.tls import CLEARTEXT, ClientTLS


def entries(config):
    return [
        (entry.address, entry.strict, entry.group)
        for entry in config.entries(config.endpoint_section.sd_config or EndpointSdConfig())
    ]


def test_addresses_can_be_a_list_or_a_section():
    """``endpoint: [a]`` is the flag, ``endpoint: {addresses: [a], ...}`` has room for the flags below it."""
    short = loads(
        "endpoint: [one:1, dns+two:2]\nendpoint_strict: [three:3]\nendpoint_group: [four:4]\n", DiscoveryConfig
    )
    long = loads(
        "endpoint: {addresses: [two:2], info_timeout: 1s, sd_config: {endpoints: [{address: one:1, strict: true}]}}\n"
        "store: {unhealthy_timeout: 1m, response_timeout: 2s, sd_files: ['/etc/*.json']}\n",
        DiscoveryConfig,
    )
    assert entries(short) == [
        ("one:1", False, False),
        ("dns+two:2", False, False),
        ("four:4", False, True),
        ("three:3", True, False),
    ]
    assert entries(long) == [("one:1", True, False), ("two:2", False, False)]
    assert long.endpoint_times(3000) == EndpointTimes(1000, 60_000, 3000)
    assert long.endpoint_times(600_000).close_delay_ms == 600_000
    assert long.store.response_timeout == 2000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("endpoint_strict: [dns+one:1]", "<text>: endpoint_strict: dns+one:1 is a dynamically"),
        ("endpoint_group_strict: [dns+one:1]", "<text>: endpoint_group_strict: dns+one:1 is a dynamically"),
        ("endpoint: [a:1, b]", "<text>: endpoint: expected host:port, got 'b'"),
        (
            "endpoint: {sd_config: {endpoints: [{address: 'a:1', service_config: '{}'}]}}",
            "only valid for endpoint groups",
        ),
        (
            "endpoint: {sd_config: {endpoints: [{address: 'a:1', group: true, service_config: '{'}]}}",
            "<text>: endpoint.sd_config.endpoints[0]: a:1 service_config is not JSON",
        ),
        (
            "endpoint: {sd_config: {endpoints: [{address: 'a:1', client_config: {compression: snappy}}]}}",
            "client_config: compression: snappy is not available",
        ),
        (
            "endpoint: {sd_config: {endpoints: [{address: 'a:1', client_config: {tls_config: {cert_file: c}}}]}}",
            "tls_config: cert_file and key_file: both",
        ),
        (
            "endpoint: {sd_config: {endpoints: [{address: 'a:1', client_config: {tls_config: {min_version: '1.4'}}}]}}",
            "min_version: invalid value '1.4'; valid values are",
        ),
        ("endpoint: {info_timeout: 0s}", "<text>: endpoint: info_timeout must be more than 0"),
        ("store: {response_timeout: -1s}", "response_timeout: expected a duration of 0 or more, got -1s"),
        ("endpoint: {adresses: []}", "did you mean addresses?"),
        ("endpoints: []", "did you mean endpoint?"),
        ("endpoint: 5", "expected a mapping or a list"),
    ],
)
def test_what_cannot_be_is_one_line(text, expected):
    """QU-2: discovery under strict mode, addresses that cannot be connected to, unknown keys, wrong types."""
    with pytest.raises(ConfigError) as caught:
        loads(text, DiscoveryConfig)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


OF_ALL = ClientTLS(enabled=True, ca_file="all-ca", cert_file="all-cert", key_file="all-key", server_name="all")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", OF_ALL),
        ("compression: none", OF_ALL),
        ("tls_config: {enabled: false}", CLEARTEXT),
        ("tls_config: {enabled: false, ca_file: own}", CLEARTEXT),
        ("tls_config: {enabled: true}", ClientTLS(enabled=True)),
        ("tls_config: {enabled: true, ca_file: own}", ClientTLS(enabled=True, ca_file="own")),
        (
            "tls_config: {ca_file: own, min_version: '1.2'}",
            ClientTLS(enabled=True, ca_file="own", cert_file="all-cert", key_file="all-key", min_version="1.2"),
        ),
        (
            "{server_name: own, tls_config: {insecure_skip_verify: true}}",
            ClientTLS(True, "all-ca", "all-cert", "all-key", "own", skip_verify=True),
        ),
    ],
)
def test_an_endpoint_has_tls_of_its_own_or_that_of_all(text, expected):
    """QU-6: what is not said is taken over from the configuration of all, unless ``enabled`` is said."""
    assert loads(text, ClientConfig).tls(OF_ALL) == expected


def test_keys_of_tls_imply_tls():
    """QU-6: also where all others are connected to in cleartext."""
    assert loads("tls_config: {ca_file: own}", ClientConfig).tls(CLEARTEXT) == ClientTLS(enabled=True, ca_file="own")
    assert loads("server_name: own", ClientConfig).tls(CLEARTEXT) == CLEARTEXT


def test_the_client_flags_hold_for_all_endpoints():
    """XC-31."""
    text = "{grpc_client_tls_secure: true, grpc_client_tls_ca: ca, grpc_client_server_name: name}"
    assert loads(text, GRPCClientConfig).tls() == ClientTLS(enabled=True, ca_file="ca", server_name="name")
    assert loads("grpc_client_tls_ca: ca", GRPCClientConfig).tls() == CLEARTEXT
    for wrong in ("grpc_compression: snappy", "grpc_client_tls_cert: c", "grpc_compression: gzip"):
        with pytest.raises(ConfigError):
            loads(wrong, GRPCClientConfig)


def test_an_unknown_proxy_strategy_is_refused():
    """Eager and lazy are Thanos' names; a misspelt one would go unnoticed."""
    assert [
        loads(f"grpc: {{proxy_strategy: {name}}}", DiscoveryConfig).grpc.proxy_strategy for name in ("eager", "lazy")
    ] == [
        "eager",
        "lazy",
    ]
    with pytest.raises(ConfigError, match="proxy_strategy"):
        loads("grpc: {proxy_strategy: idle}", DiscoveryConfig)


def test_the_url_of_alerts_is_among_the_flags():
    """alert.query-url is told with all other settings."""
    read = loads("alert: {query_url: 'https://query.example/'}", DiscoveryConfig)
    assert "https://query.example/" in flatten(read).values()
