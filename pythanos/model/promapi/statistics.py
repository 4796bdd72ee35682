"""What the head of a TSDB holds: how many series, and which names and values have most of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pythanos.model.matchers import Matcher

# A name or a ``name=value`` pair and its number, largest number first.
TopList = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class HeadStatistics:
    """Times in ms."""

    series: int = 0
    label_pairs: int = 0
    chunks: int = 0
    mint: int = 0
    maxt: int = 0


@dataclass(frozen=True, slots=True)
class TSDBStatistics:
    """The statistics of one tenant; the members are named as the JSON API names them."""

    head: HeadStatistics = field(default_factory=HeadStatistics)
    series_by_metric: TopList = ()
    values_by_label: TopList = ()
    bytes_by_label: TopList = ()
    series_by_pair: TopList = ()


StatisticsByTenant = Mapping[str, TSDBStatistics]


@dataclass(frozen=True, slots=True)
class StatisticsRequest:
    """Of the TSDBs whose external labels match; ``limit`` entries in each list."""

    limit: int = 10
    matchers: tuple[Matcher, ...] = ()
