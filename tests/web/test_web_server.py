"""The listening service and its doors."""

import pytest
from twisted.internet.testing import MemoryReactorClock

from pythanos.errors import ConfigError
from pythanos.units import Duration
from pythanos.web.server import HTTPDoors, HTTPServer, parse_address


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("0.0.0.0:10902", ("0.0.0.0", 10902)),
        (":10902", ("", 10902)),
        ("[::1]:0", ("::1", 0)),
        ("host.example:65535", ("host.example", 65535)),
    ],
)
def test_addresses(address: str, expected: tuple[str, int]):
    """host:port as in Thanos' flags."""
    assert parse_address(address, "http_address") == expected


@pytest.mark.parametrize("address", ["", "10902", "host:", "host:port", "host:65536", "host:-1", "host:１"])
def test_addresses_that_are_none(address: str):
    """The error names the key."""
    with pytest.raises(ConfigError) as caught:
        parse_address(address, "http_address")
    assert caught.value.key == "http_address"


class Doorstep:
    """A site that notes what is asked of it."""

    is_closing = False
    guard = None

    def __init__(self) -> None:
        self.diary: list[object] = []

    def open(self) -> None:
        self.diary.append("open")

    def drain(self, seconds: float) -> None:
        self.is_closing = True
        self.diary.append(seconds)


def test_doors_open_last_and_close_first():
    """They are part of being ready, and give the grace period to what is running."""
    site = Doorstep()
    doors = HTTPDoors(site, Duration(5000))
    assert doors.unready() == "starting"
    doors.startService()
    assert doors.unready() is None
    doors.stopService()
    assert (doors.unready(), site.diary) == ("shutting down", ["open", 5.0])


def test_the_server_listens_where_it_was_told():
    """And stops listening when it is stopped."""
    reactor = MemoryReactorClock()
    server = HTTPServer("127.0.0.1:8080", Doorstep(), reactor)
    server.startService()
    (listening,) = reactor.tcpServers
    assert (listening[0], listening[3]) == (8080, "127.0.0.1")
    server.stopService()
    assert server.running == 0
