"""What holds for all queries of the API, and the parameters by which one query differs from them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from pythanos.context import RequestContext
from pythanos.errors import BadRequest
from pythanos.query.queryable import SelectOptions
from pythanos.web.api import params
from pythanos.web.messages import Args

POINTS_MAX = 11_000
ENGINES = ("prometheus", "thanos")
RESOLUTIONS_MS = (0, 300_000, 3_600_000)


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """What holds for all queries of this API unless a parameter says otherwise. Durations in ms."""

    timeout_ms: int = 120_000
    engine: str = "prometheus"
    lookback_ms: int = 300_000
    dynamic_lookback: bool = True
    default_step_ms: int = 1000
    replica_labels: tuple[str, ...] = ()
    deduplication: str = "penalty"
    partial_response: bool = True
    auto_downsampling: bool = False
    instant_max_resolution_ms: int = 0
    default_metadata_range_ms: int = 0


def range_step_ms(args: Args, start_ms: int, end_ms: int, settings: QuerySettings) -> int:
    """``step``, by default a 250th of the range but no less than the flag. Raises BadRequest for too many steps."""
    default_ms = max((end_ms - start_ms) // 250_000 * 1000, settings.default_step_ms)
    step_ns = params.named(args, "step", params.parse_duration_ns, default_ms * 1_000_000)
    if step_ns > 0 and (end_ms - start_ms) * 1_000_000 // step_ns > POINTS_MAX:
        raise BadRequest(
            "exceeded maximum resolution of 11,000 points per timeseries."
            " Try decreasing the query resolution (?step=XX)"
        )
    if step_ns < 1_000_000:
        raise BadRequest("zero or negative query resolution step widths are not accepted. Try a positive integer")
    return step_ns // 1_000_000


def select_options(args: Args, auto_ms: int, settings: QuerySettings) -> SelectOptions:
    """How the series of a query are fetched; ``auto_ms`` is what the resolution ``auto`` means."""
    return SelectOptions(
        dedup=params.named(args, "dedup", params.parse_bool, True),
        replica_labels=args.all("replicaLabels[]") or settings.replica_labels,
        deduplication=settings.deduplication,
        max_resolution_ms=params.max_resolution_ms(args, auto_ms, auto_downsampling=settings.auto_downsampling),
        partial_response=params.named(args, "partial_response", params.parse_bool, settings.partial_response),
        shard=params.shard_info(args),
    )


def lookback_ms(args: Args, max_resolution_ms: int, settings: QuerySettings) -> int:
    given = params.named(args, "lookback_delta", params.parse_duration_ns, 0) // 1_000_000
    return given if given > 0 else dynamic_lookback_ms(settings, max_resolution_ms)


def dynamic_lookback_ms(settings: QuerySettings, max_resolution_ms: int) -> int:
    """A lookback no shorter than the resolution that may be read: 5 minutes or an hour where the flag is smaller."""
    lookback = settings.lookback_ms
    if not settings.dynamic_lookback:
        return lookback
    chosen = lookback
    for finer, coarser in pairwise(RESOLUTIONS_MS):
        if max(finer, lookback) < max_resolution_ms:
            chosen = max(lookback, coarser)
    return chosen


def limit_time(ctx: RequestContext, args: Args, timeout_ms: int) -> None:
    """Sets the deadline: the daemon's, or the sooner one of the request."""
    seconds = timeout_ms / 1000
    given = args.get("timeout")
    if given:
        seconds = min(seconds, params.parse_duration_ns(given) / 1e9)
    ctx.deadline = ctx.monotonic() + seconds


def engine_name(args: Args, settings: QuerySettings) -> str:
    """The engine asked for. There is one here, which answers as the one of that name in Thanos. Raises BadRequest."""
    engine = args.get("engine") or settings.engine
    if engine not in ENGINES:
        raise BadRequest(f"'{engine}' bad engine")
    return engine


def explains(args: Args) -> bool:
    """Whether plans may be shown and measured: unless the request names the engine that cannot, in Thanos."""
    return args.get("engine") != "prometheus"


def wants_analysis(args: Args) -> bool:
    return args.get("analyze") in ("true", "1")


def wants_step_counts(args: Args) -> bool:
    """Whether statistics are to say how many samples were looked at for each step."""
    return args.get("stats") == "all"
