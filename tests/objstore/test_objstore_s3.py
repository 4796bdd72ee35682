"""S3 without a server: configuration, signature, errors, what is asked of the HTTP session."""

import base64
import datetime
import hashlib
import re
import threading

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    SSLError,
)

from pythanos.config import decode_tree
from pythanos.errors import BucketUnavailable, ConfigError, ObjectNotFound
from pythanos.objstore.retries import RetryPolicy
from pythanos.objstore.s3.bucket import S3Bucket
from pythanos.objstore.s3.client import (
    addressing_style,
    connect,
    endpoint_url,
    errors,
    may_pass,
    region_of,
    write_arguments,
)
from pythanos.objstore.s3.config import S3Config, check_s3
from pythanos.objstore.s3.reads import DirectReader, ObjectPlace

MINIMAL = {"bucket": "metrics", "endpoint": "s3.example.com", "access_key": "AK", "secret_key": "SK"}
DOCUMENTED = MINIMAL | {
    "region": "",
    "disable_dualstack": False,
    "aws_sdk_auth": False,
    "insecure": False,
    "signature_version2": False,
    "session_token": "",
    "put_user_metadata": {},
    "http_config": {
        "idle_conn_timeout": "1m30s",
        "response_header_timeout": "2m",
        "insecure_skip_verify": False,
        "tls_handshake_timeout": "10s",
        "expect_continue_timeout": "1s",
        "max_idle_conns": 100,
        "max_idle_conns_per_host": 100,
        "max_conns_per_host": 0,
        "tls_config": {
            "ca_file": "",
            "cert_file": "",
            "key_file": "",
            "server_name": "",
            "insecure_skip_verify": False,
        },
        "disable_compression": False,
    },
    "trace": {"enable": False},
    "list_objects_version": "",
    "bucket_lookup_type": "auto",
    "send_content_md5": True,
    "disable_multipart": False,
    "part_size": 67108864,
    "sse_config": {"type": "", "kms_key_id": "", "kms_encryption_context": {}, "encryption_key": ""},
    "sts_endpoint": "",
    "max_retries": 0,
}


def config(**changes):
    return decode_tree(MINIMAL | changes, S3Config, "objstore.config", environment={})


def test_the_section_as_thanos_documents_it_is_accepted_and_is_the_default():
    """Every key at the value that Thanos prints for it (features 9.1)."""
    section = decode_tree(DOCUMENTED, S3Config, "x", environment={})
    check_s3(section, "x")
    assert section == config()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"bucket": ""}, "bucket"),
        ({"endpoint": ""}, "endpoint"),
        ({"endpoint": "https://s3.example.com"}, "endpoint"),
        ({"endpoint": "s3.example.com/path"}, "endpoint"),
        ({"access_key": ""}, "access_key"),
        ({"secret_key": ""}, "secret_key"),
        ({"aws_sdk_auth": True}, "aws_sdk_auth"),
        ({"list_objects_version": "v3"}, "list_objects_version"),
        ({"bucket_lookup_type": "host"}, "bucket_lookup_type"),
        ({"part_size": 1024}, "part_size"),
        ({"max_retries": -1}, "max_retries"),
        ({"sse_config": {"type": "SSE"}}, "sse_config.type"),
        ({"sse_config": {"type": "SSE-KMS"}}, "sse_config.kms_key_id"),
        ({"sse_config": {"type": "SSE-C"}}, "sse_config.encryption_key"),
        ({"http_config": {"tls_config": {"cert_file": "c.pem"}}}, "http_config.tls_config.key_file"),
        ({"signature_version2": True}, "signature_version2"),
        ({"sts_endpoint": "https://sts.example.com"}, "sts_endpoint"),
        ({"trace": {"enable": True}}, "trace.enable"),
        ({"http_config": {"idle_conn_timeout": "5s"}}, "http_config.idle_conn_timeout"),
        ({"http_config": {"expect_continue_timeout": "5s"}}, "http_config.expect_continue_timeout"),
        ({"http_config": {"max_idle_conns": 5}}, "http_config.max_idle_conns"),
        ({"http_config": {"tls_config": {"server_name": "x"}}}, "http_config.tls_config.server_name"),
        ({"put_user_metadata": {"X-Amz-Object-Lock-Mode": "x"}}, "put_user_metadata.X-Amz-Object-Lock-Mode"),
    ],
)
def test_a_setting_that_cannot_work_or_is_not_honoured_is_an_error_with_its_name(changes, key):
    """XC-4: half a pair of keys too."""
    with pytest.raises(ConfigError) as caught:
        S3Bucket(config(**changes))
    assert caught.value.key == key


