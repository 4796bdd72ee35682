"""The short way to an object: GET and HEAD signed here and sent over botocore's HTTP session.

A call of a botocore client costs five times the processor time of this one, and a store gateway does little else.
Whatever is not a plain answer (a redirect, a refusal, an overloaded server) is left to the client.
Signature: AWS Signature Version 4, https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from botocore.awsrequest import AWSPreparedRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.httpsession import URLLib3Session

from pythanos.objstore.bucket import ObjectAttributes, ObjectNotFound

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """Where the objects are: ``https://host/`` and the path before their names, ``/`` or ``/bucket/``."""

    scheme: str
    host: str
    path: str
    region: str


class DirectReader:
    """Reads by signed GET and HEAD. Every method returns None where the client has to be asked instead."""

    def __init__(
        self,
        place: ObjectPlace,
        credentials: Credentials | None,
        http: URLLib3Session,
        *,
        customer_key: bytes = b"",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._place = place
        self._credentials = credentials
        self._http = http
        self._clock = clock
        self._headers = _customer_headers(customer_key) if customer_key else {}
        self._key = ("", "", b"")

    def get(self, name: str, byte_range: str = "") -> tuple[int, bytes] | None:
        """Status (200, 206 or 416) and body. Raises ObjectNotFound and botocore's errors of transport."""
        answer = self._send("GET", name, {"Range": byte_range} if byte_range else {})
        if answer is None:
            return None
        status, body = answer.status_code, answer.content
        if status == 416:
            return 416, b""
        if status == 404 and b"<Code>NoSuchKey</Code>" in body:
            raise ObjectNotFound(name)
        if status not in (200, 206):
            return None
        expected = answer.headers.get("Content-Length")
        if expected is not None and int(expected) != len(body):
            raise ConnectionError(f"body of {len(body)} bytes instead of {expected}")
        return status, body

    def head(self, name: str) -> ObjectAttributes | None:
        """Raises ObjectNotFound and botocore's errors of transport."""
        answer = self._send("HEAD", name, {})
        if answer is None:
            return None
        if answer.status_code == 404:
            raise ObjectNotFound(name)
        size, modified = answer.headers.get("Content-Length"), answer.headers.get("Last-Modified")
        if answer.status_code != 200 or size is None or modified is None:
            return None
        return ObjectAttributes(int(size), int(parsedate_to_datetime(modified).timestamp() * 1000))

    def close(self) -> None:
        self._http.close()

    def _send(self, method: str, name: str, headers: dict[str, str]) -> Any:
        credentials = self._credentials
        # The HTTP library would resolve such segments, and ask for another object than was signed.
        if credentials is None or any(part in ("", ".", "..") for part in name.split("/")):
            return None
        path = quote(self._place.path + name, safe="/~")
        headers = headers | self._headers
        self._sign(method, path, headers, credentials.get_frozen_credentials())
        # Last, so that it is not signed: what botocore does to keep bodies as they are stored.
        headers["Accept-Encoding"] = "identity"
        url = f"{self._place.scheme}://{self._place.host}{path}"
        return self._http.send(AWSPreparedRequest(method, url, headers, None, False))

    def _sign(self, method: str, path: str, headers: dict[str, str], frozen: ReadOnlyCredentials) -> None:
        """Adds the date, the token and the signature over all headers there are."""
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        headers |= {"Host": self._place.host, "X-Amz-Content-SHA256": EMPTY_SHA256, "X-Amz-Date": moment}
        if frozen.token:
            headers["X-Amz-Security-Token"] = frozen.token
        signed = sorted((name.lower(), value) for name, value in headers.items())
        names = ";".join(name for name, _ in signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed)
        request = f"{method}\n{path}\n\n{lines}\n{names}\n{EMPTY_SHA256}"
        scope = f"{moment[:8]}/{self._place.region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        signature = hmac.digest(self._signing_key(moment[:8], frozen.secret_key), text.encode(), "sha256").hex()
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={frozen.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )

    def _signing_key(self, day: str, secret: str) -> bytes:
        known_day, known_secret, key = self._key
        if known_day != day or known_secret != secret:
            key = f"AWS4{secret}".encode()
            for part in (day, self._place.region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (day, secret, key)
        return key


def _customer_headers(key: bytes) -> dict[str, str]:
    prefix = "X-Amz-Server-Side-Encryption-Customer-"
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    return {
        f"{prefix}Algorithm": "AES256",
        f"{prefix}Key": base64.b64encode(key).decode(),
        f"{prefix}Key-MD5": base64.b64encode(digest).decode(),
    }
