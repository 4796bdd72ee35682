"""The nodes of a logical plan: what is to be evaluated, with every time resolved and nothing read yet.

Nodes are frozen; an optimizer returns new ones. ``start`` and ``end`` are byte offsets into the query, for
annotations; they take no part in equality. All times are ms. Unlike the syntax tree a plan has no parentheses, no
duration expressions, no ``@ start()``; a range selector or subquery occurs only as the source of a RangeCall or at
the top.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Union, cast

from pythanos.model.matchers import Matcher
from pythanos.promql.remote import RemoteEngine
from pythanos.promql.syntax.ast import Cardinality, ValueType, VectorMatching
from pythanos.promql.values import Steps

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


@dataclass(frozen=True, slots=True)
class Remote:
    """An expression that another engine evaluates, given as text, at steps that it has all the samples for."""

    engine: RemoteEngine
    text: str
    steps: Steps


@dataclass(frozen=True, slots=True)
class RemoteUnion:
    """What other engines give of one expression, laid over each other: a later part wins. No part: no series."""

    parts: tuple[Remote, ...]
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    type = ValueType.VECTOR


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
    RemoteUnion,
]


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below, in the order in which they are evaluated."""
    below = _CHILDREN.get(type(node))
    return () if below is None else below(node)


def map_children(node: Node, change: Callable[[Node], Node]) -> Node:
    """The node with ``change`` applied to each node directly below; the same object if none changes."""
    below = _BELOW.get(type(node))
    return node if below is None else below(node, change)


# What is to be changed of some selectors of a plan: their fields by the id() of the node.
SelectChanges = dict[int, dict[str, Any]]


def change_selects(plan: Node, changes: SelectChanges) -> Node:
    """The plan with selectors replaced, all of them in one pass."""

    def change(node: Node) -> Node:
        if type(node) is Select:
            wanted = changes.get(id(node))
            return node if wanted is None else _changed_select(node, wanted)
        below = _BELOW.get(type(node))
        return node if below is None else below(node, change)

    return change(plan) if changes else plan


def _changed_select(node: Select, wanted: Mapping[str, Any]) -> Select:
    """As ``replace``, which takes several times as long."""
    return Select(*[wanted[name] if name in wanted else getattr(node, name) for name in _SELECT_FIELDS])


def _map_range_select(node: RangeSelect, change: Callable[[Node], Node]) -> Node:
    select = change(node.select)
    return node if select is node.select else RangeSelect(cast(Select, select), node.range_ms, node.start, node.end)


def _map_range_call(node: RangeCall, change: Callable[[Node], Node]) -> Node:
    source, scalars = change(node.source), _changed(node.scalars, change)
    if source is node.source and scalars is node.scalars:
        return node
    return RangeCall(node.function, cast(RangeSource, source), scalars, node.start, node.end)


def _map_call(node: Call, change: Callable[[Node], Node]) -> Node:
    args = _kept(tuple(map(change, node.args)), node.args)
    return node if args is node.args else Call(node.function, args, node.type, node.start, node.end)


def _map_aggregate(node: Aggregate, change: Callable[[Node], Node]) -> Node:
    param = None if node.param is None else change(node.param)
    expr = change(node.expr)
    if expr is node.expr and param is node.param:
        return node
    return Aggregate(node.op, expr, param, node.grouping, node.without, node.start, node.end)


def _map_binary(node: Binary, change: Callable[[Node], Node]) -> Node:
    lhs, rhs = change(node.lhs), change(node.rhs)
    if lhs is node.lhs and rhs is node.rhs:
        return node
    return Binary(node.op, lhs, rhs, node.matching, node.return_bool, node.start, node.end)


def _map_chain(node: Chain, change: Callable[[Node], Node]) -> Node:
    first, operations = change(node.first), _kept(tuple(map(change, node.operations)), node.operations)
    if first is node.first and operations is node.operations:
        return node
    return replace(node, first=first, operations=cast(tuple[Binary, ...], operations))


def _map_one(node: Subquery | Negate | StepInvariant, change: Callable[[Node], Node]) -> Node:
    expr = change(node.expr)
    return node if expr is node.expr else replace(node, expr=expr)


def _changed(nodes: tuple[Node, ...], change: Callable[[Node], Node]) -> tuple[Node, ...]:
    """The same tuple if nothing changes. No comprehension: plans are deep, and each frame of a level counts."""
    return _kept(tuple(map(change, nodes)), nodes)


def _kept(after: tuple[Node, ...], before: tuple[Node, ...]) -> tuple[Node, ...]:
    for new, old in zip(after, before, strict=True):
        if new is not old:
            return after
    return before


_SELECT_FIELDS = tuple(field.name for field in fields(Select))
_CHILDREN: Mapping[type, Callable[..., tuple[Node, ...]]] = MappingProxyType(
    {
        RangeSelect: lambda node: (node.select,),
        Subquery: lambda node: (node.expr,),
        Negate: lambda node: (node.expr,),
        StepInvariant: lambda node: (node.expr,),
        Aggregate: lambda node: (node.expr,) if node.param is None else (node.param, node.expr),
        RangeCall: lambda node: (node.source, *node.scalars),
        Binary: lambda node: (node.lhs, node.rhs),
        Call: lambda node: node.args,
        Chain: lambda node: (node.first, *node.operations),
    }
)
_BELOW: Mapping[type, Callable[..., Node]] = MappingProxyType(
    {
        RangeSelect: _map_range_select,
        RangeCall: _map_range_call,
        Call: _map_call,
        Aggregate: _map_aggregate,
        Binary: _map_binary,
        Chain: _map_chain,
        Subquery: _map_one,
        Negate: _map_one,
        StepInvariant: _map_one,
    }
)
