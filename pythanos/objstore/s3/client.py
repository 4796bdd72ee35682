"""From the S3 section of a configuration to a botocore client, and from botocore's errors to ours."""

from __future__ import annotations

import base64
import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    SSLError,
)
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from pythanos.errors import BucketUnavailable, ConfigError
from pythanos.objstore.bucket import ObjectNotFound
from pythanos.objstore.s3.config import S3Config
from pythanos.objstore.s3.reads import DirectReader, ObjectPlace
from pythanos.version import VERSION

_AWS = re.compile(r"s3[.-](?:dualstack\.)?(?:(?P<region>[a-z0-9-]+)\.)?amazonaws\.com(?P<china>\.cn)?", re.ASCII)
_VIRTUAL_HOSTS = re.compile(r"(?:^|\.)(?:amazonaws\.com(?:\.cn)?|storage\.googleapis\.com|aliyuncs\.com)(?::\d+)?$")
_TRANSIENT_CODES = frozenset(
    ("BandwidthLimitExceeded", "ExpiredToken", "ExpiredTokenException", "InternalError", "PriorRequestNotComplete",
     "RequestError", "RequestLimitExceeded", "RequestThrottled", "RequestTimeout", "ServiceUnavailable", "SlowDown",
     "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException")
)  # fmt: skip
_TRANSIENT_STATUS = frozenset((408, 429, 499, 500, 502, 503, 504, 520))
_ABSENT_CODES = frozenset(("NoSuchKey", "404", "NotFound"))
_OBJECT_HEADERS = {
    "x-amz-storage-class": "StorageClass",
    "x-amz-acl": "ACL",
    "x-amz-tagging": "Tagging",
    "content-type": "ContentType",
    "content-encoding": "ContentEncoding",
    "content-disposition": "ContentDisposition",
    "content-language": "ContentLanguage",
    "cache-control": "CacheControl",
}


def region_of(config: S3Config) -> str:
    """The configured region, that of an AWS endpoint, or us-east-1."""
    found = _AWS.fullmatch(config.endpoint.partition(":")[0])
    return config.region or (found["region"] if found and found["region"] else "us-east-1")


def endpoint_url(config: S3Config) -> str:
    """The URL of the service; AWS' own endpoints become dual-stack ones unless that is disabled."""
    host = config.endpoint
    found = _AWS.fullmatch(host)
    if found and not config.disable_dualstack:
        host = f"s3.dualstack.{region_of(config)}.amazonaws.com{found['china'] or ''}"
    return f"{'http' if config.insecure else 'https'}://{host}"


def addressing_style(config: S3Config) -> str:
    """``virtual`` or ``path``: botocore's own ``auto`` would use virtual hosts with any server that has a name."""
    if config.bucket_lookup_type == "auto":
        return "virtual" if _VIRTUAL_HOSTS.search(config.endpoint) and "." not in config.bucket else "path"
    return "path" if config.bucket_lookup_type == "path" else "virtual"


@dataclass(frozen=True, slots=True)
class Connection:
    """The two ways to the server: a client that can everything, and a reader that is quick."""

    client: BaseClient
    reader: DirectReader

    def close(self) -> None:
        self.client.close()
        self.reader.close()


def connect(config: S3Config, component: str, connections: int) -> Connection:
    """A client and a reader that do not retry by themselves and keep up to ``connections`` connections each."""
    session = botocore.session.Session()
    if config.access_key:
        session.set_credentials(config.access_key, str(config.secret_key), str(config.session_token) or None)
    settings = _settings(config, component, connections)
    verify = _verify(config) if _verify(config) is not None else session.get_config_variable("ca_bundle") or True
    url, region = endpoint_url(config), region_of(config)
    client = session.create_client(
        "s3", region_name=region, endpoint_url=url, use_ssl=not config.insecure, verify=verify, config=settings
    )
    http = URLLib3Session(
        verify=verify,
        proxies=get_environ_proxies(url),
        timeout=(settings.connect_timeout, settings.read_timeout),
        max_pool_connections=settings.max_pool_connections,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)],
        client_cert=settings.client_cert,
    )
    scheme, _, host = url.partition("://")
    virtual = addressing_style(config) == "virtual"
    place = ObjectPlace(
        scheme, f"{config.bucket}.{host}" if virtual else host, "/" if virtual else f"/{config.bucket}/", region
    )
    customer_key = read_arguments(config).get("SSECustomerKey", b"")
    return Connection(client, DirectReader(place, session.get_credentials(), http, customer_key=customer_key))


