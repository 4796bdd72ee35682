"""Questions of the QueryAPI <-> ``query.distributed.requests``."""

from __future__ import annotations

from pythanos.errors import BadRequest
from pythanos.query.distributed.requests import RemoteRequest
from pythanos.rpc import codec
from pythanos.rpc.pb import query_pb2, store_pb2
from pythanos.storeapi.requests import ShardInfo

ENGINES = ("", "prometheus", "thanos")
SECOND_MS = 1000

Question = query_pb2.QueryRequest | query_pb2.QueryRangeRequest


def request_from_proto(message: Question, now_ms: int) -> RemoteRequest:
    """An instant query without a time is of ``now_ms``. Raises BadRequest."""
    if isinstance(message, query_pb2.QueryRequest):
        start_ms = end_ms = message.time_seconds * SECOND_MS or now_ms
        step_ms = 0
    else:
        start_ms, end_ms = message.start_time_seconds * SECOND_MS, message.end_time_seconds * SECOND_MS
        step_ms = message.interval_seconds * SECOND_MS
        if step_ms <= 0:
            raise BadRequest("zero or negative query resolution step widths are not accepted. Try a positive integer")
        if end_ms < start_ms:
            raise BadRequest("end timestamp must not be before start time")
    if not 0 <= message.engine < len(ENGINES):
        raise BadRequest("invalid engine parameter")
    shard = None
    if message.HasField("shard_info"):
        info = message.shard_info
        shard = ShardInfo(info.shard_index, info.total_shards, info.by, tuple(info.labels))
    return RemoteRequest(
        message.query,
        start_ms,
        end_ms,
        step_ms,
        timeout_ms=message.timeout_seconds * SECOND_MS,
        max_resolution_ms=message.max_resolution_seconds * SECOND_MS,
        replica_labels=tuple(message.replica_labels),
        store_matchers=tuple(codec.matchers_from_proto(one.labelMatchers) for one in message.storeMatchers),
        dedup=message.enableDedup,
        partial_response=message.enablePartialResponse,
        shard=shard,
        lookback_ms=message.lookback_delta_seconds * SECOND_MS,
        engine=ENGINES[message.engine],
        batch_size=message.response_batch_size,
    )


def instant_to_proto(request: RemoteRequest) -> query_pb2.QueryRequest:
    message = query_pb2.QueryRequest(time_seconds=request.start_ms // SECOND_MS)
    _fill(message, request)
    return message


def range_to_proto(request: RemoteRequest) -> query_pb2.QueryRangeRequest:
    message = query_pb2.QueryRangeRequest(
        start_time_seconds=request.start_ms // SECOND_MS,
        end_time_seconds=request.end_ms // SECOND_MS,
        interval_seconds=request.step_ms // SECOND_MS,
    )
    _fill(message, request)
    return message


def _fill(message: Question, request: RemoteRequest) -> None:
    message.query = request.text
    message.timeout_seconds = request.timeout_ms // SECOND_MS
    message.max_resolution_seconds = request.max_resolution_ms // SECOND_MS
    message.replica_labels.extend(request.replica_labels)
    for matchers in request.store_matchers:
        message.storeMatchers.add().labelMatchers.extend(codec.matchers_to_proto(matchers))
    message.enableDedup = request.dedup
    message.enablePartialResponse = request.partial_response
    if request.shard is not None:
        shard = request.shard
        message.shard_info.CopyFrom(
            store_pb2.ShardInfo(
                shard_index=shard.shard_index, total_shards=shard.total_shards, by=shard.by, labels=shard.labels
            )
        )
    message.lookback_delta_seconds = request.lookback_ms // SECOND_MS
    message.engine = query_pb2.EngineType.Value(request.engine or "default")
    message.response_batch_size = request.batch_size
