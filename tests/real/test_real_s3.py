"""S3Bucket against a real server."""

import io
import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from contracts.bucket_contract import BucketContract
from real.seaweed import DOMAIN

from pythanos.config import decode_tree
from pythanos.errors import BucketUnavailable, ObjectNotFound
from pythanos.objstore.opening import BucketConfig, open_bucket
from pythanos.objstore.prefixed import PrefixedBucket
from pythanos.objstore.retries import RetryPolicy
from pythanos.objstore.s3.bucket import S3Bucket
from pythanos.objstore.s3.client import connect
from pythanos.objstore.s3.config import S3Config

PART = 5 << 20


@pytest.fixture(scope="module")
def bucket_name(seaweed):
    return seaweed.make_bucket("contract")


@pytest.fixture
def open_s3(seaweed):
    """open_s3(bucket name, key=value...) -> S3Bucket that tries twice; closed after the test."""
    opened = []

    def make(name, **changes):
        config = decode_tree(seaweed.section(name, **changes), S3Config, "objstore.config", environment={})
        policy = RetryPolicy(attempts=2, deadline_seconds=20, unit_seconds=0.01)
        opened.append(S3Bucket(config, component="test", policy=policy))
        return opened[-1]

    yield make
    for bucket in opened:
        bucket.close()


@pytest.mark.parametrize("listing", ["v1", "v2"], scope="class")
class TestS3Bucket(BucketContract):
    delete_of_absent_is_silent = True

    @pytest.fixture
    def bucket(self, open_s3, bucket_name, listing, request, tmp_path):
        prefix = f"{tmp_path.parent.name}/{tmp_path.name}"
        return PrefixedBucket(open_s3(bucket_name, list_objects_version=listing), prefix)


@pytest.fixture
def fresh(seaweed, tmp_path):
    """The name of a new bucket."""
    return seaweed.make_bucket(f"fresh-{tmp_path.parent.name.split('-')[-1]}-{tmp_path.name[-12:].strip('-_').lower()}"
                               .replace("_", "-"))  # fmt: skip


def test_the_root_is_listed(open_s3, fresh):
    bucket = open_s3(fresh)
    assert list(bucket.iter()) == []
    for name in ("a", "b/1", "b/c/2"):
        bucket.upload(name, b"x")
    assert sorted(bucket.iter()) == ["a", "b/"]
    assert sorted(bucket.iter(recursive=True)) == ["a", "b/1", "b/c/2"]


@pytest.mark.parametrize("listing", ["v1", "v2"])
def test_listings_go_on_after_a_thousand_names(open_s3, fresh, listing):
    """One page has at most 1000."""
    bucket = open_s3(fresh, list_objects_version=listing)
    names = {f"many/{number:04d}" for number in range(1205)} | {f"folders/{number:04d}/x" for number in range(1105)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: bucket.upload(name, b""), names))
    assert set(bucket.iter(recursive=True)) == names
    listed = list(bucket.iter("folders"))
    assert len(listed) == len(set(listed)) == 1105
    assert sum(1 for _ in bucket.walk("many")) == 1205


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 3 * PART + 12345])
def test_objects_around_and_above_the_part_size(open_s3, bucket_name, size):
    """From part_size on an upload goes in parts; ranges across the seams are right."""
    bucket = open_s3(bucket_name, part_size="5MiB")
    body = os.urandom(size)
    bucket.upload(f"parts/{size}", io.BytesIO(body))
    assert bucket.attributes(f"parts/{size}").size == size
    assert bucket.get(f"parts/{size}") == body
    assert bucket.get_range(f"parts/{size}", PART - 100, 200) == body[PART - 100 : PART + 100]


@pytest.mark.parametrize("size", [0, 1000, PART, 2 * PART + 12345])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_files_are_sent_from_the_disk(open_s3, bucket_name, seaweed, tmp_path, size, tls):
    """Over http the signature covers the body, over https it does not."""
    secure = {"insecure": False, "endpoint": seaweed.https}
    secure["http_config"] = {"tls_config": {"ca_file": str(seaweed.ca_file)}}
    bucket = open_s3(bucket_name, part_size="5MiB", **(secure if tls else {}))
    body = os.urandom(size)
    (tmp_path / "body").write_bytes(b"not this" + body)
    with open(tmp_path / "body", "rb") as file:
        file.seek(8)
        bucket.upload(f"files/{size}", file)
    assert bucket.get(f"files/{size}") == body


def test_an_upload_in_parts_really_is_one(open_s3, bucket_name, seaweed):
    """The server's ETag of such an object ends with the number of parts."""
    bucket = open_s3(bucket_name, part_size="5MiB")
    bucket.upload("etag/parts", bytes(2 * PART + 1))
    bucket.upload("etag/whole", bytes(PART - 1))
    client = seaweed.client()
    assert client.head_object(Bucket=bucket_name, Key="etag/parts")["ETag"].strip('"').endswith("-3")
    assert "-" not in client.head_object(Bucket=bucket_name, Key="etag/whole")["ETag"]


