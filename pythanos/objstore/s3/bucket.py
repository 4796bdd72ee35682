"""A bucket of S3 or of a server that speaks its API, through botocore."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from typing import Any, BinaryIO, TypeVar

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from pythanos.errors import BucketUnavailable
from pythanos.objstore.bucket import ObjectAttributes, ObjectNotFound, check_range, folder
from pythanos.objstore.retries import RetryPolicy
from pythanos.objstore.s3.client import Connection, connect, errors, may_pass, read_arguments, write_arguments
from pythanos.objstore.s3.config import DEFAULT_ATTEMPTS, PART_SIZE_OF_ZERO, S3Config, check_s3
from pythanos.objstore.s3.parts import FilePart, Part, PartSource, md5_of

T = TypeVar("T")

MAX_PARTS = 10_000


class S3Bucket:
    """A Bucket of S3. ``connections`` is how many threads are going to use it at a time.

    Raises ConfigError for a section that cannot work; opens no connection and starts no client before the first call.
    """

    def __init__(
        self,
        config: S3Config,
        *,
        component: str = "",
        connections: int = 32,
        policy: RetryPolicy | None = None,
        path: str = "objstore.config",
    ) -> None:
        check_s3(config, path)
        self.name = config.bucket
        self._config = config
        self._component = component
        self._connections = connections
        self._policy = policy or RetryPolicy(attempts=config.max_retries or DEFAULT_ATTEMPTS)
        self._reading = read_arguments(config) | {"Bucket": config.bucket}
        self._writing = write_arguments(config) | {"Bucket": config.bucket}
        self._part_size = int(config.part_size) or int(PART_SIZE_OF_ZERO)
        limit = config.http_config.max_conns_per_host
        self._slots = threading.BoundedSemaphore(limit) if limit else nullcontext()
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def get(self, name: str) -> bytes:
        return self._download(name, 0, -1)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        check_range(offset, length)
        if length == 0:
            # No range of HTTP is empty.
            self.attributes(name)
            return b""
        return self._download(name, offset, length)

    def iter(self, prefix: str = "", *, recursive: bool = False) -> Iterator[str]:
        start = folder(prefix)
        for page in self._pages(start, "" if recursive else "/"):
            yield from (item["Key"] for item in page.get("Contents", ()) if item["Key"] != start)
            yield from (item["Prefix"] for item in page.get("CommonPrefixes", ()))

    def walk(self, prefix: str = "") -> Iterator[tuple[str, ObjectAttributes]]:
        start = folder(prefix)
        for page in self._pages(start, ""):
            for item in page.get("Contents", ()):
                if item["Key"] != start:
                    yield item["Key"], _attributes(item["Size"], item)

    def exists(self, name: str) -> bool:
        try:
            self.attributes(name)
        except ObjectNotFound:
            return False
        return True

    def attributes(self, name: str) -> ObjectAttributes:
        def head(connection: Connection) -> ObjectAttributes:
            found = connection.reader.head(name)
            if found is None:
                answer = connection.client.head_object(Key=name, **self._reading)
                found = _attributes(answer["ContentLength"], answer)
            return found

        return self._run(f"head {name}", name, head)

    def upload(self, name: str, body: bytes | BinaryIO) -> None:
        source = PartSource(body)
        first = source.take(-1 if self._config.disable_multipart else self._part_size)
        if self._config.disable_multipart or len(first) < self._part_size:
            self._put(name, first)
        else:
            self._put_parts(name, first, source)

    def delete(self, name: str) -> None:
        bucket = self.name
        self._ask(f"delete {name}", name, lambda client: client.delete_object(Bucket=bucket, Key=name))

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()

    def _download(self, name: str, offset: int, length: int) -> bytes:
        last = offset + length - 1 if length > 0 else ""
        byte_range = f"bytes={offset}-{last}" if offset or length > 0 else ""

        def read(connection: Connection) -> bytes:
            status, body = connection.reader.get(name, byte_range) or self._ask_client(connection, name, byte_range)
            if status == 200 and byte_range:
                # A server may ignore the range and send everything.
                return body[offset : offset + length] if length > 0 else body[offset:]
            return body

        return self._run(f"get {name}", name, read)

    def _ask_client(self, connection: Connection, name: str, byte_range: str) -> tuple[int, bytes]:
        arguments = self._reading | ({"Range": byte_range} if byte_range else {})
        try:
            answer = connection.client.get_object(Key=name, **arguments)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 416:
                return 416, b""
            raise
        with answer["Body"] as body:
            return answer["ResponseMetadata"]["HTTPStatusCode"], body.read()

    def _pages(self, start: str, delimiter: str) -> Iterator[dict[str, Any]]:
        """The answers of one listing, each request with its own retries."""
        old = self._config.list_objects_version == "v1"
        arguments: dict[str, Any] = {"Bucket": self.name, "Prefix": start}
        if delimiter:
            arguments["Delimiter"] = delimiter
        while True:
            page = self._ask(
                f"list {start or 'the root'}",
                start,
                lambda client: client.list_objects(**arguments) if old else client.list_objects_v2(**arguments),
            )
            yield page
            if not page.get("IsTruncated"):
                return
            if old:
                arguments["Marker"] = page.get("NextMarker") or _last_name(page)
            else:
                arguments["ContinuationToken"] = page["NextContinuationToken"]

    def _put(self, name: str, body: Part) -> None:
        arguments = self._writing | self._digest(body)

        def put(client: BaseClient) -> None:
            client.put_object(Key=name, Body=_from_start(body), **arguments)

        self._ask(f"upload {name}", name, put)

    def _put_parts(self, name: str, first: Part, source: PartSource) -> None:
        """What was sent of a failed upload is thrown away."""
        created = self._ask(
            f"begin the upload of {name}",
            name,
            lambda client: client.create_multipart_upload(Key=name, **self._writing),
        )
        place = {"Bucket": self.name, "Key": name, "UploadId": created["UploadId"]}
        try:
            parts = self._send_parts(place, name, first, source)
            self._ask(
                f"complete the upload of {name}",
                name,
                lambda client: client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}),
            )
        except BaseException:
            with suppress(BucketUnavailable, ObjectNotFound):
                self._ask(f"abort the upload of {name}", name, lambda client: client.abort_multipart_upload(**place))
            raise

    def _send_parts(self, place: dict[str, Any], name: str, first: Part, source: PartSource) -> list[dict[str, Any]]:
        # A server takes 10,000 parts, however large the object is.
        size = max(self._part_size, -(-(source.left or 0) // (MAX_PARTS - 1)))
        keys = {key: value for key, value in self._reading.items() if key.startswith("SSECustomer")}
        parts: list[dict[str, Any]] = []
        body = first
        while body:
            number = len(parts) + 1
            arguments = {**place, **keys, **self._digest(body), "PartNumber": number}
            etag = self._send_part(f"upload part {number} of {name}", name, body, arguments)
            parts.append({"ETag": etag, "PartNumber": number})
            body = source.take(size)
        return parts

    def _send_part(self, doing: str, name: str, body: Part, arguments: dict[str, Any]) -> str:
        return self._ask(doing, name, lambda client: client.upload_part(Body=_from_start(body), **arguments)["ETag"])

    def _digest(self, body: Part) -> dict[str, str]:
        if not self._config.send_content_md5:
            return {}
        return {"ContentMD5": base64.b64encode(md5_of(body)).decode()}

    def _ask(self, doing: str, name: str, operation: Callable[[BaseClient], T]) -> T:
        return self._run(doing, name, lambda connection: operation(connection.client))

    def _run(self, doing: str, name: str, operation: Callable[[Connection], T]) -> T:
        """The answer to one request, sent again while that may help."""

        def attempt() -> T:
            with self._slots:
                return operation(self._connected())

        with errors(f"{doing} in bucket {self.name}", name):
            return self._policy.run(attempt, may_pass)

    def _connected(self) -> Connection:
        connection = self._connection
        if connection is None:
            with self._lock:
                if self._connection is None:
                    self._connection = connect(self._config, self._component, self._connections)
                connection = self._connection
        return connection


def _attributes(size: int, answer: dict[str, Any]) -> ObjectAttributes:
    return ObjectAttributes(size, int(answer["LastModified"].timestamp() * 1000))


def _last_name(page: dict[str, Any]) -> str:
    """Where the next page of a version 1 listing starts; servers tell only when there is a delimiter."""
    names = [item["Key"] for item in page.get("Contents", ())]
    names += [item["Prefix"] for item in page.get("CommonPrefixes", ())]
    return max(names)


def _from_start(body: Part) -> Part:
    """The same part, to be sent as a whole, again perhaps."""
    if isinstance(body, FilePart):
        body.seek(0)
    return body
