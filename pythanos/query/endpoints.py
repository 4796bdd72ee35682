"""EndpointSet: which endpoints there are, what they announce, and which of them may be asked right now."""

from __future__ import annotations

import logging
import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pythanos.context import RequestContext
from pythanos.errors import ConfigError, EndpointUnavailable, PythanosError, QueryTimeout
from pythanos.model.matchers import quote
from pythanos.model.timerange import MAX_TIME_MS, MIN_TIME_MS
from pythanos.query.distributed.requests import QueryClient
from pythanos.query.endpoint_metrics import EndpointMetrics, EndpointNode
from pythanos.query.fanout.clients import PromAPI
from pythanos.storeapi.proxy import Endpoint
from pythanos.storeapi.store import Store, StoreInfo
from pythanos.tls import CLEARTEXT, ClientTLS
from pythanos.workers import Pool

log = logging.getLogger(__name__)

# Of these no two may have the same external labels, or their blocks in the bucket cannot be told apart.
PRODUCERS = ("sidecar", "rule")
# How long the first round tries to connect to what refuses connections.
FIRST_PATIENCE_SECONDS = 2.0
ANYTHING = StoreInfo((), MIN_TIME_MS, MAX_TIME_MS)


class Announcement(Protocol):
    """The answer to an Info call: Thanos' word for the component, its store if it serves one, the names of its APIs."""

    @property
    def component(self) -> str: ...

    @property
    def store(self) -> StoreInfo | None: ...

    @property
    def apis(self) -> frozenset[str]: ...