def test_a_broken_upload_in_parts_leaves_nothing(open_s3, bucket_name, seaweed):
    class Breaking(io.BytesIO):
        def read(self, size=-1):
            if self.tell() >= 2 * PART:
                raise OSError("disk on fire")
            return super().read(size)

    with pytest.raises(OSError, match="disk on fire"):
        open_s3(bucket_name, part_size="5MiB").upload("broken", Breaking(bytes(4 * PART)))
    assert not open_s3(bucket_name).exists("broken")
    assert seaweed.client().list_multipart_uploads(Bucket=bucket_name).get("Uploads", []) == []


def test_a_wrong_secret_is_refused_with_the_reason(open_s3, bucket_name):
    bucket = open_s3(bucket_name, secret_key="wrong")
    for call in (
        lambda: bucket.get("x"),
        lambda: list(bucket.iter()),
        lambda: bucket.exists("x"),
        lambda: bucket.upload("x", b""),
    ):
        with pytest.raises(BucketUnavailable, match=r"SignatureDoesNotMatch|Forbidden"):
            call()


def test_an_unknown_key_is_refused(open_s3, bucket_name):
    with pytest.raises(BucketUnavailable, match="InvalidAccessKeyId"):
        open_s3(bucket_name, access_key="nobody").get("x")


def test_a_missing_bucket_is_an_error_that_names_it(open_s3):
    with pytest.raises(BucketUnavailable, match="NoSuchBucket"):
        list(open_s3("absent-bucket").iter())
    with pytest.raises(BucketUnavailable, match=r"get x in bucket absent-bucket.*NoSuchBucket"):
        open_s3("absent-bucket").get("x")


def test_an_address_that_nobody_listens_on(open_s3):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BucketUnavailable, match=endpoint):
            open_s3("any", endpoint=endpoint).get("x")


def test_a_server_that_does_not_answer_costs_the_timeout(open_s3):
    """response_header_timeout, times the two attempts."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(BucketUnavailable, match=r"[Tt]imeout|timed out"):
            open_s3("any", endpoint=endpoint, http_config={"response_header_timeout": "300ms"}).get("x")
        assert time.monotonic() - start < 5


class TestTLS:
    def test_the_servers_ca_is_trusted_where_it_is_given(self, open_s3, seaweed, bucket_name):
        tls = {"tls_config": {"ca_file": str(seaweed.ca_file)}}
        bucket = open_s3(bucket_name, endpoint=seaweed.https, insecure=False, http_config=tls)
        bucket.upload("tls/given", b"x")
        assert bucket.get("tls/given") == b"x"
        assert list(bucket.iter("tls")) == ["tls/given"]

    @pytest.mark.parametrize(
        "section", [{"insecure_skip_verify": True}, {"tls_config": {"insecure_skip_verify": True}}]
    )
    @pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
    def test_or_not_looked_at_where_that_is_wanted(self, open_s3, seaweed, bucket_name, section):
        bucket = open_s3(bucket_name, endpoint=seaweed.https, insecure=False, http_config=section)
        bucket.upload("tls/skipped", b"x")
        assert bucket.get("tls/skipped") == b"x"
        assert bucket.exists("tls/skipped")

    def test_an_unknown_ca_is_refused_at_once(self, open_s3, seaweed, bucket_name, monkeypatch):
        monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        bucket = open_s3(bucket_name, endpoint=seaweed.https, insecure=False)
        for call in (lambda: bucket.get("x"), lambda: list(bucket.iter())):
            with pytest.raises(BucketUnavailable, match=r"(?i)certificate"):
                call()

    def test_the_environments_ca_bundle_is_used_where_none_is_given(self, open_s3, seaweed, bucket_name, monkeypatch):
        monkeypatch.setenv("AWS_CA_BUNDLE", str(seaweed.ca_file))
        bucket = open_s3(bucket_name, endpoint=seaweed.https, insecure=False)
        bucket.upload("tls/environment", b"x")
        assert bucket.get("tls/environment") == b"x"


class TestEncryption:
    @pytest.fixture
    def secure(self, seaweed):
        tls = {"tls_config": {"ca_file": str(seaweed.ca_file)}}
        return {"endpoint": seaweed.https, "insecure": False, "http_config": tls, "part_size": "5MiB"}

    def test_with_a_customers_key(self, open_s3, bucket_name, secure, tmp_path):
        """SSE-C: whole objects, ranges and parts; without the key nothing can be read."""
        (tmp_path / "key").write_bytes(b"0123456789abcdef" * 2)
        sse = {"type": "SSE-C", "encryption_key": str(tmp_path / "key")}
        bucket = open_s3(bucket_name, **secure, sse_config=sse)
        for size in (1000, 2 * PART + 77):
            body = os.urandom(size)
            name = f"ssec/{size}"
            bucket.upload(name, body)
            assert bucket.get(name) == body
            assert bucket.get_range(name, 500, 100) == body[500:600]
            assert bucket.attributes(name).size == size
            with pytest.raises(BucketUnavailable):
                open_s3(bucket_name, **secure).get(name)
        with pytest.raises(ObjectNotFound):
            bucket.get("ssec/absent")

    def test_with_the_servers_key(self, open_s3, bucket_name, secure, seaweed):
        """SSE-S3."""
        bucket = open_s3(bucket_name, **secure, sse_config={"type": "SSE-S3"})
        bucket.upload("sses3/x", b"secret")
        assert bucket.get("sses3/x") == b"secret"
        assert seaweed.client().head_object(Bucket=bucket_name, Key="sses3/x")["ServerSideEncryption"] == "AES256"


def test_plain_reads_take_the_short_path(open_s3, bucket_name, seaweed, tmp_path):
    """Over http, https and with a customer's key the signed reads are answered without help of the client."""
    (tmp_path / "key").write_bytes(b"k" * 32)
    trusted = {"tls_config": {"ca_file": str(seaweed.ca_file)}}
    tls = {"insecure": False, "endpoint": seaweed.https, "http_config": trusted}
    sse = {"sse_config": {"type": "SSE-C", "encryption_key": str(tmp_path / "key")}}
    for number, changes in enumerate(({}, tls, {**tls, **sse})):
        name = f"short/{number} ü"
        config = decode_tree(seaweed.section(bucket_name, **changes), S3Config, "x", environment={})
        open_s3(bucket_name, **changes).upload(name, b"0123456789")
        connection = connect(config, "test", 1)
        assert connection.reader.get(name) == (200, b"0123456789")
        assert connection.reader.get(name, "bytes=2-4") == (206, b"234")
        assert connection.reader.get(name, "bytes=20-30") == (416, b"")
        assert connection.reader.head(name).size == 10
        with pytest.raises(ObjectNotFound):
            connection.reader.get("short/absent")
        with pytest.raises(ObjectNotFound):
            connection.reader.head("short/absent")
        connection.close()


