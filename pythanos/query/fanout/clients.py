"""What an endpoint can be asked besides series; ``rpc.promapi.client`` is the implementation over gRPC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from pythanos.context import RequestContext
from pythanos.model.promapi.exemplars import ExemplarsRequest, SeriesExemplars
from pythanos.model.promapi.metadata import MetadataByMetric, MetadataRequest
from pythanos.model.promapi.rules import RuleGroup, RulesRequest
from pythanos.model.promapi.statistics import StatisticsByTenant, StatisticsRequest
from pythanos.model.promapi.targets import Targets, TargetState
from pythanos.storeapi.batches import StoreWarning


class PromAPI(Protocol):
    """Generators of values and warnings; they raise PythanosError."""

    def metadata(
        self, ctx: RequestContext, request: MetadataRequest, *, abort: bool
    ) -> Iterator[MetadataByMetric | StoreWarning]: ...

    def targets(
        self, ctx: RequestContext, request: TargetState, *, abort: bool
    ) -> Iterator[Targets | StoreWarning]: ...

    def rules(
        self, ctx: RequestContext, request: RulesRequest, *, abort: bool
    ) -> Iterator[RuleGroup | StoreWarning]: ...

    def exemplars(
        self, ctx: RequestContext, request: ExemplarsRequest, *, abort: bool
    ) -> Iterator[SeriesExemplars | StoreWarning]: ...

    def statistics(
        self, ctx: RequestContext, request: StatisticsRequest, *, abort: bool
    ) -> Iterator[StatisticsByTenant | StoreWarning]: ...


@dataclass(frozen=True, slots=True)
class PromEndpoint:
    """An endpoint to ask. label_sets: its external labels.

    knows_external_labels: whether its answers to matchers on them are right, as a querier's are and Prometheus' not.
    """

    address: str
    client: PromAPI
    label_sets: tuple[Mapping[str, str], ...] = ()
    knows_external_labels: bool = False
