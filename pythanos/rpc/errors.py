"""The table between pythanos' errors and gRPC status codes, in both directions."""

from __future__ import annotations

import logging

import grpc

from pythanos.context import RequestContext
from pythanos.errors import (
    BadRequest,
    CorruptData,
    EndpointUnavailable,
    LimitExceeded,
    NotSupported,
    PythanosError,
    QueryCanceled,
    QueryFailed,
    QueryTimeout,
    Retryable,
)

log = logging.getLogger(__name__)

# Looked through in order: a subclass stands before its parent.
STATUS_OF: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    (BadRequest, grpc.StatusCode.INVALID_ARGUMENT),
    (LimitExceeded, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (QueryTimeout, grpc.StatusCode.DEADLINE_EXCEEDED),
    (QueryCanceled, grpc.StatusCode.CANCELLED),
    (Retryable, grpc.StatusCode.UNAVAILABLE),
    (CorruptData, grpc.StatusCode.DATA_LOSS),
    (NotSupported, grpc.StatusCode.UNIMPLEMENTED),
    # As Thanos ends a query that cannot be evaluated.
    (QueryFailed, grpc.StatusCode.ABORTED),
)


def status_of(error: Exception) -> tuple[grpc.StatusCode, str]:
    """The code and message that a caller sees; anything unknown is a bug, whose traceback is logged here."""
    for kind, code in STATUS_OF:
        if isinstance(error, kind):
            return code, str(error)
    if not isinstance(error, PythanosError):
        log.error("unhandled error in a gRPC call", exc_info=error)
    return grpc.StatusCode.INTERNAL, str(error) or type(error).__name__


def error_of(error: grpc.RpcError, address: str, ctx: RequestContext) -> PythanosError:
    """What a failed call to ``address`` means to the caller here.

    A caller's own deadline or cancellation wins over what the transport made of it; what the endpoint refused stays
    refused; everything else is an endpoint that is not available now.
    """
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    details = (error.details() if isinstance(error, grpc.Call) else str(error)) or ""
    if ctx.canceled:
        return QueryCanceled("query was canceled")
    if ctx.remaining_seconds() == 0:
        return QueryTimeout("query timed out")
    text = f"rpc error: code = {go_code(code)} desc = {details}"
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return BadRequest(text)
    if code is grpc.StatusCode.ABORTED:
        return QueryFailed(f"{address}: {text}")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return LimitExceeded(f"of {address}", "its own", text)
    if code is grpc.StatusCode.DATA_LOSS:
        return CorruptData(address, -1, text)
    return EndpointUnavailable(f"{address}: {text}")


def go_code(code: grpc.StatusCode) -> str:
    """The name of a code as Go prints it, in error texts and metric labels: ``DeadlineExceeded``, ``OK``."""
    if code is grpc.StatusCode.OK:
        return "OK"
    if code is grpc.StatusCode.CANCELLED:
        return "Canceled"
    return code.name.title().replace("_", "")