def test_metadata_and_storage_class_are_stored(open_s3, bucket_name, seaweed):
    metadata = {"X-Amz-Storage-Class": "STANDARD_IA", "team": "metrics"}
    open_s3(bucket_name, put_user_metadata=metadata).upload("metadata/x", b"x")
    found = seaweed.client().head_object(Bucket=bucket_name, Key="metadata/x")
    assert found["Metadata"] == {"team": "metrics"}
    assert found["StorageClass"] == "STANDARD_IA"


def test_buckets_as_host_names(open_s3, bucket_name, seaweed, monkeypatch):
    """bucket_lookup_type: virtual-hosted."""
    resolve = socket.getaddrinfo

    def resolve_here(host, *arguments, **options):
        return resolve("127.0.0.1" if str(host).endswith(DOMAIN) else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_here)
    endpoint = f"{DOMAIN}:{seaweed.http.split(':')[1]}"
    bucket = open_s3(bucket_name, endpoint=endpoint, bucket_lookup_type="virtual-hosted")
    bucket.upload("virtual/x", b"x")
    assert bucket.get("virtual/x") == b"x"
    assert bucket.exists("virtual/x")
    assert list(bucket.iter("virtual")) == ["virtual/x"]


def test_credentials_come_from_the_environment_where_the_section_has_none(open_s3, bucket_name, monkeypatch):
    """XC-4, with and without aws_sdk_auth."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testkey")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testsecret123")
    for changes in ({}, {"aws_sdk_auth": True}):
        bucket = open_s3(bucket_name, access_key="", secret_key="", **changes)
        bucket.upload("chain/x", b"x")
        assert bucket.get("chain/x") == b"x"


def test_credentials_come_from_the_shared_file_after_the_environment(open_s3, bucket_name, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "credentials"
    path.write_text("[default]\naws_access_key_id = testkey\naws_secret_access_key = testsecret123\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    bucket = open_s3(bucket_name, access_key="", secret_key="")
    bucket.upload("chain/file", b"x")
    assert bucket.get("chain/file") == b"x"


def test_without_any_credentials_the_reason_is_told(open_s3, bucket_name, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(BucketUnavailable, match=r"[Cc]redentials"):
        open_s3(bucket_name, access_key="", secret_key="").get("x")


def test_a_bucket_used_before_and_after_a_fork_is_two_buckets(seaweed, bucket_name):
    """Construction opens nothing, so a daemon may fork between construction and use."""
    config = BucketConfig(type="S3", config=seaweed.section(bucket_name))
    bucket = open_bucket(config, None, "test")
    child = os.fork()
    if child == 0:
        try:
            bucket.upload("fork/child", b"x")
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert bucket.get("fork/child") == b"x"
    bucket.close()


def test_nothing_listens_beyond_loopback(seaweed):
    """The test server itself stays at home."""
    listing = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("ss is absent")
    ports = {address.split(":")[1] for address in (seaweed.http, seaweed.https)}
    local = [line.split()[3] for line in listing.stdout.splitlines()]
    assert [place for place in local if place.rsplit(":", 1)[1] in ports and not place.startswith("127.")] == []
