"""Random queries of the plant: type-correct, and most of them with an answer.

Unlike the grammar of the parser's tests this one knows the plant's metrics and labels, and which arguments make sense;
about one in ten still asks for something that is refused, so that refusals are compared as well.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from real.plant import START_MS

from pythanos.promql.syntax.ast import Function, ValueType
from pythanos.promql.syntax.signatures import FUNCTIONS

_START = START_MS // 1000


@dataclass(frozen=True)
class Metric:
    """A metric name, and for each label the matchers that make sense. ``weight``: how often it is drawn."""

    name: str
    matchers: dict[str, Sequence[str]]
    weight: int = 4


_TARGET = {
    "job": ('="api"', '="web"', '!="db"', '=~"api|db"', '!~"w.*"'),
    "instance": ('="api-0:80"', '=~".*-1:80"', '!="web-2:80"'),
}
_CODE = {"code": ('="200"', '=~"5.."', '!="404"'), "method": ('="GET"', '!~"P.*"')}
METRICS = (
    Metric("requests_total", {**_TARGET, **_CODE}, 8),
    Metric("cpu_seconds_total", {**_TARGET, "mode": ('="user"', '=~"sys.*"')}, 8),
    Metric("memory_bytes", _TARGET),
    Metric("temperature_celsius", _TARGET),
    Metric("queue_length", _TARGET, 8),
    Metric("up", _TARGET, 6),
    Metric("start_time_seconds", _TARGET, 2),
    Metric("limit", {"job": _TARGET["job"]}, 2),
    Metric("latency_seconds_bucket", {**_TARGET, "le": ('="0.1"', '=~"0.*"', '!="+Inf"')}, 2),
    Metric("latency_seconds_sum", _TARGET, 2),
    Metric("latency_seconds_count", _TARGET, 2),
    Metric("odd", {"kind": ('="mixed"', '=~"some.*|every.*"', '!="huge"')}, 3),
    Metric("torn_bucket", {"le": ('="1"',)}, 1),
    Metric("imported_total", {"site": ('="s0"',), "unit": ('!="u3"',)}, 1),
    Metric("imported_level", {"site": ('="s0"',)}, 1),
    Metric("nothing", {"job": ('="api"',)}, 1),
)
HISTOGRAMS = (
    Metric("native_seconds", {"job": _TARGET["job"], "instance": _TARGET["instance"]}, 8),
    Metric("native_level", {"job": _TARGET["job"]}, 3),
    Metric("native_custom", {"job": _TARGET["job"]}, 3),
    Metric("native_mixed", {"kind": ('="a"',)}, 2),
)

_PLAIN = ("sum", "sum", "sum", "avg", "avg", "count", "min", "max", "group", "stddev", "stdvar")
_ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
_COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
_SETS = ("and", "or", "unless")
_NUMBERS = ("0", "1", "2", "-1", "0.5", "100", "1e3", "3.25", "1e-3", "Inf", "-Inf", "NaN", "0x1F")
_QUANTILES = ("0", "0.5", "0.9", "0.99", "1", "0.25", "0.75", "-0.5", "1.5", "NaN")
_RANGES = ("1m", "2m", "5m", "5m", "7m30s", "10m", "31m", "1h", "15s", "90s", "47s")
_OFFSETS = ("1m", "5m", "17m", "1h", "-5m", "-1m", "3m20s")
_LABELS = ("job", "instance", "code", "method", "mode", "kind", "le", "site")
_DEFAULTS = {
    "clamp_max": _NUMBERS,
    "clamp_min": _NUMBERS,
    "clamp": _NUMBERS,
    "round": ("1", "0.1", "5", "100", "0.25", "-3"),
    "histogram_quantile": _QUANTILES,
    "quantile_over_time": _QUANTILES,
    "histogram_fraction": ("0", "0.1", "0.25", "1", "2.5", "-1", "Inf"),
    "predict_linear": ("60", "3600", "-600", "0"),
    "double_exponential_smoothing": ("0.1", "0.5", "0.9", "0.01"),
}
# info() wants metrics of its own; the others are for duration expressions or are behind other flags.
_NOT_DRAWN = ("info", "start", "end", "step", "range", "max_of", "min_of", "start_timestamp")
_BUCKETS = ("histogram_quantile", "histogram_fraction", "histogram_quantiles")


def known_functions(version: tuple[int, int]) -> list[Function]:
    """The functions that a Prometheus of that version has, experimental ones included."""
    return [
        function
        for function in FUNCTIONS.values()
        if tuple(int(part) for part in function.since.split(".")) <= version and function.name not in _NOT_DRAWN
    ]


class RandomQueries:
    """Draws queries from a seed; the same seed gives the same queries."""

    def __init__(
        self, seed: int, functions: Collection[Function], metrics: Sequence[Metric] = (*METRICS, *HISTOGRAMS)
    ) -> None:
        self.chance = random.Random(seed)
        self.pick = self.chance.choice
        self.metrics = [metric for metric in metrics for _ in range(metric.weight)]
        self.of_type = {
            wanted: [
                function
                for function in functions
                if function.returns is wanted and function.name not in ("vector", "scalar", "time", "pi", *_BUCKETS)
            ]
            for wanted in (ValueType.VECTOR, ValueType.SCALAR)
        }
        self.range_functions = [f for f in self.of_type[ValueType.VECTOR] if ValueType.MATRIX in f.arg_types]
        self.vector_functions = [f for f in self.of_type[ValueType.VECTOR] if ValueType.MATRIX not in f.arg_types]

    def query(self) -> str:
        """A query that gives a vector, or (rarely) a scalar."""
        return self.scalar(2) if self.roll(0.02) else self.vector(self.pick((1, 2, 2, 3, 3, 4)))

    def roll(self, share: float) -> bool:
        return self.chance.random() < share

    def vector(self, depth: int) -> str:
        if depth <= 0:
            return self.selector(self.pick(self.metrics)) + self.modifiers()
        kinds = (self.range_call, self.vector_call, self.aggregation, self.binary, self.buckets, self.small)
        make = self.chance.choices(kinds, (30, 13, 25, 22, 5, 5))[0]
        return make(depth)

    def small(self, depth: int) -> str:
        """The odds and ends: minus, parentheses, vector of a scalar."""
        return self.pick(
            (f"-{self.operand(depth)}", f"({self.vector(depth - 1)})", f"vector({self.scalar(depth - 1)})")
        )

    def operand(self, depth: int) -> str:
        """A vector as the operand of an operator."""
        text = self.vector(depth - 1)
        return text if text.isidentifier() else f"({text})"

    def selector(self, metric: Metric) -> str:
        chosen = [label for label in metric.matchers if self.roll(0.25)]
        body = ", ".join(label + self.pick(metric.matchers[label]) for label in chosen)
        return f"{metric.name}{{{body}}}" if body else metric.name

    def modifiers(self) -> str:
        made = []
        if self.roll(0.12):
            made.append(f" offset {self.pick(_OFFSETS)}")
        if self.roll(0.08):
            made.append(f" @ {self.pick(('start()', 'end()', str(_START + 7000), f'{_START + 5400}.25'))}")
        self.chance.shuffle(made)
        return "".join(made)

    def matrix(self, depth: int) -> str:
        if depth > 1 and self.roll(0.2):
            step = self.pick(("", "1m", "30s", "2m", "47s"))
            return f"{self.operand(depth)}[{self.pick(('5m', '10m', '31m'))}:{step}]{self.modifiers()}"
        return f"{self.selector(self.pick(self.metrics))}[{self.pick(_RANGES)}]{self.modifiers()}"

    def range_call(self, depth: int) -> str:
        usual = [f for f in self.range_functions if f.name in ("rate", "increase", "irate", "delta")]
        return self.call(self.pick(usual if self.roll(0.35) else self.range_functions), depth)

    def vector_call(self, depth: int) -> str:
        return self.call(self.pick(self.vector_functions), depth)

    def call(self, function: Function, depth: int) -> str:
        name = function.name
        if name == "label_replace":
            target, source = self.pick((*_LABELS, "new")), self.pick(_LABELS)
            pattern = self.pick(('"(.*)"', '"(.).*"', '".*-(\\\\d).*"', '""', '"api"'))
            replacement = self.pick(("$1", "x", "", "$1-y"))
            return f'label_replace({self.vector(depth - 1)}, "{target}", "{replacement}", "{source}", {pattern})'
        if name == "label_join":
            sources = ", ".join(f'"{label}"' for label in self.chance.sample(_LABELS, 2))
            return f'label_join({self.vector(depth - 1)}, "{self.pick((*_LABELS, "new"))}", "-", {sources})'
        if name.startswith("sort_by_label"):
            return f'{name}({self.vector(depth - 1)}, "{self.pick(_LABELS)}")'
        types = function.arg_types
        if function.variadic == 1 and self.roll(0.3):
            types = types[:-1]
        arguments = []
        for wanted in types:
            if wanted is ValueType.MATRIX:
                arguments.append(self.matrix(depth))
            elif wanted is ValueType.SCALAR:
                arguments.append(self.pick(_DEFAULTS[name]) if self.roll(0.9) else self.scalar(depth - 1))
            else:
                arguments.append(self.vector(depth - 1))
        return f"{name}({', '.join(arguments)})"

    def buckets(self, depth: int) -> str:
        """Quantiles and fractions of classic buckets and of native histograms."""
        inner = self.pick(
            (
                f"rate(latency_seconds_bucket[{self.pick(_RANGES)}])",
                f"sum by ({self.pick(('le', 'le, job', 'job, le, instance'))}) (rate(latency_seconds_bucket[5m]))",
                "latency_seconds_bucket",
                "torn_bucket",
                self.vector(depth - 1),
            )
        )
        if self.roll(0.6):
            return f"histogram_quantile({self.pick(_QUANTILES)}, {inner})"
        lower, upper = self.pick(_DEFAULTS["histogram_fraction"]), self.pick(_DEFAULTS["histogram_fraction"])
        return f"histogram_fraction({lower}, {upper}, {inner})"

    def grouping(self) -> str:
        return ", ".join(self.chance.sample(_LABELS, self.pick((0, 1, 1, 2))))

    def aggregation(self, depth: int) -> str:
        inner, clause = self.vector(depth - 1), ""
        if self.roll(0.7):
            clause = f"{self.pick(('by', 'by', 'without'))} ({self.grouping()}) "
        roll = self.chance.random()
        if roll < 0.75:
            return f"{self.pick(_PLAIN)} {clause}({inner})"
        if roll < 0.85:
            # Equal values: the first ones stay, and only these operands have their series in a known order.
            metric = self.pick(self.metrics)
            inner = self.pick((self.selector(metric), f"rate({self.selector(metric)}[{self.pick(_RANGES)}])"))
            return f"{self.pick(('topk', 'bottomk'))} {clause}({self.pick(('1', '2', '3', '5', '0', '-1'))}, {inner})"
        if roll < 0.95:
            return f"quantile {clause}({self.pick(_QUANTILES)}, {inner})"
        return f'count_values {clause}("value", {inner})'

    def binary(self, depth: int) -> str:
        roll = self.chance.random()
        if roll < 0.4:
            return self.with_scalar(depth)
        if roll < 0.55:
            return f"{self.operand(depth)} {self.pick(_SETS)}{self.matching(group=False)} {self.operand(depth)}"
        operator = self.operator()
        if roll < 0.75:
            metric = self.pick(self.metrics)
            left, right = self.selector(metric), self.selector(metric)
            return f"{left}{self.modifiers()} {operator} {right}{self.modifiers()}"
        if roll < 0.9:
            label = self.pick(("job", "job", "instance"))
            one = f"{self.pick(_PLAIN)} by ({label}) ({self.vector(depth - 1)})"
            if self.roll(0.5):
                return f"{self.operand(depth)} {operator} on ({label}) group_left () {one}"
            return f"{one} {operator} on ({label}) {self.pick(_PLAIN)} by ({label}) ({self.vector(depth - 1)})"
        return f"{self.operand(depth)} {operator}{self.matching(group=True)} {self.operand(depth)}"

    def with_scalar(self, depth: int) -> str:
        sides = [self.operand(depth), self.scalar(depth - 1) if self.roll(0.3) else self.pick(_NUMBERS)]
        self.chance.shuffle(sides)
        return f"{sides[0]} {self.operator()} {sides[1]}"

    def operator(self) -> str:
        if self.roll(0.6):
            return self.pick(_ARITHMETIC)
        return self.pick(_COMPARISONS) + self.pick(("", " bool"))

    def matching(self, *, group: bool) -> str:
        if self.roll(0.4):
            return ""
        made = f" {self.pick(('on', 'ignoring'))} ({self.grouping()})"
        if group and self.roll(0.5):
            made += f" {self.pick(('group_left', 'group_right'))} ()"
        return made

    def scalar(self, depth: int) -> str:
        roll = self.chance.random()
        if depth <= 0 or roll < 0.4:
            return self.pick((*_NUMBERS, "time()", "pi()"))
        if roll < 0.7:
            return f"scalar({self.vector(depth - 1)})"
        operator = self.pick((*_ARITHMETIC, *(f"{op} bool" for op in _COMPARISONS)))
        return f"({self.scalar(depth - 1)} {operator} {self.scalar(depth - 1)})"
