"""HTTPServer: listens at the start of a daemon for probes and metrics; HTTPDoors opens the rest at the end of it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from twisted.application.service import Service
from twisted.internet import defer

from pythanos.config import Section
from pythanos.errors import ConfigError
from pythanos.runtime import logs
from pythanos.units import ByteSize, Duration
from pythanos.web.access.guard import Transport
from pythanos.web.site import Site

GRACE = Duration(120_000)
# Below this no ordinary request gets through.
SIZE_MIN = 1024


class HTTPConfig(Section, frozen=True):
    """``http``: limits of the HTTP server; ``config`` names a web configuration file in Prometheus' format."""

    config: str = ""
    max_body_size: ByteSize = ByteSize(32 << 20)
    max_header_size: ByteSize = ByteSize(1 << 20)
    request_threads: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 128

    def __post_init__(self) -> None:
        for name in ("max_body_size", "max_header_size"):
            if getattr(self, name) < SIZE_MIN:
                raise ValueError(f"{name} must be at least {SIZE_MIN} bytes")


class WebConfig(Section, frozen=True):
    """``web``: where and for whom the API and its pages are served."""

    route_prefix: str = ""
    external_prefix: str = ""
    prefix_header: str = ""
    disable_cors: bool = False

    def __post_init__(self) -> None:
        for name in ("route_prefix", "external_prefix"):
            prefix = getattr(self, name)
            if prefix and not prefix.startswith("/"):
                raise ValueError(f"{name} must start with a slash")

    def page_prefixes(self) -> dict[str, str]:
        """What the links on pages start with: the arguments of ``pages.Pages``."""
        return {"external_prefix": self.external_prefix, "prefix_header": self.prefix_header}


def parse_address(address: str, key: str) -> tuple[str, int]:
    """Interface and port of ``host:port``, ``:port`` or ``[v6]:port``. Raises ConfigError naming ``key``."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError("", key, f"expected host:port, got {address!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


class HTTPServer(Service):
    """The listening socket. A taken port fails the start."""

    def __init__(
        self, address: str, site: Site, reactor: Any, *, transport: Transport | None = None, key: str = "http_address"
    ) -> None:
        self.setName("http")
        self.interface, self.port = parse_address(address, key)
        self.site = site
        self.log = logs.make_logger()
        self._transport = transport
        self._reactor = reactor
        self._listening: Any = None

    def startService(self) -> None:
        """Raises CannotListenError."""
        super().startService()
        factory = self._transport.wrap(self.site, self._reactor) if self._transport is not None else self.site
        self._listening = self._reactor.listenTCP(self.port, factory, interface=self.interface)
        self.port = self._listening.getHost().port
        self.log.info(
            "listening for requests and metrics",
            address=f"{self.interface}:{self.port}",
            tls=self._transport is not None,
        )

    def stopService(self) -> defer.Deferred[None]:
        super().stopService()
        if self.site.guard is not None:
            self.site.guard.stop()
        listening, self._listening = self._listening, None
        return defer.maybeDeferred(listening.stopListening) if listening is not None else defer.succeed(None)


class HTTPDoors(Service):
    """The last child of a daemon: while it runs, every route answers. Stopping it drains the requests under way."""

    def __init__(self, site: Site, grace: Duration = GRACE) -> None:
        self.setName("http api")
        self._site = site
        self._grace = grace

    def unready(self) -> str | None:
        """Ready is who answers: the last thing to become true at a start, the first to cease at a stop."""
        if self.running:
            return None
        return "shutting down" if self._site.is_closing else "starting"

    def startService(self) -> None:
        super().startService()
        self._site.open()

    def stopService(self) -> defer.Deferred[None]:
        super().stopService()
        return self._site.drain(self._grace.seconds)
