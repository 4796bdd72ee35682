import io

import pytest
from contracts.bucket_contract import BucketContract
from prometheus_client import CollectorRegistry

from pythanos.errors import BucketUnavailable, ObjectNotFound
from pythanos.objstore.memory import MemoryBucket
from pythanos.objstore.metered import BucketMetrics, MeteredBucket
from pythanos.testing.faulty_bucket import FaultyBucket

PREFIX = "thanos_objstore_bucket_"


class TestMeteredBucket(BucketContract):
    @pytest.fixture
    def bucket(self):
        return MeteredBucket(MemoryBucket(), BucketMetrics(CollectorRegistry()))


@pytest.fixture
def registry():
    return CollectorRegistry()


def value(registry, name, operation="", **labels):
    labels = {"bucket": "memory", **({"operation": operation} if operation else {}), **labels}
    return registry.get_sample_value(PREFIX + name, labels)


def test_every_operation_is_counted_timed_and_weighed(registry):
    """XC-7: the metric names, labels and units of Thanos."""
    now = iter(range(100))
    bucket = MeteredBucket(
        MemoryBucket(), BucketMetrics(registry), clock=lambda: 1700000000.5, monotonic=lambda: next(now)
    )
    bucket.upload("a/b", b"12345")
    bucket.get("a/b")
    bucket.get_range("a/b", 1, 2)
    list(bucket.iter())
    list(bucket.walk())
    bucket.exists("a/b")
    bucket.attributes("a/b")
    bucket.delete("a/b")
    counts = {"upload": 1, "get": 1, "get_range": 1, "iter": 2, "exists": 1, "attributes": 1, "delete": 1}
    for operation, count in counts.items():
        assert value(registry, "operations_total", operation) == count
        assert value(registry, "operation_failures_total", operation) == 0
        assert value(registry, "operation_duration_seconds_count", operation) == count
        assert value(registry, "operation_duration_seconds_sum", operation) == count
    assert value(registry, "operation_fetched_bytes_total", "get") == 5
    assert value(registry, "operation_fetched_bytes_total", "get_range") == 2
    assert value(registry, "operation_transferred_bytes_sum", "upload") == 5
    assert value(registry, "operation_transferred_bytes_bucket", "get", le="32768.0") == 1
    assert value(registry, "last_successful_upload_time") == 1700000000.5


def test_all_operations_are_shown_before_the_first_call(registry):
    """rate() of a counter that appears with its first failure would miss it."""
    MeteredBucket(MemoryBucket(), BucketMetrics(registry))
    for operation in ("iter", "get", "get_range", "exists", "attributes", "upload", "delete"):
        assert value(registry, "operations_total", operation) == 0
        assert value(registry, "operation_failures_total", operation) == 0


def test_an_absent_object_is_an_answer_and_not_a_failure(registry):
    bucket = MeteredBucket(MemoryBucket(), BucketMetrics(registry))
    with pytest.raises(ObjectNotFound):
        bucket.get("absent")
    assert value(registry, "operations_total", "get") == 1
    assert value(registry, "operation_failures_total", "get") == 0


def test_a_failure_is_counted_and_not_timed(registry):
    bucket = MeteredBucket(FaultyBucket(MemoryBucket(), 1, forever=True), BucketMetrics(registry))
    for call, operation in (
        (lambda: bucket.get("x"), "get"),
        (lambda: list(bucket.iter()), "iter"),
        (lambda: bucket.upload("x", io.BytesIO(b"x")), "upload"),
    ):
        with pytest.raises(BucketUnavailable):
            call()
        assert value(registry, "operation_failures_total", operation) == 1
        assert value(registry, "operation_duration_seconds_count", operation) == 0
    assert value(registry, "last_successful_upload_time") == 0


def test_a_listing_that_is_left_early_is_no_failure(registry):
    bucket = MeteredBucket(MemoryBucket(), BucketMetrics(registry))
    bucket.upload("a", b"")
    bucket.upload("b", b"")
    names = bucket.iter()
    next(names)
    names.close()
    assert value(registry, "operation_failures_total", "iter") == 0


def test_an_uploaded_file_is_weighed_by_its_size(registry, tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 1000)
    bucket = MeteredBucket(MemoryBucket(), BucketMetrics(registry))
    with open(tmp_path / "f", "rb") as file:
        bucket.upload("a", file)
    assert value(registry, "operation_transferred_bytes_sum", "upload") == 1000


def test_two_buckets_share_one_registry(registry):
    metrics = BucketMetrics(registry)
    MeteredBucket(MemoryBucket("one"), metrics).upload("x", b"")
    MeteredBucket(MemoryBucket("two"), metrics).upload("x", b"")
    assert value(registry, "operations_total", "upload", bucket="one") == 1
    assert value(registry, "operations_total", "upload", bucket="two") == 1
