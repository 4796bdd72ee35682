"""Random expressions give the same answers with optimizers and without."""

from __future__ import annotations

import random

import pytest

from pythanos.context import RequestContext
from pythanos.errors import PythanosError
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery, RangeQuery
from pythanos.promql.syntax.ast import ValueType
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.testing import answers
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.testing.promql_grammar import Grammar
from pythanos.workers import Workers

MINUTE = 60_000
PLAIN, OPTIMIZED = (
    Engine(EngineOptions(parser=EVERYTHING, optimize=optimize), Workers.inline()) for optimize in (False, True)
)


def data() -> MemoryQueryable:
    """Three metrics by three labels, of which some are missing; counters, gaps and staleness among them."""
    source = random.Random(3)
    queryable = MemoryQueryable(batch_series=3)
    for name in ("foo", "bar:sum", "a_total", "up"):
        for job in ("x", "y", ""):
            for a in ("a", "b", "1", ""):
                for le in ("", "1"):
                    if source.random() < 0.35:
                        continue
                    labels = {"__name__": name, "job": job, "a": a, "le": le}
                    times = [k * MINUTE for k in range(40) if source.random() < 0.9]
                    values = [float(source.randint(0, 20)) for _ in times]
                    queryable.add({key: value for key, value in labels.items() if value}, times, values)
    return queryable


DATA = data()


class Pairs:
    """Draws binary operations between expressions over selectors that often cover each other."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.pick = source.choice

    def selector(self) -> str:
        conditions = [
            f"{name}{self.pick(('=', '=', '!=', '=~', '!~'))}{value}"
            for name, value in (("job", '"x"'), ("a", self.pick(('"a"', '"1"', '"a|b"', '""'))), ("le", '"1"'))
            if self.source.random() < 0.35
        ]
        return f"{self.pick(('foo', 'foo', 'a_total', 'up'))}{{{','.join(conditions)}}}"

    def labels(self) -> str:
        return ", ".join(name for name in ("job", "a", "le") if self.source.random() < 0.5)

    def operand(self, depth: int) -> str:
        kind = self.source.randint(0, 8)
        if depth == 0 or kind <= 1:
            return self.selector() + self.pick(("", "", "", " offset 1m", " @ 1200"))
        if kind == 2:
            return f"{self.pick(('rate', 'max_over_time', 'last_over_time'))}({self.selector()}[5m])"
        if kind <= 5:
            op = self.pick(("sum", "max", "count", "avg", "topk", "quantile"))
            parameter = {"topk": "2, ", "quantile": "0.5, "}.get(op, "")
            return f"{op} {self.pick(('by', 'without'))} ({self.labels()}) ({parameter}{self.operand(depth - 1)})"
        if kind == 6:
            return f"{self.pick(('abs', '-', 'absent', 'timestamp'))}({self.operand(depth - 1)})"
        if kind == 7:
            return f"max_over_time({self.operand(depth - 1)}[4m:1m])"
        return f"({self.binary(depth - 1)})"

    def binary(self, depth: int) -> str:
        matching = f"{self.pick(('on', 'ignoring'))} ({self.labels()})" if self.source.random() < 0.7 else ""
        op = self.pick(("+", "/", "*", ">", "==", "and", "or", "unless", "== bool"))
        if matching and op in "+/*" and self.source.random() < 0.4:
            matching += f" group_{self.pick(('left', 'right'))} ()"
        return f"{self.operand(depth)} {op} {matching} {self.operand(depth)}"


def answer(engine: Engine, text: str, *, instant: bool) -> tuple[str, object]:
    """("answer", everything it says) or ("error", its text)."""
    try:
        if instant:
            result = engine.instant(RequestContext(), DATA, InstantQuery(text, 30 * MINUTE))
        else:
            result = engine.range(RequestContext(), DATA, RangeQuery(text, 20 * MINUTE, 34 * MINUTE, 2 * MINUTE))
    except PythanosError as error:
        return "error", str(error)
    return "answer", (answers.plain(result.value), result.warnings(0), result.infos(0))


def is_refusal(found: tuple[str, object]) -> bool:
    """An error for several series in one match group; which of the groups it names is a matter of order."""
    return found[0] == "error" and ("multiple matches" in str(found[1]) or "found duplicate series" in str(found[1]))


def compare(texts: list[str]) -> int:
    """How many expressions had an answer."""
    answered = 0
    for number, text in enumerate(texts):
        instant = number % 2 == 0
        expected, found = (answer(engine, text, instant=instant) for engine in (PLAIN, OPTIMIZED))
        if is_refusal(expected) and (is_refusal(found) or found[0] == "answer"):
            # Those that meet nobody are not read any more.
            continue
        assert found == expected, text
        answered += found[0] == "answer"
    return answered


@pytest.mark.parametrize("seed", range(4))
def test_operations_over_selectors_that_cover_each_other(seed: int) -> None:
    """Values to the bit, label sets, warnings with their positions, errors."""
    pairs = Pairs(random.Random(seed))
    assert compare([pairs.binary(2) for _ in range(250)]) > 120


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_grammar(seed: int) -> None:
    """Whatever is evaluated at all."""
    grammar = Grammar(random.Random(seed))
    assert compare([grammar.of(ValueType.VECTOR, 3) for _ in range(200)]) > 15
