"""Connections to endpoints: Thanos' keepalive and limits, TLS, and groups that are balanced by gRPC itself."""

from __future__ import annotations

import importlib
import ipaddress
import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from pythanos.discovery.lookups import join_port, split_port
from pythanos.errors import ConfigError
from pythanos.rpc.tls.floor import check_min_version
from pythanos.rpc.tls.server import stamp_of
from pythanos.tls import CLEARTEXT, ClientTLS

log = logging.getLogger(__name__)

UNLIMITED_BYTES = -1
KEEPALIVE_MS = 10_000
KEEPALIVE_TIMEOUT_MS = 5_000
RECONNECT_BACKOFF_MS_MAX = 5_000
# QU-3: one member a call, and another one where the first cannot be reached.
GROUP_SERVICE_CONFIG = (
    '{"loadBalancingConfig":[{"round_robin":{}}],"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":3,'
    '"initialBackoff":"0.1s","maxBackoff":"1s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}'
)


@dataclass(frozen=True, slots=True)
class Connection:
    """A channel that connects on first use, and what its certificates came from."""

    channel: grpc.Channel
    addresses: tuple[str, ...]
    tls: ClientTLS
    stamp: tuple[int, ...] = ()
    shown: tuple[Any, ...] = ()

    def is_outdated(self) -> bool:
        """Whether certificate files were replaced, or a server that is not verified shows another certificate."""
        if not self.tls.enabled:
            return False
        try:
            return self.stamp != stamp_of(self.tls.files)
        except OSError:
            # Half a replacement: the old ones are still good.
            return False

    def shows_another(self) -> bool:
        """Whether an unverified server shows another certificate than the one trusted. Blocks for the connections."""
        return self.tls.enabled and self.tls.skip_verify and _shown(self.addresses, self.tls) != self.shown


def open_connection(
    address: str, tls: ClientTLS | None = None, members: Sequence[str] | None = None, service_config: str = ""
) -> Connection:
    """A connection to ``address``, or, for a group, to its ``members``. Raises ConfigError for unusable TLS files."""
    config = tls or CLEARTEXT
    addresses = tuple(members) if members is not None else (address,)
    options: list[tuple[str, int | str]] = [
        ("grpc.max_send_message_length", UNLIMITED_BYTES),
        ("grpc.max_receive_message_length", UNLIMITED_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_BACKOFF_MS_MAX),
    ]
    target = address
    if members is not None:
        target = target_of(addresses)
        options.append(("grpc.service_config", service_config or GROUP_SERVICE_CONFIG))
        # What a load-balanced name is for TLS and for proxies: the host of the first member says nothing.
        options.append(("grpc.default_authority", split_port(address.rpartition("+")[2].rpartition("/")[2])[0]))
    if not config.enabled:
        return Connection(grpc.insecure_channel(target, options), addresses, config)
    check_min_version(config.min_version, "min_version", os.environ)
    stamp, credentials, shown = _credentials(addresses, config)
    name = config.server_name
    if shown and shown[0] is not None:
        name = shown[0].name
    if name:
        options.append(("grpc.ssl_target_name_override", name))
    return Connection(grpc.secure_channel(target, credentials, options), addresses, config, stamp, shown)


def target_of(addresses: Sequence[str]) -> str:
    """The members of a group as one target of gRPC; host names among them are looked up by the system, once."""
    found = [member for address in addresses for member in _ip_addresses(address)]
    if not found:
        return f"dns:///{addresses[0]}"
    if all(not member.startswith("[") for member in found):
        return "ipv4:" + ",".join(found)
    return "ipv6:" + ",".join(member if member.startswith("[") else _mapped(member) for member in found)


def _ip_addresses(address: str) -> list[str]:
    host, port = split_port(address)
    try:
        return [join_port(str(ipaddress.ip_address(host)), port)]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(join_port(str(sockaddr[0]), port) for *_, sockaddr in found))


def _mapped(address: str) -> str:
    """An IPv4 address in IPv6 form: gRPC takes addresses of one kind."""
    host, port = split_port(address)
    return f"[::ffff:{host}]:{port}"


def _credentials(
    addresses: Sequence[str], tls: ClientTLS
) -> tuple[tuple[int, ...], grpc.ChannelCredentials, tuple[Any, ...]]:
    def read(name: str) -> bytes | None:
        return Path(name).read_bytes() if name else None

    try:
        stamp = stamp_of(tls.files)
        roots, key, chain = read(tls.ca_file), read(tls.key_file), read(tls.cert_file)
    except OSError as error:
        raise ConfigError("grpc client", "tls_config", f"read {error.filename}: {error.strerror}") from error
    shown = _shown(addresses, tls) if tls.skip_verify else ()
    if known := [one.pem for one in shown if one is not None]:
        roots = b"".join(known)
    return stamp, grpc.ssl_channel_credentials(roots, key, chain), shown


def _shown(addresses: Sequence[str], tls: ClientTLS) -> tuple[Any, ...]:
    """The certificate that each of the servers shows; None for one that cannot be reached."""
    module = importlib.import_module("pythanos.rpc.tls.shown_certificate")
    found = []
    for address in addresses:
        try:
            found.append(module.fetch(address, tls))
        except (OSError, ValueError) as error:
            log.warning("fetch the certificate of %s, which is not verified: %s", address, error)
            found.append(None)
    return tuple(found)
