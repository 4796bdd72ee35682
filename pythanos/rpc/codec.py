"""Cold messages of the StoreAPI and the Info API <-> the frozen values of ``storeapi``.

Series themselves never pass through here; ``_wire`` turns them into columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message

from pythanos.errors import BadRequest
from pythanos.model.matchers import Matcher, MatchType
from pythanos.rpc.pb import hints_pb2, info_pb2, store_pb2, types_pb2
from pythanos.storeapi.batches import SeriesHints
from pythanos.storeapi.requests import (
    LabelNamesRequest,
    LabelsAnswer,
    LabelValuesRequest,
    PartialResponse,
    QueryHints,
    SeriesRequest,
    ShardInfo,
)
from pythanos.storeapi.store import StoreInfo, TsdbInfo

ANY_PREFIX = "type.googleapis.com/"
_MATCHER_TYPES = {
    MatchType.EQ: types_pb2.LabelMatcher.EQ,
    MatchType.NEQ: types_pb2.LabelMatcher.NEQ,
    MatchType.RE: types_pb2.LabelMatcher.RE,
    MatchType.NRE: types_pb2.LabelMatcher.NRE,
}
_STRATEGIES = {PartialResponse.WARN: types_pb2.WARN, PartialResponse.ABORT: types_pb2.ABORT}


def matchers_to_proto(matchers: Iterable[Matcher]) -> list[types_pb2.LabelMatcher]:
    return [types_pb2.LabelMatcher(type=_MATCHER_TYPES[m.type], name=m.name, value=m.value) for m in matchers]


def matchers_from_proto(messages: Iterable[types_pb2.LabelMatcher]) -> tuple[Matcher, ...]:
    """Raises BadRequest for a type that is none of = != =~ !~."""
    try:
        return tuple(Matcher(MatchType(m.type), m.name, m.value) for m in messages)
    except ValueError as error:
        raise BadRequest(f"unknown matcher type: {error}") from error


def pack(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message, ANY_PREFIX)
    return packed


def _unpack(packed: any_pb2.Any, message: Message) -> bool:
    """Whether ``packed`` holds a message of that type; fills it. Raises BadRequest for bytes that are none."""
    try:
        return bool(packed.Unpack(message))
    except DecodeError as error:
        raise BadRequest(f"unmarshal {packed.type_url}: {error}") from error


def _strategy(
    message: store_pb2.SeriesRequest | store_pb2.LabelNamesRequest | store_pb2.LabelValuesRequest,
) -> PartialResponse:
    # partial_response_disabled is how callers before the strategy existed said ABORT.
    if message.partial_response_disabled or message.partial_response_strategy == types_pb2.ABORT:
        return PartialResponse.ABORT
    return PartialResponse.WARN


def _query_hints_from_proto(message: store_pb2.SeriesRequest) -> QueryHints | None:
    if not message.HasField("query_hints"):
        return None
    hints = message.query_hints
    return QueryHints(
        step_ms=hints.step_millis,
        func=hints.func.name,
        grouping=tuple(hints.grouping.labels),
        grouping_by=hints.grouping.by,
        range_ms=hints.range.millis,
        projection_labels=tuple(hints.projection_labels),
        projection_include=hints.projection_include,
        series_hash_label_name=hints.series_hash_label_name,
    )


def series_request_from_proto(message: store_pb2.SeriesRequest) -> SeriesRequest:
    """Raises BadRequest for unknown matcher or hint contents."""
    hints = hints_pb2.SeriesRequestHints()
    hinted = message.HasField("hints") and _unpack(message.hints, hints)
    shard = None
    if message.HasField("shard_info"):
        info = message.shard_info
        shard = ShardInfo(info.shard_index, info.total_shards, info.by, tuple(info.labels))
    return SeriesRequest(
        mint=message.min_time,
        maxt=message.max_time,
        matchers=matchers_from_proto(message.matchers),
        max_resolution_ms=message.max_resolution_window,
        aggregates=tuple(message.aggregates),
        partial_response=_strategy(message),
        skip_chunks=message.skip_chunks,
        block_matchers=matchers_from_proto(hints.block_matchers) if hinted else (),
        enable_query_stats=hints.enable_query_stats if hinted else False,
        step_ms=message.step,
        range_ms=message.range,
        query_hints=_query_hints_from_proto(message),
        shard=shard,
        without_replica_labels=tuple(message.without_replica_labels),
        limit=message.limit,
        response_batch_size=message.response_batch_size,
    )


def series_request_to_proto(request: SeriesRequest) -> store_pb2.SeriesRequest:
    message = store_pb2.SeriesRequest(
        min_time=request.mint,
        max_time=request.maxt,
        matchers=matchers_to_proto(request.matchers),
        max_resolution_window=request.max_resolution_ms,
        # Numbers at run time; the stubs know them by a class that does not exist there.
        aggregates=cast("tuple[store_pb2.Aggr, ...]", request.aggregates),
        partial_response_disabled=request.partial_response is PartialResponse.ABORT,
        partial_response_strategy=_STRATEGIES[request.partial_response],
        skip_chunks=request.skip_chunks,
        step=request.step_ms,
        range=request.range_ms,
        without_replica_labels=request.without_replica_labels,
        limit=request.limit,
        response_batch_size=request.response_batch_size,
    )
    if request.block_matchers or request.enable_query_stats:
        message.hints.CopyFrom(
            pack(
                hints_pb2.SeriesRequestHints(
                    block_matchers=matchers_to_proto(request.block_matchers),
                    enable_query_stats=request.enable_query_stats,
                )
            )
        )
    if request.query_hints is not None:
        message.query_hints.CopyFrom(_query_hints_to_proto(request.query_hints))
    if request.shard is not None:
        shard = request.shard
        message.shard_info.CopyFrom(
            store_pb2.ShardInfo(
                shard_index=shard.shard_index, total_shards=shard.total_shards, by=shard.by, labels=shard.labels
            )
        )
    return message


def _query_hints_to_proto(hints: QueryHints) -> store_pb2.QueryHints:
    message = store_pb2.QueryHints(
        step_millis=hints.step_ms,
        projection_labels=hints.projection_labels,
        projection_include=hints.projection_include,
        series_hash_label_name=hints.series_hash_label_name,
    )
    if hints.func:
        message.func.name = hints.func
    if hints.grouping or hints.grouping_by:
        message.grouping.CopyFrom(store_pb2.Grouping(by=hints.grouping_by, labels=hints.grouping))
    if hints.range_ms:
        message.range.millis = hints.range_ms
    return message


def label_names_request_from_proto(message: store_pb2.LabelNamesRequest) -> LabelNamesRequest:
    hints = hints_pb2.LabelNamesRequestHints()
    hinted = message.HasField("hints") and _unpack(message.hints, hints)
    return LabelNamesRequest(
        mint=message.start,
        maxt=message.end,
        matchers=matchers_from_proto(message.matchers),
        partial_response=_strategy(message),
        without_replica_labels=tuple(message.without_replica_labels),
        block_matchers=matchers_from_proto(hints.block_matchers) if hinted else (),
        limit=message.limit,
    )


def label_values_request_from_proto(message: store_pb2.LabelValuesRequest) -> LabelValuesRequest:
    """Raises BadRequest without a label name."""
    if not message.label:
        raise BadRequest("label name parameter cannot be empty")
    hints = hints_pb2.LabelValuesRequestHints()
    hinted = message.HasField("hints") and _unpack(message.hints, hints)
    return LabelValuesRequest(
        label=message.label,
        mint=message.start,
        maxt=message.end,
        matchers=matchers_from_proto(message.matchers),
        partial_response=_strategy(message),
        without_replica_labels=tuple(message.without_replica_labels),
        block_matchers=matchers_from_proto(hints.block_matchers) if hinted else (),
        limit=message.limit,
    )


def label_names_request_to_proto(request: LabelNamesRequest) -> store_pb2.LabelNamesRequest:
    message = store_pb2.LabelNamesRequest(
        start=request.mint,
        end=request.maxt,
        matchers=matchers_to_proto(request.matchers),
        partial_response_disabled=request.partial_response is PartialResponse.ABORT,
        partial_response_strategy=_STRATEGIES[request.partial_response],
        without_replica_labels=request.without_replica_labels,
        limit=request.limit,
    )
    if request.block_matchers:
        hints = hints_pb2.LabelNamesRequestHints(block_matchers=matchers_to_proto(request.block_matchers))
        message.hints.CopyFrom(pack(hints))
    return message


def label_values_request_to_proto(request: LabelValuesRequest) -> store_pb2.LabelValuesRequest:
    message = store_pb2.LabelValuesRequest(
        label=request.label,
        start=request.mint,
        end=request.maxt,
        matchers=matchers_to_proto(request.matchers),
        partial_response_disabled=request.partial_response is PartialResponse.ABORT,
        partial_response_strategy=_STRATEGIES[request.partial_response],
        without_replica_labels=request.without_replica_labels,
        limit=request.limit,
    )
    if request.block_matchers:
        hints = hints_pb2.LabelValuesRequestHints(block_matchers=matchers_to_proto(request.block_matchers))
        message.hints.CopyFrom(pack(hints))
    return message


def _blocks(ulids: Iterable[str]) -> list[hints_pb2.Block]:
    return [hints_pb2.Block(id=ulid) for ulid in ulids]


def label_names_to_proto(answer: LabelsAnswer) -> store_pb2.LabelNamesResponse:
    message = store_pb2.LabelNamesResponse(names=map(_wire_text, answer.values), warnings=answer.warnings)
    message.hints.CopyFrom(pack(hints_pb2.LabelNamesResponseHints(queried_blocks=_blocks(answer.queried_blocks))))
    return message


def label_values_to_proto(answer: LabelsAnswer) -> store_pb2.LabelValuesResponse:
    message = store_pb2.LabelValuesResponse(values=map(_wire_text, answer.values), warnings=answer.warnings)
    message.hints.CopyFrom(pack(hints_pb2.LabelValuesResponseHints(queried_blocks=_blocks(answer.queried_blocks))))
    return message


def _wire_text(text: str) -> str:
    # A protobuf string must be UTF-8; a byte that is not becomes U+FFFD, as in a JSON answer.
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


_DURATIONS = frozenset(("get_all_duration", "merge_duration"))


def series_hints_to_proto(hints: SeriesHints) -> store_pb2.SeriesResponse:
    inner = hints_pb2.SeriesResponseHints(queried_blocks=_blocks(hints.queried_blocks))
    if hints.query_stats:
        counts = {name: value for name, value in hints.query_stats.items() if name not in _DURATIONS}
        inner.query_stats.MergeFrom(hints_pb2.QueryStats(**counts))
    for name in _DURATIONS & hints.query_stats.keys():
        getattr(inner.query_stats, name).FromNanoseconds(hints.query_stats[name])
    return store_pb2.SeriesResponse(hints=pack(inner))


def series_hints_from_any(data: bytes) -> SeriesHints:
    """Hints of an answer; empty ones where they are of a type that is not ours to know."""
    packed = any_pb2.Any.FromString(data)
    inner = hints_pb2.SeriesResponseHints()
    if not packed.Unpack(inner):
        return SeriesHints()
    stats: dict[str, int] = {}
    for field, value in inner.query_stats.ListFields():
        stats[field.name] = value.ToNanoseconds() if field.message_type is not None else value
    return SeriesHints(tuple(block.id for block in inner.queried_blocks), stats)


def label_set_to_proto(labels: Mapping[str, str]) -> types_pb2.ZLabelSet:
    return types_pb2.ZLabelSet(
        labels=[types_pb2.Label(name=name, value=_wire_text(labels[name])) for name in sorted(labels)]
    )


def label_set_from_proto(message: types_pb2.ZLabelSet) -> dict[str, str]:
    return {label.name: label.value for label in message.labels}


def store_info_to_proto(info: StoreInfo) -> info_pb2.StoreInfo:
    return info_pb2.StoreInfo(
        min_time=info.mint,
        max_time=info.maxt,
        supports_sharding=info.supports_sharding,
        supports_without_replica_labels=info.supports_without_replica_labels,
        supports_projections=info.supports_projections,
        tsdb_infos=[
            info_pb2.TSDBInfo(labels=label_set_to_proto(tsdb.labels), min_time=tsdb.mint, max_time=tsdb.maxt)
            for tsdb in info.tsdb_infos
        ],
    )


def store_info_from_proto(response: info_pb2.InfoResponse) -> StoreInfo:
    """What an endpoint announced of its store; only to be called where the response has one."""
    store = response.store
    return StoreInfo(
        label_sets=tuple(label_set_from_proto(labels) for labels in response.label_sets),
        mint=store.min_time,
        maxt=store.max_time,
        supports_sharding=store.supports_sharding,
        supports_without_replica_labels=store.supports_without_replica_labels,
        supports_projections=store.supports_projections,
        tsdb_infos=tuple(
            TsdbInfo(label_set_from_proto(tsdb.labels), tsdb.min_time, tsdb.max_time) for tsdb in store.tsdb_infos
        ),
    )
