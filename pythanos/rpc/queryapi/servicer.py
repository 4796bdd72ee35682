"""The Query service: queries of other queriers and rulers, evaluated as those over HTTP are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from pythanos.context import RequestContext
from pythanos.errors import BadRequest, PythanosError, QueryCanceled, QueryTimeout
from pythanos.promql.engine import Engine, InstantQuery, QueryResult, RangeQuery
from pythanos.query.distributed.requests import RemoteRequest
from pythanos.query.distributed.sources import QuerySources
from pythanos.query.query_log import QueryRun
from pythanos.query.queryable import SelectOptions
from pythanos.rpc.calls import serving
from pythanos.rpc.pb import query_pb2
from pythanos.rpc.queryapi.messages import Question, request_from_proto
from pythanos.rpc.queryapi.results import series_messages

SERVICE = "thanos.Query"
# The name by which Info announces it.
API = "query"


@dataclass(frozen=True, slots=True)
class QueryAPISettings:
    """What holds for questions that do not say otherwise. ``lookback_ms`` is asked with a resolution."""

    timeout_ms: int
    replica_labels: tuple[str, ...]
    deduplication: str
    default_resolution_ms: int
    lookback_ms: Callable[[int], int]


class QueryServicer:
    """Answers by the text of a query; a plan beside it is not looked at. Messages leave as bytes."""

    def __init__(
        self, engine: Engine, sources: QuerySources, settings: QueryAPISettings, now_ms: Callable[[], int]
    ) -> None:
        self._engine, self._sources, self._settings, self._now_ms = engine, sources, settings, now_ms

    def handler(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Query": grpc.unary_stream_rpc_method_handler(
                    self.query, request_deserializer=query_pb2.QueryRequest.FromString
                ),
                "QueryRange": grpc.unary_stream_rpc_method_handler(
                    self.query_range, request_deserializer=query_pb2.QueryRangeRequest.FromString
                ),
            },
        )

    def query(self, message: query_pb2.QueryRequest, call: grpc.ServicerContext) -> Iterator[bytes]:
        """The value at one time. With partial response an evaluation that fails is a warning, as in Thanos."""
        with self._asked(message, call) as (ctx, request):
            try:
                result = self._evaluated(ctx, request)
            except (BadRequest, QueryCanceled, QueryTimeout):
                raise
            except PythanosError as error:
                if not request.partial_response:
                    raise
                yield query_pb2.QueryResponse(warnings=str(error)).SerializeToString()
                return
            yield from _answer(ctx, result, request.batch_size)

    def query_range(self, message: query_pb2.QueryRangeRequest, call: grpc.ServicerContext) -> Iterator[bytes]:
        """The values at the steps of a range."""
        with self._asked(message, call) as (ctx, request):
            yield from _answer(ctx, self._evaluated(ctx, request), request.batch_size)

    @contextmanager
    def _asked(self, message: Question, call: grpc.ServicerContext) -> Iterator[tuple[RequestContext, RemoteRequest]]:
        with serving(call) as ctx:
            request = request_from_proto(message, self._now_ms())
            timeout_ms = min(self._settings.timeout_ms, request.timeout_ms or self._settings.timeout_ms)
            deadline = ctx.monotonic() + timeout_ms / 1000
            ctx.deadline = deadline if ctx.deadline is None else min(ctx.deadline, deadline)
            yield ctx, request

    def _evaluated(self, ctx: RequestContext, request: RemoteRequest) -> QueryResult:
        settings, sources = self._settings, self._sources
        select = SelectOptions(
            dedup=request.dedup,
            replica_labels=request.replica_labels or settings.replica_labels,
            deduplication=settings.deduplication,
            max_resolution_ms=request.max_resolution_ms or settings.default_resolution_ms,
            partial_response=request.partial_response,
            shard=request.shard,
        )
        queryable = sources.queryable(select, request.store_matchers)
        remotes = sources.remotes(select, request.store_matchers, ctx.tenant)
        lookback_ms = request.lookback_ms or settings.lookback_ms(select.max_resolution_ms)
        run = QueryRun(request.text, request.start_ms, request.end_ms, request.step_ms)
        with sources.gate.enter(ctx), sources.log.running(ctx, run):
            if request.step_ms:
                times = request.start_ms, request.end_ms, request.step_ms
                result = self._engine.range(ctx, queryable, RangeQuery(request.text, *times, lookback_ms), remotes)
            else:
                query = InstantQuery(request.text, request.start_ms, lookback_ms)
                result = self._engine.instant(ctx, queryable, query, remotes)
            run.samples, run.peak_samples = result.stats.total_queryable_samples, result.stats.peak_samples
            run.series, run.read = result.series, result.stats.samples_read
            return result


def _answer(ctx: RequestContext, result: QueryResult, batch_size: int) -> Iterator[bytes]:
    """Warnings in one message, series, statistics. Both kinds of response have the same fields."""
    warnings = result.warnings() + result.infos()
    if warnings:
        yield query_pb2.QueryResponse(warnings=", ".join(warnings)).SerializeToString()
    for message in series_messages(result.value, batch_size):
        ctx.check()
        yield message
    stats = query_pb2.QueryStats(
        samples_total=result.stats.total_queryable_samples, peak_samples=result.stats.peak_samples
    )
    yield query_pb2.QueryResponse(stats=stats).SerializeToString()
