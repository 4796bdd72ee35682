"""ProxyStore: many stores asked at once and answered as one.

Which endpoints are asked, what each is asked, how their sorted streams become one, and what happens when one of them
fails: a warning in the answer, or the end of the request, as the request's partial response strategy says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from msgspec import structs
from prometheus_client import CollectorRegistry, Counter

from pythanos import _labels
from pythanos.context import RequestContext
from pythanos.errors import (
    BadRequest,
    LimitExceeded,
    PythanosError,
    QueryCanceled,
    QueryTimeout,
    StoreFailed,
)
from pythanos.model.matchers import Matcher
from pythanos.model.timerange import MAX_TIME_MS, MIN_TIME_MS
from pythanos.storeapi.batches import SeriesBatch, SeriesFrame, StoreWarning
from pythanos.storeapi.external_labels import TsdbSelector, any_can_match, remaining_matchers
from pythanos.storeapi.merge import merge_frames, resorted, slice_batch, take_series
from pythanos.storeapi.metering import metered
from pythanos.storeapi.requests import (
    LabelNamesRequest,
    LabelsAnswer,
    LabelValuesRequest,
    PartialResponse,
    SeriesRequest,
    ShardInfo,
)
from pythanos.storeapi.store import Store, StoreInfo
from pythanos.storeapi.streams import FrameTimeout, PulledStream
from pythanos.units import Duration
from pythanos.workers import Pool

log = logging.getLogger(__name__)

BATCH_SIZE = 1024
# With partial responses, how much of what is left of a request's time its stores may take: the rest is for the answer.
STORES_SHARE = 0.9

# Frames that can be closed.
_Source = Generator[SeriesFrame, None, None] | PulledStream
R = TypeVar("R", bound=SeriesRequest | LabelNamesRequest | LabelValuesRequest)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A store to ask, as it is known right now. ``local``: in this process, without an address to match."""

    address: str
    store: Store
    info: StoreInfo
    local: bool = False

    def __str__(self) -> str:
        return f"Addr: {self.address} MinTime: {self.info.mint} MaxTime: {self.info.maxt}"


