"""Functions of range vectors, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pythanos._windows import Function


@dataclass(frozen=True, slots=True)
class RangeFunction:
    """How the windows kernel computes a function.

    ``keeps_name``: the result is a sample of the series, and keeps its metric name. ``counter``: meant for counters,
    so a metric whose name does not look like one is worth an info.
    """

    kernel: Function
    keeps_name: bool = False
    counter: bool = False


RANGE_FUNCTIONS: Mapping[str, RangeFunction] = MappingProxyType(
    {
        "rate": RangeFunction(Function.RATE, counter=True),
        "increase": RangeFunction(Function.INCREASE, counter=True),
        "delta": RangeFunction(Function.DELTA),
        "irate": RangeFunction(Function.IRATE),
        "idelta": RangeFunction(Function.IDELTA),
        "sum_over_time": RangeFunction(Function.SUM),
        "avg_over_time": RangeFunction(Function.AVG),
        "min_over_time": RangeFunction(Function.MIN),
        "max_over_time": RangeFunction(Function.MAX),
        "count_over_time": RangeFunction(Function.COUNT),
        "present_over_time": RangeFunction(Function.PRESENT),
        "absent_over_time": RangeFunction(Function.PRESENT),
        "first_over_time": RangeFunction(Function.FIRST, keeps_name=True),
        "last_over_time": RangeFunction(Function.LAST, keeps_name=True),
        "stddev_over_time": RangeFunction(Function.STDDEV),
        "stdvar_over_time": RangeFunction(Function.STDVAR),
        "quantile_over_time": RangeFunction(Function.QUANTILE),
        "mad_over_time": RangeFunction(Function.MAD),
        "changes": RangeFunction(Function.CHANGES),
        "resets": RangeFunction(Function.RESETS),
        "deriv": RangeFunction(Function.DERIV),
        "predict_linear": RangeFunction(Function.PREDICT_LINEAR),
        "double_exponential_smoothing": RangeFunction(Function.SMOOTH),
        "ts_of_first_over_time": RangeFunction(Function.TS_OF_FIRST),
        "ts_of_last_over_time": RangeFunction(Function.TS_OF_LAST),
        "ts_of_min_over_time": RangeFunction(Function.TS_OF_MIN),
        "ts_of_max_over_time": RangeFunction(Function.TS_OF_MAX),
    }
)
