"""RemotePromAPI: the services Metadata, Targets, Rules, Exemplars and Status of one endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from pythanos.context import RequestContext
from pythanos.errors import CorruptData
from pythanos.model.promapi.exemplars import ExemplarsRequest, SeriesExemplars
from pythanos.model.promapi.metadata import MetadataByMetric, MetadataRequest
from pythanos.model.promapi.rules import RuleGroup, RulesRequest
from pythanos.model.promapi.statistics import StatisticsByTenant, StatisticsRequest
from pythanos.model.promapi.targets import Targets, TargetState
from pythanos.rpc.calls import metadata_of
from pythanos.rpc.errors import error_of
from pythanos.rpc.pb import exemplars_pb2, metadata_pb2, rules_pb2, status_pb2, targets_pb2
from pythanos.rpc.promapi import exemplars, metadata, rules, statistics, targets
from pythanos.storeapi.batches import StoreWarning

T = TypeVar("T")


class RemotePromAPI:
    """Each method is a generator of what the endpoint streams: values, and warnings of the endpoint's own fan-out.

    They raise as ``error_of`` tells, until the deadline of the context; ``abort`` is the partial response strategy that
    the endpoint is asked to follow.
    """

    def __init__(self, channel: grpc.Channel, address: str) -> None:
        self._channel, self._address = channel, address

    def metadata(
        self, ctx: RequestContext, request: MetadataRequest, *, abort: bool
    ) -> Iterator[MetadataByMetric | StoreWarning]:
        return self._stream(
            ctx,
            "/thanos.Metadata/MetricMetadata",
            metadata.request_to_proto(request, abort=abort),
            metadata_pb2.MetricMetadataResponse.FromString,
            lambda answer: metadata.metadata_from_proto(answer.metadata),
        )

    def targets(self, ctx: RequestContext, request: TargetState, *, abort: bool) -> Iterator[Targets | StoreWarning]:
        return self._stream(
            ctx,
            "/thanos.Targets/Targets",
            targets.request_to_proto(request, abort=abort),
            targets_pb2.TargetsResponse.FromString,
            lambda answer: targets.targets_from_proto(answer.targets),
        )

    def rules(self, ctx: RequestContext, request: RulesRequest, *, abort: bool) -> Iterator[RuleGroup | StoreWarning]:
        return self._stream(
            ctx,
            "/thanos.Rules/Rules",
            rules.request_to_proto(request, abort=abort),
            rules_pb2.RulesResponse.FromString,
            lambda answer: rules.group_from_proto(answer.group),
        )

    def exemplars(
        self, ctx: RequestContext, request: ExemplarsRequest, *, abort: bool
    ) -> Iterator[SeriesExemplars | StoreWarning]:
        return self._stream(
            ctx,
            "/thanos.Exemplars/Exemplars",
            exemplars.request_to_proto(request, abort=abort),
            exemplars_pb2.ExemplarsResponse.FromString,
            lambda answer: exemplars.series_from_proto(answer.data),
        )

    def statistics(
        self, ctx: RequestContext, request: StatisticsRequest, *, abort: bool
    ) -> Iterator[StatisticsByTenant | StoreWarning]:
        return self._stream(
            ctx,
            "/thanos.Status/TSDBStatistics",
            statistics.request_to_proto(request, abort=abort),
            status_pb2.TSDBStatisticsResponse.FromString,
            lambda answer: statistics.statistics_from_proto(answer.statistics),
        )

    def _stream(
        self,
        ctx: RequestContext,
        method: str,
        message: Any,
        parse: Callable[[bytes], Any],
        value: Callable[[Any], T],
    ) -> Iterator[T | StoreWarning]:
        """Every answer has a oneof ``result`` of a value and a warning."""
        call = self._channel.unary_stream(method, type(message).SerializeToString, parse)(
            message, timeout=ctx.remaining_seconds(), metadata=metadata_of(ctx)
        )
        ctx.on_cancel(call.cancel)
        try:
            for answer in call:
                ctx.check()
                kind = answer.WhichOneof("result")
                if kind is None:
                    raise CorruptData(f"{method} of {self._address}", -1, "an answer without a result")
                yield StoreWarning(answer.warning) if kind == "warning" else value(answer)
            ctx.check()
        except grpc.RpcError as error:
            raise error_of(error, self._address, ctx) from error
        finally:
            call.cancel()
