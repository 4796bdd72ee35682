"""What is scraped, and what discovery found and relabeling dropped."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class TargetState(enum.IntEnum):
    """Which targets are asked for; numbered as in the Targets API."""

    ANY = 0
    ACTIVE = 1
    DROPPED = 2


class TargetHealth(enum.IntEnum):
    """Numbered as in the Targets API."""

    DOWN = 0
    UP = 1
    UNKNOWN = 2


@dataclass(frozen=True, slots=True)
class ActiveTarget:
    """A target that is scraped. ``last_scrape_ns``: None before the first; ``last_scrape_seconds`` is its duration."""

    discovered_labels: Mapping[str, str]
    labels: Mapping[str, str]
    scrape_pool: str = ""
    scrape_url: str = ""
    global_url: str = ""
    last_error: str = ""
    last_scrape_ns: int | None = None
    last_scrape_seconds: float = 0.0
    health: TargetHealth = TargetHealth.UNKNOWN


@dataclass(frozen=True, slots=True)
class DroppedTarget:
    discovered_labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Targets:
    active: tuple[ActiveTarget, ...] = ()
    dropped: tuple[DroppedTarget, ...] = ()