def test_construction_opens_nothing(monkeypatch):
    """A daemon constructs before it forks; the client comes with the first call."""
    monkeypatch.setattr("pythanos.objstore.s3.bucket.connect", lambda *args: pytest.fail("connected"))
    before = threading.active_count()
    bucket = S3Bucket(config())
    bucket.close()
    assert bucket.name == "metrics"
    assert threading.active_count() == before


def test_no_print_of_the_section_shows_a_secret():
    assert "SK" not in repr(config(session_token="TOKEN"))
    assert "TOKEN" not in repr(config(session_token="TOKEN"))


@pytest.mark.parametrize(
    ("changes", "url", "region", "style"),
    [
        ({}, "https://s3.example.com", "us-east-1", "path"),
        ({"insecure": True, "endpoint": "127.0.0.1:9000"}, "http://127.0.0.1:9000", "us-east-1", "path"),
        ({"endpoint": "s3.eu-west-1.amazonaws.com"}, "https://s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1",
         "virtual"),
        ({"endpoint": "s3.amazonaws.com", "disable_dualstack": True}, "https://s3.amazonaws.com", "us-east-1",
         "virtual"),
        ({"endpoint": "s3.cn-north-1.amazonaws.com.cn"}, "https://s3.dualstack.cn-north-1.amazonaws.com.cn",
         "cn-north-1", "virtual"),
        ({"endpoint": "s3.eu-west-1.amazonaws.com", "bucket": "with.dot"},
         "https://s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1", "path"),
        ({"endpoint": "storage.googleapis.com"}, "https://storage.googleapis.com", "us-east-1", "virtual"),
        ({"bucket_lookup_type": "virtual-hosted"}, "https://s3.example.com", "us-east-1", "virtual"),
        ({"bucket_lookup_type": "path", "endpoint": "s3.amazonaws.com"},
         "https://s3.dualstack.us-east-1.amazonaws.com", "us-east-1", "path"),
        ({"region": "moon-1"}, "https://s3.example.com", "moon-1", "path"),
    ],
)  # fmt: skip
def test_where_requests_go(changes, url, region, style):
    section = config(**changes)
    assert endpoint_url(section) == url
    assert region_of(section) == region
    assert addressing_style(section) == style


def test_what_every_upload_says(tmp_path):
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    assert write_arguments(config(sse_config={"type": "SSE-S3"})) == {"ServerSideEncryption": "AES256"}
    kms = {"type": "SSE-KMS", "kms_key_id": "id", "kms_encryption_context": {"b": "2", "a": "1"}}
    assert write_arguments(config(sse_config=kms)) == {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "id",
        "SSEKMSEncryptionContext": base64.b64encode(b'{"a": "1", "b": "2"}').decode(),
    }
    customer = write_arguments(config(sse_config={"type": "SSE-C", "encryption_key": str(key)}))
    assert customer == {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
    metadata = {"X-Amz-Storage-Class": "STANDARD_IA", "team": "a", "x-amz-meta-Cost": "b", "Cache-Control": "no-store"}
    assert write_arguments(config(put_user_metadata=metadata)) == {
        "StorageClass": "STANDARD_IA",
        "CacheControl": "no-store",
        "Metadata": {"team": "a", "Cost": "b"},
    }


@pytest.mark.parametrize("content", [None, b"short"])
def test_a_customer_key_that_is_not_32_bytes_is_a_configuration_error(tmp_path, content):
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        S3Bucket(config(sse_config={"type": "SSE-C", "encryption_key": str(path)}))
    assert caught.value.key == "sse_config.encryption_key"


def client_error(code, status):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (client_error("SlowDown", 503), True),
        (client_error("InternalError", 500), True),
        (client_error("RequestTimeout", 400), True),
        (client_error("TooManyRequests", 429), True),
        (client_error("AccessDenied", 403), False),
        (client_error("NoSuchKey", 404), False),
        (client_error("SignatureDoesNotMatch", 403), False),
        (EndpointConnectionError(endpoint_url="x"), True),
        (ConnectTimeoutError(endpoint_url="x"), True),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), True),
        (ConnectionResetError(), True),
        (SSLError(endpoint_url="x", error="unknown CA"), False),
        (NoCredentialsError(), False),
        (ValueError("a bug"), False),
    ],
)
def test_which_errors_may_pass(error, passes):
    assert may_pass(error) is passes


