"""The functions of PromQL as data (``prometheus:promql/parser/functions.go``, 3.14), and the x functions of Thanos."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pythanos.promql.syntax.ast import Function, ValueType

_TYPES = {"V": ValueType.VECTOR, "M": ValueType.MATRIX, "S": ValueType.SCALAR, "T": ValueType.STRING}

# One line per signature: result, arguments (V instant vector, M range vector, S scalar, T string), how far the
# arguments vary, then the names; "!" marks an experimental one, "@" the version that has it first.
_TABLE = """
S -    0   pi@2.31 time start!@3.12 end!@3.12 step!@3.12 range!@3.12
V S    0   vector
S V    0   scalar
V V    0   abs absent acos@2.31 acosh@2.31 asin@2.31 asinh@2.31 atan@2.31 atanh@2.31 ceil cos@2.31 cosh@2.31 deg@2.31
V V    0   exp floor ln log10 log2 rad@2.31 sgn@2.26 sin@2.31 sinh@2.31 sort sort_desc sqrt tan@2.31 tanh@2.31
V V    0   histogram_avg@2.51 histogram_count@2.40 histogram_sum@2.40 histogram_stddev@2.47 histogram_stdvar@2.47
V V    0   timestamp start_timestamp!@3.14
V V    1   day_of_month day_of_week day_of_year@2.38 days_in_month hour minute month year
V VS   0   clamp_max clamp_min
V VS   1   round
V VSS  0   clamp@2.26
V SV   0   histogram_quantile
V SSV  0   histogram_fraction@2.40
V VTSS 9   histogram_quantiles!@3.11
V VTTTT 0  label_replace
V VTTT -1  label_join
V VT   -1  sort_by_label!@2.49 sort_by_label_desc!@2.49
V VV   1   info!@2.55
V M    0   absent_over_time avg_over_time changes count_over_time delta deriv first_over_time@3.7 idelta increase irate
V M    0   last_over_time@2.26 max_over_time min_over_time present_over_time@2.29 rate resets stddev_over_time
V M    0   stdvar_over_time sum_over_time mad_over_time!@2.49 ts_of_first_over_time!@3.7 ts_of_last_over_time!@3.5
V M    0   ts_of_max_over_time!@3.5 ts_of_min_over_time!@3.5
V MS   0   predict_linear
V MSS  0   double_exponential_smoothing!@3.0
V SM   0   quantile_over_time
S SS   0   max_of!@3.13 min_of!@3.13
"""
_X_TABLE = """
V M    0   xrate xincrease xdelta
"""


def _signatures(table: str) -> dict[str, Function]:
    found = {}
    for line in table.strip().splitlines():
        returns, args, variadic, *names = line.split()
        arg_types = () if args == "-" else tuple(_TYPES[letter] for letter in args)
        for entry in names:
            marked, _, since = entry.partition("@")
            name = marked.rstrip("!")
            found[name] = Function(name, arg_types, _TYPES[returns], int(variadic), marked != name, since or "2.0")
    return found


FUNCTIONS: Mapping[str, Function] = MappingProxyType(_signatures(_TABLE))
X_FUNCTIONS: Mapping[str, Function] = MappingProxyType(_signatures(_X_TABLE))

# Functions whose result depends on the time of evaluation even if all arguments are fixed by ``@``.
AT_UNSAFE_FUNCTIONS = frozenset(
    ("days_in_month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute", "month", "year", "timestamp")
) | {"end", "predict_linear", "range", "start", "step", "time"}
