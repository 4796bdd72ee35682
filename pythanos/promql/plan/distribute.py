"""Optimizer: parts of a plan are sent to the queriers that have the series, which answer with less than all samples.

A part is *separable* where each engine can evaluate it over its own series and the rows of all together are the
answer; that holds while rows keep the labels by which engines differ. The largest separable parts are sent whole. An
aggregation that drops such a label is sent with them added to its grouping and aggregated here once more; avg as sum
and count, absent as a product. What only one engine can have anything to say about is sent whatever it is. Rules and
names as in promql-engine's distributed execution, but for engines of which nobody else has the series: those answer
for all times.

A part stays here where an engine that takes over from another in time lacks samples that the first steps look back at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pythanos.model.matchers import Matcher
from pythanos.promql.plan.nodes import (
    Aggregate,
    Binary,
    Call,
    Negate,
    Node,
    RangeCall,
    RangeSelect,
    Remote,
    RemoteUnion,
    Select,
    StepInvariant,
    Subquery,
    Text,
    children,
    map_children,
)
from pythanos.promql.plan.times import hand_over, in_time, own_steps, reach, subquery_steps
from pythanos.promql.remote import Labels, RemoteEngine, Remotes
from pythanos.promql.syntax.ast import ValueType, VectorMatching
from pythanos.promql.tree.of_plan import print_plan
from pythanos.promql.values import Steps

REWRITTEN_LABEL = (
    "PromQL warning: rewriting an external label with label_replace can disable distributed query execution"
)
# What aggregates the partial results of an aggregation.
_COMBINED_BY = {op: op for op in ("sum", "min", "max", "group", "topk", "bottomk", "limitk")} | {"count": "sum"}
_METADATA = frozenset({"__name__", "__type__", "__unit__"})
_ABSENT = frozenset({"absent", "absent_over_time"})
# They look at a selector itself, where one stands in them.
_OF_SELECTORS = frozenset({"absent", "timestamp", "start_timestamp"})
# Their result is the order of rows, one number, or made of series that no selector of theirs names.
_WHOLE_ONLY = frozenset({"sort", "sort_desc", "sort_by_label", "sort_by_label_desc", "scalar", "vector", "info"})
_SECOND = 1000


@dataclass(slots=True)
class Distributed:
    """A plan with parts sent elsewhere, and what is to be said about that."""

    plan: Node
    warnings: list[str] = field(default_factory=list)


def distribute(plan: Node, steps: Steps, remotes: Remotes, lookback_ms: int) -> Distributed:
    """The plan, as ``plan.build`` made it, with RemoteUnions in place of what other engines evaluate.

    ``steps`` are those of the query. Left as it is where times are not whole seconds, which is all that a remote query
    can say, or where it mentions labels that only this process knows.
    """
    if not remotes.engines or lookback_ms % _SECOND or _mentions(plan, remotes.local_labels):
        return Distributed(plan)
    distributor = _Distributor(remotes, lookback_ms)
    changed = distributor.changed(plan, steps)
    return Distributed(changed, list(dict.fromkeys(distributor.warnings)))


def _selects(node: Node) -> Iterable[Select]:
    if isinstance(node, Select):
        yield node
    for child in children(node):
        yield from _selects(child)


def _functions(node: Node) -> Iterable[str]:
    if isinstance(node, Call | RangeCall):
        yield node.function
    for child in children(node):
        yield from _functions(child)


def _has_text(node: Node) -> bool:
    return not (isinstance(node, RangeSelect | Subquery) and node.range_ms <= 0) and all(map(_has_text, children(node)))


def _mentions(node: Node, labels: frozenset[str]) -> bool:
    return bool(labels) and any(m.name in labels for select in _selects(node) for m in select.matchers)


class _Distributor:
    def __init__(self, remotes: Remotes, lookback_ms: int) -> None:
        self.engines = sorted(remotes.engines, key=lambda engine: (engine.mint, engine.address))
        self.tenant = remotes.tenant
        self.lookback_ms = lookback_ms
        self.partition = frozenset(name for engine in self.engines for one in engine.partition_sets for name in one)
        self.warnings: list[str] = []
        self._separable: dict[int, bool] = {}

    def changed(self, node: Node, steps: Steps) -> Node:
        """The node with as much of it sent away as can be."""
        if not any(True for _ in _selects(node)):
            return node
        if node.type is ValueType.VECTOR and not isinstance(node, StepInvariant):
            sent = self._sent(node, steps)
            if sent is not None:
                return sent
        return self._with_parts_sent(node, steps)

    def _sent(self, node: Node, steps: Steps) -> Node | None:
        """The node evaluated elsewhere, its partial results put together here; None where that does not go."""
        if not self._can_leave(node):
            return None
        single = self._single(node, steps)
        if single is not None:
            return self._union([Remote(single, self._text(node), steps)], node) if _whole_seconds(steps) else None
        if self.separable(node):
            return self._over_engines(node, steps)
        if isinstance(node, Aggregate) and self._splits(node):
            return self._split(node, steps) if node.op in _COMBINED_BY else self._average(node, steps)
        if isinstance(node, Call | RangeCall) and node.function in _ABSENT:
            return self._absent(node, steps)
        return None

    def _with_parts_sent(self, node: Node, steps: Steps) -> Node:
        match node:
            case RangeCall(source=Subquery() as source):
                inner = self.changed(source.expr, subquery_steps(source, steps))
                return replace(node, source=replace(source, expr=inner)) if inner is not source.expr else node
            case Subquery():
                inner = self.changed(node.expr, subquery_steps(node, steps))
                return replace(node, expr=inner) if inner is not node.expr else node
            case StepInvariant():
                inner = self.changed(node.expr, Steps(steps.start_ms, 1, min(steps.count, 1)))
                return replace(node, expr=inner) if inner is not node.expr else node
            case Select() | RangeSelect() | RangeCall():
                return node
            case Call() if node.function == "info" or (node.function in _OF_SELECTORS and _is_select(node.args[0])):
                return node
        return map_children(node, lambda child: self.changed(child, steps))

    def _can_leave(self, node: Node) -> bool:
        """Whether a text can say it all.

        Series that info() reads are named by no selector; absent() would name the tenant; a range shorter than a
        millisecond has no words.
        """
        if any(name == "info" or (self.tenant and name in _ABSENT) for name in _functions(node)):
            return False
        return _has_text(node)

    def _text(self, node: Node) -> str:
        return print_plan(node, self._matchers)

    def _matchers(self, matchers: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
        tenant = self.tenant
        if tenant is None:
            return matchers
        return (*(matcher for matcher in matchers if matcher.name != tenant.name), tenant)

    def _can_match(self, engine: RemoteEngine, select: Select) -> bool:
        matchers = self._matchers(select.matchers)
        return not engine.label_sets or any(_agrees(labels, matchers) for labels in engine.label_sets)

    def _can_give(self, engine: RemoteEngine, node: Node) -> bool:
        """Whether the node may have rows over the series of an engine: both operands have to, but for or and unless."""
        if isinstance(node, Select):
            return self._can_match(engine, node)
        if isinstance(node, Binary) and node.matching is not None:
            sides = self._can_give(engine, node.lhs), self._can_give(engine, node.rhs)
            if node.op == "or" or node.matching.fill_left is not None or node.matching.fill_right is not None:
                return any(sides)
            return sides[0] if node.op == "unless" else all(sides)
        return any(self._can_give(engine, child) for child in children(node))

    def _single(self, node: Node, steps: Steps) -> RemoteEngine | None:
        """The one engine that may have any series for the node, and some of the time that it looks at."""
        found = [e for e in self.engines if any(self._can_match(e, select) for select in _selects(node))]
        return found[0] if len(found) == 1 and in_time(found[0], reach(node, self.lookback_ms), steps) else None

    def separable(self, node: Node) -> bool:
        """Whether each engine can evaluate the node for its own series."""
        known = self._separable.get(id(node))
        if known is None:
            known = self._separable[id(node)] = self._is_separable(node)
        return known

    def _is_separable(self, node: Node) -> bool:
        match node:
            case Select() | RangeSelect():
                return True
            case Negate() | StepInvariant() | Subquery():
                return self.separable(node.expr)
            case RangeCall():
                return node.function not in _ABSENT and self.separable(node.source) and _no_series(node.scalars)
            case Call():
                return self._call_separable(node)
            case Aggregate():
                return self._keeps_partition(node) and self.separable(node.expr) and _no_series((node.param,))
            case Binary():
                return self._binary_separable(node)
        return False

    def _call_separable(self, node: Call) -> bool:
        name = node.function
        if name in _WHOLE_ONLY or name in _ABSENT or node.type is not ValueType.VECTOR:
            return False
        if name.startswith("label_"):
            target = node.args[1]
            if isinstance(target, Text) and target.value in self.partition:
                self.warnings.append(REWRITTEN_LABEL)
                return False
        elif name in ("histogram_quantile", "histogram_quantiles", "histogram_fraction"):
            made = {"le", *(arg.value for arg in node.args if isinstance(arg, Text))}
            if made & self.partition:
                return False
        vectors = [arg for arg in node.args if arg.type is ValueType.VECTOR]
        others = [arg for arg in node.args if arg.type is ValueType.SCALAR]
        return bool(vectors) and all(self._has_rows(arg) for arg in vectors) and _no_series(others)

    def _has_rows(self, node: Node) -> bool:
        """Whether a vector is separable and made of series, not of a number that every engine would repeat."""
        return not _no_series((node,)) and self.separable(node)

    def _keeps_partition(self, node: Aggregate) -> bool:
        """Whether the groups of the aggregation lie within one engine each."""
        if not self.partition or (node.op == "count_values" and self._names_partition(node.param)):
            return False
        listed = self.partition.intersection(node.grouping)
        return not listed if node.without else listed == self.partition

    def _names_partition(self, node: Node | None) -> bool:
        return not isinstance(node, Text) or node.value in self.partition

    def _binary_separable(self, node: Binary) -> bool:
        if node.matching is None:
            sides = [side for side in (node.lhs, node.rhs) if side.type is ValueType.VECTOR]
            scalars = [side for side in (node.lhs, node.rhs) if side.type is not ValueType.VECTOR]
            return len(sides) == 1 and self._has_rows(sides[0]) and _no_series(scalars)
        matching = node.matching
        matched = self.partition.intersection(matching.labels)
        if self.partition.intersection(matching.include) or (matched != self.partition if matching.on else matched):
            return False
        return self._has_rows(node.lhs) and self._has_rows(node.rhs)

    def _splits(self, node: Aggregate) -> bool:
        if not self._has_rows(node.expr) or not _no_series((node.param,)):
            return False
        # A quotient has no name, so an average by name is no quotient.
        return node.op in _COMBINED_BY or (node.op == "avg" and (node.without or not _METADATA & set(node.grouping)))

    def _split(self, node: Aggregate, steps: Steps) -> Node | None:
        partial = self._over_engines(self._partial(node), steps)
        return None if partial is None else replace(node, op=_COMBINED_BY[node.op], expr=partial)

    def _average(self, node: Aggregate, steps: Steps) -> Node | None:
        total, count = (self._split(replace(node, op=op), steps) for op in ("sum", "count"))
        if total is None or count is None:
            return None
        return Binary("/", total, count, VectorMatching(), start=node.start, end=node.end)

    def _partial(self, node: Aggregate) -> Aggregate:
        """The aggregation that each engine makes: its groups keep the labels of the partition."""
        names = set(node.grouping)
        names = names - self.partition if node.without else names | self.partition
        return replace(node, grouping=tuple(sorted(names)))

    def _absent(self, node: Call | RangeCall, steps: Steps) -> Node | None:
        """What is absent everywhere; an engine that has no series of that kind has nothing to say."""
        operand = node.source if isinstance(node, RangeCall) else node.args[0]
        if not self.separable(operand):
            return None
        union = self._over_engines(node, steps)
        # Where engines have the same series at different times none of them can tell for all steps.
        if union is None or not union.parts or any(part.steps != steps for part in union.parts):
            return None
        product: Node = replace(union, parts=union.parts[:1])
        for part in union.parts[1:]:
            product = Binary("*", product, replace(union, parts=(part,)), VectorMatching(), start=node.start)
        return product

    def _over_engines(self, node: Node, steps: Steps) -> RemoteUnion | None:
        """The node evaluated by every engine that may have series for it; None where one cannot take over in time."""
        looked = reach(node, self.lookback_ms)
        engines = [e for e in self.engines if self._can_give(e, node)]
        if not _whole_seconds(steps) or not hand_over(engines, looked, steps):
            return None
        parts = []
        text = self._text(node)
        for engine in engines:
            if in_time(engine, looked, steps):
                own = own_steps(engine, engines, looked, steps)
                parts += [Remote(engine, text, own)] if own.count else []
        return self._union(parts, node)

    def _union(self, parts: list[Remote], node: Node) -> RemoteUnion:
        # Where two engines have the same series the one that knows more of late wins.
        parts.sort(key=lambda part: part.engine.maxt)
        return RemoteUnion(tuple(parts), node.start, node.end)


def _is_select(node: Node) -> bool:
    return isinstance(node, Select)


def _no_series(nodes: Iterable[Node | None]) -> bool:
    return not any(True for node in nodes if node is not None for _ in _selects(node))


def _agrees(labels: Labels, matchers: Iterable[Matcher]) -> bool:
    return all(not (value := labels.get(m.name, "")) or m.matches(value) for m in matchers)


def _whole_seconds(steps: Steps) -> bool:
    """Whether a remote query can say these steps; to an instant one the time 0 is none."""
    if steps.count == 1:
        return steps.start_ms % _SECOND == 0 and steps.start_ms != 0
    return steps.count > 0 and steps.start_ms % _SECOND == 0 and steps.step_ms % _SECOND == 0
