"""Random PromQL: type-correct expressions of the whole grammar, and ways to spoil them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from pythanos.promql.syntax.ast import Function, ValueType
from pythanos.promql.syntax.signatures import FUNCTIONS

_NAMES = (
    "foo",
    "bar:sum",
    "up",
    "sum",
    "by",
    "start",
    "fill",
    "offset",
    "a_total",
    "min_of",
    "step",
    "or",
    "x9",
    "anchored",
)
_LABELS = ("job", "instance", "le", "on", "sum", "__name__", "a1", "group_left")
_STRINGS = (
    '"a"',
    "'b c'",
    "`raw`",
    '"\\n\\x41"',
    '""',
    '"é"',
    '"\\u00e9"',
    "'it\\'s'",
    '"a.b"',
    '"1"',
    '".*"',
    '"x|y"',
)
_NUMBERS = (
    "1",
    "0",
    "2.5",
    "1e3",
    "0x1F",
    "017",
    "Inf",
    "nan",
    "1_000",
    ".5",
    "1e-9",
    "123456789012345678901234567890",
)
_DURATIONS = ("5m", "1h30m", "1d", "2w", "1y", "10s", "250ms", "90", "1.5", "26h")
_OPERATORS = (
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "atan2",
    "==",
    "!=",
    ">",
    "<",
    ">=",
    "<=",
    "</",
    ">/",
    "and",
    "or",
    "unless",
)
_COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
_SETS = ("and", "or", "unless")
_PLAIN_AGGREGATIONS = ("sum", "avg", "count", "min", "max", "group", "stddev", "stdvar")
_SCALAR_AGGREGATIONS = ("topk", "bottomk", "quantile", "limitk", "limit_ratio")
_SPACES = ("", "", " ", " ", "  ", "\n", "\t", " # note\n")
_NOISE = (
    *"()[]{},:@#=!~<>+-*/%^\"'`\\_ .\n0159abesx\x00\x7f",
    *("sum", "by", "without", "offset", "bool", "on", "ignoring", "group_left", "fill", "fill_left", "anchored", "and"),
    *("start()", "end()", "step()", "range()", "min_of(", "smoothed", "atan2", "info", "nan", "5m", "1h1y", "5hs"),
    *(
        "[5m]",
        "[5m:]",
        "==",
        "=~",
        "!~",
        "</",
        ">/",
        "\u00e9",
        "\ufffd",
        "\udcff",
        "\\x",
        "\\u12",
        "0x",
        "1e",
        '{a="b"}',
    ),
)
_TYPES = (*[ValueType.VECTOR] * 6, ValueType.SCALAR, ValueType.MATRIX, ValueType.STRING)


class Grammar:
    """Draws expressions from ``functions``. ``depth`` bounds the nesting of one."""

    def __init__(self, source: random.Random, functions: Iterable[Function] = tuple(FUNCTIONS.values())) -> None:
        self.source = source
        self.functions = {wanted: [f for f in functions if f.returns is wanted] for wanted in ValueType}
        self.pick = source.choice

    def expression(self, depth: int = 4) -> str:
        """An expression of any type."""
        return self.of(self.pick(_TYPES), depth)

    def of(self, wanted: ValueType, depth: int) -> str:
        if wanted is ValueType.STRING:
            return self.pick(_STRINGS)
        if wanted is ValueType.MATRIX:
            return self.matrix(depth)
        if wanted is ValueType.SCALAR:
            return self.scalar(depth)
        return self.vector(depth)

    def space(self) -> str:
        return self.pick(_SPACES)

    def chance(self, share: float) -> bool:
        return self.source.random() < share

    def some(self, make: Callable[[], str], most: int) -> str:
        return ", ".join(make() for _ in range(self.source.randint(0, most)))

    def scalar(self, depth: int) -> str:
        roll = self.source.random()
        if depth <= 0 or roll < 0.5:
            return self.pick(("", "-", "+")) + self.pick(_NUMBERS + _DURATIONS)
        if roll < 0.65:
            return f"({self.scalar(depth - 1)})"
        if roll < 0.85:
            operator = self.pick(("+", "-", "*", "/", "%", "^", "atan2", "> bool", "== bool"))
            return f"{self.scalar(depth - 1)} {operator} {self.scalar(depth - 1)}"
        return self.call(ValueType.SCALAR, depth)

    def vector(self, depth: int) -> str:
        roll = self.source.random()
        if depth <= 0 or roll < 0.25:
            return self.selector() + self.modifiers(depth)
        if roll < 0.45:
            return self.call(ValueType.VECTOR, depth)
        if roll < 0.65:
            return self.aggregation(depth)
        if roll < 0.85:
            return self.binary(depth)
        if roll < 0.92:
            return self.pick("+-") + self.vector(depth - 1)
        return f"({self.space()}{self.vector(depth - 1)}{self.space()})"

    def selector(self) -> str:
        if self.chance(0.5):
            return self.pick(_NAMES)
        matchers = [self.matcher() for _ in range(self.source.randint(0, 3))]
        body = ",".join(matchers) + ("," if matchers and self.chance(0.1) else "")
        if self.chance(0.5):
            return f"{self.pick(_NAMES)}{self.space()}{{{body}}}"
        return f'{{job="x"{"," if body else ""}{body}}}'

    def matcher(self) -> str:
        name = self.pick(("a", "job", "sum", '"a.b"', "'ü'", "le"))
        return (
            f"{self.space()}{name}{self.space()}{self.pick(('=', '!=', '=~', '!~'))}{self.pick(_STRINGS)}{self.space()}"
        )

    def modifiers(self, depth: int) -> str:
        made = []
        if self.chance(0.25):
            made.append(f" offset {self.offset(depth)}")
        if self.chance(0.2):
            made.append(f" @ {self.pick(('start()', 'end()', '10', '-1.5', '1603774568', '5m', 'START ( )'))}")
        self.source.shuffle(made)
        if self.chance(0.1):
            made.insert(self.source.randint(0, len(made)), f" {self.pick(('anchored', 'smoothed'))}")
        return "".join(made)

    def offset(self, depth: int) -> str:
        roll = self.source.random()
        if roll < 0.6:
            return self.pick(("", "-", "+")) + self.pick(_DURATIONS)
        if roll < 0.8:
            return self.pick(("", "-", "+")) + self.pick(("step()", "range()", "min_of(5m, step())", "max_of(1h,2)"))
        return f"{self.pick(('', '-', '--'))}({self.duration(depth)})"

    def duration(self, depth: int) -> str:
        roll = self.source.random()
        if depth <= 0 or roll < 0.5:
            return self.pick(_DURATIONS)
        if roll < 0.7:
            return f"{self.duration(depth - 1)} {self.pick('+-*/%^')} {self.duration(depth - 1)}"
        if roll < 0.8:
            return f"({self.duration(depth - 1)})"
        if roll < 0.85:
            return self.pick("+-") + self.duration(depth - 1)
        if roll < 0.95:
            return self.pick(("step()", "range()", "STEP( )"))
        return f"{self.pick(('min_of', 'max_of'))}({self.duration(depth - 1)}, {self.duration(depth - 1)})"

    def range_duration(self, depth: int) -> str:
        return self.duration(depth) if self.chance(0.3) else self.pick(_DURATIONS)

    def matrix(self, depth: int) -> str:
        if depth <= 0 or self.chance(0.7):
            return f"{self.selector()}{self.space()}[{self.range_duration(depth)}]{self.modifiers(depth)}"
        step = self.pick(("", " ", self.range_duration(depth - 1)))
        inner = self.vector(depth - 1)
        inner = inner if self.chance(0.3) else f"({inner})"
        return f"{inner}[{self.range_duration(depth)}:{step}]{self.modifiers(depth)}"

    def call(self, wanted: ValueType, depth: int) -> str:
        function = self.pick(self.functions[wanted])
        types = list(function.arg_types)
        if function.variadic > 0:
            count = len(types) - 1 + self.source.randint(0, function.variadic)
        elif function.variadic < 0:
            count = len(types) - 1 + self.source.randint(0, 3)
        else:
            count = len(types)
        args = [self.of(types[min(i, len(types) - 1)], depth - 1) for i in range(count)]
        if function.name == "info" and len(args) > 1:
            args[1] = "{" + self.some(self.matcher, 2) + "}"
        return f"{function.name}{self.space()}({f',{self.space()}'.join(args)})"

    def grouping(self) -> str:
        return "(" + self.some(lambda: self.pick((*_LABELS, '"x.y"')), 3) + ")"

    def aggregation(self, depth: int) -> str:
        roll = self.source.random()
        inner = self.vector(depth - 1)
        if roll < 0.7:
            op = self.pick(_PLAIN_AGGREGATIONS)
        elif roll < 0.9:
            op, inner = self.pick(_SCALAR_AGGREGATIONS), f"{self.scalar(depth - 2)}, {inner}"
        else:
            op, inner = "count_values", f'"v", {inner}'
        op = op.upper() if self.chance(0.05) else op
        if self.chance(0.4):
            return f"{op}({inner})"
        clause = f"{self.pick(('by', 'without', 'BY'))}{self.space()}{self.grouping()}"
        return f"{op} {clause} ({inner})" if self.chance(0.5) else f"{op}({inner}) {clause}"

    def binary(self, depth: int) -> str:
        operator = self.pick(_OPERATORS)
        sides = [self.vector(depth - 1), self.vector(depth - 1)]
        if operator not in _SETS and self.chance(0.3):
            sides[self.source.randint(0, 1)] = self.scalar(depth - 2)
            return f"{sides[0]} {operator}{self.bool_of(operator)} {sides[1]}"
        return f"{sides[0]} {operator}{self.bool_of(operator)}{self.matching(operator)} {sides[1]}"

    def bool_of(self, operator: str) -> str:
        return " bool" if operator in _COMPARISONS and self.chance(0.3) else ""

    def matching(self, operator: str) -> str:
        if self.chance(0.5):
            return ""
        made = f" {self.pick(('on', 'ignoring'))} {self.grouping()}"
        if operator not in _SETS:
            if self.chance(0.4):
                made += f" {self.pick(('group_left', 'group_right'))}{self.pick(('', ' (extra)', '()'))}"
            if self.chance(0.2):
                made += self.pick((" fill(0)", " fill_left(-1)", " fill_right (5m)", " fill_left(1) fill_right(2e30)"))
        return made


def spoil(text: str, source: random.Random) -> str:
    """The text with one to three random edits."""
    for _ in range(source.randint(1, 3)):
        at = source.randint(0, len(text))
        roll = source.random()
        if roll < 0.4:
            text = text[:at] + source.choice(_NOISE) + text[at:]
        elif roll < 0.7:
            text = text[:at] + text[at + source.randint(1, 4) :]
        elif roll < 0.85:
            text = text[:at] + source.choice(_NOISE) + text[at + source.randint(1, 3) :]
        else:
            other = source.randint(0, len(text))
            text = text[:at] + text[min(at, other) : max(at, other)][:20] + text[at:]
    return text
