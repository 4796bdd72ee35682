"""Runs scripts: every eval as written, and each instant eval again with ``@`` and as the middle of a range query."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pythanos.context import RequestContext
from pythanos.errors import NotSupported, PythanosError
from pythanos.promql.accounting import QueryLimits
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery, QueryResult, RangeQuery
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.parser import parse
from pythanos.promql.tree.at_rewrite import with_at
from pythanos.promql.tree.printer import print_expr
from pythanos.promql.values import Matrix, Scalar, String
from pythanos.testing.promqltest.check import check_annotations, check_sorted, check_value, middle_of
from pythanos.testing.promqltest.script import Clear, Eval, Load, ScriptError, parse_script
from pythanos.testing.promqltest.storage import ScriptStorage
from pythanos.workers import Workers

# The environment that the reference gives to its scripts.
OPTIONS = EngineOptions(
    parser=EVERYTHING, limits=QueryLimits(samples_max=10_000), delayed_names=True, use_start_timestamps=True
)
_RESOLVES_DIFFERENTLY = re.compile(r"\b(?:start|end|range|step)\s*\(")
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """One eval: ``problem`` is "" where it passed; ``unsupported`` where the engine says that it does not do this."""

    line: int
    text: str
    problem: str = ""
    unsupported: bool = False


@dataclass(slots=True)
class Report:
    """The outcomes of one script."""

    path: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def passed(self) -> int:
        return sum(not outcome.problem for outcome in self.outcomes)

    @property
    def unsupported(self) -> int:
        return sum(outcome.unsupported for outcome in self.outcomes)

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.problem]


def run_file(path: Path, options: EngineOptions = OPTIONS) -> Report:
    """The outcomes of all evals of a script. Raises ScriptError, OSError."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ScriptError(f"not UTF-8 text at byte {error.start}") from error
    return run_script(text, str(path), options)


def run_script(text: str, path: str = "script", options: EngineOptions = OPTIONS) -> Report:
    """The outcomes of all evals of a script. Raises ScriptError."""
    report = Report(path)
    engine = Engine(options, Workers.inline())
    storage = ScriptStorage()
    for command in parse_script(text):
        if isinstance(command, Clear):
            storage = ScriptStorage()
        elif isinstance(command, Load):
            try:
                storage.load(command)
            except ValueError as error:
                raise ScriptError(f"line {command.line}: {error}") from error
        else:
            report.outcomes.append(_outcome(engine, storage, command))
    return report


def _outcome(engine: Engine, storage: ScriptStorage, command: Eval) -> Outcome:
    try:
        problem = next(_problems(engine, storage, command), "")
    except NotSupported as error:
        return Outcome(command.line, command.text, str(error), unsupported=True)
    except Exception as error:
        # A bug in the engine fails this eval and lets the others speak.
        problem = f"the engine broke: {type(error).__name__}: {error}"
    return Outcome(command.line, command.text, problem)


def _problems(engine: Engine, storage: ScriptStorage, command: Eval) -> Iterator[str]:
    if not command.instant:
        yield from _range_problems(engine, storage, command)
        return
    yield from _instant_problems(engine, storage, command, command.text, command.time_ms)
    rewritten = with_at(parse(command.text, EVERYTHING), command.time_ms)
    if rewritten is None:
        return
    text, time = print_expr(rewritten), command.time_ms
    for again in (-10 * time, 0, time // 5, time, 10 * time) if time else (-1000, 0, 1000):
        yield from _instant_problems(engine, storage, command, text, again)


def _range_problems(engine: Engine, storage: ScriptStorage, command: Eval) -> Iterator[str]:
    if command.steps is None:
        raise AssertionError(command)
    start, end, step = command.steps
    result = _answer(command, lambda: engine.range(_context(), storage, RangeQuery(command.text, start, end, step)))
    if isinstance(result, str):
        if result:
            yield result
        return
    problem = check_annotations(command, result) or check_value(command, result.value)
    if problem:
        yield problem


def _instant_problems(engine: Engine, storage: ScriptStorage, command: Eval, text: str, time_ms: int) -> Iterator[str]:
    where = "" if text == command.text and time_ms == command.time_ms else f" (as {text} at {time_ms} ms)"
    result = _answer(command, lambda: engine.instant(_context(), storage, InstantQuery(text, time_ms)))
    if isinstance(result, str):
        if result:
            yield result + where
        return
    problem = check_annotations(command, result) or check_value(command, result.value)
    if problem:
        yield problem + where
        return
    if command.steps is not None or isinstance(result.value, String) or _RESOLVES_DIFFERENTLY.search(text):
        return
    query = RangeQuery(text, time_ms - _MINUTE_MS, time_ms + _MINUTE_MS, _MINUTE_MS)
    problem = _middle_problem(engine, storage, command, query, scalar=isinstance(result.value, Scalar))
    if problem:
        yield f"{problem} (in a range query){where}"


def _middle_problem(
    engine: Engine, storage: ScriptStorage, command: Eval, query: RangeQuery, *, scalar: bool
) -> str | None:
    try:
        value = engine.range(_context(), storage, query).value
    except NotSupported:
        raise
    except PythanosError as error:
        return f"failed: {error}"
    if not isinstance(value, Matrix):
        raise AssertionError(value)
    if command.expects("ordered"):
        return None
    unsorted = check_sorted(value)
    if unsorted:
        return unsorted
    middle = middle_of(value, 1)
    if scalar:
        return check_value(command, Scalar(middle.time_ms, float(middle.values[0])))
    return check_value(command, middle)


def _answer(command: Eval, ask: Callable[[], QueryResult]) -> QueryResult | str:
    """The result; or, where the query failed or should have, what is wrong with that ("" if nothing is)."""
    expected = command.expects("fail")
    try:
        result = ask()
    except NotSupported:
        raise
    except PythanosError as error:
        if not expected:
            return f"query failed: {error}"
        return "" if expected[0].matches(str(error)) else f"expected another failure than: {error}"
    return "expected a failure, but the query succeeded" if expected else result


def _context() -> RequestContext:
    return RequestContext(timeout_seconds=60)
