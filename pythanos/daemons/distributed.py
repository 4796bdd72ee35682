"""The QueryAPI of a querier, and distributed mode: other queriers evaluate parts of its queries."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pythanos.config import Section
from pythanos.daemons.querying import QueryConfig, QueryParts, QuerySection
from pythanos.model.matchers import Matcher, MatchType
from pythanos.promql.remote import Remotes
from pythanos.query.distributed.engines import DistributedOptions, remote_engines
from pythanos.query.distributed.sources import RemotesFactory, StoreMatchers, nobody
from pythanos.query.endpoints import EndpointSet
from pythanos.query.queryable import SelectOptions
from pythanos.rpc.queryapi.servicer import QueryAPISettings, QueryServicer
from pythanos.runtime.clock import Clock
from pythanos.web.api.query.settings import QuerySettings, dynamic_lookback_ms
from pythanos.workers import Pool


class ConnectionMetricConfig(Section, frozen=True):
    """``query.conn_metric``: the labels of ``thanos_store_nodes_grpc_connections``."""

    label: tuple[Literal["external_labels", "store_type", "ip_port"], ...] = ("external_labels", "store_type")


class DistributedQueryConfig(QueryConfig, frozen=True):
    """``query`` of a querier: also who evaluates what."""

    mode: Literal["local", "distributed"] = "local"
    partition_label: tuple[str, ...] = ()
    distributed_with_overlapping_interval: bool = False
    conn_metric: ConnectionMetricConfig = ConnectionMetricConfig()

    @property
    def default_engine(self) -> str:
        """In distributed mode always ``thanos``, as there."""
        return self.promql_engine if self.mode == "local" else "thanos"

    def __post_init__(self) -> None:
        super().__post_init__()
        both = sorted(set(self.partition_label) & set(self.replica_labels))
        if both:
            raise ValueError(f"partition_label must not have labels of replica_label: {', '.join(both)}")


class DistributedQuerySection(QuerySection, frozen=True):
    query: DistributedQueryConfig = DistributedQueryConfig()


def remotes_factory(
    config: DistributedQueryConfig,
    endpoints: EndpointSet,
    pool: Pool,
    selector_labels: frozenset[str],
    *,
    limited: bool,
) -> RemotesFactory:
    """From the options of a query to the endpoints that evaluate parts of it: those that announce the QueryAPI.

    Nobody does in local mode, nor where only some of the endpoints' series are wanted, which no text of a query could
    say: ``limited`` by relabel rules, or by store matchers of the request. Nor while a strict endpoint has never said
    what it is, so that its silence is not taken for having nothing.
    """
    if config.mode == "local" or limited:
        return nobody
    options = DistributedOptions(config.partition_label, config.distributed_with_overlapping_interval)

    def remotes(select: SelectOptions, store_matchers: StoreMatchers, tenant: str) -> Remotes | None:
        if store_matchers or any(known.last_check_ms is None for known in endpoints.statuses()):
            return None
        queriers = [(address, client.queryapi, client.info()) for address, client in endpoints.clients("query")]
        own = Matcher(MatchType.EQ, config.tenant_label, tenant) if config.tenant_label else None
        return Remotes(remote_engines(queriers, select, options, pool), own, selector_labels)

    return remotes


def query_servicer(parts: QueryParts, settings: QuerySettings, clock: Clock) -> QueryServicer:
    """Queries over gRPC, under the limits of those over HTTP."""
    own = QueryAPISettings(
        timeout_ms=settings.timeout_ms,
        replica_labels=settings.replica_labels,
        deduplication=settings.deduplication,
        default_resolution_ms=settings.instant_max_resolution_ms,
        lookback_ms=partial(dynamic_lookback_ms, settings),
    )
    return QueryServicer(parts.engine, parts.sources, own, clock.now_ms)
