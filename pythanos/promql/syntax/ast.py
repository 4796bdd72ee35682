"""The nodes of a PromQL syntax tree.

Every node carries ``start`` and ``end``, half-open byte offsets into the UTF-8 text; they take no part in equality, so
that two trees are equal when they mean the same. Operators and aggregations are their spelling in lower case
(``"+"``, ``"unless"``, ``"topk"``). Strings are ``str`` decoded with ``surrogateescape``. Times and durations are
``int`` milliseconds. Nodes are frozen for everyone but the parser and the checker, which fill in what a later token
decides (an offset, the end) before ``parse`` hands the tree out.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Union, final

from pythanos.model.matchers import Matcher


class ValueType(enum.StrEnum):
    """What an expression evaluates to."""

    NONE = "none"
    VECTOR = "vector"
    SCALAR = "scalar"
    MATRIX = "matrix"
    STRING = "string"

    @property
    def documented(self) -> str:
        """The name that messages use."""
        if self is ValueType.VECTOR:
            return "instant vector"
        return "range vector" if self is ValueType.MATRIX else self.value


class Cardinality(enum.StrEnum):
    """How many elements of each side of a binary operation may share a match group."""

    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_MANY = "many-to-many"


@dataclass(frozen=True, slots=True)
class Function:
    """The signature of a function.

    ``variadic`` 0: exactly the listed arguments; n > 0: between ``len(arg_types) - 1`` and ``len(arg_types) - 1 + n``;
    -1: at least ``len(arg_types) - 1``. Arguments past the end have the last type. ``since`` is the Prometheus version
    that has it first.
    """

    name: str
    arg_types: tuple[ValueType, ...]
    returns: ValueType
    variadic: int = 0
    experimental: bool = False
    since: str = "2.0"


@final
@dataclass(frozen=True, slots=True)
class NumberLiteral:
    """A number; ``duration`` where it was written as a duration (``5m`` is 300)."""

    value: float
    duration: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        return ValueType.SCALAR


@dataclass(frozen=True, slots=True)
class StringLiteral:
    value: str
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        return ValueType.STRING


@final
@dataclass(frozen=True, slots=True)
class DurationExpr:
    """Arithmetic in the place of a duration; its values are seconds.

    ``op`` is one of ``+ - * / % ^ step range min_of max_of``; ``lhs`` is None for a sign, both are None for ``step``
    and ``range``. ``wrapped`` where it stands in parentheses.
    """

    op: str
    lhs: DurationOperand | None = None
    rhs: DurationOperand | None = None
    wrapped: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        return ValueType.SCALAR


DurationOperand = Union[NumberLiteral, DurationExpr]  # noqa: UP007 (a name is bound before its class in `A | B`)


@dataclass(frozen=True, slots=True)
class VectorSelector:
    """Series chosen by matchers, at one time.

    ``name`` is the metric name written before the braces, "" where there is none; its matcher is the last one.
    ``at_ms`` is the time of an ``@ <number>``; ``at_bound`` is "start" or "end" for ``@ start()``, ``@ end()``.
    ``offset_expr`` is set where the offset is an expression; ``offset_ms`` is then 0 until the tree is preprocessed.
    """

    name: str
    matchers: tuple[Matcher, ...]
    offset_ms: int = 0
    offset_expr: DurationExpr | None = None
    at_ms: int | None = None
    at_bound: str = ""
    anchored: bool = False
    smoothed: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        return ValueType.VECTOR


@dataclass(frozen=True, slots=True)
class MatrixSelector:
    """The samples of a range; offset, ``@``, anchored and smoothed are on the inner ``selector``."""

    selector: VectorSelector
    range_ms: int
    range_expr: DurationExpr | None = None
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        return ValueType.MATRIX


@dataclass(frozen=True, slots=True)
class SubqueryExpr:
    """An instant expression evaluated over a range. ``step_ms`` 0 without ``step_expr``: the engine's default step."""

    expr: Expr
    range_ms: int
    range_expr: DurationExpr | None = None
    step_ms: int = 0
    step_expr: DurationExpr | None = None
    offset_ms: int = 0
    offset_expr: DurationExpr | None = None
    at_ms: int | None = None
    at_bound: str = ""
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        return ValueType.MATRIX


@dataclass(frozen=True, slots=True)
class Call:
    func: Function
    args: tuple[Expr, ...]
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        return self.func.returns


