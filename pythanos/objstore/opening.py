"""From a bucket's configuration, in Thanos' YAML, to the bucket."""

from __future__ import annotations

from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from pythanos.config import Section, decode_tree
from pythanos.errors import ConfigError
from pythanos.objstore.bucket import Bucket
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.objstore.memory import MemoryBucket
from pythanos.objstore.metered import BucketMetrics, MeteredBucket
from pythanos.objstore.prefixed import PrefixedBucket
from pythanos.objstore.s3 import S3Bucket
from pythanos.objstore.s3_config import S3Config
from pythanos.workers import FETCH_THREADS

T = TypeVar("T")

SUPPORTED = ("S3", "FILESYSTEM", "MEMORY")
KNOWN = ("GCS", "AZURE", "SWIFT", "COS", "ALIYUNOSS", "BOS", "OCI", "OBS")


class HedgingConfig(Section, frozen=True):
    enabled: bool = False
    up_to: int = 3
    quantile: float = 0.9


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
    if config.hedging_config.enabled:
        raise ConfigError(path, "hedging_config.enabled", "not supported yet; leave it out")
    bucket = _provider(config, component, connections, path)
    metered = MeteredBucket(bucket, metrics or BucketMetrics(registry))
    return PrefixedBucket(metered, config.prefix) if config.prefix.strip("/") else metered


def _provider(config: BucketConfig, component: str, connections: int, path: str) -> Bucket:
    kind, section = config.type.upper(), f"{path}.config"
    if kind == "S3":
        s3 = _decode(config, S3Config, section)
        return S3Bucket(s3, component=component, connections=connections, path=section)
    if kind == "FILESYSTEM":
        directory = _decode(config, FilesystemConfig, section).directory
        if not directory:
            raise ConfigError(section, "directory", "the folder of the bucket is missing")
        return FilesystemBucket(directory)
    if kind == "MEMORY":
        _decode(config, MemoryConfig, section)
        return MemoryBucket()
    supported = ", ".join(SUPPORTED)
    if not kind:
        raise ConfigError(path, "type", f"the type of the bucket is missing; supported are {supported}")
    if kind in KNOWN:
        raise ConfigError(path, "type", f"{config.type} is not supported yet; supported are {supported}")
    raise ConfigError(path, "type", f"{config.type} is no type of bucket; supported are {supported}")


def _decode(config: BucketConfig, section: type[T], path: str) -> T:
    return decode_tree(config.config or {}, section, path, environment={})
