"""The nodes of a logical plan: what is to be evaluated, with every time resolved and nothing read yet.

Nodes are frozen; an optimizer returns new ones. ``start`` and ``end`` are byte offsets into the query, for
annotations; they take no part in equality. All times are ms. Unlike the syntax tree a plan has no parentheses, no
duration expressions, no ``@ start()``; a range selector or subquery occurs only as the source of a RangeCall or at
the top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Union, cast

from pythanos.model.matchers import Matcher
from pythanos.promql.syntax.ast import Cardinality, ValueType, VectorMatching

__all__ = ["Cardinality", "VectorMatching"]


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    type = ValueType.SCALAR


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    type = ValueType.STRING


@dataclass(frozen=True, slots=True)
class Select:
    """An instant selector. ``at_ms`` fixes its time; ``func`` and the grouping are hints to the stores.

    ``modifier`` is "anchored" or "smoothed" where it has one. ``filters`` are conditions that are looked up in the
    labels of what ``matchers`` select; ``shared``: another selector of the plan reads the same. ``projection``: the
    labels that the query looks at, None for all of them. ``statistics``: of native histograms it looks at counts and
    sums only.
    """

    matchers: tuple[Matcher, ...]
    offset_ms: int = 0
    at_ms: int | None = None
    func: str = ""
    grouping: tuple[str, ...] = ()
    grouping_by: bool = False
    modifier: str = ""
    filters: tuple[Matcher, ...] = ()
    shared: bool = False
    projection: tuple[str, ...] | None = None
    statistics: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    type = ValueType.VECTOR


@dataclass(frozen=True, slots=True)
class RangeSelect:
    """The samples of a selector over a range; offset and ``@`` are those of ``select``."""

    select: Select
    range_ms: int
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    type = ValueType.MATRIX


@dataclass(frozen=True, slots=True)
class Subquery:
    """An expression evaluated every ``step_ms`` over a range."""

    expr: Node
    range_ms: int
    step_ms: int
    offset_ms: int = 0
    at_ms: int | None = None
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    type = ValueType.MATRIX


@dataclass(frozen=True, slots=True)
class RangeCall:
    """A function of a range vector; ``scalars`` are its other arguments in order."""

    function: str
    source: RangeSource
    scalars: tuple[Node, ...] = ()
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    type = ValueType.VECTOR


@dataclass(frozen=True, slots=True)
class Call:
    """Any other function."""

    function: str
    args: tuple[Node, ...]
    type: ValueType
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    op: str
    expr: Node
    param: Node | None = None
    grouping: tuple[str, ...] = ()
    without: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    type = ValueType.VECTOR


@dataclass(frozen=True, slots=True)
class Binary:
    """``matching`` is None unless both operands are vectors."""

    op: str
    lhs: Node
    rhs: Node
    matching: VectorMatching | None = None
    return_bool: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        scalars = self.lhs.type is ValueType.SCALAR and self.rhs.type is ValueType.SCALAR
        return ValueType.SCALAR if scalars else ValueType.VECTOR


@dataclass(frozen=True, slots=True)
class Before:
    """The left operand of an operation in a Chain: what the operation before it gives."""

    type: ValueType
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Chain:
    """Operations in a row, ``a - b + c ...``: so many that they must not be nested.

    The first one's left operand is ``first``; each has a Before in the place of its own left operand.
    """

    first: Node
    operations: tuple[Binary, ...]
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        return self.operations[-1].type


@dataclass(frozen=True, slots=True)
class Negate:
    expr: Node
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def type(self) -> ValueType:
        return self.expr.type


@dataclass(frozen=True, slots=True)
class StepInvariant:
    """A part with the same value at every step: it is evaluated at the first and repeated."""

    expr: Node

    @property
    def type(self) -> ValueType:
        return self.expr.type

    @property
    def start(self) -> int:
        return self.expr.start

    @property
    def end(self) -> int:
        return self.expr.end


RangeSource = Union[RangeSelect, Subquery]  # noqa: UP007
Node = Union[  # noqa: UP007
    Number,
    Text,
    Select,
    RangeSelect,
    Subquery,
    RangeCall,
    Call,
    Aggregate,
    Binary,
    Before,
    Chain,
    Negate,
    StepInvariant,
]


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below, in the order in which they are evaluated."""
    match node:
        case RangeSelect():
            return (node.select,)
        case Subquery() | Negate() | StepInvariant():
            return (node.expr,)
        case RangeCall():
            return (node.source, *node.scalars)
        case Call():
            return node.args
        case Aggregate():
            return (node.expr,) if node.param is None else (node.param, node.expr)
        case Binary():
            return (node.lhs, node.rhs)
        case Chain():
            return (node.first, *node.operations)
    return ()


def map_children(node: Node, change: Callable[[Node], Node]) -> Node:
    """The node with ``change`` applied to each node directly below; the same object if none changes."""
    before = children(node)
    after = tuple(change(child) for child in before)
    if all(new is old for new, old in zip(after, before, strict=True)):
        return node
    match node:
        case RangeSelect():
            return replace(node, select=cast(Select, after[0]))
        case Subquery() | Negate() | StepInvariant():
            return replace(node, expr=after[0])
        case RangeCall():
            return replace(node, source=cast(RangeSource, after[0]), scalars=after[1:])
        case Call():
            return replace(node, args=after)
        case Aggregate():
            return replace(node, expr=after[-1], param=after[0] if len(after) == 2 else None)
        case Binary():
            return replace(node, lhs=after[0], rhs=after[1])
        case Chain():
            return replace(node, first=after[0], operations=cast(tuple[Binary, ...], after[1:]))
    return node
