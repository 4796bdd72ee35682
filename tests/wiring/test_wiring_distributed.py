"""Who evaluates parts of a query, by configuration and by what endpoints have said."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pythanos import config
from pythanos.daemons.distributed import DistributedQuerySection, remotes_factory
from pythanos.errors import ConfigError
from pythanos.model.matchers import Matcher, MatchType
from pythanos.query.endpoints import EndpointStatus
from pythanos.query.queryable import SelectOptions
from pythanos.storeapi.store import StoreInfo
from pythanos.workers import InlinePool

DISTRIBUTED = "query: {mode: distributed}"
STORE_MATCHERS = ((Matcher(MatchType.EQ, "region", "eu"),),)


class Client:
    queryapi = object()

    def info(self) -> StoreInfo:
        return StoreInfo(({"region": "eu", "rack": "1"},), 0, 9)


@dataclass
class Endpoints:
    """One querier that has answered, and others as they are given."""

    others: list[EndpointStatus] = field(default_factory=list)

    def clients(self, api: str) -> list[tuple[str, Client]]:
        assert api == "query"
        return [("leaf", Client())]

    def statuses(self) -> list[EndpointStatus]:
        return [EndpointStatus("leaf", "query", 0, 9, last_check_ms=1), *self.others]


def remotes(text, endpoints=None, *, limited=False, store_matchers=(), tenant="t"):
    section = config.loads(text, DistributedQuerySection)
    factory = remotes_factory(
        section.query, endpoints or Endpoints(), InlinePool(), frozenset({"here"}), limited=limited
    )
    return factory(SelectOptions(), store_matchers, tenant)


def test_queriers_among_the_endpoints_help_in_distributed_mode():
    found = remotes(DISTRIBUTED)
    (engine,) = found.engines
    assert (engine.address, engine.client) == ("leaf", Client.queryapi)
    assert engine.partition_sets == ({"region": "eu", "rack": "1"},)
    assert (found.tenant, found.local_labels) == (None, {"here"})
    assert remotes("query: {mode: local}") is None
    assert remotes("") is None


def test_partition_labels_and_the_tenant_are_those_of_the_configuration():
    (engine,) = remotes("query: {mode: distributed, partition_label: [region]}").engines
    assert engine.partition_sets == ({"region": "eu"},)
    tenant = remotes("query: {mode: distributed, enforce_tenancy: true}").tenant
    assert tenant == Matcher(MatchType.EQ, "tenant_id", "t")


def test_nobody_helps_where_only_some_series_are_wanted():
    """Of relabel rules and storeMatch[] no text of a query can tell."""
    assert remotes(DISTRIBUTED, limited=True) is None
    assert remotes(DISTRIBUTED, store_matchers=STORE_MATCHERS) is None


def test_nobody_helps_while_a_strict_endpoint_is_unknown():
    """It may be a querier that has what is asked for; the fan-out warns of it."""
    silent = EndpointStatus("strict", "", 0, 9, last_check_ms=None, last_error="connection refused")
    assert remotes(DISTRIBUTED, Endpoints([silent])) is None


@pytest.mark.parametrize("text", ["query: {mode: remote}", "query: {partition_label: [r], replica_label: ['a,r']}"])
def test_mistakes_are_named(text):
    with pytest.raises(ConfigError, match=r"mode|partition_label must not have labels of replica_label: r"):
        config.loads(text, DistributedQuerySection)


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("", "prometheus"),
        ("{promql_engine: thanos}", "thanos"),
        ("{mode: distributed, promql_engine: prometheus}", "thanos"),
    ],
)
def test_the_engine_of_requests_that_name_none(text: str, engine: str) -> None:
    """query.promql-engine; distributed mode knows one engine only."""
    section = config.loads(f"query: {text}", DistributedQuerySection) if text else DistributedQuerySection()
    assert section.settings().engine == engine


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(ConfigError, match="promql_engine"):
        config.loads("query: {promql_engine: fast}", DistributedQuerySection)
