"""What one gRPC call brings along: deadline, cancellation and tenant as a RequestContext, errors as a status."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import grpc

from pythanos.context import DEFAULT_TENANT, RequestContext
from pythanos.rpc.errors import status_of

TENANT_KEY = "thanos-tenant"
REQUEST_ID_KEY = "x-request-id"


@contextlib.contextmanager
def serving(call: grpc.ServicerContext) -> Iterator[RequestContext]:
    """The context of a call that is being served; an error inside ends the call with its status.

    The client's deadline becomes the context's, and a client that goes away cancels it.
    """
    metadata = {item.key: item.value for item in call.invocation_metadata()}
    ctx = RequestContext(
        timeout_seconds=call.time_remaining(),
        tenant=str(metadata.get(TENANT_KEY, DEFAULT_TENANT)),
        request_id=str(metadata.get(REQUEST_ID_KEY, "")),
    )
    if not call.add_callback(ctx.cancel):
        ctx.cancel()
    try:
        ctx.check()
        yield ctx
    except Exception as error:
        code, details = status_of(error)
        call.abort(code, details)


def metadata_of(ctx: RequestContext) -> tuple[tuple[str, str], ...]:
    """What travels with a call to another endpoint."""
    metadata: tuple[tuple[str, str], ...] = ((TENANT_KEY, ctx.tenant),)
    if ctx.request_id:
        metadata += ((REQUEST_ID_KEY, ctx.request_id),)
    return metadata
