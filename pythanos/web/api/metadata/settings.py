"""What holds for all questions of this family, and the printing that they share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pythanos.web.api import params
from pythanos.web.messages import Args

NS = 1_000_000_000
# What Go prints for a time that never was.
NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class MetadataSettings:
    """Whether an answer may lack what an endpoint did not say, for each question; and who is one with whom.

    tenant_label: where tenants are kept apart, the label that tells them; "" elsewhere.
    """

    timeout_ms: int = 120_000
    replica_labels: tuple[str, ...] = ()
    metadata_partial_response: bool = True
    targets_partial_response: bool = True
    rules_partial_response: bool = True
    exemplars_partial_response: bool = True
    status_partial_response: bool = True
    tenant_label: str = ""


def aborts(args: Args, default: bool) -> bool:
    """Whether a failing endpoint fails the request: the opposite of ``partial_response``."""
    return not params.named(args, "partial_response", params.parse_bool, default)


def shown_time(time_ns: int | None) -> str:
    """RFC 3339 with as many digits as there are, as Go prints it."""
    if time_ns is None:
        return NEVER
    seconds, nanos = divmod(time_ns, NS)
    try:
        moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return NEVER
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    return f"{moment}{fraction}Z"


def shown_labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: labels[name] for name in sorted(labels)}


def shown_number(value: float) -> float:
    """A number that JSON has: 0 for what it has not."""
    return value if math.isfinite(value) else 0.0