def test_what_callers_see_of_botocores_errors():
    with pytest.raises(ObjectNotFound), errors("get x", "x"):
        raise client_error("NoSuchKey", 404)
    for error in (client_error("NoSuchBucket", 404), NoCredentialsError(), EndpointConnectionError(endpoint_url="u")):
        with pytest.raises(BucketUnavailable, match="get x: ") as caught, errors("get x", "x"):
            raise error
        assert caught.value.__cause__ is error


class Answer:
    def __init__(self, status, content=b"", headers=None):
        self.status_code, self.content = status, content
        self.headers = {"Content-Length": str(len(content))} if headers is None else headers


class Session:
    """Stands for botocore's HTTP session: gives prepared answers and keeps the requests."""

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []

    def send(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        pass


def reader(session, token=None, customer_key=b""):
    place = ObjectPlace("https", "s3.example.com:9000", "/metrics/", "eu-west-1")
    return DirectReader(
        place, Credentials("AK", "SK", token), session, customer_key=customer_key, clock=lambda: 1_700_000_000.0
    )


@pytest.mark.parametrize("token", [None, "TOKEN"])
@pytest.mark.parametrize("name", ["u/chunks/000001", "a b/ü+%25~(x)'*!", "d=1&e?f#g"])
@pytest.mark.parametrize("byte_range", ["", "bytes=0-15"])
def test_the_signature_is_the_one_that_botocore_computes(monkeypatch, token, name, byte_range):
    """The oracle is botocore's own signer, given the same request at the same time."""
    session = Session(Answer(206, b"x"))
    reader(session, token).get(name, byte_range)
    sent = session.requests[0]

    moment = datetime.datetime.fromtimestamp(1_700_000_000, datetime.UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: moment, raising=False)
    request = AWSRequest("GET", sent.url, headers={"Range": byte_range} if byte_range else {})
    request.context["payload_signing_enabled"] = True
    signer = S3SigV4Auth(Credentials("AK", "SK", token), "s3", "eu-west-1")
    signer.add_auth(request)
    assert request.headers["X-Amz-Date"] == sent.headers["X-Amz-Date"] == "20231114T221320Z"
    assert sent.headers["Authorization"] == request.headers["Authorization"]


def test_a_new_day_and_new_credentials_get_a_new_key():
    now = [1_700_000_000.0]
    session = Session(*[Answer(200)] * 3)
    credentials = Credentials("AK", "SK")
    place = ObjectPlace("https", "s3.example.com", "/metrics/", "eu-west-1")
    direct = DirectReader(place, credentials, session, clock=lambda: now[0])
    direct.get("x")
    now[0] += 86_400
    direct.get("x")
    credentials.secret_key = "OTHER"
    direct.get("x")
    signatures = [re.search("Signature=(.*)", request.headers["Authorization"])[1] for request in session.requests]
    assert len(set(signatures)) == 3
    assert [request.headers["X-Amz-Date"][:8] for request in session.requests] == ["20231114", "20231115", "20231115"]


def test_the_customers_key_goes_with_every_read():
    session = Session(Answer(200, b"x"))
    reader(session, customer_key=b"k" * 32).get("x")
    headers = session.requests[0].headers
    assert headers["X-Amz-Server-Side-Encryption-Customer-Key"] == base64.b64encode(b"k" * 32).decode()
    digest = base64.b64encode(hashlib.md5(b"k" * 32).digest()).decode()
    assert headers["X-Amz-Server-Side-Encryption-Customer-Key-MD5"] == digest
    assert "x-amz-server-side-encryption-customer-key-md5" in headers["Authorization"]


@pytest.mark.parametrize("status", [301, 307, 400, 403, 500, 503])
def test_what_is_no_plain_answer_is_left_to_the_client(status):
    assert reader(Session(Answer(status, b"<Error/>"))).get("x") is None
    assert reader(Session(Answer(status, b""))).head("x") is None


def test_a_missing_bucket_is_not_a_missing_object():
    assert reader(Session(Answer(404, b"<Error><Code>NoSuchBucket</Code></Error>"))).get("x") is None
    with pytest.raises(ObjectNotFound):
        reader(Session(Answer(404, b"<Error><Code>NoSuchKey</Code></Error>"))).get("x")


@pytest.mark.parametrize("name", ["../x", "a/../b", "a//b", "a/./b", "a/"])
def test_names_that_a_url_would_change_are_left_to_the_client(name):
    session = Session()
    assert reader(session).get(name) is None
    assert session.requests == []


def test_without_credentials_the_client_is_asked():
    place = ObjectPlace("https", "s3.example.com", "/metrics/", "eu-west-1")
    assert DirectReader(place, None, Session()).get("x") is None


def test_a_head_tells_size_and_time():
    headers = {"Content-Length": "7", "Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"}
    found = reader(Session(Answer(200, b"", headers))).head("x")
    assert (found.size, found.last_modified_ms) == (7, 1_700_000_000_000)


class Client:
    """Stands for the botocore client; any call answers with the next prepared error or value."""

    def __init__(self, *answers):
        self.answers, self.calls = list(answers), []

    def __getattr__(self, operation):
        def call(**arguments):
            self.calls.append((operation, arguments))
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


@pytest.fixture
def open_with(monkeypatch):
    """A bucket whose reader and client are the given ones, and which does not wait between attempts."""

    def make(session, client, **changes):
        class Both:
            pass

        both = Both()
        both.reader, both.client = reader(session), client
        monkeypatch.setattr("pythanos.objstore.s3.bucket.connect", lambda *arguments: both)
        policy = RetryPolicy(attempts=4, sleep=lambda seconds: None)
        return S3Bucket(config(**changes), policy=policy)

    return make


def test_a_read_is_tried_again_after_errors_of_transport(open_with):
    session = Session(ConnectionResetError(), Answer(206, b"cut", {"Content-Length": "10"}), Answer(206, b"whole"))
    assert open_with(session, Client()).get_range("x", 0, 5) == b"whole"
    assert len(session.requests) == 3


def test_an_overloaded_server_is_asked_again(open_with):
    session = Session(*[Answer(503)] * 4)
    client = Client(*[client_error("SlowDown", 503)] * 4)
    with pytest.raises(BucketUnavailable, match="get x in bucket metrics"):
        open_with(session, client).get("x")
    assert len(client.calls) == 4


def test_a_refusal_is_not_tried_again(open_with):
    session, client = Session(Answer(403)), Client(client_error("AccessDenied", 403))
    with pytest.raises(BucketUnavailable):
        open_with(session, client).get("x")
    assert len(session.requests) == len(client.calls) == 1


def test_a_server_that_ignores_the_range_is_cut_to_it(open_with):
    assert open_with(Session(Answer(200, b"0123456789")), Client()).get_range("x", 2, 3) == b"234"
    assert open_with(Session(Answer(200, b"0123456789")), Client()).get_range("x", 7, -1) == b"789"


def test_an_upload_carries_its_md5_unless_that_is_switched_off(open_with):
    client = Client({})
    open_with(Session(), client).upload("x", b"body")
    (operation, arguments) = client.calls[0]
    assert operation == "put_object"
    assert arguments["ContentMD5"] == base64.b64encode(hashlib.md5(b"body").digest()).decode()
    client = Client({})
    open_with(Session(), client, send_content_md5=False).upload("x", b"body")
    assert "ContentMD5" not in client.calls[0][1]


def test_a_failed_upload_in_parts_is_aborted(open_with):
    """What was sent would else lie in the bucket, unseen and paid for."""
    refused = client_error("AccessDenied", 403)
    client = Client({"UploadId": "id"}, {"ETag": "1"}, refused, {})
    bucket = open_with(Session(), client, part_size="5MiB")
    with pytest.raises(BucketUnavailable, match="upload part 2 of x"):
        bucket.upload("x", bytes((5 << 20) + 10))
    assert [operation for operation, _ in client.calls] == [
        "create_multipart_upload", "upload_part", "upload_part", "abort_multipart_upload",
    ]  # fmt: skip
    assert client.calls[-1][1]["UploadId"] == "id"


def test_without_multipart_a_large_object_goes_in_one_request(open_with):
    client = Client({})
    body = bytes((5 << 20) + 10)
    open_with(Session(), client, part_size="5MiB", disable_multipart=True).upload("x", body)
    assert [operation for operation, _ in client.calls] == ["put_object"]
    assert client.calls[0][1]["Body"] == body


@pytest.mark.parametrize(
    ("version", "operation"), [("", "list_objects_v2"), ("v2", "list_objects_v2"), ("v1", "list_objects")]
)
def test_listings_follow_their_pages(open_with, version, operation):
    """Version 1 names the next page itself only where there is a delimiter."""
    pages = [
        {"IsTruncated": True, "NextContinuationToken": "t", "Contents": [{"Key": "a"}, {"Key": "b"}]},
        {"IsTruncated": False, "Contents": [{"Key": "c"}], "CommonPrefixes": [{"Prefix": "d/"}]},
    ]
    client = Client(*pages)
    assert list(open_with(Session(), client, list_objects_version=version).iter()) == ["a", "b", "c", "d/"]
    assert [name for name, _ in client.calls] == [operation] * 2
    following = client.calls[1][1]
    assert following.get("Marker" if version == "v1" else "ContinuationToken") == ("b" if version == "v1" else "t")


def test_no_more_connections_than_allowed_are_used_at_a_time(open_with):
    """http_config.max_conns_per_host."""
    running, most, lock, full = 0, 0, threading.Lock(), threading.Barrier(2, timeout=10)

    class Counting(Session):
        def send(self, request):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            full.wait()
            with lock:
                running -= 1
            return Answer(200, b"x")

    bucket = open_with(Counting(), Client(), http_config={"max_conns_per_host": 2})
    threads = [threading.Thread(target=bucket.get, args=("x",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


@pytest.mark.parametrize(
    ("http", "connections", "expected"),
    [({}, 32, 32), ({}, 200, 100), ({"max_idle_conns_per_host": 4}, 32, 4), ({"max_idle_conns_per_host": 0}, 32, 2)],
)
def test_the_connection_pool_has_the_size_of_the_fetch_pool(http, connections, expected):
    """Within max_idle_conns_per_host, whose 0 means 2 as in Go."""
    connection = connect(config(http_config=http), "store", connections)
    assert connection.client.meta.config.max_pool_connections == expected
    connection.close()


def test_timeouts_reach_the_client():
    http = {"response_header_timeout": "7s", "tls_handshake_timeout": "3s"}
    connection = connect(config(http_config=http), "store", 1)
    assert (connection.client.meta.config.connect_timeout, connection.client.meta.config.read_timeout) == (3.0, 7.0)
    connection.close()
