"""The ``thanos_objstore_bucket_*`` metrics around any bucket."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

from prometheus_client import CollectorRegistry, Gauge

from pythanos._tally import Number, Tally
from pythanos.errors import ObjectNotFound
from pythanos.objstore.bucket import Bucket, ObjectAttributes
from pythanos.tally import TallyCounter, TallyHistogram

T = TypeVar("T")

OPERATIONS = ("iter", "get", "get_range", "exists", "attributes", "upload", "delete")
DURATION_BUCKETS = (0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120)
TRANSFER_BUCKETS = tuple(float(2 << (14 + step)) for step in range(16))
_LABELS = ("bucket", "operation")
_PREFIX = "thanos_objstore_bucket_"


class BucketMetrics:
    """The metric families, registered once per registry and shared by all its buckets; None registers nowhere."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self.operations = TallyCounter(
            f"{_PREFIX}operations", "Total number of all attempted operations against a bucket.", _LABELS,
            registry=registry,
        )  # fmt: skip
        self.failures = TallyCounter(
            f"{_PREFIX}operation_failures",
            "Total number of operations against a bucket that failed, but were not expected to fail in certain way "
            "from caller perspective. Those errors have to be investigated.",
            _LABELS,
            registry=registry,
        )
        self.fetched_bytes = TallyCounter(
            f"{_PREFIX}operation_fetched_bytes",
            "Total number of bytes fetched from bucket, per operation.",
            _LABELS,
            registry=registry,
        )
        self.transferred_bytes = TallyHistogram(
            f"{_PREFIX}operation_transferred_bytes",
            "Number of bytes transferred from/to bucket per operation.",
            _LABELS,
            buckets=TRANSFER_BUCKETS,
            registry=registry,
        )
        self.duration = TallyHistogram(
            f"{_PREFIX}operation_duration_seconds",
            "Duration of successful operations against the bucket per operation.",
            _LABELS,
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self.last_upload = Gauge(
            f"{_PREFIX}last_successful_upload_time",
            "Second timestamp of the last successful upload to the bucket.",
            ("bucket",),
            registry=registry,
        )


class MeteredBucket:
    """A Bucket that counts and times what is asked of another one. An absent object is an answer, not a failure."""

    def __init__(
        self,
        bucket: Bucket,
        metrics: BucketMetrics,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bucket = bucket
        self.name = bucket.name
        self._clock = clock
        self._monotonic = monotonic
        self._operations = {name: metrics.operations.labels(self.name, name) for name in OPERATIONS}
        self._failures = {name: metrics.failures.labels(self.name, name) for name in OPERATIONS}
        self._durations = {name: metrics.duration.labels(self.name, name) for name in OPERATIONS}
        self._fetched = {name: metrics.fetched_bytes.labels(self.name, name) for name in ("get", "get_range")}
        self._transferred = {
            name: metrics.transferred_bytes.labels(self.name, name) for name in ("get", "get_range", "upload")
        }
        self._last_upload = metrics.last_upload.labels(self.name)

    def get(self, name: str) -> bytes:
        with self._measured("get"):
            return self._count("get", self._bucket.get(name))

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        with self._measured("get_range"):
            return self._count("get_range", self._bucket.get_range(name, offset, length))

    def iter(self, prefix: str = "", *, recursive: bool = False) -> Iterator[str]:
        return self._listing(self._bucket.iter(prefix, recursive=recursive))

    def walk(self, prefix: str = "") -> Iterator[tuple[str, ObjectAttributes]]:
        return self._listing(self._bucket.walk(prefix))

    def exists(self, name: str) -> bool:
        with self._measured("exists"):
            return self._bucket.exists(name)

    def attributes(self, name: str) -> ObjectAttributes:
        with self._measured("attributes"):
            return self._bucket.attributes(name)

    def upload(self, name: str, body: bytes | BinaryIO) -> None:
        size = _size(body)
        with self._measured("upload"):
            self._bucket.upload(name, body)
        if size is not None:
            self._transferred["upload"].observe(size)
        self._last_upload.set(self._clock())

    def delete(self, name: str) -> None:
        with self._measured("delete"):
            self._bucket.delete(name)

    def close(self) -> None:
        self._bucket.close()

    def _listing(self, names: Iterator[T]) -> Iterator[T]:
        with self._measured("iter"):
            yield from names

    def _count(self, operation: str, body: bytes) -> bytes:
        self._fetched[operation].inc(len(body))
        self._transferred[operation].observe(len(body))
        return body

    def _measured(self, operation: str) -> _Measured:
        return _Measured(
            self._operations[operation], self._failures[operation], self._durations[operation], self._monotonic
        )


class _Measured:
    """Around one operation: a context manager, and no generator, as small reads are many."""

    __slots__ = ("_durations", "_failures", "_monotonic", "_operations", "_start")

    def __init__(self, operations: Number, failures: Number, durations: Tally, monotonic: Callable[[], float]) -> None:
        self._operations, self._failures, self._durations = operations, failures, durations
        self._monotonic = monotonic

    def __enter__(self) -> None:
        self._operations.inc()
        self._start = self._monotonic()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._durations.observe(self._monotonic() - self._start)
        elif not isinstance(error, ObjectNotFound | GeneratorExit):
            # Those are the answer "there is none", and a listing that its caller had enough of.
            self._failures.inc()


def _size(body: bytes | BinaryIO) -> int | None:
    """Bytes that an upload is going to send; None where only reading would tell."""
    if isinstance(body, bytes | bytearray | memoryview):
        return len(body)
    try:
        return max(0, os.fstat(body.fileno()).st_size - body.tell())
    except (OSError, AttributeError, ValueError):
        return None