class ProxyMetrics:
    """One instance per registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.empty_streams = Counter(
            "thanos_proxy_store_empty_stream_responses_total",
            "Total number of empty responses received.",
            registry=registry,
        )


class _Answer:
    """The merged frames; ends the work of every endpoint when it is exhausted, closed or forgotten."""

    def __init__(self, frames: Generator[SeriesFrame, None, None], parts: Sequence[RequestContext]) -> None:
        self._frames = frames
        self._parts = parts

    def __iter__(self) -> _Answer:
        return self

    def __next__(self) -> SeriesFrame:
        return next(self._frames)

    def close(self) -> None:
        self._frames.close()
        for part in self._parts:
            part.cancel()

    def __del__(self) -> None:
        self.close()


@dataclass(frozen=True)
class ProxyStore:
    """A Store over ``endpoints()``. Frozen: a copy with other ``store_matchers`` serves one request.

    pool: where the streams of several endpoints are pulled; one thread per stream, so it must have room for all at
    once. response_timeout_ms: the most between two frames of an endpoint, 0 for no limit. look_ahead: frames held for
    each. store_matchers: matcher sets over ``__address__``, of which one must match; empty: every endpoint.
    """

    endpoints: Callable[[], Sequence[Endpoint]]
    pool: Pool
    metrics: ProxyMetrics
    selector_labels: Mapping[str, str] = field(default_factory=dict)
    selector: TsdbSelector = field(default_factory=TsdbSelector)
    response_timeout_ms: int = 0
    look_ahead: int = 20
    store_matchers: tuple[tuple[Matcher, ...], ...] = ()

    def with_store_matchers(self, store_matchers: tuple[tuple[Matcher, ...], ...]) -> ProxyStore:
        return replace(self, store_matchers=store_matchers) if store_matchers else self

    def info(self) -> StoreInfo:
        """The union of what the endpoints announce, their label sets extended by the selector labels (QU-36)."""
        known = [endpoint.info for endpoint in self.endpoints() if self.selector.selects(endpoint.info.label_sets)]
        sets = [{**labels, **self.selector_labels} for info in known for labels in self.selector.kept(info.label_sets)]
        if not sets and self.selector_labels:
            sets = [dict(self.selector_labels)]
        return StoreInfo(
            tuple({tuple(sorted(labels.items())): labels for labels in sets}.values()),
            min((info.mint for info in known), default=MIN_TIME_MS),
            max((info.maxt for info in known), default=MAX_TIME_MS),
            supports_sharding=True,
            supports_without_replica_labels=True,
            tsdb_infos=tuple(tsdb for info in known for tsdb in info.tsdb_infos),
        )

    def series(self, ctx: RequestContext, request: SeriesRequest) -> Iterator[SeriesFrame]:
        """Frames of all matching endpoints, merged, each label set once.

        Several endpoints are asked before the first frame is; the answer must be exhausted or closed.
        """
        abort = request.partial_response is PartialResponse.ABORT
        matchers = self._checked(request.matchers)
        if matchers is None:
            return iter(())
        if not matchers:
            raise BadRequest("no matchers specified (excluding selector labels)")
        endpoints = self.endpoints()
        if not endpoints and abort:
            raise StoreFailed("No StoreAPIs available")
        chosen = self._matching(endpoints, request.mint, request.maxt, matchers)
        parts = [self._part(ctx, request.partial_response) for _ in chosen]
        if len(matchers) < len(request.matchers):
            request = structs.replace(request, matchers=matchers)
        streams = [
            self._stream(ctx, part, endpoint, request, alone=len(chosen) == 1)
            for part, endpoint in zip(parts, chosen, strict=True)
        ]
        frames = merge_frames(streams, request.response_batch_size or BATCH_SIZE)
        return _Answer(_limited(frames, request.limit) if request.limit else frames, parts)

    def label_names(self, ctx: RequestContext, request: LabelNamesRequest) -> LabelsAnswer:
        def ask(part: RequestContext, endpoint: Endpoint, own: LabelNamesRequest) -> LabelsAnswer:
            # As in Thanos without the limit: sidecars of old servers take it for one of series, and names get lost.
            return endpoint.store.label_names(part, structs.replace(own, limit=0))

        return self._labels_of(ctx, request, ask, "names")

    def label_values(self, ctx: RequestContext, request: LabelValuesRequest) -> LabelsAnswer:
        if not request.label:
            raise BadRequest("label name parameter cannot be empty")

        def ask(part: RequestContext, endpoint: Endpoint, own: LabelValuesRequest) -> LabelsAnswer:
            return endpoint.store.label_values(part, own)

        return self._labels_of(ctx, request, ask, "values")

    def _checked(self, matchers: Sequence[Matcher]) -> tuple[Matcher, ...] | None:
        """What is left to ask behind the selector labels (QU-9); a bad pattern is found here, not by each store."""
        for matcher in matchers:
            matcher.matches("")
        return remaining_matchers(matchers, self.selector_labels)

    def _matching(
        self, endpoints: Sequence[Endpoint], mint: int, maxt: int, matchers: Sequence[Matcher]
    ) -> list[Endpoint]:
        chosen = []
        for endpoint in endpoints:
            reason = self._excluded(endpoint, mint, maxt, matchers)
            if not reason:
                chosen.append(endpoint)
            else:
                log.debug("store filtered out", extra={"store": str(endpoint), "reason": reason})
        return chosen

    def _excluded(self, endpoint: Endpoint, mint: int, maxt: int, matchers: Sequence[Matcher]) -> str:
        """Why an endpoint cannot have what is asked for, or is not to be asked; "" where it is to be (QU-8)."""
        info = endpoint.info
        if not self.selector.selects(info.label_sets):
            return "no label set is selected"
        if mint > info.maxt or maxt < info.mint:
            return "does not have data within this time period"
        if self.store_matchers:
            if endpoint.local:
                return "the store is not remote, cannot match __address__"
            address = {"__address__": endpoint.address}
            if all(remaining_matchers(matchers_of, address) is None for matchers_of in self.store_matchers):
                return "__address__ does not match debug store metadata matchers"
        if not any_can_match(matchers, info.label_sets):
            return "external labels does not match request label matchers"
        return ""

    def _own_request(self, endpoint: Endpoint, request: R) -> R:
        extra = self.selector.extra_matchers(endpoint.info.label_sets)
        return structs.replace(request, matchers=request.matchers + extra) if extra else request

    def _part(self, ctx: RequestContext, strategy: PartialResponse) -> RequestContext:
        """The context of one endpoint's work, which leaves time to answer without it where that is wanted."""
        remaining = ctx.remaining_seconds()
        if remaining is None or strategy is PartialResponse.ABORT:
            return ctx.child()
        return ctx.child(timeout_seconds=remaining * STORES_SHARE)

    def _labels_part(self, ctx: RequestContext, strategy: PartialResponse) -> RequestContext:
        """The context of a call whose answer is one message, which may take as long as a message of a stream."""
        part = self._part(ctx, strategy)
        if not self.response_timeout_ms:
            return part
        return part.child(timeout_seconds=self.response_timeout_ms / 1000)

    def _stream(
        self, ctx: RequestContext, part: RequestContext, endpoint: Endpoint, request: SeriesRequest, *, alone: bool
    ) -> Iterator[SeriesFrame]:
        source: _Source = self._frames(part, endpoint, self._own_request(endpoint, request))
        if not alone or self.response_timeout_ms:
            source = PulledStream(
                source, part, self.pool, look_ahead=self.look_ahead, frame_timeout_ms=self.response_timeout_ms
            )
        return self._answer(ctx, part, endpoint, source, request.partial_response)

    def _frames(
        self, part: RequestContext, endpoint: Endpoint, request: SeriesRequest
    ) -> Generator[SeriesFrame, None, None]:
        """One endpoint's frames in label order, with what it cannot do itself done here (QU-12)."""
        frames = endpoint.store.series(part, request)
        if request.usage:
            frames = metered(frames, endpoint.address, part.monotonic)
        try:
            stream = frames
            if request.shard is not None and not endpoint.info.supports_sharding:
                stream = _of_shard(stream, request.shard)
            drop = request.without_replica_labels
            if drop and not endpoint.info.supports_without_replica_labels:
                log.warning("store cannot remove replica labels, its answer is read whole and sorted: %s", endpoint)
                stream = resorted(stream, drop, request.response_batch_size or BATCH_SIZE, part.check)
            yield from stream
        finally:
            close = getattr(frames, "close", None)
            if close is not None:
                close()

    def _answer(
        self,
        ctx: RequestContext,
        part: RequestContext,
        endpoint: Endpoint,
        source: _Source,
        strategy: PartialResponse,
    ) -> Iterator[SeriesFrame]:
        """The endpoint's frames; its failure becomes a warning or an error that names it (QU-10)."""
        empty = True
        try:
            for frame in source:
                ctx.check()
                empty = False
                if isinstance(frame, StoreWarning) and strategy is PartialResponse.ABORT:
                    raise StoreFailed(frame.message, aborted=True)
                yield frame
        except PythanosError as error:
            ctx.check()
            if strategy is PartialResponse.ABORT:
                if isinstance(error, StoreFailed):
                    raise
                raise _named(error, self._failure(endpoint, error), aborted=True) from error
            yield StoreWarning(self._failure(endpoint, error))
        finally:
            if empty:
                self.metrics.empty_streams.inc()
            part.cancel()
            source.close()

    def _failure(self, endpoint: Endpoint, error: PythanosError) -> str:
        if isinstance(error, FrameTimeout):
            return f"failed to receive any data in {Duration(self.response_timeout_ms)} from {endpoint}: {error}"
        return f"receive series from {endpoint}: {_text(error, endpoint)}"

    def _labels_of(
        self,
        ctx: RequestContext,
        request: LabelNamesRequest | LabelValuesRequest,
        ask: Callable[..., LabelsAnswer],
        what: str,
    ) -> LabelsAnswer:
        """The union of the endpoints' answers, sorted, at most ``request.limit`` of them."""
        matchers = self._checked(request.matchers)
        if matchers is None:
            return LabelsAnswer(())
        chosen = self._matching(self.endpoints(), request.mint, request.maxt, matchers)
        parts = [self._labels_part(ctx, request.partial_response) for _ in chosen]
        own = [self._own_request(endpoint, structs.replace(request, matchers=matchers)) for endpoint in chosen]
        try:
            if len(chosen) == 1:
                calls = [lambda: ask(parts[0], chosen[0], own[0])]
            else:
                jobs = [self.pool.submit(ask, *args) for args in zip(parts, chosen, own, strict=True)]
                calls = [_waiting(job.result, part) for job, part in zip(jobs, parts, strict=True)]
            return self._union(ctx, request, chosen, calls, what)
        finally:
            for part in parts:
                part.cancel()

    def _union(
        self,
        ctx: RequestContext,
        request: LabelNamesRequest | LabelValuesRequest,
        chosen: Sequence[Endpoint],
        calls: Sequence[Callable[[], LabelsAnswer]],
        what: str,
    ) -> LabelsAnswer:
        values: set[str] = set()
        warnings: list[str] = []
        blocks: list[str] = []
        for endpoint, call in zip(chosen, calls, strict=True):
            try:
                answer = call()
            except PythanosError as error:
                ctx.check()
                text = f"fetch label {what} from store {endpoint}: {_text(error, endpoint)}"
                if request.partial_response is PartialResponse.ABORT:
                    raise _named(error, text) from error
                warnings.append(text)
                continue
            values.update(answer.values)
            warnings.extend(answer.warnings)
            blocks.extend(answer.queried_blocks)
        ordered = sorted(values, key=lambda value: value.encode("utf-8", "surrogateescape"))
        return LabelsAnswer(tuple(ordered[: request.limit or None]), tuple(warnings), tuple(blocks))


