"""The expressions that are asked of two servers: templates times parameters, over the metrics of ``real.plant``.

Each is asked as an instant query and as a range query; ``REFUSED`` holds what must be refused alike. first_over_time
and ts_of_first_over_time are not here: Prometheus has them since 3.7.
"""

from collections.abc import Iterator
from itertools import product

COUNTERS = ('requests_total{job="api"}', "cpu_seconds_total", "imported_total", "latency_seconds_bucket")
GAUGES = ("memory_bytes", 'queue_length{job!="db"}', "odd", "temperature_celsius")
COUNTER_FUNCTIONS = ("rate", "increase", "irate", "resets", "changes")
GAUGE_FUNCTIONS = (
    *("delta", "idelta", "deriv", "changes", "avg_over_time", "min_over_time", "max_over_time", "sum_over_time"),
    *("count_over_time", "last_over_time", "present_over_time", "stddev_over_time", "stdvar_over_time"),
    *("mad_over_time", "ts_of_min_over_time", "ts_of_max_over_time", "ts_of_last_over_time"),
)
WINDOWS = ("1m", "5m", "31m")
MATH = (
    *("abs", "ceil", "exp", "floor", "ln", "log10", "log2", "sgn", "sqrt", "acos", "acosh", "asin", "asinh", "atan"),
    *("atanh", "cos", "cosh", "sin", "sinh", "tan", "tanh", "deg", "rad", "round"),
)
DATES = ("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year")
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")
GROUPINGS = ("", "by (job) ", "without (instance, code) ", "by (job, nothing) ", "by () ", "without () ")
ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
SETS = ("and", "or", "unless")


def expressions() -> list[str]:
    """All of them, each once."""
    makers = (selectors, range_functions, functions, aggregations, operators, buckets, subqueries, combinations)
    return list(dict.fromkeys(text for maker in makers for text in maker()))


def selectors() -> Iterator[str]:
    yield from COUNTERS + GAUGES
    yield from (
        '{__name__=~"up|limit"}',
        '{job="db",__name__!~".*_bucket"}',
        'requests_total{code=~"[45]..",method!="GET"}',
        'requests_total{code!~"2.*"}',
        'requests_total{nothing=""}',
        'requests_total{nothing!=""}',
        'up{instance=~"api-.:80|web-0:80"}',
        'up{instance=~"(?i)API-0.*"}',
        'up{instance=~""}',
        '{"up", job="web"}',
        "escapes",
        'escapes{path=~"(?s).*世界"}',
        'escapes{path="quote \\" backslash \\\\ newline \\n ünïcode 世界"}',
        "absent_metric",
    )
    for offset in ("1m", "7m13s", "1h", "-10m", "3h"):
        yield f"queue_length offset {offset}"
        yield f"rate(requests_total[5m] offset {offset})"
    for at in ("1700010000", "1700015000.5", "start()", "end()"):
        yield f"memory_bytes @ {at}"
        yield f"rate(cpu_seconds_total[10m] @ {at} offset 5m)"
        yield f"sum(queue_length @ {at}) + queue_length"


def range_functions() -> Iterator[str]:
    yield from (f"{f}({m}[{w}])" for f, m, w in product(COUNTER_FUNCTIONS, COUNTERS, WINDOWS))
    yield from (f"{f}({m}[{w}])" for f, m, w in product(GAUGE_FUNCTIONS, GAUGES, WINDOWS[1:]))
    yield from (f"{f}({m}[15s])" for f, m in product(("rate", "delta", "count_over_time"), ("queue_length", "odd")))
    for metric, window in product(GAUGES, WINDOWS[1:]):
        yield f"predict_linear({metric}[{window}], 600)"
        yield f"double_exponential_smoothing({metric}[{window}], 0.3, 0.7)"
        yield from (f"quantile_over_time({q}, {metric}[{window}])" for q in ("0.5", "0.93", "0", "1", "-1", "2", "NaN"))
    yield from (f"absent_over_time({s}[5m])" for s in ("up", 'nothing{a="b",c=~"d"}', 'odd{kind="once"}'))
    yield 'quantile_over_time(scalar(limit{job="db"}) / 300, queue_length[10m])'
    yield "rate(nothing[5m])"


