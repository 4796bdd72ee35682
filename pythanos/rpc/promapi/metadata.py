"""Messages of the Metadata API <-> ``model.promapi.metadata``."""

from __future__ import annotations

from pythanos.model.promapi.metadata import Metadata, MetadataByMetric, MetadataRequest
from pythanos.rpc.pb import metadata_pb2, types_pb2


def request_to_proto(request: MetadataRequest, *, abort: bool) -> metadata_pb2.MetricMetadataRequest:
    return metadata_pb2.MetricMetadataRequest(
        metric=request.metric,
        limit=request.limit,
        partial_response_strategy=types_pb2.ABORT if abort else types_pb2.WARN,
    )


def request_from_proto(message: metadata_pb2.MetricMetadataRequest) -> MetadataRequest:
    return MetadataRequest(message.metric, message.limit)


def metadata_from_proto(message: metadata_pb2.MetricMetadata) -> MetadataByMetric:
    return {
        metric: tuple(Metadata(meta.type, meta.help, meta.unit) for meta in entry.metas)
        for metric, entry in message.metadata.items()
    }


def metadata_to_proto(metadata: MetadataByMetric) -> metadata_pb2.MetricMetadata:
    message = metadata_pb2.MetricMetadata()
    for metric, metas in metadata.items():
        message.metadata[metric].metas.extend(
            metadata_pb2.Meta(type=meta.type, help=meta.help, unit=meta.unit) for meta in metas
        )
    return message
