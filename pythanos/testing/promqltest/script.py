"""Scripts to commands: ``clear``, ``load``, ``eval``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.errors import ParseError
from pythanos.promql.syntax.literals import scan_string, to_raw, unquote
from pythanos.promql.syntax.parser import parse
from pythanos.testing.promqltest.notation import Item, LabelSet, NotationError, parse_series, repeats
from pythanos.units import parse_duration

_LOAD = re.compile(r"load(?:_(with_nhcb))?\s+(.+?)")
_INSTANT = re.compile(r"eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)")
_RANGE = re.compile(r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)")
_EXPECT = re.compile(r"expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?")
_EXPECT_RANGE = re.compile(r"expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)")


@dataclass(frozen=True, slots=True)
class Clear:
    line: int


@dataclass(frozen=True, slots=True)
class Load:
    """Series to append: sample k at k * step_ms. ``start_times`` are offsets to the samples' times, in ms."""

    line: int
    step_ms: int
    series: list[tuple[LabelSet, list[Item]]]
    custom_buckets: bool
    start_times: dict[LabelSet, list[int | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expectation:
    """``kind`` fail, warn, info, no_warn, no_info, ordered; the exact ``message`` or a ``pattern`` to be found."""

    kind: str
    message: str = ""
    pattern: str = ""

    def matches(self, text: str) -> bool:
        if self.message:
            return text == self.message
        return re.search(self.pattern, text) is not None


@dataclass(slots=True)
class Eval:
    """An expression and what it must give. ``steps``: (start, end, step) ms; of a range vector, for an instant eval."""

    line: int
    text: str
    time_ms: int
    steps: tuple[int, int, int] | None
    instant: bool
    expectations: list[Expectation] = field(default_factory=list)
    series: list[tuple[LabelSet, list[Item]]] = field(default_factory=list)
    scalar: float | None = None
    string: str | None = None

    def expects(self, kind: str) -> list[Expectation]:
        return [expectation for expectation in self.expectations if expectation.kind == kind]


Command = Clear | Load | Eval


class ScriptError(ValueError):
    """A script that cannot be read; the message begins with the line."""


def parse_script(text: str) -> list[Command]:
    """The commands of a script. Raises ScriptError."""
    lines = ["" if line.strip().startswith("#") else line.strip() for line in text.splitlines()]
    commands: list[Command] = []
    at = 0
    while at < len(lines):
        line, end = lines[at], at + 1
        if not line:
            at = end
            continue
        word = line.split(maxsplit=1)[0].lower()
        while end < len(lines) and lines[end] and word != "clear":
            end += 1
        try:
            if word == "clear":
                commands.append(Clear(at + 1))
            elif word.startswith("load"):
                commands.append(_load(lines[at:end], at + 1))
            elif word.startswith("eval"):
                command, used = _eval(lines[at:end], at + 1)
                commands.append(command)
                end = at + used
            else:
                raise NotationError(f"invalid command {line!r}")
        except ScriptError:
            raise
        except ValueError as error:
            raise ScriptError(f"line {at + 1}: {error}") from error
        at = end
    return commands


@contextmanager
def _faults_of_line(number: int) -> Iterator[None]:
    """Faults inside are those of this line, not of the command that it belongs to."""
    try:
        yield
    except ValueError as error:
        raise ScriptError(f"line {number}: {error}") from error


def _load(lines: list[str], number: int) -> Load:
    found = _LOAD.fullmatch(lines[0])
    if found is None:
        raise NotationError("invalid load command. (load[_with_nhcb] <step:duration>)")
    series: dict[LabelSet, list[Item]] = {}
    start_times: dict[LabelSet, list[int | None]] = {}
    pending: tuple[LabelSet, list[int | None]] | None = None
    for at, line in enumerate(lines[1:], number + 1):
        with _faults_of_line(at):
            metric, _, offsets = line.replace("\t", " ").partition(" ")
            if metric.endswith("@st"):
                _refuse_pending(pending)
                labels, _ = parse_series(metric.removesuffix("@st") + " _")
                pending = labels, _start_times(offsets)
                continue
            labels, items = parse_series(line)
            series[labels] = items
            start_times.pop(labels, None)
            if pending is not None:
                start_times[labels] = _checked_start_times(pending, labels, items)
                pending = None
    _refuse_pending(pending)
    return Load(number, parse_duration(found[2]), list(series.items()), found[1] is not None, start_times)


def _refuse_pending(pending: object) -> None:
    if pending is not None:
        raise NotationError("@st line has no following sample line")


def _checked_start_times(
    pending: tuple[LabelSet, list[int | None]], labels: LabelSet, items: list[Item]
) -> list[int | None]:
    if pending[0] != labels:
        raise NotationError("@st metric does not match the following sample line metric")
    if len(pending[1]) != len(items):
        raise NotationError(f"@st line has {len(pending[1])} values but sample line has {len(items)}")
    return pending[1]


def _start_times(text: str) -> list[int | None]:
    out: list[int | None] = []
    for item in text.split():
        found = re.fullmatch(r"(_|[+-]?[0-9a-z]+?)(?:([+-])([0-9a-z]+?))?(?:x(\d+))?", item)
        if found is None:
            raise NotationError(f"not a start time: {item}")
        if found[1] == "_":
            out.extend([None] * repeats(found[4], 1))
            continue
        base = parse_duration(found[1].removeprefix("+"))
        step = int(f"{found[2]}1") * parse_duration(found[3]) if found[2] else 0
        out.extend(base + step * k for k in range(repeats(found[4]) + 1))
    return out


def _eval(lines: list[str], number: int) -> tuple[Eval, int]:
    """The command and how many lines it took: some bodies end before the empty line."""
    command = _header(lines[0], number)
    used = len(lines)
    for at, line in enumerate(lines[1:], 1):
        if line.startswith(("expected_fail_message", "expected_fail_regexp")) and command.expects("fail"):
            kind, _, text = line.partition(" ")
            message, pattern = (text.strip(), "") if kind.endswith("message") else ("", text.strip())
            command.expectations[:] = [Expectation("fail", message, pattern)]
            used = at + 1
            break
        with _faults_of_line(number + at):
            _body_line(command, line)
        if command.scalar is not None:
            used = at + 1
            break
    _check(command)
    return command, used


def _body_line(command: Eval, line: str) -> None:
    if line.startswith("expect range vector"):
        _expect_range_vector(command, line)
    elif line.startswith("expect string"):
        command.string = _quoted(line.removeprefix("expect string").strip())
    elif line.split(" ")[0] == "expect":
        command.expectations.append(_expectation(line))
    elif (value := _scalar(line)) is not None:
        command.scalar = value
    else:
        command.series.append(parse_series(line))


def _header(line: str, number: int) -> Eval:
    if found := _INSTANT.fullmatch(line):
        if not found[2]:
            raise NotationError('invalid timestamp definition ""')
        command = Eval(number, found[3], parse_duration(found[2]), None, True)
    elif found := _RANGE.fullmatch(line):
        steps = _times(found[2], found[3], found[4])
        command = Eval(number, found[5], steps[1], steps, False)
    else:
        raise NotationError("invalid evaluation command")
    if found[1]:
        command.expectations.append(Expectation(found[1]))
    try:
        parse(command.text, EVERYTHING)
    except ParseError as error:
        raise NotationError(f"{command.text}: {error}") from error
    return command


def _times(start: str, end: str, step: str) -> tuple[int, int, int]:
    times = parse_duration(start), parse_duration(end), parse_duration(step)
    if times[1] < times[0]:
        raise NotationError(f"invalid test definition, end timestamp ({end}) is before start timestamp ({start})")
    return times


def _expect_range_vector(command: Eval, line: str) -> None:
    found = _EXPECT_RANGE.fullmatch(line)
    if found is None:
        raise NotationError(f"invalid range vector definition {line!r}")
    command.steps = _times(found[1], found[2], found[3])
    command.time_ms = command.steps[1]


def _quoted(text: str) -> str:
    if len(text) < 2 or text[0] not in '"`' or scan_string(to_raw(text), 0) != (len(to_raw(text)), ""):
        raise NotationError("expected string literal not valid - check that the string is correctly quoted")
    return unquote(to_raw(text))


def _check(command: Eval) -> None:
    """Raises NotationError for expectations that contradict each other or the kind of query."""
    for kind in ("info", "warn"):
        if command.expects(kind) and command.expects(f"no_{kind}"):
            raise NotationError(f"invalid expect lines, {kind} and no_{kind} cannot be used together")
    if len(command.expects("fail")) > 1:
        raise NotationError("invalid expect lines, multiple expect fail lines are not allowed")
    if command.instant and command.steps is None and any(len(items) > 1 for _, items in command.series):
        raise NotationError("expecting multiple values in instant evaluation not allowed")


def _expectation(line: str) -> Expectation:
    found = _EXPECT.fullmatch(line)
    if found is None:
        raise NotationError(f"invalid expect statement {line!r}")
    text = (found[3] or "").strip()
    return Expectation(found[1], text if found[2] == "msg" else "", text if found[2] == "regex" else "")


def _scalar(line: str) -> float | None:
    """A bare number: an integer in Go's notation, or a float."""
    try:
        if re.fullmatch(r"[+-]?0\d+", line):
            return float(int(line, 8))
        return float(int(line, 0))
    except ValueError:
        pass
    try:
        return None if "_" in line else float(line)
    except ValueError:
        return None
