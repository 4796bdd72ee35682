from pythanos.rpc.pb import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TSDBStatisticsRequest(_message.Message):
    __slots__ = ("tenant", "limit", "partial_response_strategy", "matchers")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_RESPONSE_STRATEGY_FIELD_NUMBER: _ClassVar[int]
    MATCHERS_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    limit: int
    partial_response_strategy: _types_pb2.PartialResponseStrategy
    matchers: _containers.RepeatedCompositeFieldContainer[_types_pb2.LabelMatcher]
    def __init__(self, tenant: _Optional[str] = ..., limit: _Optional[int] = ..., partial_response_strategy: _Optional[_Union[_types_pb2.PartialResponseStrategy, str]] = ..., matchers: _Optional[_Iterable[_Union[_types_pb2.LabelMatcher, _Mapping]]] = ...) -> None: ...

class TSDBStatisticsResponse(_message.Message):
    __slots__ = ("statistics", "warning")
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    statistics: TSDBStatistics
    warning: str
    def __init__(self, statistics: _Optional[_Union[TSDBStatistics, _Mapping]] = ..., warning: _Optional[str] = ...) -> None: ...

class TSDBStatistics(_message.Message):
    __slots__ = ("statistics",)
    class StatisticsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: TSDBStatisticsEntry
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[TSDBStatisticsEntry, _Mapping]] = ...) -> None: ...
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    statistics: _containers.MessageMap[str, TSDBStatisticsEntry]
    def __init__(self, statistics: _Optional[_Mapping[str, TSDBStatisticsEntry]] = ...) -> None: ...

class TSDBStatisticsEntry(_message.Message):
    __slots__ = ("head_statistics", "series_count_by_metric_name", "label_value_count_by_label_name", "memory_in_bytes_by_label_name", "series_count_by_label_value_pair")
    HEAD_STATISTICS_FIELD_NUMBER: _ClassVar[int]
    SERIES_COUNT_BY_METRIC_NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_VALUE_COUNT_BY_LABEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MEMORY_IN_BYTES_BY_LABEL_NAME_FIELD_NUMBER: _ClassVar[int]
    SERIES_COUNT_BY_LABEL_VALUE_PAIR_FIELD_NUMBER: _ClassVar[int]
    head_statistics: HeadStatistics
    series_count_by_metric_name: _containers.RepeatedCompositeFieldContainer[Statistic]
    label_value_count_by_label_name: _containers.RepeatedCompositeFieldContainer[Statistic]
    memory_in_bytes_by_label_name: _containers.RepeatedCompositeFieldContainer[Statistic]
    series_count_by_label_value_pair: _containers.RepeatedCompositeFieldContainer[Statistic]
    def __init__(self, head_statistics: _Optional[_Union[HeadStatistics, _Mapping]] = ..., series_count_by_metric_name: _Optional[_Iterable[_Union[Statistic, _Mapping]]] = ..., label_value_count_by_label_name: _Optional[_Iterable[_Union[Statistic, _Mapping]]] = ..., memory_in_bytes_by_label_name: _Optional[_Iterable[_Union[Statistic, _Mapping]]] = ..., series_count_by_label_value_pair: _Optional[_Iterable[_Union[Statistic, _Mapping]]] = ...) -> None: ...

class HeadStatistics(_message.Message):
    __slots__ = ("num_series", "num_label_pairs", "chunk_count", "min_time", "max_time")
    NUM_SERIES_FIELD_NUMBER: _ClassVar[int]
    NUM_LABEL_PAIRS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    MIN_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_TIME_FIELD_NUMBER: _ClassVar[int]
    num_series: int
    num_label_pairs: int
    chunk_count: int
    min_time: int
    max_time: int
    def __init__(self, num_series: _Optional[int] = ..., num_label_pairs: _Optional[int] = ..., chunk_count: _Optional[int] = ..., min_time: _Optional[int] = ..., max_time: _Optional[int] = ...) -> None: ...

class Statistic(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: int
    def __init__(self, name: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
