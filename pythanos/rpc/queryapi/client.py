"""RemoteQueryAPI: the QueryAPI of one endpoint. Series stay bytes; a kernel reads them where they are wanted."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import grpc
from google.protobuf.message import DecodeError

from pythanos.context import RequestContext
from pythanos.errors import CorruptData
from pythanos.query.distributed.requests import RemoteFrame, RemoteRequest, RemoteStats, SeriesMessages
from pythanos.rpc.calls import metadata_of
from pythanos.rpc.errors import error_of
from pythanos.rpc.pb import query_pb2
from pythanos.rpc.queryapi import messages
from pythanos.storeapi.batches import StoreWarning

# Messages that begin with one of these fields are series: timeseries and timeseries_batch.
SERIES_TAGS = (0x12, 0x22)
# So much of small messages is read together: a row of the result may be much larger than its bytes.
GATHER_BYTES = 64 * 1024


class RemoteQueryAPI:
    """Asks one endpoint for the values of queries."""

    def __init__(self, channel: grpc.Channel, address: str) -> None:
        self._address = address
        self._instant = channel.unary_stream("/thanos.Query/Query", query_pb2.QueryRequest.SerializeToString)
        self._range = channel.unary_stream("/thanos.Query/QueryRange", query_pb2.QueryRangeRequest.SerializeToString)

    def query(self, ctx: RequestContext, request: RemoteRequest, *, instant: bool) -> QueryStream:
        """Sends the request at once; cancelling the context, or closing the stream, cancels the call."""
        timeout, metadata = ctx.remaining_seconds(), metadata_of(ctx)
        if instant:
            call = self._instant(messages.instant_to_proto(request), timeout=timeout, metadata=metadata)
        else:
            call = self._range(messages.range_to_proto(request), timeout=timeout, metadata=metadata)
        ctx.on_cancel(call.cancel)
        ctx.step_aside()
        return QueryStream(ctx, call, self._address)


class QueryStream:
    """The frames of one answer as they arrive. Raises as ``error_of`` tells, and CorruptData."""

    def __init__(self, ctx: RequestContext, call: grpc.Call, address: str) -> None:
        self._call = call
        self._frames = self._read(ctx, call, address)

    def __iter__(self) -> Iterator[RemoteFrame]:
        return self

    def __next__(self) -> RemoteFrame:
        return next(self._frames)

    def close(self) -> None:
        self._frames.close()
        self._call.cancel()

    def _read(self, ctx: RequestContext, call: grpc.Call, address: str) -> Generator[RemoteFrame]:
        waiting: list[bytes] = []
        size = 0
        try:
            for data in call:
                ctx.check()
                if data[:1] and data[0] in SERIES_TAGS:
                    waiting.append(data)
                    size += len(data)
                    if size < GATHER_BYTES:
                        continue
                if waiting:
                    yield SeriesMessages(b"".join(waiting))
                    waiting, size = [], 0
                if not data[:1] or data[0] not in SERIES_TAGS:
                    yield from _frames(data, address)
            # A call that was cancelled from here ends like one that is complete.
            ctx.check()
        except grpc.RpcError as error:
            raise error_of(error, address, ctx) from error
        finally:
            call.cancel()
        if waiting:
            yield SeriesMessages(b"".join(waiting))


def _frames(data: bytes, address: str) -> Iterator[RemoteFrame]:
    try:
        # Both kinds of answers have the same fields.
        message = query_pb2.QueryResponse.FromString(data)
    except DecodeError as error:
        raise CorruptData(f"query response of {address}", -1, str(error)) from error
    if message.HasField("stats"):
        yield RemoteStats(message.stats.samples_total, message.stats.peak_samples)
    elif message.warnings:
        yield StoreWarning(message.warnings)
