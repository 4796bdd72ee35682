"""Rule groups with their rules, and the alerts that are pending or firing."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class RuleType(enum.IntEnum):
    """Which rules are asked for; numbered as in the Rules API."""

    ALL = 0
    ALERT = 1
    RECORD = 2


class AlertState(enum.IntEnum):
    """Numbered as in the Rules API; a larger one is more severe."""

    UNKNOWN = 0
    INACTIVE = 1
    PENDING = 2
    FIRING = 3


@dataclass(frozen=True, slots=True)
class Alert:
    """One instance of an alerting rule. ``abort`` is the partial response strategy of the rule that made it."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: AlertState
    value: str = ""
    active_at_ns: int | None = None
    abort: bool = False


@dataclass(frozen=True, slots=True)
class AlertingRule:
    """``for_seconds`` is how long its condition must hold; ``state`` the most severe of its alerts."""

    name: str
    query: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()
    state: AlertState = AlertState.INACTIVE
    for_seconds: float = 0.0
    keep_firing_seconds: float = 0.0
    health: str = ""
    last_error: str = ""
    evaluation_seconds: float = 0.0
    last_evaluation_ns: int | None = None


@dataclass(frozen=True, slots=True)
class RecordingRule:
    name: str
    query: str
    labels: Mapping[str, str]
    health: str = ""
    last_error: str = ""
    evaluation_seconds: float = 0.0
    last_evaluation_ns: int | None = None


Rule = AlertingRule | RecordingRule


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that are evaluated together, every ``interval_seconds``. ``file`` and ``name`` are its identity."""

    name: str
    file: str
    rules: tuple[Rule, ...]
    interval_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    last_evaluation_ns: int | None = None
    limit: int = 0
    abort: bool = False


@dataclass(frozen=True, slots=True)
class RulesRequest:
    """Empty tuples choose everything. ``matchers``: texts of selectors, of which all must match a rule's labels."""

    type: RuleType = RuleType.ALL
    matchers: tuple[str, ...] = ()
    rule_names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
