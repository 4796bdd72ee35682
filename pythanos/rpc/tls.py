"""TLS of the gRPC server and clients: certificate files, read again when they change (XC-30, XC-31)."""

from __future__ import annotations

import os
from pathlib import Path

import grpc

from pythanos.config import Section
from pythanos.errors import ConfigError


class ServerTLSConfig(Section, frozen=True):
    """Both ``cert`` and ``key``, or neither; with ``client_ca`` a client must show a certificate signed by it."""

    cert: str = ""
    key: str = ""
    client_ca: str = ""


class ClientTLSConfig(Section, frozen=True):
    """How to reach an endpoint. ``ca_file`` empty means the system's roots."""

    enabled: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""


class CertificateFiles:
    """Certificate, key and client CA on disk; ``changed`` tells when one of them was replaced."""

    def __init__(self, config: ServerTLSConfig) -> None:
        self._config = config
        self._seen: tuple[int, ...] = ()

    def _stamp(self) -> tuple[int, ...]:
        names = (self._config.cert, self._config.key, self._config.client_ca)
        return tuple(os.stat(name).st_mtime_ns for name in names if name)

    def load(self) -> grpc.ServerCertificateConfiguration:
        """The files as they are now. Raises OSError."""
        self._seen = self._stamp()
        pair = (Path(self._config.key).read_bytes(), Path(self._config.cert).read_bytes())
        roots = Path(self._config.client_ca).read_bytes() if self._config.client_ca else None
        return grpc.ssl_server_certificate_configuration([pair], roots)

    def fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """The files where they have changed since the last look; None keeps what is in use."""
        try:
            return self.load() if self._stamp() != self._seen else None
        except OSError:
            return None


def server_credentials(config: ServerTLSConfig) -> grpc.ServerCredentials | None:
    """None without TLS. Raises ConfigError for half a pair or a file that cannot be read."""
    if not config.cert and not config.key:
        if config.client_ca:
            raise ConfigError(
                "grpc server", "grpc_server_tls_client_ca", "needs grpc_server_tls_cert and _key beside it"
            )
        return None
    if not config.cert or not config.key:
        raise ConfigError("grpc server", "grpc_server_tls_cert", "both certificate and key must be given")
    files = CertificateFiles(config)
    try:
        first = files.load()
    except OSError as error:
        raise ConfigError("grpc server", "grpc_server_tls_cert", f"read {error.filename}: {error.strerror}") from error
    return grpc.dynamic_ssl_server_credentials(first, files.fetch, require_client_authentication=bool(config.client_ca))


def client_credentials(config: ClientTLSConfig) -> grpc.ChannelCredentials | None:
    """None for cleartext. Raises ConfigError for a file that cannot be read."""
    if not config.enabled:
        return None

    def read(name: str) -> bytes | None:
        return Path(name).read_bytes() if name else None

    try:
        return grpc.ssl_channel_credentials(read(config.ca_file), read(config.key_file), read(config.cert_file))
    except OSError as error:
        raise ConfigError("grpc client", "tls_config", f"read {error.filename}: {error.strerror}") from error