class EndpointClient(Store, Protocol):
    """A connection to one endpoint."""

    def fetch_info(self, ctx: RequestContext, *, until_connected: bool = True) -> Announcement:
        """Asks what the endpoint is, until the deadline of ``ctx``; or until the first try to connect has failed."""

    @property
    def promapi(self) -> PromAPI:
        """What it can be asked besides series."""

    @property
    def queryapi(self) -> QueryClient:
        """By which it evaluates queries, if it announces that."""

    def is_outdated(self) -> bool:
        """Whether a new connection would use other certificates than this one."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """An endpoint and how to connect to it. A strict one is asked whether or not it answers Info.

    ``members`` are the addresses of a group, over which its calls are balanced as gRPC's ``service_config`` says;
    None for an endpoint that is its own address.
    """

    address: str
    strict: bool = False
    tls: ClientTLS = CLEARTEXT
    members: tuple[str, ...] | None = None
    service_config: str = ""

    def connects_like(self, other: EndpointSpec) -> bool:
        """Whether a connection made for ``other`` can go on for this one."""
        return (self.tls, self.members, self.service_config) == (other.tls, other.members, other.service_config)


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """One endpoint as ``/api/v1/stores`` shows it; ``last_check_ms`` None: never answered, ``last_error`` "": none."""

    name: str
    component: str
    mint: int
    maxt: int
    label_sets: tuple[Mapping[str, str], ...] = ()
    last_check_ms: int | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class EndpointTimes:
    """In ms: of one Info call; without success until an endpoint is forgotten; of a query."""

    info_timeout_ms: int = 5_000
    unhealthy_timeout_ms: int = 300_000
    query_timeout_ms: int = 120_000

    @property
    def close_delay_ms(self) -> int:
        """Long enough for running streams to end (QU-5)."""
        return max(self.info_timeout_ms, self.unhealthy_timeout_ms, self.query_timeout_ms)


@dataclass(frozen=True, slots=True)
class _Known:
    spec: EndpointSpec
    client: EndpointClient
    created_ms: int
    component: str = ""
    store: StoreInfo | None = ANYTHING
    apis: frozenset[str] = frozenset({"store"})
    last_check_ms: int | None = None
    last_error: str = ""

    @property
    def is_queryable(self) -> bool:
        return self.spec.strict or not self.last_error

    @property
    def label_sets(self) -> tuple[Mapping[str, str], ...]:
        return tuple(labels for labels in self.store.label_sets if labels) if self.store else ()


class EndpointSet:
    """Polls the endpoints of ``specs()`` with Info calls (QU-1). ``update`` is periodic work; all else never blocks.

    A new endpoint that does not answer is left out, a known one that stops answering is kept but not asked, and
    forgotten after the unhealthy timeout. A strict one is always asked, as a store of all time until it has told more
    (QU-2).
    """

    def __init__(
        self,
        specs: Callable[[], Iterable[EndpointSpec]],
        connect: Callable[[EndpointSpec], EndpointClient],
        pool: Pool,
        metrics: EndpointMetrics,
        *,
        now_ms: Callable[[], int],
        times: EndpointTimes | None = None,
    ) -> None:
        self._specs = specs
        self._connect = connect
        self._pool = pool
        self._metrics = metrics
        self._now_ms = now_ms
        self._times = times or EndpointTimes()
        self._updating = threading.Lock()
        # Replaced as a whole by update, so that readers need no lock.
        self._known: dict[str, _Known] = {}
        self._closing: list[tuple[int, EndpointClient]] = []
        self._updated = False

    @property
    def ready(self) -> bool:
        """Whether the first update has been made (QU-7)."""
        return self._updated

    def endpoints(self) -> list[Endpoint]:
        """Those with a StoreAPI that may be asked now, by address."""
        return [
            Endpoint(known.spec.address, known.client, known.store)
            for known in self._by_address()
            if known.is_queryable and known.store is not None
        ]

    def clients(self, api: str) -> list[tuple[str, EndpointClient]]:
        """(address, client) of those that announce an API: ``rules``, ``targets``, ``query`` ..."""
        return [
            (known.spec.address, known.client)
            for known in self._by_address()
            if known.is_queryable and api in known.apis
        ]

    def statuses(self) -> list[EndpointStatus]:
        """All known endpoints, also those that are not asked, by address."""
        return [
            EndpointStatus(
                known.spec.address,
                known.component,
                known.store.mint if known.store else MIN_TIME_MS,
                known.store.maxt if known.store else MAX_TIME_MS,
                known.label_sets,
                known.last_check_ms,
                known.last_error,
            )
            for known in self._by_address()
        ]

    def update(self, ctx: RequestContext) -> None:
        """One round of Info calls, side by side; failures of endpoints stay inside. Raises QueryCanceled."""
        with self._updating:
            polled = list(self._polled(ctx, self._unique_specs()))
            ctx.check()
            now = self._now_ms()
            known = {one.spec.address: one for one in polled if self._stays(one, now)}
            self._retire(polled, known, now)
            self._report_changes(known)
            self._known = known
            self._updated = True
            self._metrics.show(_nodes(known.values()))

    def close(self) -> None:
        """Ends all connections."""
        with self._updating:
            for client in [*(known.client for known in self._known.values()), *(c for _, c in self._closing)]:
                client.close()
            self._known, self._closing = {}, []

    def _by_address(self) -> list[_Known]:
        return [known for _, known in sorted(self._known.items())]

    def _unique_specs(self) -> list[EndpointSpec]:
        """Each address once, the last one given (QU-4)."""
        unique: dict[str, EndpointSpec] = {}
        for spec in self._specs():
            if spec.address in unique:
                log.warning("duplicate endpoint address is provided: %s", spec.address)
                self._metrics.duplicates.inc()
            unique[spec.address] = spec
        return list(unique.values())

    def _polled(self, ctx: RequestContext, specs: Sequence[EndpointSpec]) -> Iterable[_Known]:
        jobs = [self._pool.submit(self._poll, ctx, spec) for spec in specs]
        return (known for job in jobs if (known := job.result()) is not None)

    def _connected(self, spec: EndpointSpec) -> _Known | None:
        """The endpoint as it is known, over a new connection where it has none or another one is needed."""
        before = self._known.get(spec.address)
        if before is not None and spec.connects_like(before.spec) and not before.client.is_outdated():
            return replace(before, spec=spec)
        try:
            client = self._connect(spec)
        except ConfigError as error:
            log.error("skipping endpoint due to TLS configuration error: %s: %s", spec.address, error)
            return before
        if before is None:
            return _Known(spec, client, self._now_ms())
        log.info("connecting to endpoint anew: %s", spec.address)
        return replace(before, spec=spec, client=client)

    def _poll(self, ctx: RequestContext, spec: EndpointSpec) -> _Known | None:
        known = self._connected(spec)
        if known is None:
            return None
        part = ctx.child(timeout_seconds=self._times.info_timeout_ms / 1000)
        try:
            answer = self._announcement(known.client, part)
        except PythanosError as error:
            seconds = self._times.info_timeout_ms / 1000
            silent = isinstance(error, QueryTimeout)
            reason = f"no answer within {seconds:g}s" if silent else str(error).removeprefix(f"{spec.address}: ")
            log.warning("update of endpoint failed: getting metadata: %s: %s", spec.address, reason)
            return replace(known, last_error=reason)
        return replace(
            known,
            component=answer.component,
            store=answer.store,
            apis=answer.apis,
            last_check_ms=self._now_ms(),
            last_error="",
        )

    def _announcement(self, client: EndpointClient, ctx: RequestContext) -> Announcement:
        """What an endpoint answers, if it can be reached in time. Nobody is ready before the first round ends: in it,
        what refuses connections is tried again for a moment only."""
        try:
            return client.fetch_info(ctx, until_connected=False)
        except EndpointUnavailable as unreachable:
            patience = None if self._updated else FIRST_PATIENCE_SECONDS
            try:
                return client.fetch_info(ctx.child(timeout_seconds=patience))
            except QueryTimeout:
                raise unreachable from None

    def _stays(self, known: _Known, now: int) -> bool:
        if known.spec.strict or not known.last_error:
            return True
        if known.spec.address not in self._known:
            return False
        # An endpoint that lost its strictness may never have answered.
        since = known.created_ms if known.last_check_ms is None else known.last_check_ms
        return now - since < self._times.unhealthy_timeout_ms

    def _retire(self, polled: Sequence[_Known], known: Mapping[str, _Known], now: int) -> None:
        """Disconnects what was never used at once, and what was, when its streams must have ended (QU-5)."""
        for one in polled:
            users = (known.get(one.spec.address), self._known.get(one.spec.address))
            if all(user is None or user.client is not one.client for user in users):
                one.client.close()
        for address, one in self._known.items():
            if address not in known:
                log.info("removing endpoint because it's unhealthy or does not exist: %s", address)
            if address not in known or known[address].client is not one.client:
                self._closing.append((now + self._times.close_delay_ms, one.client))
        for _, client in (due := [entry for entry in self._closing if entry[0] <= now]):
            client.close()
        self._closing = [entry for entry in self._closing if entry not in due]

    def _report_changes(self, known: Mapping[str, _Known]) -> None:
        producers: Tally[str] = Tally()
        for address, one in sorted(known.items()):
            if address not in self._known:
                log.info("adding new %s: %s %s", one.component or "endpoint", address, label_sets_text(one.label_sets))
            if one.component in PRODUCERS and one.is_queryable:
                text = label_sets_text(one.label_sets)
                producers[text] += 1
                if producers[text] > 1:
                    log.warning(
                        "found duplicate storeEndpoints producer (sidecar or ruler), which will malform data in a"
                        " common bucket: %s %s",
                        address,
                        text,
                    )


def label_sets_text(label_sets: Iterable[Mapping[str, str]]) -> str:
    """Label sets as Go prints them, sorted: ``{a="1", b="2"},{a="2"}``."""
    return ",".join(
        sorted(
            "{" + ", ".join(f"{name}={quote(value)}" for name, value in sorted(labels.items())) + "}"
            for labels in label_sets
        )
    )


def _nodes(known: Iterable[_Known]) -> list[EndpointNode]:
    return [
        EndpointNode(label_sets_text(one.label_sets), one.component, one.spec.address)
        for one in known
        if one.is_queryable
    ]
