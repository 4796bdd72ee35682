"""``/api/v1/query`` and ``query_range``: from parameters to the engine, from its answer to JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from prometheus_client import CollectorRegistry, Histogram

from pythanos.context import RequestContext
from pythanos.errors import BadRequest
from pythanos.model.gojson import go_json
from pythanos.model.matchers import Matcher
from pythanos.promql.engine import Engine, InstantQuery, QueryResult, RangeQuery
from pythanos.promql.queryable import Queryable
from pythanos.query.queryable import SelectOptions
from pythanos.runtime.clock import Clock
from pythanos.runtime.gate import Gate
from pythanos.web.api import params
from pythanos.web.api.responses import success_printed
from pythanos.web.api.results import print_value
from pythanos.web.messages import Args, Request, Response
from pythanos.web.router import Route

POINTS_MAX = 11_000
ENGINES = ("prometheus", "thanos")
RESOLUTIONS_MS = (0, 300_000, 3_600_000)


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """What holds for all queries of this API unless a parameter says otherwise. Durations in ms."""

    timeout_ms: int = 120_000
    lookback_ms: int = 300_000
    dynamic_lookback: bool = True
    default_step_ms: int = 1000
    replica_labels: tuple[str, ...] = ()
    deduplication: str = "penalty"
    partial_response: bool = True
    auto_downsampling: bool = False
    instant_max_resolution_ms: int = 0
    default_metadata_range_ms: int = 0


StoreMatchers = tuple[tuple[Matcher, ...], ...]
# From how series are fetched and the matchers of ``storeMatch[]`` to where they come from.
QueryableFactory = Callable[[SelectOptions, StoreMatchers], Queryable]


class QueryAPI:
    """The two handlers of PromQL; both run in the request pool and pass the gate once their parameters are right."""

    def __init__(
        self,
        engine: Engine,
        queryables: QueryableFactory,
        gate: Gate,
        settings: QuerySettings,
        *,
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        self._engine, self._queryables, self._gate = engine, queryables, gate
        self._settings, self._clock = settings, clock
        self._timespan = Histogram(
            "thanos_query_range_requested_timespan_duration_seconds",
            "A histogram of the query range window in seconds",
            buckets=tuple(15 * 60 * 2**n for n in range(12)),
            registry=registry,
        )

    def routes(self) -> list[Route]:
        both = ("GET", "POST")
        return [
            Route("/api/v1/query", self.query, "query", both),
            Route("/api/v1/query_range", self.query_range, "query_range", both),
        ]

    def query(self, request: Request) -> Response:
        """The value of ``query`` at ``time``."""
        args = request.args
        time_ms = params.time_or(args, "time", self._clock.now_ms())
        limit_time(request.context, args, self._settings.timeout_ms)
        select = self._select_options(args, self._settings.instant_max_resolution_ms)
        _check_engine(args)
        query = InstantQuery(args.get("query"), time_ms, self._lookback_ms(args, select.max_resolution_ms))
        queryable = self._queryables(select, params.selectors(args.all("storeMatch[]")))
        timer = _Timer(self._clock)
        with self._gate.enter(request.context):
            timer.entered()
            result = self._engine.instant(request.context, queryable, query)
        return _answer(result, args, timer)

    def query_range(self, request: Request) -> Response:
        """The values of ``query`` from ``start`` to ``end``, every ``step``."""
        args = request.args
        start_ms, end_ms = params.parse_time(args.get("start")), params.parse_time(args.get("end"))
        if end_ms < start_ms:
            raise BadRequest("end timestamp must not be before start time")
        step_ms = self._step_ms(args, start_ms, end_ms)
        limit_time(request.context, args, self._settings.timeout_ms)
        # Without a resolution given, at least five samples fit between two steps.
        select = self._select_options(args, step_ms // 5)
        _check_engine(args)
        lookback_ms = self._lookback_ms(args, select.max_resolution_ms)
        query = RangeQuery(args.get("query"), start_ms, end_ms, step_ms, lookback_ms)
        queryable = self._queryables(select, params.selectors(args.all("storeMatch[]")))
        timer = _Timer(self._clock)
        with self._gate.enter(request.context):
            timer.entered()
            result = self._engine.range(request.context, queryable, query)
        self._timespan.observe((end_ms - start_ms) / 1000)
        return _answer(result, args, timer)

    def _step_ms(self, args: Args, start_ms: int, end_ms: int) -> int:
        default_seconds = max((end_ms - start_ms) // 1000 // 250, self._settings.default_step_ms // 1000)
        step_ns = params.named(args, "step", params.parse_duration_ns, default_seconds * 1_000_000_000)
        if step_ns < 1_000_000:
            raise BadRequest("zero or negative query resolution step widths are not accepted. Try a positive integer")
        if (end_ms - start_ms) * 1_000_000 // step_ns > POINTS_MAX:
            raise BadRequest(
                "exceeded maximum resolution of 11,000 points per timeseries."
                " Try decreasing the query resolution (?step=XX)"
            )
        return step_ns // 1_000_000

    def _select_options(self, args: Args, auto_ms: int) -> SelectOptions:
        settings = self._settings
        return SelectOptions(
            dedup=params.named(args, "dedup", params.parse_bool, True),
            replica_labels=args.all("replicaLabels[]") or settings.replica_labels,
            deduplication=settings.deduplication,
            max_resolution_ms=params.max_resolution_ms(args, auto_ms, auto_downsampling=settings.auto_downsampling),
            partial_response=params.named(args, "partial_response", params.parse_bool, settings.partial_response),
            shard=params.shard_info(args),
        )

    def _lookback_ms(self, args: Args, max_resolution_ms: int) -> int:
        given = params.named(args, "lookback_delta", params.parse_duration_ns, 0) // 1_000_000
        return given if given > 0 else dynamic_lookback_ms(self._settings, max_resolution_ms)


def dynamic_lookback_ms(settings: QuerySettings, max_resolution_ms: int) -> int:
    """A lookback no shorter than the resolution that may be read: 5 minutes or an hour where the flag is smaller."""
    lookback = settings.lookback_ms
    if not settings.dynamic_lookback:
        return lookback
    chosen = lookback
    for finer, coarser in pairwise(RESOLUTIONS_MS):
        if max(finer, lookback) < max_resolution_ms:
            chosen = max(lookback, coarser)
    return chosen


def limit_time(ctx: RequestContext, args: Args, timeout_ms: int) -> None:
    """Sets the deadline: the daemon's, or the sooner one of the request."""
    seconds = timeout_ms / 1000
    given = args.get("timeout")
    if given:
        seconds = min(seconds, params.parse_duration_ns(given) / 1e9)
    ctx.deadline = ctx.monotonic() + seconds


