"""What a selector needs of downsampled data: which aggregate its function reads, how coarse a resolution it bears."""

from __future__ import annotations

from pythanos._dedup import AVERAGE
from pythanos.model.resolution import COUNT, COUNTER, MAX, MIN, SUM

COUNTER_FUNCTIONS = frozenset({"increase", "rate", "irate", "resets", "xincrease", "xrate"})

# They say nothing about one sample, so a window must hold two.
TWO_SAMPLE_FUNCTIONS = frozenset(
    {
        "rate",
        "irate",
        "increase",
        "delta",
        "idelta",
        "deriv",
        "predict_linear",
        "holt_winters",
        "double_exponential_smoothing",
    }
)

# Over windows that begin and end where those of the downsampled data do, they give what they give over raw samples.
EXACT_RANGE_FUNCTIONS = frozenset(
    {
        "min_over_time",
        "max_over_time",
        "sum_over_time",
        "count_over_time",
        "present_over_time",
        "absent_over_time",
        "rate",
        "increase",
        "xrate",
        "xincrease",
    }
)


def aggregate_for(func: str) -> int:
    """The kind of ``model.resolution``, or AVERAGE, that the function directly around a selector reads.

    ``sum`` is not here, since adding up series wants their values, nor is ``count_values``, for the same reason.
    """
    if func == "min" or func.startswith("min_"):
        return MIN
    if func == "max" or func.startswith("max_"):
        return MAX
    if func in ("count", "count_over_time"):
        return COUNT
    if func.startswith("sum_"):
        return SUM
    if func in COUNTER_FUNCTIONS:
        return COUNTER
    return AVERAGE


def doubt_about(func: str, range_ms: int) -> str:
    """What to say where the function of a range selector has met downsampled data; "" where it is exact on it."""
    if range_ms <= 0 or not func or func in EXACT_RANGE_FUNCTIONS:
        return ""
    given = "counter values" if aggregate_for(func) == COUNTER else "averages"
    return (
        f"PromQL info: {func} is not exact on downsampled data, of which it reads {given};"
        " max_source_resolution=0s reads raw data"
    )


def requested_aggregates(aggregate: int) -> tuple[int, ...]:
    """What a store is asked for so that ``aggregate`` can be computed."""
    return (COUNT, SUM) if aggregate == AVERAGE else (aggregate,)


def max_resolution_for(func: str, range_ms: int, max_resolution_ms: int) -> int:
    """The coarsest resolution in ms under which every window of the function still holds two samples."""
    if range_ms > 0 and func in TWO_SAMPLE_FUNCTIONS:
        return min(max_resolution_ms, range_ms // 2)
    return max_resolution_ms
