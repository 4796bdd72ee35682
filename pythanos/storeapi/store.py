"""Store: the one interface of whoever can be asked for series (bucket, remote endpoint, fan-out, head)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from pythanos.context import RequestContext
from pythanos.storeapi.batches import SeriesFrame
from pythanos.storeapi.requests import LabelNamesRequest, LabelsAnswer, LabelValuesRequest, SeriesRequest


@dataclass(frozen=True, slots=True)
class TsdbInfo:
    """One stream of blocks: its external labels and the time ``[mint, maxt]`` ms it covers."""

    labels: Mapping[str, str]
    mint: int
    maxt: int


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store announces through the Info API. ``label_sets`` are its distinct external label sets."""

    label_sets: tuple[Mapping[str, str], ...]
    mint: int
    maxt: int
    supports_sharding: bool = False
    supports_without_replica_labels: bool = False
    supports_projections: bool = False
    tsdb_infos: tuple[TsdbInfo, ...] = ()


class Store(Protocol):
    """Has series; safe to call from several threads at once."""

    def info(self) -> StoreInfo:
        """What this store holds right now; never blocks."""

    def series(self, ctx: RequestContext, request: SeriesRequest) -> Iterator[SeriesFrame]:
        """Frames in label order (after ``without_replica_labels`` were removed), pulled by the caller.

        A batch holds at most ``response_batch_size`` series (0: the store's choice). Closing the generator
        releases what the answer held. Raises BadRequest, LimitExceeded, CorruptData, Retryable, QueryTimeout,
        QueryCanceled.
        """

    def label_names(self, ctx: RequestContext, request: LabelNamesRequest) -> LabelsAnswer:
        """Names of the labels of the series that match, sorted."""

    def label_values(self, ctx: RequestContext, request: LabelValuesRequest) -> LabelsAnswer:
        """Values of one label over the series that match, sorted."""
