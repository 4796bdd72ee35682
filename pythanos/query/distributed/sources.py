"""What queries are made of wherever they come from: series, helpers, admission and the log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher
from pythanos.promql.queryable import Queryable
from pythanos.promql.remote import Remotes
from pythanos.query.query_log import QueryLog
from pythanos.query.queryable import SelectOptions

StoreMatchers = tuple[tuple[Matcher, ...], ...]
# From the options of a query and the name of its tenant to who may evaluate parts of it; None: nobody.
RemotesFactory = Callable[[SelectOptions, StoreMatchers, str], Remotes | None]


class Admission(Protocol):
    def enter(self, ctx: RequestContext) -> AbstractContextManager[None]:
        """Waits for a place and holds it. Raises LimitExceeded, QueryTimeout, QueryCanceled."""


@dataclass(frozen=True, slots=True)
class QuerySources:
    """Where the series of a query come from, who may evaluate parts of it; the gate and the log of all queries."""

    queryable: Callable[[SelectOptions, StoreMatchers], Queryable]
    remotes: RemotesFactory
    gate: Admission
    log: QueryLog


def nobody(select: SelectOptions, store_matchers: StoreMatchers, tenant: str) -> Remotes | None:
    """A RemotesFactory for queries that are evaluated here."""
    return None
