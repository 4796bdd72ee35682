"""Exemplars: single observations, with labels such as a trace ID, beside a series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exemplar:
    labels: Mapping[str, str]
    value: float
    time_ms: int


@dataclass(frozen=True, slots=True)
class SeriesExemplars:
    """The exemplars of one series."""

    labels: Mapping[str, str]
    exemplars: tuple[Exemplar, ...]


@dataclass(frozen=True, slots=True)
class ExemplarsRequest:
    """Of the series that the selectors of ``query`` choose, in ``[start_ms, end_ms]``."""

    query: str
    start_ms: int
    end_ms: int
