"""Counters of one request, by the names of hintspb.QueryStats."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

DATA_TYPES = ("postings", "series", "chunks")

# The fields of hintspb.QueryStats, in its order; durations are nanoseconds.
HINT_NAMES = (
    "blocks_queried",
    "merged_series_count",
    "merged_chunks_count",
    "postings_touched",
    "postings_touched_size_sum",
    "postings_to_fetch",
    "postings_fetched",
    "postings_fetched_size_sum",
    "postings_fetch_count",
    "series_touched",
    "series_touched_size_sum",
    "series_fetched",
    "series_fetched_size_sum",
    "series_fetch_count",
    "chunks_touched",
    "chunks_touched_size_sum",
    "chunks_fetched",
    "chunks_fetched_size_sum",
    "chunks_fetch_count",
    "data_downloaded_size_sum",
    "get_all_duration",
    "merge_duration",
)
# What a fetch and a touch of a data type add to.
_FETCHED = {
    kind: (f"{kind}_fetched", f"{kind}_fetched_size_sum", f"{kind}_fetch_count", "data_downloaded_size_sum")
    for kind in DATA_TYPES
}
_TOUCHED = {kind: (f"{kind}_touched", f"{kind}_touched_size_sum", "data_downloaded_size_sum") for kind in DATA_TYPES}


class QueryStats:
    """Counts from several threads. *Fetched* came from the bucket, *touched* is what the answer really needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, float] = {}

    def add(self, **counts: float) -> None:
        """Adds to counters by name; names outside of ``HINT_NAMES`` are for metrics only."""
        self._add(counts.items())

    def fetched(self, data_type: str, items: int, size: int) -> None:
        """One read from the bucket that brought ``items`` of a data type in ``size`` bytes."""
        names = _FETCHED[data_type]
        self._add(zip(names, (items, size, 1, size), strict=True))

    def touched(self, data_type: str, items: int, size: int) -> None:
        self._add(zip(_TOUCHED[data_type], (items, size, size), strict=True))

    def get(self, name: str) -> float:
        with self._lock:
            return self._counts.get(name, 0)

    def counts(self) -> dict[str, float]:
        """All counts so far that are not zero, by name."""
        with self._lock:
            return dict(self._counts)

    def hints(self) -> Mapping[str, int]:
        """hintspb.QueryStats as integers; zeros left out."""
        with self._lock:
            return {name: int(self._counts[name]) for name in HINT_NAMES if self._counts.get(name)}

    def _add(self, counts: Iterable[tuple[str, float]]) -> None:
        held = self._counts
        with self._lock:
            for name, amount in counts:
                held[name] = held.get(name, 0) + amount


class Stopwatch:
    """Adds up the time that jobs took, in whichever threads they ran."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self.seconds = 0.0

    def running(self) -> _Lap:
        """A context whose time counts."""
        return _Lap(self)

    def now(self) -> float:
        return self._monotonic()

    def add(self, seconds: float) -> None:
        with self._lock:
            self.seconds += seconds


class _Lap:
    __slots__ = ("_begin", "_watch")

    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch

    def __enter__(self) -> None:
        self._begin = self._watch.now()

    def __exit__(self, *error: object) -> None:
        self._watch.add(self._watch.now() - self._begin)
