"""The error taxonomy: each class says what its catcher should do.

Core code raises these and never names HTTP or gRPC; only ``web.errors`` and ``rpc.errors`` hold the
tables of status codes. Messages say what was being done ("read meta.json of block X"), in lower case,
without "failed to"; causes are chained with ``from``.
"""

from __future__ import annotations


class PythanosError(Exception):
    """The root of everything that pythanos raises on purpose."""


class ConfigError(PythanosError):
    """A configuration is wrong: print one line, exit 1."""

    def __init__(self, path: str, key: str, hint: str) -> None:
        self.path = path
        self.key = key
        self.hint = hint
        super().__init__(": ".join(part for part in (path, key, hint) if part))


class BadRequest(PythanosError):
    """The caller's mistake; answered at the edge (400 bad_data, INVALID_ARGUMENT)."""


class LimitExceeded(PythanosError):
    """A named limit was reached; never retried blindly.

    ``limit`` is the limit's configuration key, ``value`` its setting. ``admission`` marks a request that
    was turned away before any work was done (429 rather than 422).
    """

    def __init__(self, limit: str, value: object, message: str = "", *, admission: bool = False) -> None:
        self.limit = limit
        self.value = value
        self.admission = admission
        super().__init__(message or f"limit {limit} of {value} exceeded")


class QueryTimeout(PythanosError):
    """The deadline of a request has passed."""


class QueryCanceled(PythanosError):
    """The client of a request has gone away."""


class QueryFailed(PythanosError):
    """An expression cannot be evaluated over this data (422 execution), such as a many-to-many match."""


class NotSupported(QueryFailed):
    """A part of the language that is parsed and checked but not evaluated."""


class StoreFailed(QueryFailed):
    """What a fan-out raises where no part of its answer may be missing, and one is.

    ``aborted``: a call of a StoreAPI ends with this, so that a caller in the same process tells of it as of a call.
    """

    def __init__(self, message: str, *, aborted: bool = False) -> None:
        self.aborted = aborted
        super().__init__(message)

    def told(self) -> str:
        """The text, with gRPC's status where there is one."""
        return f"rpc error: code = Aborted desc = {self}" if self.aborted else str(self)


class Retryable(PythanosError):
    """Transient I/O: a loop backs off and tries again; a fan-out may turn it into a warning."""


class BucketUnavailable(Retryable):
    """The object store did not answer, or answered that it cannot at the moment."""


class EndpointUnavailable(Retryable):
    """A StoreAPI endpoint did not answer in time, or broke off."""


class ObjectNotFound(PythanosError):
    """The bucket holds no object of this name; always caught by the layer that asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"object {name} not found")


class CorruptData(PythanosError):
    """Bytes that are not what their format says; the only error that garbage input may cause.

    ``offset`` counts bytes from the start of ``file``; -1 where a position has no meaning.
    """

    def __init__(self, file: str, offset: int, reason: str) -> None:
        self.file = file
        self.offset = offset
        self.reason = reason
        super().__init__(f"{file}: {reason} at offset {offset}" if offset >= 0 else f"{file}: {reason}")


class Halt(PythanosError):
    """An invariant is broken: the group's work stops, the process lives, a gauge is 1, a person must look."""
