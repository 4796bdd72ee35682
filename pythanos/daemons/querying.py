"""PromQL over a fan-out of stores: engine, gate and API; shared by the querier and the all-in-one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from pythanos.config import Section
from pythanos.promql.accounting import QueryLimits
from pythanos.promql.engine import Engine, EngineOptions
from pythanos.promql.queryable import Queryable
from pythanos.promql.syntax.cursor import ParserOptions
from pythanos.query.queryable import SelectOptions, StoreQueryable
from pythanos.runtime.gate import Gate
from pythanos.runtime.platform import Platform
from pythanos.storeapi.proxy import ProxyStore
from pythanos.units import ByteSize, Duration
from pythanos.web.api.labels import LabelsAPI
from pythanos.web.api.query.handlers import QueryAPI, StoreMatchers
from pythanos.web.api.query.settings import QuerySettings
from pythanos.web.router import Route
from pythanos.workers import Workers

Count = Annotated[int, msgspec.Meta(ge=0)]
EXPERIMENTAL_FUNCTIONS = "promql-experimental-functions"
# The last three say what is so anyway, as in Thanos.
Feature = Literal["promql-experimental-functions", "promql-at-modifier", "promql-negative-offset", "query-pushdown"]


class InstantDefault(Section, frozen=True):
    max_source_resolution: Duration = Duration(0)


class InstantConfig(Section, frozen=True):
    default: InstantDefault = InstantDefault()


class MetadataConfig(Section, frozen=True):
    default_time_range: Duration = Duration(0)


class QueryConfig(Section, frozen=True):
    """``query``: how queries are evaluated."""

    timeout: Duration = Duration(120_000)
    max_concurrent: Count = 20
    max_samples: Count = 50_000_000
    max_bytes: ByteSize = ByteSize(0)
    lookback_delta: Duration = Duration(300_000)
    dynamic_lookback_delta: bool = True
    default_evaluation_interval: Duration = Duration(60_000)
    default_step: Duration = Duration(1000)
    replica_label: tuple[str, ...] = ()
    partial_response: bool = True
    auto_downsampling: bool = False
    instant: InstantConfig = InstantConfig()
    metadata: MetadataConfig = MetadataConfig()
    tenant_header: str = "THANOS-TENANT"
    default_tenant_id: str = "default-tenant"

    def __post_init__(self) -> None:
        for name in ("timeout", "lookback_delta", "default_evaluation_interval", "default_step"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")


class DeduplicationConfig(Section, frozen=True):
    func: Literal["penalty", "chain"] = "penalty"


class QuerySection(Section, frozen=True):
    query: QueryConfig = QueryConfig()
    enable_feature: tuple[Feature, ...] = ()
    deduplication: DeduplicationConfig = DeduplicationConfig()

    def settings(self) -> QuerySettings:
        """What the API wants to know."""
        query = self.query
        return QuerySettings(
            timeout_ms=query.timeout,
            lookback_ms=query.lookback_delta,
            dynamic_lookback=query.dynamic_lookback_delta,
            default_step_ms=query.default_step,
            # As the flag, which takes a list in one value, too.
            replica_labels=tuple(label for one in query.replica_label for label in one.split(",") if label),
            deduplication=self.deduplication.func,
            partial_response=query.partial_response,
            auto_downsampling=query.auto_downsampling,
            instant_max_resolution_ms=query.instant.default.max_source_resolution,
            default_metadata_range_ms=query.metadata.default_time_range,
        )

    def engine_options(self) -> EngineOptions:
        query = self.query
        return EngineOptions(
            lookback_ms=query.lookback_delta,
            subquery_step_ms=query.default_evaluation_interval,
            limits=QueryLimits(samples_max=query.max_samples, bytes_max=query.max_bytes),
            parser=ParserOptions(experimental_functions=EXPERIMENTAL_FUNCTIONS in self.enable_feature),
        )


@dataclass(frozen=True, slots=True)
class QueryParts:
    engine: Engine
    query: QueryAPI
    labels: LabelsAPI

    def routes(self) -> list[Route]:
        return [*self.query.routes(), *self.labels.routes()]


def build_query(config: QuerySection, store: ProxyStore, workers: Workers, platform: Platform) -> QueryParts:
    """The engine over ``store``, and its API."""
    settings = config.settings()
    engine = Engine(config.engine_options(), workers)
    gate = Gate(config.query.max_concurrent, registry=platform.registry, prefix="thanos_query_concurrent")

    def queryable(options: SelectOptions, store_matchers: StoreMatchers) -> Queryable:
        return StoreQueryable(store.with_store_matchers(store_matchers), options)

    query = QueryAPI(engine, queryable, gate, settings, clock=platform.clock, registry=platform.registry)
    return QueryParts(engine, query, LabelsAPI(store.with_store_matchers, settings, platform.clock))
