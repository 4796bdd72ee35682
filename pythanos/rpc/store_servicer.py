"""The Store service: a ``storeapi.Store`` behind gRPC. Series bytes are written by kernel, message by message."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from msgspec import structs
from prometheus_client import CollectorRegistry

from pythanos._wire import encode_series
from pythanos.rpc import codec
from pythanos.rpc.calls import serving
from pythanos.rpc.pb import store_pb2
from pythanos.storeapi.batches import SeriesBatch, SeriesFrame, SeriesHints, StoreWarning
from pythanos.storeapi.store import Store
from pythanos.tally import TallyGauge, TallyHistogram

SERVICE = "thanos.Store"
# Asked of the store, whatever the client wants in a message: messages are cut from a batch for less than batches are.
BATCH_SERIES = 4096
SERIES_BUCKETS = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)
CHUNKS_BUCKETS = (1, 100, 1000, 10_000, 100_000, 10_000_000, 100_000_000, 1_000_000_000)


class StoreServerMetrics:
    """``thanos_store_server_*``: how much one Series call sent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.series = TallyHistogram(
            "thanos_store_server_series_requested",
            "Number of requested series for Series calls",
            buckets=SERIES_BUCKETS,
            registry=registry,
        )
        self.chunks = TallyHistogram(
            "thanos_store_server_chunks_requested",
            "Number of requested chunks for Series calls",
            buckets=CHUNKS_BUCKETS,
            registry=registry,
        )
        self.pending = TallyGauge(
            "thanos_store_server_pending_series_requests", "Number of pending series requests", registry=registry
        )


class StoreServicer:
    """Serves one Store. Series messages leave as bytes, so their response serializer is None."""

    def __init__(self, store: Store, registry: CollectorRegistry) -> None:
        self._store = store
        self._metrics = StoreServerMetrics(registry)

    def handler(self) -> grpc.GenericRpcHandler:
        """What a grpc server registers."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Series": grpc.unary_stream_rpc_method_handler(
                    self.series, request_deserializer=store_pb2.SeriesRequest.FromString
                ),
                "LabelNames": grpc.unary_unary_rpc_method_handler(
                    self.label_names,
                    request_deserializer=store_pb2.LabelNamesRequest.FromString,
                    response_serializer=store_pb2.LabelNamesResponse.SerializeToString,
                ),
                "LabelValues": grpc.unary_unary_rpc_method_handler(
                    self.label_values,
                    request_deserializer=store_pb2.LabelValuesRequest.FromString,
                    response_serializer=store_pb2.LabelValuesResponse.SerializeToString,
                ),
            },
        )

    def series(self, message: store_pb2.SeriesRequest, call: grpc.ServicerContext) -> Iterator[bytes]:
        """Serialized SeriesResponse messages; the work stops within one batch of a cancelled call."""
        series = chunks = 0
        with self._metrics.pending.labels(), serving(call) as ctx:
            request = codec.series_request_from_proto(message)
            wide = max(request.response_batch_size, BATCH_SERIES)
            frames = self._store.series(ctx, structs.replace(request, response_batch_size=wide))
            try:
                for frame in frames:
                    ctx.check()
                    if isinstance(frame, SeriesBatch):
                        series += len(frame)
                        chunks += frame.chunk_count
                    yield from messages_of(frame, request.response_batch_size)
            finally:
                close = getattr(frames, "close", None)
                if close is not None:
                    close()
        self._metrics.series.observe(series)
        self._metrics.chunks.observe(chunks)

    def label_names(
        self, message: store_pb2.LabelNamesRequest, call: grpc.ServicerContext
    ) -> store_pb2.LabelNamesResponse:
        with serving(call) as ctx:
            return codec.label_names_to_proto(
                self._store.label_names(ctx, codec.label_names_request_from_proto(message))
            )

    def label_values(
        self, message: store_pb2.LabelValuesRequest, call: grpc.ServicerContext
    ) -> store_pb2.LabelValuesResponse:
        with serving(call) as ctx:
            return codec.label_values_to_proto(
                self._store.label_values(ctx, codec.label_values_request_from_proto(message))
            )


def messages_of(frame: SeriesFrame, batch_size: int) -> Iterator[bytes]:
    """One frame as serialized SeriesResponse messages: batches of at most ``batch_size``, single series below 2;
    nothing of what stays in this process.
    """
    if isinstance(frame, SeriesHints):
        yield codec.series_hints_to_proto(frame).SerializeToString()
    elif isinstance(frame, StoreWarning):
        yield store_pb2.SeriesResponse(warning=frame.message).SerializeToString()
    elif not isinstance(frame, SeriesBatch):
        return
    elif batch_size > 1:
        for first in range(0, len(frame), batch_size):
            yield encode_series(frame, first, min(first + batch_size, len(frame)))
    else:
        for row in range(len(frame)):
            yield encode_series(frame, row, row + 1, batched=False)
