"""What metrics are: type, help and unit as their exporters say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NO_LIMIT = -1


@dataclass(frozen=True, slots=True)
class Metadata:
    """``type`` is ``counter``, ``gauge``, ``histogram`` ...; exporters may disagree, so a metric can have several."""

    type: str
    help: str
    unit: str


MetadataByMetric = Mapping[str, tuple[Metadata, ...]]


@dataclass(frozen=True, slots=True)
class MetadataRequest:
    """Of one metric, or "" for all; at most ``limit`` metrics, none for 0, all below."""

    metric: str = ""
    limit: int = NO_LIMIT
