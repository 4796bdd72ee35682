"""The frames of a Series answer: batches of series, warnings, hints, and what a fan-out tells of its stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pythanos.model.series import SeriesBatch
from pythanos.model.usage import StoreUsage

__all__ = ["SeriesBatch", "SeriesFrame", "SeriesHints", "StoreUsage", "StoreWarning"]


@dataclass(frozen=True, slots=True)
class StoreWarning:
    """Something that makes the answer partial; travels in the stream instead of an error."""

    message: str


@dataclass(frozen=True, slots=True)
class SeriesHints:
    """What a store says about how it answered: queried block ULIDs, and counters by the names of hintspb.QueryStats."""

    queried_blocks: tuple[str, ...] = ()
    query_stats: Mapping[str, int] = field(default_factory=dict)


SeriesFrame = SeriesBatch | StoreWarning | SeriesHints | StoreUsage
