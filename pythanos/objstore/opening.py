"""From a bucket's configuration, in Thanos' YAML, to the bucket."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from pythanos.config import Section, decode_tree
from pythanos.errors import ConfigError
from pythanos.objstore.bucket import Bucket
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.objstore.hedging import HedgedBucket, HedgingConfig
from pythanos.objstore.memory import MemoryBucket
from pythanos.objstore.metered import BucketMetrics, MeteredBucket
from pythanos.objstore.prefixed import PrefixedBucket
from pythanos.objstore.s3.config import S3Config
from pythanos.workers import FETCH_THREADS, ThreadPool

KNOWN = ("GCS", "AZURE", "SWIFT", "COS", "ALIYUNOSS", "BOS", "OCI", "OBS")


class BucketConfig(Section, frozen=True):
    """``config`` is the section of the ``type``; ``prefix`` the folder of the bucket that is used."""

    type: str = ""
    config: dict[str, Any] | None = None
    prefix: str = ""
    hedging_config: HedgingConfig = HedgingConfig()


class FilesystemConfig(Section, frozen=True):
    directory: str = ""


class MemoryConfig(Section, frozen=True):
    """Nothing to choose: an empty bucket that lives as long as the process."""


def open_bucket(
    config: BucketConfig,
    registry: CollectorRegistry | None,
    component: str,
    *,
    connections: int = FETCH_THREADS,
    metrics: BucketMetrics | None = None,
    path: str = "objstore",
) -> Bucket:
    """The configured bucket with its metrics; nothing is connected before the first call.

    ``connections`` is the number of threads that will use it at a time. A second bucket on one registry shares the
    ``metrics`` of the first. ``path`` is what errors call the section. Raises ConfigError.
    """
    hedging = config.hedging_config
    if hedging.enabled:
        connections *= hedging.up_to
    bucket = _provider(config, component, connections, path)
    if hedging.enabled:
        bucket = HedgedBucket(bucket, hedging, ThreadPool("hedged", connections))
    metered = MeteredBucket(bucket, metrics or BucketMetrics(registry))
    return PrefixedBucket(metered, config.prefix) if config.prefix.strip("/") else metered


def _provider(config: BucketConfig, component: str, connections: int, path: str) -> Bucket:
    kind, section = config.type.upper(), config.config or {}
    supported = ", ".join(_PROVIDERS)
    if not kind:
        raise ConfigError(path, "type", f"the type of the bucket is missing; supported are {supported}")
    if kind in KNOWN:
        raise ConfigError(path, "type", f"{config.type} is not supported yet; supported are {supported}")
    if kind not in _PROVIDERS:
        raise ConfigError(path, "type", f"{config.type} is no type of bucket; supported are {supported}")
    return _PROVIDERS[kind](section, f"{path}.config", component, connections)


def _open_s3(section: dict[str, Any], path: str, component: str, connections: int) -> Bucket:
    # botocore takes 20 MB and a third of a second, which only users of S3 should pay.
    s3 = importlib.import_module("pythanos.objstore.s3.bucket")
    config = decode_tree(section, S3Config, path, environment={})
    return s3.S3Bucket(config, component=component, connections=connections, path=path)


def _open_filesystem(section: dict[str, Any], path: str, component: str, connections: int) -> Bucket:
    directory = decode_tree(section, FilesystemConfig, path, environment={}).directory
    if not directory:
        raise ConfigError(path, "directory", "the folder of the bucket is missing")
    return FilesystemBucket(directory)


def _open_memory(section: dict[str, Any], path: str, component: str, connections: int) -> Bucket:
    decode_tree(section, MemoryConfig, path, environment={})
    return MemoryBucket()


_PROVIDERS: dict[str, Callable[[dict[str, Any], str, str, int], Bucket]] = {
    "S3": _open_s3,
    "FILESYSTEM": _open_filesystem,
    "MEMORY": _open_memory,
}