def _check_engine(args: Args) -> None:
    """There is one engine here; both names of Thanos' engines mean it."""
    engine = args.get("engine")
    if engine and engine not in ENGINES:
        raise BadRequest(f"'{engine}' bad engine")


class _Timer:
    """How long a query waited at the gate and how long it was evaluated."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked = self._entered = clock.monotonic()

    def entered(self) -> None:
        self._entered = self._clock.monotonic()

    def timings(self) -> dict[str, float]:
        """Prometheus' timings in seconds. Sorting and preparing are not told apart from the evaluation."""
        now = self._clock.monotonic()
        return {
            "evalTotalTime": now - self._entered,
            "resultSortTime": 0.0,
            "queryPreparationTime": 0.0,
            "innerEvalTime": now - self._entered,
            "execQueueTime": self._entered - self._asked,
            "execTotalTime": now - self._asked,
        }


def _answer(result: QueryResult, args: Args, timer: _Timer) -> Response:
    kind, pieces = print_value(result.value)
    head = f'{{"resultType":"{kind}","result":'.encode()
    stats = f',"stats":{go_json(_stats(result, timer))}' if args.get("stats") else ""
    tail = f'{stats},"analysis":{{}}}}'.encode()

    def data() -> Iterator[bytes]:
        yield head
        yield from pieces
        yield tail

    return success_printed(data(), result.warnings() + result.infos())


def _stats(result: QueryResult, timer: _Timer) -> dict[str, Any]:
    """The shape of Prometheus' query statistics."""
    stats = result.stats
    samples = {
        "totalQueryableSamples": stats.total_queryable_samples,
        "samplesRead": stats.samples_read,
        "peakSamples": stats.peak_samples,
    }
    return {"timings": timer.timings(), "samples": samples}
