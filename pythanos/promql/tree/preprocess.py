"""A tree made ready for the times of one query.

Duration expressions become milliseconds, ``@ start()``/``@ end()`` times, calls of start(), end(), range() and step()
numbers; parentheses around arguments go, and the largest parts that have the same value at every step are marked with
``StepInvariantExpr``. Rules as in ``PreprocessExpr`` of ``prometheus:promql/engine.go`` and in ``durations.go``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pythanos._gomath import power
from pythanos.errors import BadRequest
from pythanos.promql.syntax.ast import (
    AggregateExpr,
    BinaryExpr,
    Call,
    DurationExpr,
    DurationOperand,
    Expr,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    StepInvariantExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
    left_chain,
)
from pythanos.promql.syntax.signatures import AT_UNSAFE_FUNCTIONS

# Seconds that 64 bits of nanoseconds hold.
_SECONDS_MAX = (1 << 63) / 1e9


@dataclass(frozen=True, slots=True)
class QueryTimes:
    """The times of a query in ms; an instant query starts where it ends and has the step 0."""

    start_ms: int
    end_ms: int
    step_ms: int = 0


# A preprocessed node, whether its value is the same at every step, and whether it gains from being marked so: range
# vectors, strings and numbers do not.
_Settled = tuple[Expr, bool, bool]


def preprocess(expr: Expr, times: QueryTimes) -> Expr:
    """The tree for these times. Raises BadRequest for a duration that is not positive, not finite or too large."""
    node, _, wrap = _settle(expr, times)
    return StepInvariantExpr(node) if wrap else node


def _settle(node: Expr, times: QueryTimes) -> _Settled:
    match node:
        case VectorSelector():
            selector = _settle_selector(node, times)
            fixed = selector.at_ms is not None
            return selector, fixed, fixed
        case MatrixSelector():
            selector = _settle_selector(node.selector, times)
            if selector is not node.selector or node.range_expr is not None:
                range_ms = _resolved(node.range_ms, node.range_expr, times)
                node = replace(node, selector=selector, range_ms=range_ms, range_expr=None)
            return node, selector.at_ms is not None, False
        case Call():
            return _settle_call(node, times)
        case AggregateExpr():
            return _settle_aggregate(node, times)
        case BinaryExpr():
            return _settle_binary(node, times)
        case SubqueryExpr():
            return _settle_subquery(node, times)
        case ParenExpr() | UnaryExpr():
            inner, invariant, wrap = _settle(node.expr, times)
            return node if inner is node.expr else replace(node, expr=inner), invariant, wrap
    return node, True, False


def _marked(settled: _Settled) -> Expr:
    node, _, wrap = settled
    return StepInvariantExpr(node) if wrap else node


def _unwrapped(node: Expr) -> Expr:
    while type(node) is ParenExpr:
        node = node.expr
    return node


def _settle_selector(node: VectorSelector, times: QueryTimes) -> VectorSelector:
    if node.offset_expr is None and not node.at_bound:
        return node
    offset_ms = _resolved(node.offset_ms, node.offset_expr, times, signed=True)
    return replace(node, offset_ms=offset_ms, offset_expr=None, at_ms=_at(node, times), at_bound="")


def _at(node: VectorSelector | SubqueryExpr, times: QueryTimes) -> int | None:
    if node.at_bound:
        return times.start_ms if node.at_bound == "start" else times.end_ms
    return node.at_ms


def _settle_aggregate(node: AggregateExpr, times: QueryTimes) -> _Settled:
    inner, invariant, wrap = _settle(_unwrapped(node.expr), times)
    # Whether an aggregation is fixed depends on its operand alone, as in Prometheus.
    param = None if node.param is None else _settle(_unwrapped(node.param), times)[0]
    if inner is not node.expr or param is not node.param:
        node = replace(node, expr=inner, param=param)
    return node, invariant, wrap


def _settle_binary(node: BinaryExpr, times: QueryTimes) -> _Settled:
    chain = left_chain(node)
    settled = _settle(chain[0].lhs, times)
    for operation in chain:
        rhs = _settle(operation.rhs, times)
        fixed = settled[1] and rhs[1]
        left, right = (settled[0], rhs[0]) if fixed else (_marked(settled), _marked(rhs))
        if left is not operation.lhs or right is not operation.rhs:
            operation = replace(operation, lhs=left, rhs=right)
        settled = operation, fixed, fixed
    return settled


def _settle_subquery(node: SubqueryExpr, times: QueryTimes) -> _Settled:
    """The inner expression is marked even where it is a number: it is evaluated once for all steps of the subquery."""
    inner, invariant, _ = _settle(node.expr, times)
    offset_ms = _resolved(node.offset_ms, node.offset_expr, times, signed=True)
    step_ms = _resolved(node.step_ms, node.step_expr, times)
    range_ms = _resolved(node.range_ms, node.range_expr, times)
    at_ms = _at(node, times)
    settled = SubqueryExpr(
        StepInvariantExpr(inner) if invariant else inner,
        range_ms,
        step_ms=step_ms,
        offset_ms=offset_ms,
        at_ms=at_ms,
        start=node.start,
        end=node.end,
    )
    return settled, at_ms is not None, False


def _settle_call(node: Call, times: QueryTimes) -> _Settled:
    name = node.func.name
    if not node.args and name in ("start", "end", "range", "step"):
        return NumberLiteral(_query_seconds(name, times), False, node.start, node.end), True, False
    args = [_settle(_unwrapped(arg), times) for arg in node.args]
    fixed = all(invariant for _, invariant, _ in args)
    # timestamp() of a bare selector depends on the samples alone.
    direct = name == "timestamp" and all(type(arg) is VectorSelector for arg, _, _ in args)
    fixed = fixed and (name not in AT_UNSAFE_FUNCTIONS or direct)
    settled = tuple([arg[0] if fixed else _marked(arg) for arg in args])
    if any(new is not old for new, old in zip(settled, node.args, strict=True)):
        node = replace(node, args=settled)
    return node, fixed, fixed


def _query_seconds(name: str, times: QueryTimes) -> float:
    span_ms = times.end_ms - times.start_ms
    values = {
        "start": times.start_ms,
        "end": times.end_ms,
        "range": span_ms,
        "step": times.step_ms if span_ms else 0,
    }
    return values[name] / 1000


def _resolved(literal_ms: int, expr: DurationExpr | None, times: QueryTimes, *, signed: bool = False) -> int:
    """Milliseconds of a duration that is a literal or an expression."""
    if expr is None:
        return literal_ms
    seconds = _evaluate(expr, times)
    if not math.isfinite(seconds):
        raise _mistake(expr, "duration is NaN or infinite")
    if seconds <= 0 and not signed:
        raise _mistake(expr, "duration must be greater than 0")
    if abs(seconds) > _SECONDS_MAX:
        raise _mistake(expr, "duration is out of range")
    return math.trunc(seconds * 1000)


def _mistake(node: DurationExpr, message: str) -> BadRequest:
    return BadRequest(f"{node.start}:{node.end}: {message}")


def _evaluate(node: DurationOperand, times: QueryTimes) -> float:
    if type(node) is NumberLiteral:
        return node.value
    op = node.op
    if op == "step":
        return times.step_ms / 1000
    if op == "range":
        return (times.end_ms - times.start_ms) / 1000
    assert node.rhs is not None  # only step and range have no operand
    rhs = _evaluate(node.rhs, times)
    if node.lhs is None:
        return -rhs if op == "-" else rhs
    lhs = _evaluate(node.lhs, times)
    if rhs == 0 and op in ("/", "%"):
        raise _mistake(node, "division by zero" if op == "/" else "modulo by zero")
    return _ARITHMETIC[op](lhs, rhs)


def _modulo(lhs: float, rhs: float) -> float:
    """The remainder with the sign of the dividend; NaN of an infinite one."""
    return math.nan if math.isinf(lhs) else math.fmod(lhs, rhs)


def _smaller(lhs: float, rhs: float) -> float:
    return math.nan if math.isnan(lhs) or math.isnan(rhs) else min(lhs, rhs)


def _larger(lhs: float, rhs: float) -> float:
    return math.nan if math.isnan(lhs) or math.isnan(rhs) else max(lhs, rhs)


_ARITHMETIC = {
    "+": lambda lhs, rhs: lhs + rhs,
    "-": lambda lhs, rhs: lhs - rhs,
    "*": lambda lhs, rhs: lhs * rhs,
    "/": lambda lhs, rhs: lhs / rhs,
    "%": _modulo,
    "^": power,
    "min_of": _smaller,
    "max_of": _larger,
}
