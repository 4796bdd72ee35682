"""Times of parts of a plan: when a subquery is evaluated, which samples a part looks at, and when info() does.

And for which steps another engine has the samples that a part looks at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pythanos.promql.functions.extended import X_FUNCTIONS, X_LOOKBACK_MS
from pythanos.promql.plan.nodes import Aggregate, Node, RangeCall, RangeSelect, Select, Subquery, children
from pythanos.promql.remote import RemoteEngine
from pythanos.promql.values import Steps


def subquery_ends(node: Subquery, steps: Steps) -> Steps:
    """Where the ranges of a subquery end."""
    if node.at_ms is not None:
        return Steps(node.at_ms - node.offset_ms, 1, 1)
    return Steps(steps.start_ms - node.offset_ms, steps.step_ms, steps.count)


def subquery_steps(node: Subquery, steps: Steps) -> Steps:
    """When the inner expression is evaluated: at multiples of the subquery's step, after the first range begins."""
    ends = subquery_ends(node, steps)
    begin = ends.start_ms - node.range_ms
    start = node.step_ms * (begin // node.step_ms + 1)
    return Steps.between(start, ends.end_ms, node.step_ms)


@dataclass(frozen=True, slots=True)
class Reach:
    """The samples that a part of a plan looks at.

    ``behind`` and ``ahead``: ms before and after each step, None where no selector moves with the steps; ``fixed``:
    the ``[first, last]`` ms of what ``@`` fixes.
    """

    behind: int | None = None
    ahead: int = 0
    fixed: tuple[tuple[int, int], ...] = ()

    def joined(self, other: Reach) -> Reach:
        if self.behind is None or other.behind is None:
            return Reach(
                other.behind if self.behind is None else self.behind,
                max(self.ahead, other.ahead),
                self.fixed + other.fixed,
            )
        return Reach(max(self.behind, other.behind), max(self.ahead, other.ahead), self.fixed + other.fixed)

    def moved(self, range_ms: int, offset_ms: int, at_ms: int | None) -> Reach:
        """What a subquery with this inside looks at."""
        if self.behind is None:
            return self
        behind, ahead = self.behind + range_ms + offset_ms, max(0, self.ahead - offset_ms)
        if at_ms is None:
            return Reach(behind, ahead, self.fixed)
        return Reach(None, 0, (*self.fixed, (at_ms - behind, at_ms - offset_ms + self.ahead)))


def reach(node: Node, lookback_ms: int) -> Reach:
    """Which samples a part of a plan looks at; offsets that point forward make ``ahead``."""
    match node:
        case Select():
            after = lookback_ms if node.modifier == "smoothed" else 0
            return _selected(node, lookback_ms, after)
        case RangeSelect():
            # Behind the edges of a range that is anchored or smoothed one more sample is looked for.
            more = lookback_ms if node.select.modifier else 0
            return _selected(node.select, node.range_ms + more, more if node.select.modifier == "smoothed" else 0)
        case RangeCall(function=function, source=RangeSelect() as source) if function in X_FUNCTIONS:
            return _selected(source.select, source.range_ms + X_LOOKBACK_MS, 0)
        case Subquery():
            return reach(node.expr, lookback_ms).moved(node.range_ms, node.offset_ms, node.at_ms)
    whole = Reach()
    for child in children(node):
        whole = whole.joined(reach(child, lookback_ms))
    return whole


def _selected(select: Select, window_ms: int, after_ms: int) -> Reach:
    return Reach(window_ms, after_ms).moved(0, select.offset_ms, select.at_ms)


def first_selected_time(plan: Node) -> tuple[int | None, int]:
    """(at ms or None, offset ms) of the first selector of a plan with the subqueries around it.

    Offsets add up from the selector outwards until an ``@`` fixes the time (None, 0 without a selector).
    """
    return _first(plan) or (None, 0)


def _first(node: Node) -> tuple[int | None, int] | None:
    if isinstance(node, Select):
        return node.at_ms, node.offset_ms
    below = children(node)
    if isinstance(node, Aggregate):
        # In the order of the text's tree: the operand before the parameter.
        below = below[::-1]
    found = next((time for child in below if (time := _first(child)) is not None), None)
    if found is not None and found[0] is None and isinstance(node, Subquery):
        return node.at_ms, found[1] + node.offset_ms
    return found


def in_time(engine: RemoteEngine, looked: Reach, steps: Steps) -> bool:
    """Whether an engine has any of the time that is looked at."""
    moving = looked.behind is not None and (
        engine.mint <= steps.end_ms + looked.ahead and engine.maxt >= steps.start_ms - looked.behind
    )
    return moving or any(engine.mint <= last and engine.maxt >= first for first, last in looked.fixed)


def _keys(engine: RemoteEngine) -> set[tuple[tuple[str, str], ...]]:
    return {tuple(sorted(labels.items())) for labels in engine.partition_sets}


def hand_over(engines: Sequence[RemoteEngine], looked: Reach, steps: Steps) -> bool:
    """Whether, of engines with the same series, each has the samples that its first step looks back at.

    What is fixed in time has to lie within every one of them.
    """
    by_key: dict[tuple[tuple[str, str], ...], list[RemoteEngine]] = {}
    for engine in engines:
        for key in _keys(engine):
            by_key.setdefault(key, []).append(engine)
    for same in by_key.values():
        if len(same) == 1:
            continue
        if any(e.mint > first or e.maxt < last for e in same for first, last in looked.fixed):
            return False
        if looked.behind is not None and not _overlap(same, looked.behind, steps, looked.ahead):
            return False
    return True


def _overlap(engines: Sequence[RemoteEngine], behind: int, steps: Steps, ahead: int) -> bool:
    """``engines`` by mint."""
    first, last = steps.start_ms - behind, steps.end_ms + ahead
    covered = engines[0].maxt
    for _, engine in pairwise(engines):
        takes_over = engine.mint > first and engine.mint <= last and engine.maxt >= first
        if takes_over and covered - engine.mint < behind + ahead:
            return False
        covered = max(covered, engine.maxt)
    return True


def own_steps(engine: RemoteEngine, engines: Sequence[RemoteEngine], looked: Reach, steps: Steps) -> Steps:
    """The steps for which an engine has everything that they look at; all where nobody else knows more.

    Before them it lacks samples that another engine has. After them it would go on with its last samples where the
    other one knows that there is nothing any more; to be left out there, all of its series must be the other's.
    """
    keys, others = _keys(engine), [other for other in engines if other is not engine]
    first, last = 0, steps.count
    if looked.behind is not None and any(other.mint < engine.mint and keys & _keys(other) for other in others):
        first = max(0, -(-(engine.mint + looked.behind - steps.start_ms) // steps.step_ms))
    later = set().union(*(_keys(other) for other in others if other.maxt > engine.maxt))
    if looked.behind is not None and keys <= later:
        last = min(last, (engine.maxt - looked.ahead - steps.start_ms) // steps.step_ms + 1)
    return Steps(steps.start_ms + first * steps.step_ms, steps.step_ms, max(0, last - first))
