"""The one table from error classes to HTTP status codes and the ``errorType`` of the API."""

from __future__ import annotations

from dataclasses import dataclass

from pythanos.errors import (
    BadRequest,
    CorruptData,
    LimitExceeded,
    ObjectNotFound,
    PythanosError,
    QueryCanceled,
    QueryFailed,
    QueryTimeout,
    Retryable,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an error is answered. ``expected`` errors are no bugs: they are not logged with a traceback."""

    status: int
    error_type: str
    message: str
    expected: bool = True


class NotFound(PythanosError):
    """No route, or nothing of that name."""


class NotReady(PythanosError):
    """The daemon is starting or stopping."""


class BodyTooLarge(PythanosError):
    """A request body over ``http.max_body_size``."""


class MethodNotAllowed(PythanosError):
    """The path exists for other methods."""

    def __init__(self, allowed: str) -> None:
        self.allowed = allowed
        super().__init__("method not allowed")


# The first class that matches decides. Canceled is 503 as in Thanos (Prometheus says 499).
_TABLE: tuple[tuple[type[Exception], int, str], ...] = (
    (BadRequest, 400, "bad_data"),
    (QueryTimeout, 503, "timeout"),
    (QueryCanceled, 503, "canceled"),
    (QueryFailed, 422, "execution"),
    (Retryable, 503, "unavailable"),
    (NotReady, 503, "unavailable"),
    (CorruptData, 500, "internal"),
    (NotFound, 404, "not_found"),
    (ObjectNotFound, 404, "not_found"),
    (MethodNotAllowed, 405, "bad_data"),
    (BodyTooLarge, 413, "bad_data"),
)


def classify(error: BaseException) -> Outcome:
    """How to answer ``error``; anything unknown is a bug: 500 internal."""
    message = str(error) or type(error).__name__
    if isinstance(error, LimitExceeded):
        return Outcome(429 if error.admission else 422, "execution", message)
    for kind, status, error_type in _TABLE:
        if isinstance(error, kind):
            return Outcome(status, error_type, message)
    return Outcome(500, "internal", message, expected=False)
