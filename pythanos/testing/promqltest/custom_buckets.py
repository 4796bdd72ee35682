"""Classic histograms of a script as native ones with custom buckets (``prometheus:util/convertnhcb``)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from pythanos.model.histogram import CUSTOM_BUCKETS_SCHEMA
from pythanos.testing.promqltest.histograms import Histogram
from pythanos.testing.promqltest.notation import Item, LabelSet

_SUFFIXES = ("_bucket", "_count", "_sum")


@dataclass(slots=True)
class _Classic:
    """What the series of one classic histogram say at one time."""

    buckets: dict[float, float] = field(default_factory=dict)
    count: float | None = None
    sum: float = 0.0

    def histogram(self) -> Histogram:
        """Raises ValueError where the buckets are not those of a histogram."""
        ordered = sorted(self.buckets.items())
        if any(count < 0 for _, count in ordered) or any(a > b for (_, a), (_, b) in pairwise(ordered)):
            raise ValueError(f"count is not cumulative: {ordered}")
        count = self.count if self.count is not None else ordered[-1][1] if ordered else 0.0
        if not ordered or ordered[-1][0] != math.inf:
            ordered.append((math.inf, count))
        if ordered[-1][1] != count:
            raise ValueError(f"count mismatch: count={count} != le=+Inf count={ordered[-1][1]}")
        positive, below = {}, 0.0
        for number, (_, cumulative) in enumerate(ordered):
            if cumulative != below:
                positive[number] = cumulative - below
            below = cumulative
        bounds = tuple(bound for bound, _ in ordered[:-1])
        return Histogram(CUSTOM_BUCKETS_SCHEMA, count, self.sum, bounds=bounds, positive=positive)


def with_custom_buckets(series: Iterable[tuple[LabelSet, list[Item]]]) -> list[tuple[LabelSet, list[Item]]]:
    """The native series of the classic histograms among ``series``: without suffix and ``le``. Raises ValueError."""
    found: dict[LabelSet, dict[int, _Classic]] = {}
    for labels, items in series:
        names = dict(labels)
        name = names.get("__name__", "")
        suffix = next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), "")
        bound = _bound(names) if suffix == "_bucket" else 0.0
        if not suffix or bound is None:
            continue
        names["__name__"] = name.removesuffix(suffix)
        names.pop("le", None)
        rows = found.setdefault(tuple(sorted(names.items())), {})
        for number, item in enumerate(items):
            if isinstance(item, float):
                _note(rows.setdefault(number, _Classic()), suffix, bound, item)
    return [(labels, _items(rows)) for labels, rows in found.items()]


def _bound(names: dict[str, str]) -> float | None:
    """The ``le`` of a bucket, or None for one that is no number."""
    try:
        bound = float(names["le"])
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def _note(classic: _Classic, suffix: str, bound: float, value: float) -> None:
    if suffix == "_bucket":
        classic.buckets.setdefault(bound, value)
    elif suffix == "_count":
        classic.count = value
    else:
        classic.sum = value


def _items(rows: dict[int, _Classic]) -> list[Item]:
    return [rows[number].histogram() if number in rows else None for number in range(max(rows, default=-1) + 1)]
