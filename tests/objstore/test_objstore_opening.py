import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry

from pythanos.config import loads
from pythanos.errors import ConfigError
from pythanos.objstore.metered import BucketMetrics
from pythanos.objstore.opening import BucketConfig, open_bucket


def opened(text, **options):
    return open_bucket(loads(text, BucketConfig), CollectorRegistry(), "store", **options)


def test_the_type_is_compared_upper_cased(tmp_path):
    """XC-2."""
    assert opened(f"type: filesystem\nconfig: {{directory: {tmp_path}}}").name == f"fs: {tmp_path}"
    assert opened("type: s3\nconfig: {bucket: b, endpoint: e}").name == "b"
    assert opened("type: Memory").name == "memory"


def test_the_prefix_is_put_before_every_name(tmp_path):
    bucket = opened(f"type: FILESYSTEM\nprefix: /team/\nconfig: {{directory: {tmp_path}}}")
    bucket.upload("a", b"x")
    assert (tmp_path / "team" / "a").read_bytes() == b"x"
    assert list(bucket.iter()) == ["a"]


def test_metrics_are_registered_once_and_shared_on_request():
    registry = CollectorRegistry()
    metrics = BucketMetrics(registry)
    for _ in range(2):
        open_bucket(BucketConfig(type="MEMORY"), registry, "store", metrics=metrics).upload("x", b"")
    labels = {"bucket": "memory", "operation": "upload"}
    assert registry.get_sample_value("thanos_objstore_bucket_operations_total", labels) == 2


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("{}", "type", "missing; supported are S3, FILESYSTEM, MEMORY"),
        ("type: GCS", "type", "GCS is not supported yet; supported are S3, FILESYSTEM, MEMORY"),
        ("type: azure\nconfig: {container: x}", "type", "not supported yet"),
        ("type: FTP", "type", "FTP is no type of bucket; supported are"),
        ("type: FILESYSTEM", "directory", "missing"),
        ("type: FILESYSTEM\nconfig: {dir: /x}", "dir", "unknown key; did you mean directory?"),
        ("type: S3\nconfig: {bucket: b, endpoint: e, acess_key: x}", "acess_key", "did you mean access_key?"),
        ("type: S3\nconfig: {bucket: b, endpoint: e, insecure: maybe}", "insecure", "true or false"),
        ("type: S3\nconfig: {bucket: b, endpoint: e, http_config: {tls_config: {cafile: x}}}",
         "http_config.tls_config.cafile", "did you mean ca_file?"),
        ("type: S3\nconfig: {bucket: b, endpoint: e, trace: {enable: true}}", "trace.enable", "not supported yet"),
        ("type: MEMORY\nconfig: {size: 1}", "size", "unknown key"),
    ],
)  # fmt: skip
def test_a_wrong_section_is_one_clean_line(text, key, hint):
    with pytest.raises(ConfigError) as caught:
        opened(text)
    assert caught.value.key == key
    assert hint in caught.value.hint
    assert caught.value.path in ("objstore", "objstore.config")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("hedging", ["{enabled: true, up_to: 0}", "{quantile: 1.5}"])
def test_hedging_that_cannot_be_is_refused(hedging):
    """ST-30."""
    with pytest.raises(ConfigError, match=r"up_to|quantile"):
        opened(f"type: MEMORY\nhedging_config: {hedging}")


def test_a_hedged_bucket_answers():
    """ST-30: the metrics count what was asked for, not how often it was asked of the service."""
    registry = CollectorRegistry()
    config = loads("type: MEMORY\nhedging_config: {enabled: true}", BucketConfig)
    bucket = open_bucket(config, registry, "store")
    bucket.upload("a", b"xyz")
    assert bucket.get_range("a", 1, 1) == b"y"
    bucket.close()
    labels = {"bucket": "memory", "operation": "get_range"}
    assert registry.get_sample_value("thanos_objstore_bucket_operations_total", labels) == 1


def test_a_bucket_in_a_folder_does_not_load_the_library_of_s3():
    """It would cost each daemon 20 MB."""
    program = (
        "import sys; from pythanos.objstore.opening import BucketConfig, open_bucket; "
        "open_bucket(BucketConfig(type='FILESYSTEM', config={'directory': '.'}), None, 'x'); "
        "sys.exit('botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
