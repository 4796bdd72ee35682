"""A Store of plain Python values for tests, and SeriesBatches made from and turned into them.

A chunk is ``ChunkRow(mint, maxt, data, encoding, aggregate)``; a series is ``(labels dict, list of chunk rows)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pythanos import _labels
from pythanos.context import RequestContext
from pythanos.model.resolution import RAW
from pythanos.model.series import LabelColumn
from pythanos.storeapi.batches import SeriesBatch, SeriesFrame
from pythanos.storeapi.requests import LabelNamesRequest, LabelsAnswer, LabelValuesRequest, SeriesRequest
from pythanos.storeapi.store import StoreInfo


class ChunkRow(NamedTuple):
    """One chunk: ``[mint, maxt]`` ms, its bytes, and its encoding and aggregate kind."""

    mint: int
    maxt: int
    data: bytes
    encoding: int = 1
    aggregate: int = RAW


Series = tuple[Mapping[str, str], Sequence[ChunkRow]]


def batch_of(series: Sequence[Series]) -> SeriesBatch:
    """A batch of the given series in the order given, label blocks and chunks in one arena."""
    blocks = [_labels.label_block(labels) for labels, _ in series]
    rows = [row for _, chunks in series for row in chunks]
    parts = [*blocks, *(row.data for row in rows)]
    length = np.array([len(part) for part in parts], np.int64)
    offset = np.cumsum(length) - length
    arena, n = b"".join(parts), len(blocks)
    label_length = length[:n].astype(np.int32)
    return SeriesBatch(
        LabelColumn(arena, offset[:n], label_length, _labels.hashes(arena, offset[:n], label_length)),
        np.cumsum([0, *(len(chunks) for _, chunks in series)]),
        np.array([row.mint for row in rows], np.int64),
        np.array([row.maxt for row in rows], np.int64),
        np.array([row.encoding for row in rows], np.uint8),
        np.array([row.aggregate for row in rows], np.uint8),
        offset[n:],
        length[n:].astype(np.int32),
    )


def series_of(batch: SeriesBatch) -> list[tuple[dict[str, str], list[ChunkRow]]]:
    """The series of a batch as plain values."""
    arena = bytes(batch.labels.arena)
    out = []
    for i, labels in enumerate(_labels.to_dicts(batch.labels)):
        rows = range(int(batch.chunk_start[i]), int(batch.chunk_start[i + 1]))
        out.append((labels, [_chunk_row(batch, arena, row) for row in rows]))
    return out


def _chunk_row(batch: SeriesBatch, arena: bytes, row: int) -> ChunkRow:
    start = int(batch.chunk_offset[row])
    return ChunkRow(
        int(batch.chunk_mint[row]),
        int(batch.chunk_maxt[row]),
        arena[start : start + int(batch.chunk_length[row])],
        int(batch.chunk_encoding[row]),
        int(batch.chunk_aggregate[row]),
    )


@dataclass
class FakeStore:
    """Serves the series it was given, in the order and batches asked for, and remembers what it was asked.

    ``before_frame(number)`` runs before each frame and may raise or wait: so a test makes a store fail midway or hang.
    With ``strips_replica_labels`` it sorts after removing the labels, as a good store does.
    """

    series_list: Sequence[Series] = ()
    label_sets: Sequence[Mapping[str, str]] = ()
    mint: int = -(2**63)
    maxt: int = 2**63 - 1
    strips_replica_labels: bool = True
    shards: bool = True
    frames: Sequence[SeriesFrame] = ()
    before_frame: Callable[[int], None] = lambda number: None
    requests: list[object] = field(default_factory=list)
    closed: int = 0

    def info(self) -> StoreInfo:
        return StoreInfo(
            tuple(self.label_sets),
            self.mint,
            self.maxt,
            supports_sharding=self.shards,
            supports_without_replica_labels=self.strips_replica_labels,
        )

    def series(self, ctx: RequestContext, request: SeriesRequest) -> Iterator[SeriesFrame]:
        self.requests.append(request)
        chosen = [
            (labels, [row for row in chunks if _overlaps(row, request)])
            for labels, chunks in self.series_list
            if self._selected((labels, chunks), request)
        ]
        if self.strips_replica_labels:
            chosen = sorted(
                ((_without(labels, request.without_replica_labels), chunks) for labels, chunks in chosen), key=_sort_key
            )
        if request.skip_chunks:
            chosen = [(labels, []) for labels, _ in chosen]
        return self._send(chosen, request.response_batch_size or 64)

    def _selected(self, entry: Series, request: SeriesRequest) -> bool:
        labels, chunks = entry
        in_range = not chunks or any(_overlaps(row, request) for row in chunks)
        if not in_range or not all(matcher.matches(labels.get(matcher.name, "")) for matcher in request.matchers):
            return False
        shard = request.shard
        if shard is None or not self.shards:
            return True
        column = _labels.labels_from_dicts([dict(labels)])
        mask = _labels.shard_mask(column, shard.labels, by=shard.by, total=shard.total_shards, index=shard.shard_index)
        return bool(mask[0])

    def _send(self, chosen: Sequence[Series], size: int) -> Iterator[SeriesFrame]:
        frames: list[SeriesFrame] = [batch_of(chosen[i : i + size]) for i in range(0, len(chosen), size)]
        try:
            for number, frame in enumerate([*self.frames, *frames]):
                self.before_frame(number)
                yield frame
            self.before_frame(len(frames) + len(self.frames))
        finally:
            self.closed += 1

    def label_names(self, ctx: RequestContext, request: LabelNamesRequest) -> LabelsAnswer:
        self.requests.append(request)
        self.before_frame(0)
        names = {name for labels in self._matching(request) for name in labels}
        return LabelsAnswer(tuple(sorted(names)))

    def label_values(self, ctx: RequestContext, request: LabelValuesRequest) -> LabelsAnswer:
        self.requests.append(request)
        self.before_frame(0)
        values = {labels[request.label] for labels in self._matching(request) if request.label in labels}
        return LabelsAnswer(tuple(sorted(values)))

    def _matching(self, request: LabelNamesRequest | LabelValuesRequest) -> list[Mapping[str, str]]:
        select = SeriesRequest(request.mint, request.maxt, request.matchers)
        chosen = [labels for labels, chunks in self.series_list if self._selected((labels, chunks), select)]
        return [_without(labels, request.without_replica_labels) for labels in chosen]


def _overlaps(row: ChunkRow, request: SeriesRequest) -> bool:
    return row.mint <= request.maxt and row.maxt >= request.mint


def _without(labels: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in names}


def _sort_key(entry: Series) -> list[tuple[bytes, bytes]]:
    return sorted(
        (name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape"))
        for name, value in entry[0].items()
    )
