"""Guard: what stands before every route of a server that has a web configuration file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet import defer

from pythanos.errors import ConfigError
from pythanos.runtime import logs
from pythanos.web.access.config_file import AccessFile
from pythanos.web.access.passwords import Passwords
from pythanos.web.messages import Response

UNAUTHORIZED = 401


class Transport(Protocol):
    """How bytes arrive: a function that wraps the factory of cleartext connections."""

    def wrap(self, factory: Any, reactor: Any) -> Any:
        """The factory to listen with."""


class Guard:
    """Reads the file for each request, as Prometheus does. Reactor thread only."""

    def __init__(self, file: AccessFile, passwords: Passwords) -> None:
        self._file = file
        self._passwords = passwords
        self._log = logs.make_logger()

    def headers(self) -> Mapping[str, str]:
        """The headers of every answer; none where the file cannot be read."""
        try:
            return self._file.current().http_server_config.headers
        except ConfigError:
            return {}

    def refusal(self, authorization: str) -> defer.Deferred[Response | None]:
        """Fires with None for a request that may pass, else with its answer."""
        try:
            users = self._file.current().basic_auth_users
        except ConfigError as error:
            self._log.error("the web configuration cannot be read", err=str(error))
            return defer.succeed(_plain(500, "Internal Server Error"))
        if not users:
            return defer.succeed(None)
        return self._passwords.check(users, authorization).addCallback(_verdict)

    def stop(self) -> None:
        self._passwords.stop()


def open_access(path: str, reactor: Any) -> tuple[Guard | None, Transport | None]:
    """Guard and TLS of the file at ``path``: neither for no path, no TLS where the file says nothing about it.

    Raises ConfigError for a file that cannot be honoured as it is now.
    """
    if not path:
        return None, None
    file = AccessFile(path)
    guard = Guard(file, Passwords(reactor))
    if not file.current().tls_server_config.enabled:
        return guard, None
    try:
        # pyOpenSSL is an extra, and slow to import.
        tls = importlib.import_module("pythanos.web.access.tls")
    except ImportError as error:
        hint = f"TLS needs {error.name or 'pyOpenSSL'}: pip install 'pythanos-server[tls]'"
        raise ConfigError(path, "tls_server_config", hint) from error
    contexts = tls.ServerContexts(file)
    contexts.current()
    return guard, contexts


def _verdict(known: bool) -> Response | None:
    if known:
        return None
    refused = _plain(UNAUTHORIZED, "Unauthorized")
    refused.headers["WWW-Authenticate"] = "Basic"
    return refused


def _plain(status: int, text: str) -> Response:
    return Response(status, f"{text}\n".encode())