def functions() -> Iterator[str]:
    yield from (f"{f}({m})" for f, m in product(MATH, ("odd", "temperature_celsius", "queue_length / 7")))
    yield from (f"{f}({m})" for f, m in product(DATES, ("start_time_seconds", "memory_bytes * 10")))
    yield from (f"{f}()" for f in DATES)
    yield from (f"round(temperature_celsius, {to})" for to in ("0.5", "5", "-2", "0", "0.3"))
    yield from (f"{call}" for call in ("clamp(odd, -1, 2)", "clamp(odd, 3, 1)", "clamp_min(odd, NaN)"))
    yield from ("clamp_min(odd, 0)", "clamp_max(odd, 0)", "clamp_max(temperature_celsius, scalar(limit))")
    yield from (
        "time()",
        "pi()",
        "vector(time())",
        "vector(1) + 1",
        "scalar(up)",
        'scalar(limit{job="web"})',
        "-time()",
    )
    yield from ("timestamp(memory_bytes)", "timestamp(memory_bytes offset 1m)", "timestamp(abs(up))", "timestamp(odd)")
    yield from ("absent(up)", 'absent(nothing{job="x",y!="z"})', "absent(up > 10)", 'absent(odd{kind="once"})')
    yield from (
        "sort(queue_length)",
        "sort_desc(odd)",
        'sort_by_label(up, "instance")',
        'sort_by_label_desc(up, "job")',
    )
    yield 'label_replace(up, "host", "$1", "instance", "(.*):(.*)")'
    yield 'label_replace(up, "host", "h-${2}-$1", "instance", "(?P<n>.*):(.*)")'
    yield 'label_replace(up, "instance", "", "job", "db")'
    yield 'label_replace(up, "new", "fixed", "nothing", "")'
    yield 'label_replace(up, "new", "x", "job", "a")'
    yield 'label_join(up, "both", "/", "job", "instance", "nothing")'
    yield 'label_join(up, "instance", "-")'
    yield "-odd"
    yield "+queue_length"
    yield "-(1 + 2) ^ 2"
    yield '"a string"'


def aggregations() -> Iterator[str]:
    yield from (f"{a} {g}(requests_total)" for a, g in product(AGGREGATIONS, GROUPINGS))
    yield from (
        f"{a}({m})" for a, m in product(AGGREGATIONS, ("odd", 'odd{kind!="nan"}', 'odd{kind="huge"}', "nothing"))
    )
    yield from (f"sum by (job) ({f}(cpu_seconds_total[5m]))" for f in ("rate", "irate", "increase"))
    # Which of equal values is kept is nowhere said, so these differ.
    for rank, k in product(("topk", "bottomk"), ("1", "3", "100", "0", "-1", "2.9")):
        yield f"{rank}({k}, cpu_seconds_total)"
        yield f"{rank} by (job) ({k}, memory_bytes)"
    yield 'topk(3, odd{kind!~".*nan"})'
    yield 'bottomk(9, odd{kind!~".*nan|flapping"})'
    yield "topk(scalar(vector(2.5)), memory_bytes)"
    yield from (f"quantile({q}, memory_bytes)" for q in ("0", "0.25", "0.5", "0.99", "1", "-0.1", "1.1", "NaN"))
    yield "quantile by (job) (0.7, odd or temperature_celsius)"
    yield 'count_values("value", queue_length)'
    yield 'count_values by (job) ("queue", queue_length)'
    yield 'count_values("job", up)'
    yield 'count_values("value", odd)'
    yield "sum by (le) (rate(latency_seconds_bucket[5m]))"
    yield "limitk(2, up)"
    yield "limitk by (job) (1, up)"


def operators() -> Iterator[str]:
    for operator in ARITHMETIC:
        yield f"odd {operator} 2"
        yield f"-3 {operator} odd"
        yield f"7 {operator} -2.5"
        yield f"memory_bytes {operator} on (job, instance) queue_length"
        yield f"requests_total {operator} on (job) group_left () limit"
        yield f"limit {operator} on (job) group_right () up"
    for operator in COMPARISONS:
        yield f"odd {operator} 1.5"
        yield f"0 {operator} temperature_celsius"
        yield f"odd {operator} bool 0"
        yield f"1 {operator} bool 2"
        yield f"queue_length {operator} ignoring (nothing) temperature_celsius"
        yield f"queue_length {operator} bool temperature_celsius"
        yield f"requests_total {operator} on (job) group_left () limit"
    for operator in SETS:
        yield f"up {operator} queue_length"
        yield f"up {operator} on (job) limit > 200"
        yield f'up {operator} ignoring (instance) limit{{job="db"}}'
        yield f"odd {operator} on () vector(1)"
        yield f'requests_total{{code="500"}} {operator} requests_total{{method="GET"}}'
    yield 'requests_total{code="500"} / ignoring (code) requests_total{code="200"}'
    yield "requests_total / ignoring (code, method) group_left () memory_bytes"
    yield 'up * on (job, instance) group_left (mode) cpu_seconds_total{mode="user"}'
    yield "limit / on (job) group_right (nothing) up"
    yield "1 + 2 * 3 ^ 2 ^ 0.5 - 4 % 3 / 2"
    yield "2 ^ 3 ^ 2"
    yield "queue_length + memory_bytes / 2 > 1e8 and up == 1 or temperature_celsius"
    yield "1 / 0"
    yield "0 / 0"
    yield "Inf - Inf"
    yield "0x1f + 1_000 + 1e3 + .5"
    yield "5m + 1"


