"""RemoteStore: a StoreAPI endpoint somewhere else, as a ``storeapi.Store``; and its Info."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc

from pythanos.context import RequestContext
from pythanos.query.endpoints import EndpointSpec
from pythanos.rpc import codec
from pythanos.rpc.calls import metadata_of
from pythanos.rpc.channels import Connection, open_connection
from pythanos.rpc.counted import CountedChannel
from pythanos.rpc.errors import error_of
from pythanos.rpc.frames import frames_of, gathered
from pythanos.rpc.metrics import CallMetrics
from pythanos.rpc.pb import info_pb2, store_pb2
from pythanos.rpc.promapi.client import RemotePromAPI
from pythanos.rpc.queryapi.client import RemoteQueryAPI
from pythanos.storeapi.batches import SeriesFrame
from pythanos.storeapi.requests import LabelNamesRequest, LabelsAnswer, LabelValuesRequest, SeriesRequest
from pythanos.storeapi.store import StoreInfo


@dataclass(frozen=True, slots=True)
class EndpointInfo:
    """The answer to an Info call: ``store`` is None where no StoreAPI is served; ``apis`` names what is."""

    component: str
    store: StoreInfo | None
    apis: frozenset[str]


def connect(spec: EndpointSpec, metrics: CallMetrics | None = None) -> RemoteStore:
    """A connection to an endpoint, or to a group of them, as its specification says. Raises ConfigError."""
    connection = open_connection(spec.address, spec.tls, spec.members, spec.service_config)
    return RemoteStore(spec.address, connection, metrics)


class RemoteStore:
    """One endpoint. ``info()`` is what the last ``fetch_info`` heard, and never blocks.

    ``promapi`` and ``queryapi``: what it can be asked besides series.
    """

    def __init__(self, address: str, connection: Connection | None = None, metrics: CallMetrics | None = None) -> None:
        """Connects to ``address`` in cleartext where no ``connection`` is given; owns it either way.

        Calls are counted where there are ``metrics``.
        """
        self.address = address
        self._connection = connection or open_connection(address)
        channel = self._connection.channel if metrics is None else CountedChannel(self._connection.channel, metrics)
        self._failed = False
        self._series: Callable[..., grpc.Call] = channel.unary_stream(
            "/thanos.Store/Series", store_pb2.SeriesRequest.SerializeToString
        )
        self._label_names = channel.unary_unary(
            "/thanos.Store/LabelNames",
            store_pb2.LabelNamesRequest.SerializeToString,
            store_pb2.LabelNamesResponse.FromString,
        )
        self._label_values = channel.unary_unary(
            "/thanos.Store/LabelValues",
            store_pb2.LabelValuesRequest.SerializeToString,
            store_pb2.LabelValuesResponse.FromString,
        )
        self._info = channel.unary_unary(
            "/thanos.info.Info/Info", info_pb2.InfoRequest.SerializeToString, info_pb2.InfoResponse.FromString
        )
        self._announced = StoreInfo((), 0, 0)
        self.promapi = RemotePromAPI(channel, address)
        self.queryapi = RemoteQueryAPI(channel, address)

    def info(self) -> StoreInfo:
        return self._announced

    def fetch_info(self, ctx: RequestContext, *, until_connected: bool = True) -> EndpointInfo:
        """Asks the endpoint what it is. Raises as ``error_of`` tells.

        ``until_connected``: go on trying to connect until the deadline; else what refuses connections fails at once.
        """
        try:
            answer = self._info(
                info_pb2.InfoRequest(),
                timeout=ctx.remaining_seconds(),
                wait_for_ready=until_connected,
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
        ctx.step_aside()
        try:
            for data in gathered(call):
                ctx.check()
                yield from frames_of(data, f"series response of {self.address}")
            # A call that was cancelled from here ends like one that is complete.
            ctx.check()
        except grpc.RpcError as error:
            raise error_of(error, self.address, ctx) from error
        finally:
            call.cancel()

    def label_names(self, ctx: RequestContext, request: LabelNamesRequest) -> LabelsAnswer:
        message = codec.label_names_request_to_proto(request)
        ctx.step_aside()
        try:
            answer = self._label_names(message, timeout=ctx.remaining_seconds(), metadata=metadata_of(ctx))
        except grpc.RpcError as error:
            raise error_of(error, self.address, ctx) from error
        return LabelsAnswer(tuple(answer.names), tuple(answer.warnings))

    def label_values(self, ctx: RequestContext, request: LabelValuesRequest) -> LabelsAnswer:
        message = codec.label_values_request_to_proto(request)
        ctx.step_aside()
        try:
            answer = self._label_values(message, timeout=ctx.remaining_seconds(), metadata=metadata_of(ctx))
        except grpc.RpcError as error:
            raise error_of(error, self.address, ctx) from error
        return LabelsAnswer(tuple(answer.values), tuple(answer.warnings))

    def is_outdated(self) -> bool:
        """Whether the certificates have changed that this connection was opened with. May block for a connection."""
        return self._connection.is_outdated() or (self._failed and self._connection.shows_another())

    def close(self) -> None:
        self._connection.channel.close()
