"""RemoteStore: a StoreAPI endpoint somewhere else, as a ``storeapi.Store``; and its Info."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc

from pythanos._wire import NotCanonical, decode_series
from pythanos.context import RequestContext
from pythanos.errors import CorruptData
from pythanos.query.endpoints import EndpointSpec
from pythanos.rpc import codec
from pythanos.rpc.calls import metadata_of
from pythanos.rpc.channels import Connection, open_connection
from pythanos.rpc.errors import error_of
from pythanos.rpc.pb import info_pb2, store_pb2
from pythanos.rpc.promapi.client import RemotePromAPI
from pythanos.storeapi.batches import SeriesFrame, StoreWarning
from pythanos.storeapi.requests import LabelNamesRequest, LabelsAnswer, LabelValuesRequest, SeriesRequest
from pythanos.storeapi.store import StoreInfo

# A server that sends series one by one costs a kernel call a message; so many bytes of messages are decoded together.
GATHER_BYTES = 256 * 1024
# A message of this size is a batch already.
BATCH_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class EndpointInfo:
    """The answer to an Info call: ``store`` is None where no StoreAPI is served; ``apis`` names what is."""

    component: str
    store: StoreInfo | None
    apis: frozenset[str]


def connect(spec: EndpointSpec) -> RemoteStore:
    """A connection to an endpoint, or to a group of them, as its specification says. Raises ConfigError."""
    return RemoteStore(spec.address, open_connection(spec.address, spec.tls, spec.members, spec.service_config))


class RemoteStore:
    """One endpoint. ``info()`` is what the last ``fetch_info`` heard, and never blocks; ``promapi``: its other APIs."""

    def __init__(self, address: str, connection: Connection | None = None) -> None:
        """Connects to ``address`` in cleartext where no ``connection`` is given; owns it either way."""
        self.address = address
        self._connection = connection or open_connection(address)
        self._channel = self._connection.channel
        self._failed = False
        self._series: Callable[..., grpc.Call] = self._channel.unary_stream(
            "/thanos.Store/Series", store_pb2.SeriesRequest.SerializeToString
        )
        self._label_names = self._channel.unary_unary(
            "/thanos.Store/LabelNames",
            store_pb2.LabelNamesRequest.SerializeToString,
            store_pb2.LabelNamesResponse.FromString,
        )
        self._label_values = self._channel.unary_unary(
            "/thanos.Store/LabelValues",
            store_pb2.LabelValuesRequest.SerializeToString,
            store_pb2.LabelValuesResponse.FromString,
        )
        self._info = self._channel.unary_unary(
            "/thanos.info.Info/Info", info_pb2.InfoRequest.SerializeToString, info_pb2.InfoResponse.FromString
        )
        self._announced = StoreInfo((), 0, 0)
        self.promapi = RemotePromAPI(self._channel, address)

    def info(self) -> StoreInfo:
        return self._announced

    def fetch_info(self, ctx: RequestContext) -> EndpointInfo:
        """Asks the endpoint what it is, waiting to connect until the deadline. Raises as ``error_of`` tells."""
        try:
            answer = self._info(
                info_pb2.InfoRequest(),
                timeout=ctx.remaining_seconds(),
                wait_for_ready=True,
                metadata=metadata_of(ctx),
            )
        except grpc.RpcError as error:
            self._failed = True
            raise error_of(error, self.address, ctx) from error
        self._failed = False
        store = codec.store_info_from_proto(answer) if answer.HasField("store") else None
        if store is not None:
            self._announced = store
        apis = frozenset(
            field.name for field, _ in answer.ListFields() if field.name not in ("label_sets", "ComponentType")
        )
        return EndpointInfo(answer.ComponentType, store, apis)

    def series(self, ctx: RequestContext, request: SeriesRequest) -> Iterator[SeriesFrame]:
        """Frames as they arrive. Closing the generator, or cancelling the context, cancels the call."""
        call = self._series(
            codec.series_request_to_proto(request), timeout=ctx.remaining_seconds(), metadata=metadata_of(ctx)
        )
        ctx.on_cancel(call.cancel)
        try:
            for data in gathered(call):
                ctx.check()
                yield from self._frames(data)
            # A call that was cancelled from here ends like one that is complete.
            ctx.check()
        except grpc.RpcError as error:
            raise error_of(error, self.address, ctx) from error
        finally:
            call.cancel()

    def _frames(self, data: bytes) -> Iterator[SeriesFrame]:
        source = f"series response of {self.address}"
        try:
            batch, others = decode_series(data, source=source)
        except NotCanonical:
            batch, others = decode_series(canonical(data), source=source)
        if batch is not None:
            yield batch
        for field, body in others:
            if field == store_pb2.SeriesResponse.WARNING_FIELD_NUMBER:
                yield StoreWarning(body.decode("utf-8", "replace"))
            else:
                yield codec.series_hints_from_any(body)

    def label_names(self, ctx: RequestContext, request: LabelNamesRequest) -> LabelsAnswer:
        message = codec.label_names_request_to_proto(request)
        try:
            answer = self._label_names(message, timeout=ctx.remaining_seconds(), metadata=metadata_of(ctx))
        except grpc.RpcError as error:
            raise error_of(error, self.address, ctx) from error
        return LabelsAnswer(tuple(answer.names), tuple(answer.warnings))

    def label_values(self, ctx: RequestContext, request: LabelValuesRequest) -> LabelsAnswer:
        message = codec.label_values_request_to_proto(request)
        try:
            answer = self._label_values(message, timeout=ctx.remaining_seconds(), metadata=metadata_of(ctx))
        except grpc.RpcError as error:
            raise error_of(error, self.address, ctx) from error
        return LabelsAnswer(tuple(answer.values), tuple(answer.warnings))

    def is_outdated(self) -> bool:
        """Whether the certificates have changed that this connection was opened with. May block for a connection."""
        return self._connection.is_outdated() or (self._failed and self._connection.shows_another())

    def close(self) -> None:
        self._channel.close()


def gathered(messages: Iterator[bytes]) -> Iterator[bytes]:
    """The messages, small ones laid end to end up to GATHER_BYTES: what ``decode_series`` likes best."""
    waiting: list[bytes] = []
    size = 0
    for message in messages:
        waiting.append(message)
        size += len(message)
        if len(message) >= BATCH_BYTES or size >= GATHER_BYTES:
            yield b"".join(waiting) if len(waiting) > 1 else message
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def canonical(data: bytes) -> bytes:
    """The same messages written in field order and without empty labels, by python-protobuf; a cold path."""
    # Laid end to end, messages of a oneof would overwrite each other: split them at the top level first.
    out = []
    for part in split_messages(data):
        message = store_pb2.SeriesResponse.FromString(part)
        for series in (message.series, *message.batch.series):
            kept = [label for label in series.labels if label.name and label.value]
            if len(kept) != len(series.labels):
                del series.labels[:]
                series.labels.extend(kept)
        out.append(message.SerializeToString())
    return b"".join(out)


def split_messages(data: bytes) -> Iterator[bytes]:
    """Top-level fields of messages laid end to end, each with its tag: one message each. Raises CorruptData."""
    at = 0
    while at < len(data):
        start = at
        _, at = _uvarint(data, at)
        size, at = _uvarint(data, at)
        at += size
        if at > len(data):
            raise CorruptData("series response", start, "message runs past its end")
        yield data[start:at]


def _uvarint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise CorruptData("series response", at, "varint runs past its end")