def _waiting(result: Callable[[float | None], LabelsAnswer], part: RequestContext) -> Callable[[], LabelsAnswer]:
    """Waits for a job no longer than its context lives."""

    def wait() -> LabelsAnswer:
        part.step_aside()
        try:
            return result(part.remaining_seconds())
        except TimeoutError as error:
            raise QueryTimeout("context deadline exceeded") from error

    return wait


def _text(error: PythanosError, endpoint: Endpoint) -> str:
    """An error as a warning tells it behind its endpoint; what happened to the call itself in gRPC's words."""
    if isinstance(error, QueryTimeout):
        return "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
    if isinstance(error, QueryCanceled):
        return "rpc error: code = Canceled desc = context canceled"
    return str(error).removeprefix(f"{endpoint.address}: ")


def _named(error: PythanosError, text: str, *, aborted: bool = False) -> PythanosError:
    """The end of a request with a text that names the endpoint; a limit stays one, a refusal of series too."""
    if aborted and isinstance(error, BadRequest):
        return BadRequest(text)
    if isinstance(error, LimitExceeded):
        return LimitExceeded(error.limit, error.value, text, admission=error.admission)
    return StoreFailed(text, aborted=aborted)


def _of_shard(stream: Iterator[SeriesFrame], shard: ShardInfo) -> Iterator[SeriesFrame]:
    for frame in stream:
        if not isinstance(frame, SeriesBatch):
            yield frame
            continue
        mask = _labels.shard_mask(
            frame.labels, shard.labels, by=shard.by, total=shard.total_shards, index=shard.shard_index
        )
        yield frame if mask.all() else take_series(frame, mask.nonzero()[0])


def _limited(stream: Generator[SeriesFrame, None, None], limit: int) -> Generator[SeriesFrame, None, None]:
    """The first ``limit`` series; what comes after them is not read."""
    left = limit
    try:
        for frame in stream:
            if not isinstance(frame, SeriesBatch):
                yield frame
                continue
            yield slice_batch(frame, 0, min(left, len(frame)))
            left -= len(frame)
            if left <= 0:
                return
    finally:
        stream.close()
