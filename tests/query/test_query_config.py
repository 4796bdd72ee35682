"""The configuration of endpoints."""

import pytest

from pythanos.config import loads
from pythanos.errors import ConfigError
from pythanos.query.config import DiscoveryConfig
from pythanos.query.endpoints import EndpointSpec, EndpointTimes


def test_addresses_can_be_a_list_or_a_section():
    """``endpoint: [a]`` is the flag, ``endpoint: {addresses: [a], ...}`` has room for the flags below it."""
    short = loads("endpoint: [one:1, two:2]\nendpoint_strict: [three:3]\n", DiscoveryConfig)
    long = loads(
        "endpoint: {addresses: [two:2], info_timeout: 1s, sd_config: {endpoints: [{address: one:1, strict: true}]}}\n"
        "store: {unhealthy_timeout: 1m, response_timeout: 2s, sd_files: ['/etc/*.json']}\n",
        DiscoveryConfig,
    )
    assert short.static_specs() == (EndpointSpec("one:1"), EndpointSpec("two:2"), EndpointSpec("three:3", True))
    assert long.static_specs() == (EndpointSpec("one:1", True), EndpointSpec("two:2"))
    assert long.endpoint_times(3000) == EndpointTimes(1000, 60_000, 3000)
    assert long.endpoint_times(600_000).close_delay_ms == 600_000
    assert long.store.response_timeout == 2000


@pytest.mark.parametrize(
    "text",
    [
        "endpoint_strict: [dns+one:1]",
        "endpoint: [dnssrv+one]",
        "endpoint: {adresses: []}",
        "endpoints: []",
        "endpoint: 5",
    ],
)
def test_what_cannot_be_is_one_line(text):
    """QU-2: discovery under strict mode, unknown keys, wrong types."""
    with pytest.raises(ConfigError):
        loads(text, DiscoveryConfig)
