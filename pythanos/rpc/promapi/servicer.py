"""The services Metadata, Targets, Rules, Exemplars and Status of a querier: what its endpoints say, passed on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from pythanos.query.fanout.exemplars import Selectors
from pythanos.query.fanout.gather import Gathered
from pythanos.query.fanout.questions import PromQuestions
from pythanos.rpc.calls import serving
from pythanos.rpc.pb import exemplars_pb2, metadata_pb2, rules_pb2, status_pb2, targets_pb2, types_pb2
from pythanos.rpc.promapi import exemplars, metadata, rules, statistics, targets

T = TypeVar("T")
# The names by which Info announces these services.
APIS = ("metric_metadata", "targets", "rules", "exemplars", "status")


class PromAPIServicer:
    """Streams what ``questions`` gathers, undeduplicated: that is for whoever is asked first.

    ``selectors_in`` finds the selectors of a query, as ``query.fanout.exemplars.selectors_in`` does.
    """

    def __init__(self, questions: PromQuestions, selectors_in: Callable[[str], Selectors]) -> None:
        self._questions, self._selectors_in = questions, selectors_in

    def handlers(self) -> list[tuple[str, grpc.GenericRpcHandler]]:
        """(service, its handler) of the five services."""
        return [
            _service("thanos.Metadata", "MetricMetadata", self.metadata, metadata_pb2.MetricMetadataRequest),
            _service("thanos.Targets", "Targets", self.targets, targets_pb2.TargetsRequest),
            _service("thanos.Rules", "Rules", self.rules, rules_pb2.RulesRequest),
            _service("thanos.Exemplars", "Exemplars", self.exemplars, exemplars_pb2.ExemplarsRequest),
            _service("thanos.Status", "TSDBStatistics", self.statistics, status_pb2.TSDBStatisticsRequest),
        ]

    def metadata(self, message: metadata_pb2.MetricMetadataRequest, call: grpc.ServicerContext) -> Iterator[Any]:
        with serving(call) as ctx:
            found = self._questions.metadata(ctx, metadata.request_from_proto(message), abort=_aborts(message))
            yield from _answers(
                found,
                lambda value: metadata_pb2.MetricMetadataResponse(metadata=metadata.metadata_to_proto(value)),
                lambda text: metadata_pb2.MetricMetadataResponse(warning=text),
            )

    def targets(self, message: targets_pb2.TargetsRequest, call: grpc.ServicerContext) -> Iterator[Any]:
        with serving(call) as ctx:
            found = self._questions.targets(ctx, targets.request_from_proto(message), abort=_aborts(message))
            yield from _answers(
                found,
                lambda value: targets_pb2.TargetsResponse(targets=targets.targets_to_proto(value)),
                lambda text: targets_pb2.TargetsResponse(warning=text),
            )

    def rules(self, message: rules_pb2.RulesRequest, call: grpc.ServicerContext) -> Iterator[Any]:
        with serving(call) as ctx:
            found = self._questions.rules(ctx, rules.request_from_proto(message), abort=_aborts(message))
            yield from _answers(
                found,
                lambda value: rules_pb2.RulesResponse(group=rules.group_to_proto(value)),
                lambda text: rules_pb2.RulesResponse(warning=text),
            )

    def exemplars(self, message: exemplars_pb2.ExemplarsRequest, call: grpc.ServicerContext) -> Iterator[Any]:
        with serving(call) as ctx:
            request = exemplars.request_from_proto(message)
            selectors = self._selectors_in(request.query)
            found = self._questions.exemplars(ctx, request, selectors, abort=_aborts(message))
            yield from _answers(
                found,
                lambda value: exemplars_pb2.ExemplarsResponse(data=exemplars.series_to_proto(value)),
                lambda text: exemplars_pb2.ExemplarsResponse(warning=text),
            )

    def statistics(self, message: status_pb2.TSDBStatisticsRequest, call: grpc.ServicerContext) -> Iterator[Any]:
        with serving(call) as ctx:
            found = self._questions.statistics(ctx, statistics.request_from_proto(message), abort=_aborts(message))
            yield from _answers(
                found,
                lambda value: status_pb2.TSDBStatisticsResponse(statistics=statistics.statistics_to_proto(value)),
                lambda text: status_pb2.TSDBStatisticsResponse(warning=text),
            )


def _aborts(message: Any) -> bool:
    return bool(message.partial_response_strategy == types_pb2.ABORT)


def _answers(found: Gathered[T], value: Callable[[T], Any], warning: Callable[[str], Any]) -> Iterator[Any]:
    yield from map(warning, found.warnings)
    yield from map(value, found.values)


def _service(
    name: str, method: str, behaviour: Callable[[Any, grpc.ServicerContext], Iterator[Any]], request: Any
) -> tuple[str, grpc.GenericRpcHandler]:
    handler = grpc.unary_stream_rpc_method_handler(
        behaviour,
        request_deserializer=request.FromString,
        response_serializer=lambda answer: answer.SerializeToString(),
    )
    return name, grpc.method_handlers_generic_handler(name, {method: handler})
