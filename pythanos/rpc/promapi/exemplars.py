"""Messages of the Exemplars API <-> ``model.promapi.exemplars``."""

from __future__ import annotations

from pythanos.model.promapi.exemplars import Exemplar, ExemplarsRequest, SeriesExemplars
from pythanos.rpc.pb import exemplars_pb2, types_pb2
from pythanos.rpc.promapi.messages import labels_from_proto, labels_to_proto


def request_to_proto(request: ExemplarsRequest, *, abort: bool) -> exemplars_pb2.ExemplarsRequest:
    return exemplars_pb2.ExemplarsRequest(
        query=request.query,
        start=request.start_ms,
        end=request.end_ms,
        partial_response_strategy=types_pb2.ABORT if abort else types_pb2.WARN,
    )


def request_from_proto(message: exemplars_pb2.ExemplarsRequest) -> ExemplarsRequest:
    return ExemplarsRequest(message.query, message.start, message.end)


def series_from_proto(message: exemplars_pb2.ExemplarData) -> SeriesExemplars:
    return SeriesExemplars(
        labels_from_proto(message.seriesLabels),
        tuple(Exemplar(labels_from_proto(one.labels), one.value, one.ts) for one in message.exemplars),
    )


def series_to_proto(series: SeriesExemplars) -> exemplars_pb2.ExemplarData:
    return exemplars_pb2.ExemplarData(
        seriesLabels=labels_to_proto(series.labels),
        exemplars=[
            exemplars_pb2.Exemplar(labels=labels_to_proto(one.labels), value=one.value, ts=one.time_ms)
            for one in series.exemplars
        ],
    )
