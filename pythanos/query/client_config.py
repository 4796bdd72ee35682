"""How endpoints are connected to: the ``grpc_client_*`` keys, and the client configurations of endpoint.sd_config."""

from __future__ import annotations

from typing import Literal

from pythanos.config import Section
from pythanos.tls import CLEARTEXT, ClientTLS, TLSVersion

Compression = Literal["none", "snappy"]


def check_compression(compression: Compression, name: str) -> None:
    """Raises ValueError: gRPC's C library compresses by gzip only, which no Thanos understands."""
    if compression == "snappy":
        raise ValueError(f"{name}: snappy is not available (gRPC's C library has no such codec): use none")


def check_pair(cert: str, key: str, names: str) -> None:
    """Raises ValueError for half a pair of keys that are called ``names``."""
    if bool(cert) != bool(key):
        raise ValueError(f"{names}: both client key and certificate must be provided")


class TLSOptions(Section, frozen=True):
    """``tls_config``: None is "not said", and asks those above (QU-6)."""

    enabled: bool | None = None
    insecure_skip_verify: bool | None = None
    cert_file: str | None = None
    key_file: str | None = None
    ca_file: str | None = None
    min_version: TLSVersion | None = None

    def __post_init__(self) -> None:
        check_pair(self.cert_file or "", self.key_file or "", "cert_file and key_file")

    @property
    def implies_tls(self) -> bool:
        """Whether a key is given that has a meaning with TLS only."""
        given = (self.cert_file, self.key_file, self.ca_file, self.insecure_skip_verify)
        return any(value is not None for value in given)

    def over(self, fallback: ClientTLS, server_name: str) -> ClientTLS:
        """These options where they are given, those of ``fallback`` elsewhere."""
        enabled = self.enabled
        if enabled is None:
            enabled = True if self.implies_tls else fallback.enabled
        if not enabled:
            return CLEARTEXT
        return ClientTLS(
            enabled=True,
            ca_file=_given(self.ca_file, fallback.ca_file),
            cert_file=_given(self.cert_file, fallback.cert_file),
            key_file=_given(self.key_file, fallback.key_file),
            server_name=server_name,
            skip_verify=fallback.skip_verify if self.insecure_skip_verify is None else self.insecure_skip_verify,
            min_version=self.min_version or fallback.min_version,
        )


class ClientConfig(Section, frozen=True):
    """``client_config`` of one endpoint, and ``default_client_config`` of all."""

    tls_config: TLSOptions = TLSOptions()
    server_name: str = ""
    compression: Compression = "none"

    def __post_init__(self) -> None:
        check_compression(self.compression, "compression")

    @property
    def is_default(self) -> bool:
        """Whether nothing about TLS is said, so that the options of all endpoints hold."""
        return self.tls_config == TLSOptions() and not self.server_name

    def tls(self, of_all: ClientTLS) -> ClientTLS:
        """What holds for an endpoint. One that says ``enabled: true`` itself takes nothing over from the others."""
        if self.is_default:
            return of_all
        return self.tls_config.over(CLEARTEXT if self.tls_config.enabled else of_all, self.server_name)


class GRPCClientConfig(Section, frozen=True):
    """The flags ``--grpc-client-*``: how all endpoints are connected to that have no configuration of their own."""

    grpc_client_tls_secure: bool = False
    grpc_client_tls_skip_verify: bool = False
    grpc_client_tls_cert: str = ""
    grpc_client_tls_key: str = ""
    grpc_client_tls_ca: str = ""
    grpc_client_tls_min_version: TLSVersion = "1.3"
    grpc_client_server_name: str = ""
    grpc_compression: Compression = "none"

    def __post_init__(self) -> None:
        check_compression(self.grpc_compression, "grpc_compression")
        check_pair(self.grpc_client_tls_cert, self.grpc_client_tls_key, "grpc_client_tls_cert and grpc_client_tls_key")

    def tls(self) -> ClientTLS:
        if not self.grpc_client_tls_secure:
            return CLEARTEXT
        return ClientTLS(
            enabled=True,
            ca_file=self.grpc_client_tls_ca,
            cert_file=self.grpc_client_tls_cert,
            key_file=self.grpc_client_tls_key,
            server_name=self.grpc_client_server_name,
            skip_verify=self.grpc_client_tls_skip_verify,
            min_version=self.grpc_client_tls_min_version,
        )


def _given(value: str | None, fallback: str) -> str:
    return fallback if value is None else value
