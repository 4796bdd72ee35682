"""Random expressions give the same answers where other engines evaluate parts of them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from pythanos import _labels
from pythanos.context import RequestContext
from pythanos.errors import QueryFailed
from pythanos.model.series import STALE_NAN_BITS
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery, RangeQuery
from pythanos.promql.remote import Remotes
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.values import Matrix, Vector
from pythanos.testing.fake_engine import FakeEngine
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.workers import Workers

MINUTE = 60_000
REGIONS = ("eu", "us", "asia")
# The oldest and the newest engine of the region that two engines have share these minutes.
SHARED = range(40, 62)
Rows = dict[str, list[str]]
ENGINE = Engine(EngineOptions(parser=EVERYTHING), Workers.inline())


def samples() -> dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]:
    """Three metrics in three regions, some series missing; no two equal, of few bits: sums are exact in any order."""
    source = random.Random(5)
    found = {}
    for name in ("foo", "bar", "a_total"):
        for region in REGIONS:
            for job in ("x", "y"):
                for a in ("a", "b", ""):
                    if source.random() < 0.25:
                        continue
                    labels = {"__name__": name, "region": region, "job": job, "a": a}
                    key = tuple(sorted((k, v) for k, v in labels.items() if v))
                    found[key] = [(k * MINUTE, source.randint(0, 20) + len(found) / 64) for k in range(100)]
    return found


SAMPLES = samples()


def queryable(minutes: range = range(100), regions: tuple[str, ...] = REGIONS) -> MemoryQueryable:
    held = MemoryQueryable(batch_series=3)
    for key, series in SAMPLES.items():
        if dict(key)["region"] in regions:
            own = [(t, v) for t, v in series if t // MINUTE in minutes]
            held.add(dict(key), [t for t, _ in own], [v for _, v in own])
    return held


def engine(address: str, region: str, minutes: range = range(100)) -> FakeEngine:
    last = (minutes.stop - 1) * MINUTE if minutes.stop < 100 else 1 << 60
    return FakeEngine(
        address, ({"region": region},), ENGINE, queryable(minutes, (region,)), minutes.start * MINUTE, last
    )


def engines() -> tuple[FakeEngine, ...]:
    """One for each of two regions; the third is shared by one that has the old and one that has the new."""
    return (
        engine("eu", "eu"),
        engine("us", "us"),
        engine("old", "asia", range(SHARED.stop)),
        engine("new", "asia", range(SHARED.start, 100)),
    )


WHOLE = queryable()


class Expressions:
    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.pick = source.choice

    def selector(self) -> str:
        conditions = [
            f"{name}{self.pick(('=', '=', '!=', '=~', '!~'))}{value}"
            for name, value in (
                ("region", self.pick(('"eu"', '"asia"', '"eu|us"', '""'))),
                ("job", '"x"'),
                ("a", self.pick(('"a"', '"a|b"', '""'))),
            )
            if self.source.random() < 0.3
        ]
        return f"{self.pick(('foo', 'foo', 'bar', 'a_total'))}{{{','.join(conditions)}}}"

    def labels(self) -> str:
        return ", ".join(name for name in ("region", "job", "a") if self.source.random() < 0.5)

    def scalar(self) -> str:
        return self.pick(("2", "-1", "time()", f"scalar({self.selector()})", "(1 + 1)"))

    def vector(self, depth: int) -> str:
        kind = self.source.randint(0, 11)
        if depth == 0 or kind <= 1:
            moved = ("", "", "", " offset 3m", " @ 3000", " @ end()", " offset -2m")
            return self.selector() + self.pick(moved)
        inner = self.vector(depth - 1)
        if kind == 2:
            function = self.pick(("rate", "max_over_time", "count_over_time", "absent_over_time"))
            return f"{function}({self.selector()}[{self.pick(('5m', '30m'))}])"
        if kind <= 5:
            op = self.pick(("sum", "max", "count", "avg", "topk", "quantile", "group", "bottomk", "min"))
            parameter = {"topk": "2, ", "bottomk": "1, ", "quantile": "0.5, "}.get(op, "")
            # Which of equal values topk takes is a matter of order.
            inner = self.selector() if op.endswith("k") else inner
            return f"{op} {self.pick(('by', 'without'))} ({self.labels()}) ({parameter}{inner})"
        if kind == 6:
            return f"{self.pick(('abs', '-', 'absent', 'timestamp', 'sort', 'sgn'))}({inner})"
        if kind == 7:
            function = self.pick(("max_over_time", "sum_over_time", "last_over_time"))
            brackets = self.pick(("[6m:1m]", "[20m:2m]", "[5m:]", "[6m:1m] offset 1m", "[6m:1m] @ 3600"))
            return f"{function}(({inner}){brackets})"
        if kind == 8:
            target = self.pick(("region", "a", "new"))
            return f'label_replace({inner}, "{target}", "$1-z", "{self.pick(("region", "job"))}", "(.*)")'
        if kind == 9:
            return f"({inner} {self.pick(('+', '*', '>', '< bool'))} {self.scalar()})"
        return f"({self.binary(depth - 1)})"

    def binary(self, depth: int) -> str:
        matching = f"{self.pick(('on', 'ignoring'))} ({self.labels()})" if self.source.random() < 0.7 else ""
        op = self.pick(("+", "-", "*", ">", "==", "and", "or", "unless", "== bool"))
        if matching and op in "+-*" and self.source.random() < 0.4:
            matching += f" group_{self.pick(('left', 'right'))} ()"
        return f"{self.vector(depth)} {op} {matching} {self.vector(depth)}"


def answer(text: str, remotes: Remotes | None, *, instant: bool) -> Rows | None:
    """Label set -> values at the steps; None for an error."""
    try:
        if instant:
            result = ENGINE.instant(RequestContext(), WHOLE, InstantQuery(text, 70 * MINUTE), remotes)
        else:
            result = ENGINE.range(RequestContext(), WHOLE, RangeQuery(text, 50 * MINUTE, 80 * MINUTE, MINUTE), remotes)
    except QueryFailed:
        return None
    value = result.value
    assert isinstance(value, Vector | Matrix)
    rows = value.values if isinstance(value, Matrix) else value.values.reshape(-1, 1)
    # The last digits are a matter of the order of a sum; absence is a NaN of its own.
    shown = [["-" if absent else f"{v:.11g}" for v, absent in zip(row, gone, strict=True)] for row, gone in pairs(rows)]
    return dict(zip(map(str, _labels.to_dicts(value.labels)), shown, strict=True))


def pairs(rows: NDArray[np.float64]) -> Iterator[tuple[list[float], list[bool]]]:
    return zip(rows.tolist(), (rows.view(np.int64) == STALE_NAN_BITS).tolist(), strict=True)


@pytest.mark.parametrize("seed", range(3))
def test_distributed_answers_agree(seed: int) -> None:
    """Values and label sets; parts of most expressions are evaluated elsewhere.

    Whether several series in one match group are refused depends on whether somebody is there to meet them: a reader
    that has not all samples may not know. So an error says nothing here.
    """
    expressions = Expressions(random.Random(seed))
    answered = sent = 0
    for number in range(100):
        text = expressions.vector(3)
        found = engines()
        expected = answer(text, None, instant=number % 2 == 0)
        got = answer(text, Remotes(found), instant=number % 2 == 0)
        sent += any(one.asked for one in found)
        if expected is None or got is None:
            continue
        assert got == expected, text
        answered += bool(expected)
    assert answered > 25
    assert sent > 60
