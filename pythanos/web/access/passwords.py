"""Passwords against bcrypt hashes: one at a time, outside the reactor's thread, remembered afterwards."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import bcrypt
import pylru
from twisted.internet import defer

from pythanos.units import Secret

# The hash of a password that nobody has, of the cost that most have: an unknown user takes as long as a known one.
_NOBODY = "$2b$10$QDiSqs3fo6TbYXv1Exq6meJtfkF7hm5S49vJGK1N/bjOiVTsNuaai"
_REMEMBERED = 100
# What bcrypt looks at; a longer password is compared by its beginning, as everywhere.
_PASSWORD_BYTES = 72


class Passwords:
    """Lives in the reactor's thread. Nothing that is kept holds a password: only keyed digests of them."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._salt = os.urandom(32)
        self._good = pylru.lrucache(_REMEMBERED)
        self._bad = pylru.lrucache(_REMEMBERED)
        self._pending: dict[bytes, list[defer.Deferred[bool]]] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._stopped = False

    def check(self, users: Mapping[str, Secret], authorization: str) -> defer.Deferred[bool]:
        """Fires with whether the ``Authorization`` header's value names one of ``users`` and their password."""
        pair = parse_basic(authorization)
        if pair is None:
            return defer.succeed(False)
        user, password = pair
        hashed = str(users.get(user.decode("utf-8", "surrogateescape"), ""))
        key = self._key(user, hashed.encode(), password)
        for cache in (self._good, self._bad):
            if key in cache:
                # A read, unlike "in", counts as a use: who asks often stays.
                return defer.succeed(cache[key])
        if self._stopped:
            return defer.succeed(False)
        waiting: defer.Deferred[bool] = defer.Deferred()
        if key in self._pending:
            self._pending[key].append(waiting)
            return waiting
        self._pending[key] = [waiting]
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "http-passwords")
        future = self._thread.submit(matches, hashed, password)
        future.add_done_callback(lambda done: self._reactor.callFromThread(self._settle, key, done))
        return waiting

    def stop(self) -> None:
        """Checks that have not begun answer no, and so does whatever is asked later and not remembered."""
        self._stopped = True
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=False, cancel_futures=True)

    def _settle(self, key: bytes, done: Future[bool]) -> None:
        cancelled = done.cancelled()
        answer = not cancelled and done.result()
        if not cancelled:
            (self._good if answer else self._bad)[key] = answer
        for waiting in self._pending.pop(key):
            waiting.callback(answer)

    def _key(self, *parts: bytes) -> bytes:
        text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._salt, text, hashlib.sha256)


def matches(hashed: str, password: bytes) -> bool:
    """Whether the password has this bcrypt hash; with an empty hash it takes its time and is False. Any thread."""
    try:
        found = bcrypt.checkpw(password[:_PASSWORD_BYTES], (hashed or _NOBODY).encode())
    except ValueError:
        return False
    return found and bool(hashed)


def parse_basic(authorization: str) -> tuple[bytes, bytes] | None:
    """User and password of ``Basic <base64 of user:password>``; None for anything else (RFC 7617)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = pair.partition(b":")
    return (user, password) if colon else None