def _settings(config: S3Config, component: str, connections: int) -> Config:
    http, tls = config.http_config, config.http_config.tls_config
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": addressing_style(config)},
        connect_timeout=http.tls_handshake_timeout.seconds or None,
        read_timeout=http.response_header_timeout.seconds or None,
        max_pool_connections=max(1, min(connections, http.max_idle_conns_per_host or 2)),
        tcp_keepalive=True,
        client_cert=(tls.cert_file, tls.key_file) if tls.cert_file else None,
        retries={"total_max_attempts": 1, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra=f"pythanos-{component}/{VERSION}",
    )


def _verify(config: S3Config) -> bool | str | None:
    """False, the file of CAs, or None where the environment decides."""
    http = config.http_config
    if http.insecure_skip_verify or http.tls_config.insecure_skip_verify:
        return False
    return http.tls_config.ca_file or None


def read_arguments(config: S3Config) -> dict[str, Any]:
    """What every get and head says besides bucket and key: the customer's key of SSE-C."""
    if config.sse_config.type != "SSE-C":
        return {}
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": _customer_key(config.sse_config.encryption_key)}


def write_arguments(config: S3Config) -> dict[str, Any]:
    """What every new object says besides bucket, key and body: encryption, metadata, storage class."""
    sse = config.sse_config
    arguments = read_arguments(config)
    if sse.type == "SSE-S3":
        arguments["ServerSideEncryption"] = "AES256"
    elif sse.type == "SSE-KMS":
        arguments |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": sse.kms_key_id}
        if sse.kms_encryption_context:
            context = json.dumps(sse.kms_encryption_context, sort_keys=True).encode()
            arguments["SSEKMSEncryptionContext"] = base64.b64encode(context).decode()
    metadata = {}
    for name, value in config.put_user_metadata.items():
        known = _OBJECT_HEADERS.get(name.lower())
        if known:
            arguments[known] = value
        elif name.lower().startswith("x-amz-") and not name.lower().startswith("x-amz-meta-"):
            raise ConfigError("objstore.config", f"put_user_metadata.{name}", "not supported yet; leave it out")
        else:
            metadata[name[len("x-amz-meta-") :] if name.lower().startswith("x-amz-meta-") else name] = value
    return arguments | ({"Metadata": metadata} if metadata else {})


def _customer_key(path: str) -> bytes:
    try:
        key = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError("objstore.config", "sse_config.encryption_key", f"read {path}: {error.strerror}") from error
    if len(key) != 32:
        raise ConfigError("objstore.config", "sse_config.encryption_key", f"{path} holds {len(key)} bytes, not 32")
    return key


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed when it is sent again."""
    if isinstance(error, ClientError):
        answer: Mapping[str, Any] = error.response
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return answer.get("Error", {}).get("Code", "") in _TRANSIENT_CODES or status in _TRANSIENT_STATUS
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError | SSLError):
        return False
    return isinstance(error, HTTPClientError | HTTPError | BotoCoreError | ConnectionError)


@contextmanager
def errors(doing: str, name: str) -> Iterator[None]:
    """Turns botocore's errors into ObjectNotFound and BucketUnavailable."""
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _ABSENT_CODES:
            raise ObjectNotFound(name) from error
        raise BucketUnavailable(f"{doing}: {error}") from error
    except (BotoCoreError, HTTPError, ConnectionError) as error:
        raise BucketUnavailable(f"{doing}: {error}") from error
