"""Fuzzing of PromQL: any text gives a tree or a located ParseError; a tree is printed to what parses to it again, and
is planned and evaluated or refused with an error that is meant for the asker.

    python fuzz/fuzz_promql.py [--seconds 60] [--seed 1]      texts of a grammar, and spoiled ones
    python fuzz/fuzz_promql.py --atheris fuzz/corpus/promql   whatever libFuzzer makes of the corpus

Prints the text that breaks a rule, and exits 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import mutation

with mutation.instrumented():
    from pythanos.promql.syntax.cursor import EVERYTHING, ParserOptions
    from pythanos.promql.syntax.errors import LENGTH_MAX, ParseError
    from pythanos.promql.syntax.parser import parse, parse_metric_selector
    from pythanos.promql.tree.ast_json import ast_json
    from pythanos.promql.tree.at_rewrite import with_at
    from pythanos.promql.tree.pretty import pretty
    from pythanos.promql.tree.printer import print_expr

from pythanos.context import RequestContext
from pythanos.errors import PythanosError
from pythanos.promql.accounting import QueryLimits
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery, RangeQuery
from pythanos.promql.plan.explain import explain
from pythanos.promql.syntax.ast import BinaryExpr, DurationExpr, Expr, StringLiteral, VectorSelector, left_chain
from pythanos.promql.tree.preprocess import QueryTimes
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.testing.promql_grammar import Grammar, spoil
from pythanos.workers import Workers

CORPUS = Path(__file__).parent / "corpus" / "promql"
NOW_MS = 3_600_000
MINUTE_MS = 60_000
_PLAIN = ParserOptions()
_NOTHING = StringLiteral("")
# What a query over some twenty samples never needs, unless a subquery has very many steps.
_OPTIONS = EngineOptions(parser=EVERYTHING, limits=QueryLimits(samples_max=20_000))


def data() -> MemoryQueryable:
    """A few series of the names that the grammar draws."""
    made = MemoryQueryable()
    times = [NOW_MS - minute * MINUTE_MS for minute in range(9, -1, -1)]
    for name in ("foo", "up", "a_total", "bar:sum"):
        for job in ("x", "a"):
            made.add({"__name__": name, "job": job, "le": "1"}, times, [float(len(name) * k % 7) for k in range(10)])
    return made


class Checks:
    """The rules; each raises AssertionError or whatever broke."""

    def __init__(self) -> None:
        self.data = data()
        self.tried = 0
        self.engine = Engine(_OPTIONS, Workers.inline())
        self.plain = Engine(replace(_OPTIONS, optimize=False), Workers.inline())

    def text(self, given: bytes) -> bool:
        """All rules on any bytes; whether they are an expression."""
        text = given.decode("utf-8", "surrogateescape")
        _tree_or_error(text, _PLAIN)
        try:
            parse_metric_selector(text)
        except ParseError as error:
            _check_place(error, given)
        tree = _tree_or_error(text, EVERYTHING)
        if tree is None:
            return False
        _check_printing(tree)
        for engine in (self.engine, self.plain):
            self.check_answers(engine, text)
        return True

    def check_answers(self, engine: Engine, text: str) -> None:
        """Plans and answers are made, or refused on purpose. Evaluation costs most, so a part of the texts get it."""
        instant, ranged = InstantQuery(text, NOW_MS), RangeQuery(text, 0, NOW_MS, 15 * MINUTE_MS)
        for times in (QueryTimes(NOW_MS, NOW_MS), QueryTimes(0, NOW_MS, 15 * MINUTE_MS)):
            _refused_or_done(lambda times=times: explain(engine.plan(text, times)))
        self.tried += 1
        if self.tried % 7 == 0:
            _refused_or_done(lambda: engine.instant(RequestContext(), self.data, instant))
            _refused_or_done(lambda: engine.range(RequestContext(), self.data, ranged))


def _refused_or_done(attempt: Callable[[], object]) -> None:
    try:
        attempt()
    except PythanosError as error:
        assert str(error)


def _tree_or_error(text: str, options: ParserOptions) -> Expr | None:
    try:
        return parse(text, options)
    except ParseError as error:
        _check_place(error, text.encode("utf-8", "surrogateescape"))
        return None


def _check_place(error: ParseError, given: bytes) -> None:
    """The place is in the text, and told as line and column where there is a text."""
    assert error.message and 0 <= error.start <= len(given), error
    lines = given[: error.start].split(b"\n")
    assert not given or (error.line, error.column) == (len(lines), len(lines[-1]) + 1), error
    assert not given or str(error) == f"{error.line}:{error.column}: parse error: {error.message}"


def _check_printing(tree: Expr) -> None:
    """The printed text parses to the same tree; so does the pretty form, and the form that is fixed to a time."""
    _refused_or_done(lambda: ast_json(tree))
    _check_same(tree, print_expr(tree))
    _check_same(tree, pretty(tree))
    fixed = with_at(tree, 1_234)
    if fixed is not None:
        _check_same(fixed, print_expr(fixed))


def _check_same(tree: Expr, printed: str) -> None:
    if len(printed.encode("utf-8", "surrogateescape")) > LENGTH_MAX:
        return  # a short text may print as a long one
    again = parse(printed, EVERYTHING)
    assert meaning(again) == meaning(tree), f"{printed}\n{tree}\n{again}"


def meaning(node: Any) -> object:
    """What two trees have in common that mean the same: no positions, matchers in order, NaN as it is printed."""
    if isinstance(node, tuple):
        return tuple(meaning(part) for part in node)
    if not is_dataclass(node):
        return repr(node)
    if isinstance(node, DurationExpr) and node.op == "+" and node.lhs is None and node.rhs is not None:
        return meaning(node.rhs)
    if isinstance(node, BinaryExpr):
        # Thousands of operators in a row are one level of nesting.
        chain = left_chain(node)
        return meaning(chain[0].lhs), tuple(_parts(replace(operation, lhs=_NOTHING)) for operation in chain)
    return _parts(node)


def _parts(node: Any) -> object:
    parts = {field.name: getattr(node, field.name) for field in fields(node) if field.compare}
    if isinstance(node, VectorSelector):
        parts["matchers"] = tuple(sorted(node.matchers, key=str))
    return type(node).__name__, tuple((name, meaning(part)) for name, part in parts.items())


def texts(seed: int) -> Iterator[bytes]:
    """Expressions of the grammar; most of them with mistakes, some with bytes that are no text."""
    source = random.Random(seed)
    grammar = Grammar(source)
    while True:
        text = grammar.expression(source.randint(0, 5))
        if source.random() < 0.6:
            text = spoil(text, source)
        if source.random() < 0.02:
            text = repeated(text, source)
        made = text.encode("utf-8", "surrogateescape")
        if source.random() < 0.1:
            at = source.randint(0, len(made))
            made = made[:at] + source.randbytes(source.randint(1, 4)) + made[at:]
        yield made


def repeated(text: str, source: random.Random) -> str:
    """The text with a few of its characters many times: deep, long or wrong."""
    at = source.randint(0, len(text))
    piece = text[at : at + source.randint(1, 8)]
    return text[:at] + piece * source.randint(2, 4_000) + text[at:]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--atheris", action="store_true")
    options, rest = parser.parse_known_args()
    checks = Checks()
    if options.atheris:
        sys.argv[1:] = rest
        mutation.main(checks.text, CORPUS)
        return
    source, tried, valid, end = texts(options.seed), 0, 0, time.monotonic() + options.seconds
    while time.monotonic() < end:
        for given in islice(source, 20):
            try:
                valid += checks.text(given)
            except BaseException:
                print(f"broken by {given!r}", file=sys.stderr)
                raise
            tried += 1
    print(f"{tried} texts, {valid} expressions, {tried - valid} located errors")


if __name__ == "__main__":
    main()
