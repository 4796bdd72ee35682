from pythanos.rpc.pb import store_pb2 as _store_pb2
from pythanos.rpc.pb import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EngineType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    default: _ClassVar[EngineType]
    prometheus: _ClassVar[EngineType]
    thanos: _ClassVar[EngineType]
default: EngineType
prometheus: EngineType
thanos: EngineType

class QueryStats(_message.Message):
    __slots__ = ("samples_total", "peak_samples")
    SAMPLES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    PEAK_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    samples_total: int
    peak_samples: int
    def __init__(self, samples_total: _Optional[int] = ..., peak_samples: _Optional[int] = ...) -> None: ...

class TimeSeriesBatch(_message.Message):
    __slots__ = ("series",)
    SERIES_FIELD_NUMBER: _ClassVar[int]
    series: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, series: _Optional[_Iterable[bytes]] = ...) -> None: ...

class StoreMatchers(_message.Message):
    __slots__ = ("labelMatchers",)
    LABELMATCHERS_FIELD_NUMBER: _ClassVar[int]
    labelMatchers: _containers.RepeatedCompositeFieldContainer[_types_pb2.LabelMatcher]
    def __init__(self, labelMatchers: _Optional[_Iterable[_Union[_types_pb2.LabelMatcher, _Mapping]]] = ...) -> None: ...

class queryPlan(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: bytes
    def __init__(self, json: _Optional[bytes] = ...) -> None: ...

class QueryRequest(_message.Message):
    __slots__ = ("query", "time_seconds", "timeout_seconds", "max_resolution_seconds", "replica_labels", "storeMatchers", "enableDedup", "enablePartialResponse", "skipChunks", "shard_info", "lookback_delta_seconds", "engine", "queryPlan", "response_batch_size")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_RESOLUTION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REPLICA_LABELS_FIELD_NUMBER: _ClassVar[int]
    STOREMATCHERS_FIELD_NUMBER: _ClassVar[int]
    ENABLEDEDUP_FIELD_NUMBER: _ClassVar[int]
    ENABLEPARTIALRESPONSE_FIELD_NUMBER: _ClassVar[int]
    SKIPCHUNKS_FIELD_NUMBER: _ClassVar[int]
    SHARD_INFO_FIELD_NUMBER: _ClassVar[int]
    LOOKBACK_DELTA_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    QUERYPLAN_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    query: str
    time_seconds: int
    timeout_seconds: int
    max_resolution_seconds: int
    replica_labels: _containers.RepeatedScalarFieldContainer[str]
    storeMatchers: _containers.RepeatedCompositeFieldContainer[StoreMatchers]
    enableDedup: bool
    enablePartialResponse: bool
    skipChunks: bool
    shard_info: _store_pb2.ShardInfo
    lookback_delta_seconds: int
    engine: EngineType
    queryPlan: queryPlan
    response_batch_size: int
    def __init__(self, query: _Optional[str] = ..., time_seconds: _Optional[int] = ..., timeout_seconds: _Optional[int] = ..., max_resolution_seconds: _Optional[int] = ..., replica_labels: _Optional[_Iterable[str]] = ..., storeMatchers: _Optional[_Iterable[_Union[StoreMatchers, _Mapping]]] = ..., enableDedup: _Optional[bool] = ..., enablePartialResponse: _Optional[bool] = ..., skipChunks: _Optional[bool] = ..., shard_info: _Optional[_Union[_store_pb2.ShardInfo, _Mapping]] = ..., lookback_delta_seconds: _Optional[int] = ..., engine: _Optional[_Union[EngineType, str]] = ..., queryPlan: _Optional[_Union[queryPlan, _Mapping]] = ..., response_batch_size: _Optional[int] = ...) -> None: ...

class QueryResponse(_message.Message):
    __slots__ = ("warnings", "timeseries", "stats", "timeseries_batch")
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    TIMESERIES_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    TIMESERIES_BATCH_FIELD_NUMBER: _ClassVar[int]
    warnings: str
    timeseries: bytes
    stats: QueryStats
    timeseries_batch: TimeSeriesBatch
    def __init__(self, warnings: _Optional[str] = ..., timeseries: _Optional[bytes] = ..., stats: _Optional[_Union[QueryStats, _Mapping]] = ..., timeseries_batch: _Optional[_Union[TimeSeriesBatch, _Mapping]] = ...) -> None: ...

class QueryRangeRequest(_message.Message):
    __slots__ = ("query", "start_time_seconds", "end_time_seconds", "interval_seconds", "timeout_seconds", "max_resolution_seconds", "replica_labels", "storeMatchers", "enableDedup", "enablePartialResponse", "skipChunks", "shard_info", "lookback_delta_seconds", "engine", "queryPlan", "response_batch_size")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    START_TIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_RESOLUTION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REPLICA_LABELS_FIELD_NUMBER: _ClassVar[int]
    STOREMATCHERS_FIELD_NUMBER: _ClassVar[int]
    ENABLEDEDUP_FIELD_NUMBER: _ClassVar[int]
    ENABLEPARTIALRESPONSE_FIELD_NUMBER: _ClassVar[int]
    SKIPCHUNKS_FIELD_NUMBER: _ClassVar[int]
    SHARD_INFO_FIELD_NUMBER: _ClassVar[int]
    LOOKBACK_DELTA_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    QUERYPLAN_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    query: str
    start_time_seconds: int
    end_time_seconds: int
    interval_seconds: int
    timeout_seconds: int
    max_resolution_seconds: int
    replica_labels: _containers.RepeatedScalarFieldContainer[str]
    storeMatchers: _containers.RepeatedCompositeFieldContainer[StoreMatchers]
    enableDedup: bool
    enablePartialResponse: bool
    skipChunks: bool
    shard_info: _store_pb2.ShardInfo
    lookback_delta_seconds: int
    engine: EngineType
    queryPlan: queryPlan
    response_batch_size: int
    def __init__(self, query: _Optional[str] = ..., start_time_seconds: _Optional[int] = ..., end_time_seconds: _Optional[int] = ..., interval_seconds: _Optional[int] = ..., timeout_seconds: _Optional[int] = ..., max_resolution_seconds: _Optional[int] = ..., replica_labels: _Optional[_Iterable[str]] = ..., storeMatchers: _Optional[_Iterable[_Union[StoreMatchers, _Mapping]]] = ..., enableDedup: _Optional[bool] = ..., enablePartialResponse: _Optional[bool] = ..., skipChunks: _Optional[bool] = ..., shard_info: _Optional[_Union[_store_pb2.ShardInfo, _Mapping]] = ..., lookback_delta_seconds: _Optional[int] = ..., engine: _Optional[_Union[EngineType, str]] = ..., queryPlan: _Optional[_Union[queryPlan, _Mapping]] = ..., response_batch_size: _Optional[int] = ...) -> None: ...

class QueryRangeResponse(_message.Message):
    __slots__ = ("warnings", "timeseries", "stats", "timeseries_batch")
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    TIMESERIES_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    TIMESERIES_BATCH_FIELD_NUMBER: _ClassVar[int]
    warnings: str
    timeseries: bytes
    stats: QueryStats
    timeseries_batch: TimeSeriesBatch
    def __init__(self, warnings: _Optional[str] = ..., timeseries: _Optional[bytes] = ..., stats: _Optional[_Union[QueryStats, _Mapping]] = ..., timeseries_batch: _Optional[_Union[TimeSeriesBatch, _Mapping]] = ...) -> None: ...
