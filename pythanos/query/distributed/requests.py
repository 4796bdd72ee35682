"""The questions and answers of the QueryAPI as values; ``rpc.queryapi`` puts them on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher
from pythanos.promql.values import Steps
from pythanos.storeapi.batches import StoreWarning
from pythanos.storeapi.requests import ShardInfo

# Thanos' default: series in one message.
RESPONSE_BATCH_SIZE = 64


@dataclass(frozen=True, slots=True)
class RemoteRequest:
    """One query of the QueryAPI. All times are whole seconds, in ms; an instant query has no step.

    ``timeout_ms``, ``max_resolution_ms`` and ``lookback_ms`` 0, and no replica labels: the server's own. ``engine``:
    "", "prometheus" or "thanos". ``batch_size`` below 2: a message for each series.
    """

    text: str
    start_ms: int
    end_ms: int
    step_ms: int = 0
    timeout_ms: int = 0
    max_resolution_ms: int = 0
    replica_labels: tuple[str, ...] = ()
    store_matchers: tuple[tuple[Matcher, ...], ...] = ()
    dedup: bool = True
    partial_response: bool = False
    shard: ShardInfo | None = None
    lookback_ms: int = 0
    engine: str = ""
    batch_size: int = RESPONSE_BATCH_SIZE

    @property
    def steps(self) -> Steps:
        if not self.step_ms:
            return Steps(self.start_ms, 1, 1)
        return Steps.between(self.start_ms, self.end_ms, self.step_ms)


@dataclass(frozen=True, slots=True)
class SeriesMessages:
    """Messages with series, laid end to end: what ``_query_results.decode_results`` reads."""

    data: bytes


@dataclass(frozen=True, slots=True)
class RemoteStats:
    """What a remote query looked at, and held at its peak."""

    samples_total: int
    peak_samples: int


RemoteFrame = SeriesMessages | StoreWarning | RemoteStats


class RemoteStream(Protocol):
    """The frames of an answer; ``close`` ends the call, also before the first frame was pulled."""

    def __iter__(self) -> Iterator[RemoteFrame]: ...

    def __next__(self) -> RemoteFrame: ...

    def close(self) -> None: ...


class QueryClient(Protocol):
    """A connection to somebody's QueryAPI."""

    def query(self, ctx: RequestContext, request: RemoteRequest, *, instant: bool) -> RemoteStream:
        """Asks at once.

        The stream raises what the endpoint refused, and EndpointUnavailable, CorruptData, QueryTimeout, QueryCanceled.
        """
