import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from pythanos.rpc.pb import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TargetHealth(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DOWN: _ClassVar[TargetHealth]
    UP: _ClassVar[TargetHealth]
    UNKNOWN: _ClassVar[TargetHealth]
DOWN: TargetHealth
UP: TargetHealth
UNKNOWN: TargetHealth

class TargetsRequest(_message.Message):
    __slots__ = ("state", "partial_response_strategy")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ANY: _ClassVar[TargetsRequest.State]
        ACTIVE: _ClassVar[TargetsRequest.State]
        DROPPED: _ClassVar[TargetsRequest.State]
    ANY: TargetsRequest.State
    ACTIVE: TargetsRequest.State
    DROPPED: TargetsRequest.State
    STATE_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_RESPONSE_STRATEGY_FIELD_NUMBER: _ClassVar[int]
    state: TargetsRequest.State
    partial_response_strategy: _types_pb2.PartialResponseStrategy
    def __init__(self, state: _Optional[_Union[TargetsRequest.State, str]] = ..., partial_response_strategy: _Optional[_Union[_types_pb2.PartialResponseStrategy, str]] = ...) -> None: ...

class TargetsResponse(_message.Message):
    __slots__ = ("targets", "warning")
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    targets: TargetDiscovery
    warning: str
    def __init__(self, targets: _Optional[_Union[TargetDiscovery, _Mapping]] = ..., warning: _Optional[str] = ...) -> None: ...

class TargetDiscovery(_message.Message):
    __slots__ = ("activeTargets", "droppedTargets")
    ACTIVETARGETS_FIELD_NUMBER: _ClassVar[int]
    DROPPEDTARGETS_FIELD_NUMBER: _ClassVar[int]
    activeTargets: _containers.RepeatedCompositeFieldContainer[ActiveTarget]
    droppedTargets: _containers.RepeatedCompositeFieldContainer[DroppedTarget]
    def __init__(self, activeTargets: _Optional[_Iterable[_Union[ActiveTarget, _Mapping]]] = ..., droppedTargets: _Optional[_Iterable[_Union[DroppedTarget, _Mapping]]] = ...) -> None: ...

class ActiveTarget(_message.Message):
    __slots__ = ("discoveredLabels", "labels", "scrapePool", "scrapeUrl", "globalUrl", "lastError", "lastScrape", "lastScrapeDuration", "health")
    DISCOVEREDLABELS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SCRAPEPOOL_FIELD_NUMBER: _ClassVar[int]
    SCRAPEURL_FIELD_NUMBER: _ClassVar[int]
    GLOBALURL_FIELD_NUMBER: _ClassVar[int]
    LASTERROR_FIELD_NUMBER: _ClassVar[int]
    LASTSCRAPE_FIELD_NUMBER: _ClassVar[int]
    LASTSCRAPEDURATION_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    discoveredLabels: _types_pb2.ZLabelSet
    labels: _types_pb2.ZLabelSet
    scrapePool: str
    scrapeUrl: str
    globalUrl: str
    lastError: str
    lastScrape: _timestamp_pb2.Timestamp
    lastScrapeDuration: float
    health: TargetHealth
    def __init__(self, discoveredLabels: _Optional[_Union[_types_pb2.ZLabelSet, _Mapping]] = ..., labels: _Optional[_Union[_types_pb2.ZLabelSet, _Mapping]] = ..., scrapePool: _Optional[str] = ..., scrapeUrl: _Optional[str] = ..., globalUrl: _Optional[str] = ..., lastError: _Optional[str] = ..., lastScrape: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lastScrapeDuration: _Optional[float] = ..., health: _Optional[_Union[TargetHealth, str]] = ...) -> None: ...

class DroppedTarget(_message.Message):
    __slots__ = ("discoveredLabels",)
    DISCOVEREDLABELS_FIELD_NUMBER: _ClassVar[int]
    discoveredLabels: _types_pb2.ZLabelSet
    def __init__(self, discoveredLabels: _Optional[_Union[_types_pb2.ZLabelSet, _Mapping]] = ...) -> None: ...
