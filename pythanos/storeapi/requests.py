"""What is asked of a Store: frozen values with the fields of the StoreAPI's messages.

They are msgspec's, which makes and changes a value of many fields in a tenth of the time of a dataclass: every select
has some.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import msgspec

from pythanos.model.matchers import Matcher


class PartialResponse(enum.IntEnum):
    """Numbered as the StoreAPI's PartialResponseStrategy."""

    WARN = 0
    ABORT = 1


class ShardInfo(msgspec.Struct, frozen=True):
    """Only series with ``hash(labels by/without) % total_shards == shard_index``."""

    shard_index: int
    total_shards: int
    by: bool
    labels: tuple[str, ...]


class QueryHints(msgspec.Struct, frozen=True):
    """What the query will do with the series; a store may use it, never needs to."""

    step_ms: int = 0
    func: str = ""
    grouping: tuple[str, ...] = ()
    grouping_by: bool = False
    range_ms: int = 0
    projection_labels: tuple[str, ...] = ()
    projection_include: bool = False
    series_hash_label_name: str = ""


class SeriesRequest(msgspec.Struct, frozen=True):
    """A select: ``[mint, maxt]`` ms, both inside. ``aggregates`` are ``model.resolution`` kinds; empty means raw.

    ``usage`` asks a fan-out for a StoreUsage of each of its stores; it is not sent to them.
    """

    mint: int
    maxt: int
    matchers: tuple[Matcher, ...]
    max_resolution_ms: int = 0
    aggregates: tuple[int, ...] = ()
    partial_response: PartialResponse = PartialResponse.WARN
    skip_chunks: bool = False
    block_matchers: tuple[Matcher, ...] = ()
    enable_query_stats: bool = False
    step_ms: int = 0
    range_ms: int = 0
    query_hints: QueryHints | None = None
    shard: ShardInfo | None = None
    without_replica_labels: tuple[str, ...] = ()
    limit: int = 0
    response_batch_size: int = 0
    usage: bool = False


class LabelNamesRequest(msgspec.Struct, frozen=True):
    mint: int
    maxt: int
    matchers: tuple[Matcher, ...] = ()
    partial_response: PartialResponse = PartialResponse.WARN
    without_replica_labels: tuple[str, ...] = ()
    block_matchers: tuple[Matcher, ...] = ()
    limit: int = 0


class LabelValuesRequest(msgspec.Struct, frozen=True):
    label: str
    mint: int
    maxt: int
    matchers: tuple[Matcher, ...] = ()
    partial_response: PartialResponse = PartialResponse.WARN
    without_replica_labels: tuple[str, ...] = ()
    block_matchers: tuple[Matcher, ...] = ()
    limit: int = 0


@dataclass(frozen=True, slots=True)
class LabelsAnswer:
    """Sorted, unique label names or values, with warnings and queried blocks."""

    values: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    queried_blocks: tuple[str, ...] = ()