def buckets() -> Iterator[str]:
    for quantile in ("0.5", "0.9", "0.99", "0", "1", "-0.5", "1.5", "NaN"):
        yield f"histogram_quantile({quantile}, rate(latency_seconds_bucket[5m]))"
        yield f"histogram_quantile({quantile}, sum by (le, job) (rate(latency_seconds_bucket[10m])))"
        yield f"histogram_quantile({quantile}, torn_bucket)"
    yield "histogram_quantile(0.9, latency_seconds_bucket)"
    yield "histogram_quantile(0.9, memory_bytes)"
    yield 'histogram_quantile(0.9, latency_seconds_bucket{le!="+Inf"})'
    yield "histogram_quantile(0.5, sum by (job, le) (latency_seconds_bucket offset 1m))"
    yield "histogram_quantile(scalar(up), latency_seconds_bucket)"
    yield from (
        f"histogram_fraction({low}, {high}, latency_seconds_bucket)" for low, high in (("0", "0.1"), ("0.2", "3"))
    )
    yield "rate(latency_seconds_sum[5m]) / rate(latency_seconds_count[5m])"


def subqueries() -> Iterator[str]:
    for outer, step in product(("max_over_time", "avg_over_time", "rate", "count_over_time"), ("1m", "47s", "")):
        yield f"{outer}(queue_length[20m:{step}])"
        yield f"{outer}(rate(requests_total[5m])[30m:{step}])"
    yield "max_over_time(sum(queue_length)[10m:30s] offset 5m)"
    yield "sum_over_time((up == 1)[15m:1m] @ 1700015000)"
    yield "min_over_time(rate(cpu_seconds_total[2m])[10m:1m])"
    yield "deriv(max_over_time(queue_length[5m])[20m:2m])"
    yield "max_over_time(avg_over_time(temperature_celsius[10m:1m])[30m:5m])"
    yield "quantile_over_time(0.9, memory_bytes[17m:13s])"
    yield "last_over_time(vector(time())[5m:1m])"
    yield "changes(up[1h:30s])"
    yield "absent_over_time(nothing[10m:1m])"


def combinations() -> Iterator[str]:
    yield 'sum(rate(requests_total{code=~"5.."}[5m])) / sum(rate(requests_total[5m]))'
    yield 'sum by (job) (rate(requests_total{code="500"}[10m])) / on (job) sum by (job) (rate(requests_total[10m])) > 0'
    yield "avg without (instance) (memory_bytes) / on (job) group_left () limit"
    yield "topk(2, sum by (job, instance) (rate(requests_total[5m])))"
    yield "count(up == 0) or vector(0)"
    yield "(memory_bytes - memory_bytes offset 30m) / 1e6"
    yield "sum(up) by (job) / count(up) by (job)"
    yield "max by (job) (max_over_time(queue_length[10m])) - min by (job) (min_over_time(queue_length[10m]))"
    yield "predict_linear(memory_bytes[30m], 3600) < 3e8"
    yield 'label_replace(sum by (instance) (up), "port", "$1", "instance", ".*:(.*)") * 2'
    yield "time() - start_time_seconds"
    mean = "avg by (job, instance) (rate(requests_total[5m]))"
    yield f"rate(requests_total[5m]) > on (job, instance) group_left () ({mean} * 1.2)"
    yield "sum(rate(imported_total[5m])) by (site)"
    yield "stddev(imported_level) or imported_level"
    yield "# a comment\nup"


# What 3.5 answers otherwise, by expression, with the reason.
EXCEPTIONS = {
    **dict.fromkeys(
        ("mad_over_time(odd[5m])", "mad_over_time(odd[31m])"),
        "3.5 sorts NaN samples first and takes the median with them; 3.14 says NaN, as we do",
    ),
    "histogram_fraction(0, 0.1, latency_seconds_bucket)": (
        "3.5 says NaN where the first bucket, from 0 up, is entered at exactly 0; 3.14 answers as we do"
    ),
}

REFUSED = (
    "",
    "up{",
    "up{job=}",
    "sum(",
    "rate(up)",
    "up[5m",
    "rate(up[0s])",
    "{}",
    '{job=~".*"}',
    'up{job=~"("}',
    "nofunction(up)",
    "sum by job (up)",
    "up + ",
    "1 and 2",
    "up == bool",
    "1 == 2",
    "topk(up)",
    "topk(up, up)",
    "clamp(up, 1)",
    "up offset",
    "up offset abc",
    "up @ nothing",
    "rate(up[5m])[5m:",
    'label_replace(up, "a-b\\xff", "x", "job", ".*")',
    'label_replace(up, "x", "$1", "job", "(")',
    'count_values("", up)',
    "requests_total + on (job) up",
    "requests_total / on (job) group_left () requests_total",
    "up * on (job) group_left () requests_total",
    'label_replace(requests_total, "code", "", "", "")',
    '"unterminated',
    "up[5m] offset 1m offset 2m",
    "sum(up, up)",
    "time(up)",
    "up and on (job) group_left () up",
    '-"x"',
    '1 + "x"',
)
