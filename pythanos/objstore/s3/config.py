"""The configuration section of S3, with Thanos' keys.

A key of Thanos that this program does not honour is accepted at its default and an error at any other value, so that
nobody believes in a setting that does nothing.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pythanos.config import Section
from pythanos.errors import ConfigError
from pythanos.units import ByteSize, Duration, Secret

DEFAULT_PART_SIZE = ByteSize(64 << 20)
PART_SIZE_OF_ZERO = ByteSize(128 << 20)
MIN_PART_SIZE = 5 << 20
MAX_PART_SIZE = 5 << 30
DEFAULT_ATTEMPTS = 10

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?", re.ASCII)


class TLSConfig(Section, frozen=True):
    """Files in PEM. ``server_name`` is not honoured."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False


class HTTPConfig(Section, frozen=True):
    """``tls_handshake_timeout`` bounds connecting, ``response_header_timeout`` each wait for bytes (0: no bound).

    ``max_idle_conns_per_host`` bounds the connections kept, ``max_conns_per_host`` those open at a time (0: no bound).
    """

    idle_conn_timeout: Duration = Duration(90_000)
    response_header_timeout: Duration = Duration(120_000)
    insecure_skip_verify: bool = False
    tls_handshake_timeout: Duration = Duration(10_000)
    expect_continue_timeout: Duration = Duration(1_000)
    max_idle_conns: int = 100
    max_idle_conns_per_host: int = 100
    max_conns_per_host: int = 0
    tls_config: TLSConfig = TLSConfig()
    disable_compression: bool = False


class SSEConfig(Section, frozen=True):
    """``type``: empty, SSE-S3, SSE-KMS (``kms_key_id``) or SSE-C (``encryption_key``: a file that holds the key)."""

    type: str = ""
    kms_key_id: str = ""
    kms_encryption_context: dict[str, str] = msgspec.field(default_factory=dict)
    encryption_key: str = ""


class TraceConfig(Section, frozen=True):
    enable: bool = False


class S3Config(Section, frozen=True):
    """``endpoint`` is ``host`` or ``host:port``; ``part_size`` the size from which uploads go in parts, 0: 128 MiB."""

    bucket: str = ""
    endpoint: str = ""
    region: str = ""
    disable_dualstack: bool = False
    aws_sdk_auth: bool = False
    access_key: str = ""
    insecure: bool = False
    signature_version2: bool = False
    secret_key: Secret = Secret("")
    session_token: Secret = Secret("")
    put_user_metadata: dict[str, str] = msgspec.field(default_factory=dict)
    http_config: HTTPConfig = HTTPConfig()
    trace: TraceConfig = TraceConfig()
    list_objects_version: str = ""
    bucket_lookup_type: str = "auto"
    send_content_md5: bool = True
    disable_multipart: bool = False
    part_size: ByteSize = DEFAULT_PART_SIZE
    sse_config: SSEConfig = SSEConfig()
    sts_endpoint: str = ""
    max_retries: int = 0


def check_s3(config: S3Config, path: str) -> None:
    """Raises ConfigError for a section that cannot work, or that asks for what is not honoured; ``path`` names it."""
    for key, wrong, hint in (*_mistakes(config), *_encryption_mistakes(config.sse_config), *_unsupported(config)):
        if wrong:
            raise ConfigError(path, key, hint)


def _mistakes(config: S3Config) -> list[tuple[str, Any, str]]:
    http = config.http_config
    return [
        ("bucket", not config.bucket, "the name of the bucket is missing"),
        ("endpoint", not config.endpoint, "the endpoint is missing"),
        ("endpoint", not _HOST.fullmatch(config.endpoint), "expected host or host:port, without scheme and path"),
        ("aws_sdk_auth", config.aws_sdk_auth and config.access_key, "aws_sdk_auth and access_key exclude each other"),
        (
            "secret_key" if config.access_key else "access_key",
            bool(config.access_key) != bool(config.secret_key),
            "half a pair of keys; give both access_key and secret_key, or none of them",
        ),
        ("list_objects_version", config.list_objects_version not in ("", "v1", "v2"), "expected v1 or v2"),
        (
            "bucket_lookup_type",
            config.bucket_lookup_type not in ("auto", "virtual-hosted", "path"),
            "expected auto, virtual-hosted or path",
        ),
        ("part_size", config.part_size and not MIN_PART_SIZE <= config.part_size <= MAX_PART_SIZE,
         "expected 5MiB to 5GiB, or 0"),
        ("max_retries", config.max_retries < 0, "expected 0 or more"),
        ("http_config.max_conns_per_host", http.max_conns_per_host < 0, "expected 0 or more"),
        ("http_config.tls_config.key_file", bool(http.tls_config.cert_file) != bool(http.tls_config.key_file),
         "half a pair of files; give both cert_file and key_file, or none of them"),
    ]  # fmt: skip


def _encryption_mistakes(sse: SSEConfig) -> list[tuple[str, Any, str]]:
    known = ("", "SSE-S3", "SSE-KMS", "SSE-C")
    return [
        ("sse_config.type", sse.type not in known, "expected SSE-S3, SSE-KMS or SSE-C"),
        ("sse_config.kms_key_id", sse.type == "SSE-KMS" and not sse.kms_key_id, "SSE-KMS needs a key id"),
        (
            "sse_config.encryption_key",
            sse.type == "SSE-C" and not sse.encryption_key,
            "SSE-C needs a file with the key",
        ),
    ]


def _unsupported(config: S3Config) -> list[tuple[str, Any, str]]:
    http, default, hint = config.http_config, HTTPConfig(), "not supported yet; leave it out"
    keys = [
        ("signature_version2", config.signature_version2),
        ("sts_endpoint", config.sts_endpoint),
        ("trace.enable", config.trace.enable),
        ("http_config.tls_config.server_name", http.tls_config.server_name),
    ]
    keys += [
        (f"http_config.{key}", getattr(http, key) != getattr(default, key))
        for key in ("idle_conn_timeout", "expect_continue_timeout", "max_idle_conns")
    ]
    return [(key, given, hint) for key, given in keys]
