"""A plan as a tree of names, as ``query_explain`` answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pythanos.promql.plan.nodes import (
    Aggregate,
    Before,
    Binary,
    Call,
    Chain,
    Negate,
    Node,
    Number,
    RangeCall,
    RangeSelect,
    Remote,
    RemoteUnion,
    Select,
    StepInvariant,
    Subquery,
    Text,
    children,
)
from pythanos.units import format_duration


@dataclass(frozen=True, slots=True)
class Explained:
    """One node of a plan and what it is made of."""

    name: str
    children: tuple[Explained, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """``{name, children}``, as Thanos' query_explain has it; no children where there are none."""
        below = [child.to_json() for child in self.children]
        return {"name": self.name, "children": below} if below else {"name": self.name}


def explain(plan: Node) -> Explained:
    """The plan as names."""
    if isinstance(plan, RemoteUnion):
        return Explained(node_name(plan), tuple(Explained(_remote(part)) for part in plan.parts))
    return Explained(node_name(plan), tuple(explain(child) for child in children(plan)))


def node_name(node: Node) -> str:
    """One node by the name of its operator and what tells it from others."""
    match node:
        case Number():
            return f"[number] {node.value}"
        case Text():
            return "[string]"
        case Select():
            return f"[select] {{{','.join(map(str, node.matchers))}}}{_moved(node)}{_reading(node)}"
        case RangeSelect():
            return f"[range] {format_duration(node.range_ms)}"
        case Subquery():
            return f"[subquery] {format_duration(node.range_ms)}:{format_duration(node.step_ms)}{_moved(node)}"
        case RangeCall() | Call():
            return f"[function] {node.function}"
        case Aggregate():
            return f"[aggregate] {node.op} {'without' if node.without else 'by'} ({', '.join(node.grouping)})"
        case Binary():
            return f"[binary] {node.op}{' bool' if node.return_bool else ''}{_matching(node)}"
        case Before():
            return "[operation before]"
        case Chain():
            return "[chain]"
        case Negate():
            return "[negate]"
        case StepInvariant():
            return "[step invariant]"
        case RemoteUnion():
            return "[remote]" if node.parts else "[nothing]"
    raise AssertionError(node)


def _remote(part: Remote) -> str:
    steps = part.steps
    times = f"{steps.start_ms / 1000:.3f}"
    if steps.count > 1:
        times += f" to {steps.end_ms / 1000:.3f} every {format_duration(steps.step_ms)}"
    return f"[query] {part.engine.address}: {part.text} @ {times}"


def _moved(node: Select | Subquery) -> str:
    at = "" if node.at_ms is None else f" @ {node.at_ms / 1000:.3f}"
    return at + (f" offset {format_duration(node.offset_ms)}" if node.offset_ms else "")


def _reading(node: Select) -> str:
    filters = f" filter {{{','.join(map(str, node.filters))}}}" if node.filters else ""
    labels = "" if node.projection is None else f" labels ({', '.join(node.projection)})"
    return filters + (" shared" if node.shared else "") + labels


def _matching(node: Binary) -> str:
    if node.matching is None:
        return ""
    kind = "on" if node.matching.on else "ignoring"
    return f" {node.matching.card} {kind} ({', '.join(node.matching.labels)})"
