"""Endpoints with a QueryAPI as the engines to which parts of a query are sent (QU-29)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pythanos._query_results import decode_results
from pythanos.context import RequestContext
from pythanos.errors import PythanosError
from pythanos.promql.remote import EncodedRows, RemoteAnswer, RemoteQuery, RemoteRows
from pythanos.promql.values import HistogramRows, Steps
from pythanos.query.distributed.requests import (
    QueryClient,
    RemoteFrame,
    RemoteRequest,
    RemoteStats,
    RemoteStream,
    SeriesMessages,
)
from pythanos.query.queryable import SelectOptions
from pythanos.storeapi.batches import StoreWarning
from pythanos.storeapi.proxy import STORES_SHARE
from pythanos.storeapi.store import StoreInfo, TsdbInfo
from pythanos.storeapi.streams import PulledStream
from pythanos.workers import Pool

# So many frames of an answer are read before they are wanted: a slow engine must not cost what another one said.
LOOK_AHEAD = 256

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DistributedOptions:
    """How endpoints are told apart.

    ``partition_labels``: the external labels by which they differ, () for all of them. ``overlapping``: an endpoint
    counts from the first sample of any replica on, not only from where every replica has some.
    """

    partition_labels: tuple[str, ...] = ()
    overlapping: bool = False


@dataclass(frozen=True, slots=True)
class EndpointEngine:
    """One endpoint for one query; ``request`` is what all its questions have in common.

    With a ``pool`` a thread of it reads each answer ahead.
    """

    address: str
    client: QueryClient
    request: RemoteRequest
    mint: int
    maxt: int
    label_sets: tuple[Labels, ...]
    partition_sets: tuple[Labels, ...]
    pool: Pool | None = None

    def query(self, ctx: RequestContext, query: RemoteQuery) -> RemoteAnswer:
        """With partial response a failure becomes a warning that names the endpoint, which then has less time."""
        steps = query.steps
        instant = steps.count == 1
        part = self._part(ctx)
        request = replace(
            self.request,
            text=query.text,
            start_ms=steps.start_ms,
            end_ms=steps.end_ms,
            step_ms=0 if instant else steps.step_ms,
            timeout_ms=_remaining_ms(part),
            lookback_ms=query.lookback_ms,
        )
        answer = RemoteAnswer(iter(()))
        stream = self.client.query(part, request, instant=instant)
        if self.pool is not None:
            stream = PulledStream(stream, part, self.pool, look_ahead=LOOK_AHEAD, size=_frame_bytes)
        answer.batches = _Batches(ctx, self, stream, answer, steps)
        return answer

    def _part(self, ctx: RequestContext) -> RequestContext:
        remaining = ctx.remaining_seconds()
        if remaining is None or not self.request.partial_response:
            return ctx.child()
        return ctx.child(timeout_seconds=remaining * STORES_SHARE)


class _Batches:
    """The series of a stream; all else goes into the answer. ``close`` ends the call."""

    def __init__(
        self, ctx: RequestContext, engine: EndpointEngine, stream: RemoteStream, answer: RemoteAnswer, steps: Steps
    ) -> None:
        self._ctx, self._engine, self._stream = ctx, engine, stream
        self._answer, self._steps = answer, steps

    def __iter__(self) -> Iterator[EncodedRows]:
        return self

    def __next__(self) -> EncodedRows:
        answer, address = self._answer, self._engine.address
        try:
            for frame in self._stream:
                if isinstance(frame, SeriesMessages):
                    return _Encoded(frame.data, self._steps, address)
                if isinstance(frame, RemoteStats):
                    answer.samples = frame.samples_total
                elif isinstance(frame, StoreWarning):
                    answer.warnings.append(f"remote query warning ({address}): {frame.message}")
        except PythanosError as error:
            self._ctx.check()
            if not self._engine.request.partial_response:
                raise
            answer.warnings.append(f"remote query error ({address}): {error}")
        raise StopIteration

    def close(self) -> None:
        self._stream.close()


@dataclass(frozen=True, slots=True)
class _Encoded:
    data: bytes
    steps: Steps
    address: str

    def decode(self) -> RemoteRows | None:
        steps = self.steps
        found, _ = decode_results(
            self.data, steps.start_ms, steps.step_ms, steps.count, source=f"query response of {self.address}"
        )
        if found is None:
            return None
        labels, values, row, columns = found
        histograms = HistogramRows(row, columns) if row is not None and columns is not None else None
        return RemoteRows(labels, values, histograms)


def _frame_bytes(frame: RemoteFrame) -> int:
    return len(frame.data) if isinstance(frame, SeriesMessages) else 0


def _remaining_ms(ctx: RequestContext) -> int:
    """What is left of a query's time, in whole seconds and at least one."""
    seconds = ctx.remaining_seconds()
    return 0 if seconds is None else max(1, int(seconds)) * 1000


def remote_engines(
    endpoints: Iterable[tuple[str, QueryClient, StoreInfo]],
    select: SelectOptions,
    options: DistributedOptions,
    pool: Pool | None = None,
) -> tuple[EndpointEngine, ...]:
    """The engines of one query: endpoints (address, client, what its store announces) that hold anything.

    What is deduplicated away tells no engines apart. An endpoint counts from where all its replicas have samples: the
    highest mint of each label set, of those the lowest, so that a replica that lost its oldest block early makes no
    gap.
    """
    request = RemoteRequest(
        "",
        0,
        0,
        max_resolution_ms=select.max_resolution_ms,
        replica_labels=select.replica_labels,
        dedup=select.dedup,
        partial_response=select.partial_response,
        shard=select.shard,
    )
    dropped = frozenset(select.replica_labels) if select.dedup else frozenset()
    found = []
    for address, client, info in endpoints:
        tsdbs = info.tsdb_infos or tuple(TsdbInfo(labels, info.mint, info.maxt) for labels in info.label_sets or ({},))
        label_sets = tuple({k: v for k, v in tsdb.labels.items() if k not in dropped} for tsdb in tsdbs)
        wanted = options.partition_labels
        partition = tuple({k: v for k, v in one.items() if not wanted or k in wanted} for one in label_sets)
        mint = _safe_mint(tsdbs, partition, overlapping=options.overlapping)
        maxt = max(tsdb.maxt for tsdb in tsdbs)
        found.append(EndpointEngine(address, client, request, mint, maxt, label_sets, partition, pool))
    return tuple(found)


def _safe_mint(tsdbs: Iterable[TsdbInfo], partition: Iterable[Labels], *, overlapping: bool) -> int:
    choose = min if overlapping else max
    by_set: dict[tuple[tuple[str, str], ...], int] = {}
    for tsdb, labels in zip(tsdbs, partition, strict=True):
        key = tuple(sorted(labels.items()))
        by_set[key] = choose(by_set.get(key, tsdb.mint), tsdb.mint)
    return min(by_set.values())
