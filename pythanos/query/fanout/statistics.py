"""Statistics of all TSDB heads as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pythanos.model.promapi.statistics import HeadStatistics, StatisticsByTenant, TopList, TSDBStatistics


def merge_by_tenant(answers: Iterable[StatisticsByTenant]) -> dict[str, TSDBStatistics]:
    """The statistics of each tenant over all endpoints."""
    found: dict[str, list[TSDBStatistics]] = {}
    for answer in answers:
        for tenant, statistics in answer.items():
            found.setdefault(tenant, []).append(statistics)
    return {tenant: merge_statistics(parts) for tenant, parts in found.items()}


def merge_statistics(parts: Iterable[TSDBStatistics]) -> TSDBStatistics:
    """Sums. Of label values the largest number counts, since heads have most of them in common."""
    parts = list(parts)
    heads = [part.head for part in parts]
    return TSDBStatistics(
        HeadStatistics(
            sum(head.series for head in heads),
            sum(head.label_pairs for head in heads),
            sum(head.chunks for head in heads),
            # A head that has no time yet does not count.
            min((head.mint for head in heads if head.mint > 0), default=0),
            max((head.maxt for head in heads), default=0),
        ),
        _merged((part.series_by_metric for part in parts), sum),
        _merged((part.values_by_label for part in parts), max),
        _merged((part.bytes_by_label for part in parts), sum),
        _merged((part.series_by_pair for part in parts), sum),
    )


def _merged(lists: Iterable[TopList], join: Callable[[Iterable[int]], int]) -> TopList:
    found: dict[str, list[int]] = {}
    for entries in lists:
        for name, value in entries:
            found.setdefault(name, []).append(value)
    joined = ((name, join(values)) for name, values in found.items())
    return tuple(sorted(joined, key=lambda entry: (-entry[1], entry[0])))
