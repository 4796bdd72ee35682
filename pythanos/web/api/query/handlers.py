"""``/api/v1/query``, ``query_range`` and their ``_explain``: from parameters to the engine, from its answer to JSON."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry

from pythanos.errors import BadRequest, QueryFailed, Retryable, StoreFailed
from pythanos.model.matchers import Matcher
from pythanos.promql.engine import Engine, InstantQuery, QueryResult, RangeQuery
from pythanos.promql.queryable import Queryable
from pythanos.promql.remote import Remotes
from pythanos.promql.tree.preprocess import QueryTimes
from pythanos.query.distributed.sources import RemotesFactory, nobody
from pythanos.query.query_log import QueryLog, QueryRun
from pythanos.query.queryable import SelectOptions
from pythanos.runtime.clock import Clock
from pythanos.runtime.gate import Gate
from pythanos.tally import TallyHistogram
from pythanos.web.api import params
from pythanos.web.api.query.answers import QueryTimer, query_answer
from pythanos.web.api.query.settings import (
    QuerySettings,
    engine_name,
    explains,
    limit_time,
    lookback_ms,
    range_step_ms,
    select_options,
    wants_analysis,
    wants_step_counts,
)
from pythanos.web.api.responses import success
from pythanos.web.messages import Args, Request, Response
from pythanos.web.router import Route

StoreMatchers = tuple[tuple[Matcher, ...], ...]
# From how series are fetched and the matchers of ``storeMatch[]`` to where they come from.
QueryableFactory = Callable[[SelectOptions, StoreMatchers], Queryable]


class QueryAPI:
    """The handlers of PromQL; all run in the request pool. Queries pass the gate once their parameters are right."""

    def __init__(
        self,
        engine: Engine,
        queryables: QueryableFactory,
        gate: Gate,
        settings: QuerySettings,
        *,
        clock: Clock,
        registry: CollectorRegistry,
        log: QueryLog | None = None,
        remotes: RemotesFactory = nobody,
    ) -> None:
        self._engine, self._queryables, self._gate = engine, queryables, gate
        self._remotes = remotes
        self._settings, self._clock = settings, clock
        self._log = log or QueryLog(clock.monotonic)
        self._timespan = TallyHistogram(
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
            Route("/api/v1/query_explain", self.query_explain, "query_explain", both),
            Route("/api/v1/query_range_explain", self.query_range_explain, "query_range_explain", both),
        ]

    def query(self, request: Request) -> Response:
        """The value of ``query`` at ``time``."""
        query, select = self._instant(request)
        queryable, remotes = self._sources(request, select)
        timer = QueryTimer(self._clock)
        run = QueryRun(query.text, query.time_ms, query.time_ms)
        evaluate = partial(self._engine.instant, request.context, queryable, query, remotes)
        result = self._evaluated(request, run, timer, evaluate)
        return query_answer(result, request.args, timer)

    def query_range(self, request: Request) -> Response:
        """The values of ``query`` from ``start`` to ``end``, every ``step``."""
        query, select = self._range(request)
        queryable, remotes = self._sources(request, select)
        timer = QueryTimer(self._clock)
        run = QueryRun(query.text, query.start_ms, query.end_ms, query.step_ms)
        evaluate = partial(self._engine.range, request.context, queryable, query, remotes)
        result = self._evaluated(request, run, timer, evaluate)
        self._timespan.observe((query.end_ms - query.start_ms) / 1000)
        return query_answer(result, request.args, timer)

    def query_explain(self, request: Request) -> Response:
        """The plan by which ``query`` would be evaluated."""
        query, select = self._instant(request)
        return self._explained(request, select, query, QueryTimes(query.time_ms, query.time_ms))

    def query_range_explain(self, request: Request) -> Response:
        query, select = self._range(request)
        times = QueryTimes(query.start_ms, query.end_ms, query.step_ms)
        return self._explained(request, select, query, times)

    def _explained(
        self, request: Request, select: SelectOptions, query: InstantQuery | RangeQuery, times: QueryTimes
    ) -> Response:
        if not explains(request.args):
            raise BadRequest("engine type must be 'thanos'")
        queryable, remotes = self._sources(request, select)
        plan = self._engine.explain(query.text, times, queryable.hidden_labels, remotes, query.lookback_ms)
        return success(plan.to_json())

    def _instant(self, request: Request) -> tuple[InstantQuery, SelectOptions]:
        args, settings = request.args, self._settings
        time_ms = params.time_or(args, "time", self._clock.now_ms())
        limit_time(request.context, args, settings.timeout_ms)
        select = select_options(args, settings.instant_max_resolution_ms, settings)
        params.parse_limit(args.get("limit"))
        lookback = lookback_ms(args, select.max_resolution_ms, settings)
        return InstantQuery(args.get("query"), time_ms, lookback, *self._measured(args)), select

    def _range(self, request: Request) -> tuple[RangeQuery, SelectOptions]:
        args, settings = request.args, self._settings
        start_ms, end_ms = params.parse_time(args.get("start")), params.parse_time(args.get("end"))
        if end_ms < start_ms:
            raise BadRequest("end timestamp must not be before start time")
        step_ms = range_step_ms(args, start_ms, end_ms, settings)
        limit_time(request.context, args, settings.timeout_ms)
        # Without a resolution given, at least five samples fit between two steps.
        select = select_options(args, step_ms // 5, settings)
        params.parse_limit(args.get("limit"))
        lookback = lookback_ms(args, select.max_resolution_ms, settings)
        return RangeQuery(args.get("query"), start_ms, end_ms, step_ms, lookback, *self._measured(args)), select

    def _sources(self, request: Request, select: SelectOptions) -> tuple[Queryable, Remotes | None]:
        matchers = params.selectors(request.args.all("storeMatch[]"))
        return self._queryables(select, matchers), self._remotes(select, matchers, request.context.tenant)

    def _measured(self, args: Args) -> tuple[bool, bool]:
        """Whether to analyze, and to count by steps. Raises BadRequest for an engine that there is not."""
        engine_name(args, self._settings)
        return wants_analysis(args) and explains(args), wants_step_counts(args)

    def _evaluated(
        self, request: Request, run: QueryRun, timer: QueryTimer, evaluate: Callable[[], QueryResult]
    ) -> QueryResult:
        ctx = request.context
        with self._gate.enter(ctx):
            timer.entered()
            with self._log.running(ctx, run):
                try:
                    result = evaluate()
                    _note(run, result)
                    return result
                except StoreFailed as error:
                    if engine_name(request.args, self._settings) == "thanos":
                        raise
                    raise StoreFailed(f"expanding series: {error}") from error
                except Retryable as error:
                    # As in Thanos: the query failed, whether or not it may work the next time.
                    raise QueryFailed(str(error)) from error


def _note(run: QueryRun, result: QueryResult) -> None:
    run.samples = result.stats.total_queryable_samples
    run.peak_samples = result.stats.peak_samples
    run.series, run.read = result.series, result.stats.samples_read