@dataclass(frozen=True, slots=True)
class AggregateExpr:
    """An aggregation; ``param`` is None for those that take none."""

    op: str
    expr: Expr
    param: Expr | None = None
    grouping: tuple[str, ...] = ()
    without: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        return ValueType.VECTOR


@dataclass(frozen=True, slots=True)
class VectorMatching:
    """How the elements of two vectors find each other.

    ``labels`` are those that must be equal (``on``) or are left aside; ``include`` are copied from the "one" side by
    group_left/group_right; a fill value stands in for a missing element of its side, None: no fill.
    """

    card: Cardinality = Cardinality.ONE_TO_ONE
    labels: tuple[str, ...] = ()
    on: bool = False
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, slots=True)
class BinaryExpr:
    """``matching`` is None unless both operands are vectors."""

    op: str
    lhs: Expr
    rhs: Expr
    matching: VectorMatching | None = None
    return_bool: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        node: Expr = self
        while type(node) is BinaryExpr:
            if node.rhs.type is not ValueType.SCALAR:
                return ValueType.VECTOR
            node = node.lhs
        return ValueType.SCALAR if node.type is ValueType.SCALAR else ValueType.VECTOR


@dataclass(frozen=True, slots=True)
class UnaryExpr:
    """A sign before anything but a number, whose sign is part of its value."""

    op: str
    expr: Expr
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        return self.expr.type


@dataclass(frozen=True, slots=True)
class ParenExpr:
    expr: Expr
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        return self.expr.type


@dataclass(frozen=True, slots=True)
class StepInvariantExpr:
    """Marks a part that has the same value at every step; made by preprocessing, never by the parser."""

    expr: Expr

    @property
    def type(self) -> ValueType:
        return self.expr.type

    @property
    def start(self) -> int:
        return self.expr.start

    @property
    def end(self) -> int:
        return self.expr.end


Expr = Union[  # noqa: UP007
    NumberLiteral,
    StringLiteral,
    VectorSelector,
    MatrixSelector,
    SubqueryExpr,
    Call,
    AggregateExpr,
    BinaryExpr,
    UnaryExpr,
    ParenExpr,
    StepInvariantExpr,
    DurationExpr,
]

EXPERIMENTAL_AGGREGATIONS = frozenset(("limitk", "limit_ratio"))
PARAMETER_AGGREGATIONS = EXPERIMENTAL_AGGREGATIONS | {"topk", "bottomk", "count_values", "quantile"}
AGGREGATIONS = PARAMETER_AGGREGATIONS | {"sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"}
COMPARISONS = frozenset(("==", "!=", "<=", "<", ">=", ">"))
SET_OPERATORS = frozenset(("and", "or", "unless"))


def left_chain(node: BinaryExpr) -> list[BinaryExpr]:
    """The operations down the left side of one, the innermost first: ``a - b + c`` has ``a - b``, then all of it.

    A text of thousands of operators in a row makes such a chain, so what walks a tree must not recurse along it.
    """
    chain = [node]
    while type(node.lhs) is BinaryExpr:
        node = node.lhs
        chain.append(node)
    chain.reverse()
    return chain


def depth(expr: Expr) -> int:
    """The levels of a tree, without durations: each operation is one. Uses no recursion."""
    levels, level = 0, [expr]
    while level:
        levels += 1
        level = [child for node in level for child in children(node)]
    return levels


def children(node: Expr) -> tuple[Expr, ...]:
    """The expressions directly below a node (an aggregation's operand before its parameter), without durations."""
    below = _CHILDREN.get(type(node))
    return () if below is None else below(node)


def _only(node: SubqueryExpr | UnaryExpr | ParenExpr | StepInvariantExpr) -> tuple[Expr, ...]:
    return (node.expr,)


_CHILDREN: Mapping[type, Callable[..., tuple[Expr, ...]]] = MappingProxyType(
    {
        BinaryExpr: lambda node: (node.lhs, node.rhs),
        Call: lambda node: node.args,
        AggregateExpr: lambda node: (node.expr,) if node.param is None else (node.expr, node.param),
        MatrixSelector: lambda node: (node.selector,),
        SubqueryExpr: _only,
        UnaryExpr: _only,
        ParenExpr: _only,
        StepInvariantExpr: _only,
    }
)
