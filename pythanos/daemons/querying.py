"""PromQL over a fan-out of stores: engine, gate and API; shared by the querier and the all-in-one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from twisted.application.service import Service

from pythanos.config import Section
from pythanos.daemons.prom_apis import PromAPISection, QuestionAPIs, build_question_apis, build_read_api
from pythanos.promql.accounting import QueryLimits
from pythanos.promql.engine import Engine, EngineOptions
from pythanos.promql.queryable import Queryable
from pythanos.promql.syntax.cursor import ParserOptions
from pythanos.query.active_queries import ActiveQueries
from pythanos.query.distributed.sources import QuerySources, RemotesFactory, nobody
from pythanos.query.fanout.questions import PromQuestions
from pythanos.query.query_log import QueryLog
from pythanos.query.queryable import SelectOptions, SelectPlaces, StoreQueryable
from pythanos.query.telemetry import QueryTelemetry, TelemetryConfig
from pythanos.query.tenancy import TenantStore
from pythanos.runtime.gate import Gate, GateMetrics
from pythanos.runtime.platform import Platform
from pythanos.storeapi.limited import LimitedStore, LimitMetrics, SelectLimits
from pythanos.storeapi.proxy import ProxyStore
from pythanos.storeapi.store import Store
from pythanos.units import ByteSize, Duration
from pythanos.web.api.labels import LabelsAPI
from pythanos.web.api.query.expressions import ExpressionsAPI
from pythanos.web.api.query.handlers import QueryAPI, StoreMatchers
from pythanos.web.api.query.read import ReadAPI
from pythanos.web.api.query.settings import QuerySettings
from pythanos.web.router import Route
from pythanos.web.tenants import is_tenant
from pythanos.workers import Workers

# One query may hold a quarter of the memory unless the configuration says how much.
SHARE_OF_MEMORY = 4
Count = Annotated[int, msgspec.Meta(ge=0)]
NO_LIMITS = SelectLimits()
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Thanos' names and those of Prometheus. The last five say what is so anyway.
Feature = Literal[
    "promql-experimental-functions",
    "promql-extended-range-selectors",
    "promql-binop-fill-modifiers",
    "promql-delayed-name-removal",
    "type-and-unit-labels",
    "use-start-timestamps",
    "promql-duration-expr",
    "promql-at-modifier",
    "promql-negative-offset",
    "query-pushdown",
    "promql-per-step-stats",
]


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
    max_concurrent_select: Count = 4
    promql_engine: Literal["prometheus", "thanos"] = "prometheus"
    max_samples: Count = 50_000_000
    # None: a quarter of the memory that the process may use.
    max_bytes: ByteSize | None = None
    lookback_delta: Duration = Duration(300_000)
    dynamic_lookback_delta: bool = True
    default_evaluation_interval: Duration = Duration(60_000)
    default_step: Duration = Duration(1000)
    replica_label: tuple[str, ...] = ()
    partial_response: bool = True
    auto_downsampling: bool = False
    instant: InstantConfig = InstantConfig()
    metadata: MetadataConfig = MetadataConfig()
    enable_x_functions: bool = False
    tenant_header: str = "THANOS-TENANT"
    default_tenant_id: str = "default-tenant"
    tenant_certificate_field: Literal["", "organization", "organizationalUnit", "commonName"] = ""
    enforce_tenancy: bool = False
    tenant_label_name: str = "tenant_id"
    active_query_path: str = ""
    log_queries_longer_than: Duration = Duration(0)
    telemetry: TelemetryConfig = TelemetryConfig()

    def __post_init__(self) -> None:
        for name in ("timeout", "lookback_delta", "default_evaluation_interval", "default_step"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")
        if self.enforce_tenancy and not self.tenant_label_name:
            raise ValueError("tenant_label_name must not be empty with enforce_tenancy")
        if not is_tenant(self.default_tenant_id):
            raise ValueError(f"default_tenant_id must not have a slash nor be a folder, got {self.default_tenant_id!r}")
        if not _HEADER_NAME.fullmatch(self.tenant_header):
            raise ValueError(f"tenant_header is not the name of a header: {self.tenant_header!r}")

    @property
    def replica_labels(self) -> tuple[str, ...]:
        """As the flag, each may be a list with commas."""
        return tuple(label for one in self.replica_label for label in one.split(",") if label)

    @property
    def default_engine(self) -> str:
        """The name of the engine where a request gives none."""
        return self.promql_engine

    @property
    def tenant_label(self) -> str:
        """The label by which tenants are kept apart; "" where they are not."""
        return self.tenant_label_name if self.enforce_tenancy else ""


class DeduplicationConfig(Section, frozen=True):
    func: Literal["penalty", "chain"] = "penalty"


class QuerySection(PromAPISection, frozen=True):
    query: QueryConfig = QueryConfig()
    enable_feature: tuple[Feature, ...] = ()
    deduplication: DeduplicationConfig = DeduplicationConfig()

    def settings(self) -> QuerySettings:
        """What the API wants to know."""
        query = self.query
        return QuerySettings(
            timeout_ms=query.timeout,
            engine=query.default_engine,
            lookback_ms=query.lookback_delta,
            dynamic_lookback=query.dynamic_lookback_delta,
            default_step_ms=query.default_step,
            replica_labels=query.replica_labels,
            deduplication=self.deduplication.func,
            partial_response=query.partial_response,
            auto_downsampling=query.auto_downsampling,
            instant_max_resolution_ms=query.instant.default.max_source_resolution,
            default_metadata_range_ms=query.metadata.default_time_range,
        )

    def engine_options(self, memory_bytes: int = 0) -> EngineOptions:
        """``memory_bytes``: what the process may use, 0 where that is not known."""
        query, features = self.query, self.enable_feature
        bytes_max = query.max_bytes if query.max_bytes is not None else memory_bytes // SHARE_OF_MEMORY
        return EngineOptions(
            lookback_ms=query.lookback_delta,
            subquery_step_ms=query.default_evaluation_interval,
            limits=QueryLimits(samples_max=query.max_samples, bytes_max=bytes_max),
            parser=ParserOptions(
                experimental_functions="promql-experimental-functions" in features,
                extended_ranges="promql-extended-range-selectors" in features,
                fill_modifiers="promql-binop-fill-modifiers" in features,
                x_functions=query.enable_x_functions,
            ),
            delayed_names="promql-delayed-name-removal" in features,
            type_and_unit_labels="type-and-unit-labels" in features,
            use_start_timestamps="use-start-timestamps" in features,
        )


@dataclass(frozen=True, slots=True)
class QueryParts:
    engine: Engine
    sources: QuerySources
    query: QueryAPI
    labels: LabelsAPI
    expressions: ExpressionsAPI
    read: ReadAPI
    questions: QuestionAPIs
    active: ActiveQueryFile
    limited: LimitedStore

    def routes(self) -> list[Route]:
        apis = (self.query, self.labels, self.expressions, self.read, self.questions)
        return [route for api in apis for route in api.routes()]


class ActiveQueryFile(Service):
    """Opens the file of running queries when the daemon starts."""

    def __init__(self, active: ActiveQueries | None) -> None:
        self.setName("active queries")
        self._active = active

    def startService(self) -> None:
        """Raises ConfigError where the file cannot be made."""
        super().startService()
        if self._active is not None:
            self._active.open()

    def stopService(self) -> None:
        super().stopService()
        if self._active is not None:
            self._active.close()


def build_query(
    config: QuerySection,
    store: ProxyStore,
    questions: PromQuestions,
    workers: Workers,
    platform: Platform,
    remotes: RemotesFactory = nobody,
    limits: SelectLimits = NO_LIMITS,
) -> QueryParts:
    """The engine over ``store``, and its API; ``questions`` are for the endpoints, ``remotes`` help with queries.

    ``limits`` are those of each select, also of the StoreAPI over all, which is the part ``limited``.
    """
    settings = config.settings()
    engine = Engine(config.engine_options(platform.memory_bytes()), workers)
    gate = Gate(config.query.max_concurrent, registry=platform.registry, prefix="thanos_query_concurrent")

    selects_max, limit_metrics = config.query.max_concurrent_select, LimitMetrics(platform.registry)
    select_metrics = GateMetrics(platform.registry, "thanos_query_concurrent_selects", "selects")

    def choose(store_matchers: StoreMatchers) -> Store:
        chosen = LimitedStore(store.with_store_matchers(store_matchers), limits, limit_metrics)
        return TenantStore(chosen, config.query.tenant_label) if config.query.tenant_label else chosen

    def queryable(options: SelectOptions, store_matchers: StoreMatchers) -> Queryable:
        gate = Gate(selects_max, metrics=select_metrics, limit="query.max_concurrent_select")
        return StoreQueryable(choose(store_matchers), options, store.selector_labels, SelectPlaces(gate))

    active = build_active_queries(config.query, platform)
    telemetry = QueryTelemetry(config.query.telemetry, platform.registry, config.query.max_concurrent)
    log = QueryLog(platform.clock.monotonic, active, config.query.log_queries_longer_than, telemetry)
    sources = QuerySources(queryable, remotes, gate, log)
    query = QueryAPI(
        engine, queryable, gate, settings, clock=platform.clock, registry=platform.registry, log=log, remotes=remotes
    )
    parser = engine.options.parser
    return QueryParts(
        engine,
        sources,
        query,
        LabelsAPI(choose, settings, platform.clock),
        ExpressionsAPI(parser),
        build_read_api(choose, config, settings, platform),
        build_question_apis(questions, config.metadata_settings(settings, config.query.tenant_label), parser),
        ActiveQueryFile(active),
        LimitedStore(store, limits, limit_metrics),
    )


def build_active_queries(config: QueryConfig, platform: Platform) -> ActiveQueries | None:
    """None where no folder is given, or no number of queries for which the file would have room."""
    if not config.active_query_path or not config.max_concurrent:
        return None
    return ActiveQueries(config.active_query_path, config.max_concurrent, platform.clock.now_ms)
