"""TLS of the gRPC server: certificate files, read again when they change (XC-30)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import grpc

from pythanos.config import Section
from pythanos.errors import ConfigError
from pythanos.rpc.tls.floor import check_min_version
from pythanos.tls import TLSVersion


class ServerTLSConfig(Section, frozen=True):
    """Both ``cert`` and ``key``, or neither; with ``client_ca`` a client must show a certificate signed by it."""

    cert: str = ""
    key: str = ""
    client_ca: str = ""
    min_version: TLSVersion = "1.3"

    def check(self) -> None:
        """Raises ConfigError for half a pair, and for a version that cannot be had."""
        if not self.cert and not self.key:
            if self.client_ca:
                hint = "when a client CA is used a server key and certificate must also be provided"
                raise ConfigError("grpc server", "grpc_server_tls_client_ca", hint)
            return
        if not self.cert or not self.key:
            raise ConfigError("grpc server", "grpc_server_tls_cert", "both server key and certificate must be provided")
        check_min_version(self.min_version, "grpc_server_tls_min_version", os.environ)


class CertificateFiles:
    """Certificate, key and client CA on disk; ``fetch`` tells when one of them was replaced."""

    def __init__(self, config: ServerTLSConfig) -> None:
        self._config = config
        self._seen: tuple[int, ...] = ()

    def _stamp(self) -> tuple[int, ...]:
        return stamp_of(name for name in (self._config.cert, self._config.key, self._config.client_ca) if name)

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


def stamp_of(names: Iterable[str]) -> tuple[int, ...]:
    """What changes when a file is replaced or written. Raises OSError."""
    stamps = []
    for name in names:
        status = os.stat(name)
        stamps += [status.st_mtime_ns, status.st_size, status.st_ino]
    return tuple(stamps)


def server_credentials(config: ServerTLSConfig) -> grpc.ServerCredentials | None:
    """None without TLS. Raises ConfigError as ``check`` does, and for a file that cannot be read."""
    config.check()
    if not config.cert:
        return None
    files = CertificateFiles(config)
    try:
        first = files.load()
    except OSError as error:
        raise ConfigError("grpc server", "grpc_server_tls_cert", f"read {error.filename}: {error.strerror}") from error
    return grpc.dynamic_ssl_server_credentials(first, files.fetch, require_client_authentication=bool(config.client_ca))
