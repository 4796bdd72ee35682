"""Messages of the Status API <-> ``model.promapi.statistics``."""

from __future__ import annotations

from collections.abc import Iterable

from pythanos.model.promapi.statistics import (
    HeadStatistics,
    StatisticsByTenant,
    StatisticsRequest,
    TopList,
    TSDBStatistics,
)
from pythanos.rpc.codec import matchers_from_proto, matchers_to_proto
from pythanos.rpc.pb import status_pb2, types_pb2


def request_to_proto(request: StatisticsRequest, *, abort: bool) -> status_pb2.TSDBStatisticsRequest:
    return status_pb2.TSDBStatisticsRequest(
        limit=request.limit,
        partial_response_strategy=types_pb2.ABORT if abort else types_pb2.WARN,
        matchers=matchers_to_proto(request.matchers),
    )


def request_from_proto(message: status_pb2.TSDBStatisticsRequest) -> StatisticsRequest:
    """Raises BadRequest for a matcher of no known type."""
    return StatisticsRequest(message.limit, matchers_from_proto(message.matchers))


def statistics_from_proto(message: status_pb2.TSDBStatistics) -> StatisticsByTenant:
    return {tenant: _entry_from_proto(entry) for tenant, entry in message.statistics.items()}


def statistics_to_proto(statistics: StatisticsByTenant) -> status_pb2.TSDBStatistics:
    message = status_pb2.TSDBStatistics()
    for tenant, own in statistics.items():
        message.statistics[tenant].CopyFrom(_entry_to_proto(own))
    return message


def _entry_from_proto(entry: status_pb2.TSDBStatisticsEntry) -> TSDBStatistics:
    head = entry.head_statistics
    return TSDBStatistics(
        HeadStatistics(head.num_series, head.num_label_pairs, head.chunk_count, head.min_time, head.max_time),
        _list_from_proto(entry.series_count_by_metric_name),
        _list_from_proto(entry.label_value_count_by_label_name),
        _list_from_proto(entry.memory_in_bytes_by_label_name),
        _list_from_proto(entry.series_count_by_label_value_pair),
    )


def _entry_to_proto(statistics: TSDBStatistics) -> status_pb2.TSDBStatisticsEntry:
    head = statistics.head
    return status_pb2.TSDBStatisticsEntry(
        head_statistics=status_pb2.HeadStatistics(
            num_series=head.series,
            num_label_pairs=head.label_pairs,
            chunk_count=head.chunks,
            min_time=head.mint,
            max_time=head.maxt,
        ),
        series_count_by_metric_name=_list_to_proto(statistics.series_by_metric),
        label_value_count_by_label_name=_list_to_proto(statistics.values_by_label),
        memory_in_bytes_by_label_name=_list_to_proto(statistics.bytes_by_label),
        series_count_by_label_value_pair=_list_to_proto(statistics.series_by_pair),
    )


def _list_from_proto(messages: Iterable[status_pb2.Statistic]) -> TopList:
    return tuple((message.name, message.value) for message in messages)


def _list_to_proto(entries: TopList) -> list[status_pb2.Statistic]:
    return [status_pb2.Statistic(name=name, value=value) for name, value in entries]
