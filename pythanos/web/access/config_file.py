"""The file that ``http.config`` names: Prometheus' web configuration, read again when it changes (XC-29).

Format: https://prometheus.io/docs/prometheus/latest/configuration/https/
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from pythanos import config
from pythanos.config import Section
from pythanos.errors import ConfigError
from pythanos.units import Secret

ProtocolVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
ClientAuth = Literal[
    "",
    "NoClientCert",
    "RequestClientCert",
    "RequireClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]
# The headers that may be set, with the values that they may have; empty for any.
_HEADERS: dict[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
# Version, cost from 4 to 31, 22 characters of salt and 31 of hash.
_BCRYPT = re.compile(r"\$2[abxy]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")


class TLSServerConfig(Section, frozen=True):
    """``tls_server_config``. Certificate, key and client CA as PEM files or as PEM text; a file wins."""

    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    # Not "cert" beside "cert_file", which the reader of configurations would take for a pair of YAML.
    cert_text: str = msgspec.field(default="", name="cert")
    key_text: Secret = msgspec.field(default=Secret(""), name="key")
    client_ca_text: str = msgspec.field(default="", name="client_ca")
    client_auth_type: ClientAuth = ""
    client_allowed_sans: list[str] | None = None
    min_version: ProtocolVersion = "TLS12"
    max_version: ProtocolVersion = "TLS13"
    cipher_suites: list[str] = msgspec.field(default_factory=list)
    prefer_server_cipher_suites: bool = True
    curve_preferences: list[str] = msgspec.field(default_factory=list)

    @property
    def enabled(self) -> bool:
        certificates = self.cert_file or self.cert_text or self.key_file or self.key_text
        return bool(certificates or self.client_ca_file or self.client_ca_text or self.client_auth_type)

    @property
    def files(self) -> tuple[str, ...]:
        """What is read from disk besides the configuration."""
        return tuple(name for name in (self.cert_file, self.key_file, self.client_ca_file) if name)


class HTTPServerConfig(Section, frozen=True):
    """``http_server_config``. Answers are HTTP/1.1 whatever ``http2`` says: a client that can do both agrees on it."""

    http2: bool = True
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class RateLimit(Section, frozen=True):
    """``rate_limit``: known, so that it can be refused by its name."""

    burst: int = 0
    interval: str = ""


class AccessConfig(Section, frozen=True):
    """The whole file."""

    tls_server_config: TLSServerConfig = TLSServerConfig()
    http_server_config: HTTPServerConfig = HTTPServerConfig()
    rate_limit: RateLimit = RateLimit()
    basic_auth_users: dict[str, Secret] = msgspec.field(default_factory=dict)


class AccessFile:
    """The file at ``path``; ``current`` looks at it each time and reads it when it has changed. One thread's."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._stamp: tuple[int, ...] = ()
        self._config = AccessConfig()
        self._error: ConfigError | None = None

    def current(self) -> AccessConfig:
        """What the file says now, names of files made absolute. Raises ConfigError, again for each look."""
        try:
            stamp = stamp_of([self.path])
        except OSError as error:
            self._stamp = ()
            raise ConfigError(self.path, "", f"read the file: {error.strerror or error}") from error
        if stamp != self._stamp:
            self._stamp, self._error = stamp, None
            try:
                self._config = read_access(self.path)
            except ConfigError as error:
                self._error = error
        if self._error is not None:
            raise self._error
        return self._config


def read_access(path: str) -> AccessConfig:
    """The checked content of the file. Raises ConfigError for what is wrong, and for what cannot be honoured."""
    read = config.load(path, AccessConfig, environment={})
    _check_headers(read.http_server_config.headers, path)
    for user, hashed in read.basic_auth_users.items():
        if not _BCRYPT.fullmatch(hashed):
            raise ConfigError(path, f"basic_auth_users.{user}", "not a bcrypt hash")
    if read.rate_limit != RateLimit():
        raise ConfigError(path, "rate_limit", "not available here: limit the rate in a proxy, or see request_threads")
    tls = read.tls_server_config
    _check_tls(tls, path)
    folder = os.path.dirname(path)
    placed = {
        name: os.path.join(folder, getattr(tls, name))
        for name in ("cert_file", "key_file", "client_ca_file")
        if getattr(tls, name)
    }
    return msgspec.structs.replace(read, tls_server_config=msgspec.structs.replace(tls, **placed))


def _check_headers(headers: dict[str, str], path: str) -> None:
    for name, value in headers.items():
        key = f"http_server_config.headers.{name}"
        if name not in _HEADERS:
            raise ConfigError(path, key, f"this header cannot be set; those that can: {', '.join(_HEADERS)}")
        if _HEADERS[name] and value not in _HEADERS[name]:
            raise ConfigError(path, key, f"expected {' or '.join(_HEADERS[name])}, got {value!r}")
        if not value.isprintable() or not value.isascii():
            raise ConfigError(path, key, "expected printable ASCII")


def _check_tls(tls: TLSServerConfig, path: str) -> None:
    key = "tls_server_config"
    if not tls.enabled:
        return
    if not (tls.cert_file or tls.cert_text):
        raise ConfigError(path, key, "missing one of cert or cert_file")
    if not (tls.key_file or tls.key_text):
        raise ConfigError(path, key, "missing one of key or key_file")
    if (tls.client_ca_file or tls.client_ca_text) and tls.client_auth_type in ("", "NoClientCert"):
        raise ConfigError(path, f"{key}.client_ca_file", "given without a client_auth_type that asks for a certificate")
    if tls.min_version > tls.max_version:
        raise ConfigError(path, f"{key}.min_version", f"{tls.min_version} is above max_version {tls.max_version}")
    if tls.curve_preferences:
        raise ConfigError(path, f"{key}.curve_preferences", "not available here: OpenSSL's own order is used")
    if tls.client_allowed_sans is not None:
        raise ConfigError(path, f"{key}.client_allowed_sans", "not available here: use a client CA of its own")


def stamp_of(names: Iterable[str]) -> tuple[int, ...]:
    """What changes when a file is replaced or written. Raises OSError."""
    stamps = []
    for name in names:
        status = os.stat(name)
        stamps += [status.st_mtime_ns, status.st_size, status.st_ino]
    return tuple(stamps)
