"""Scripts to commands: ``clear``, ``load``, ``eval``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pythanos.promql.syntax.literals import to_raw, unquote
from pythanos.testing.promqltest.notation import Item, LabelSet, NotationError, parse_series
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
    """``kind`` fail, warn, info, no_warn, no_info or ordered, with the exact ``message`` or a ``pattern`` to be found."""

    kind: str
    message: str = ""
    pattern: str = ""

    def matches(self, text: str) -> bool:
        if self.message:
            return text == self.message
        return re.search(self.pattern, text) is not None


@dataclass(slots=True)
class Eval:
    """An expression and what it must give. ``steps`` is (start, end, step) ms; of a range vector, for an instant eval."""

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
        except ValueError as error:
            raise ScriptError(f"line {at + 1}: {error}") from error
        at = end
    return commands


def _load(lines: list[str], number: int) -> Load:
    found = _LOAD.fullmatch(lines[0])
    if found is None:
        raise NotationError("invalid load command")
    series: dict[LabelSet, list[Item]] = {}
    start_times: dict[LabelSet, list[int | None]] = {}
    for line in lines[1:]:
        marked = re.match(r"([^{\s]*(?:\{.*?\})?)@st\s+(.*)", line)
        if marked:
            labels, _ = parse_series(marked[1] + " 0")
            start_times[labels] = _start_times(marked[2])
            continue
        labels, items = parse_series(line)
        series[labels] = items
    return Load(number, parse_duration(found[2]), list(series.items()), found[1] is not None, start_times)


def _start_times(text: str) -> list[int | None]:
    out: list[int | None] = []
    for item in text.split():
        found = re.fullmatch(r"(_|[+-]?[0-9a-z]+?)(?:([+-])([0-9a-z]+?))?(?:x(\d+))?", item)
        if found is None:
            raise NotationError(f"not a start time: {item}")
        if found[1] == "_":
            out.extend([None] * int(found[4] or 1))
            continue
        base = parse_duration(found[1].removeprefix("+"))
        step = int(f"{found[2]}1") * parse_duration(found[3]) if found[2] else 0
        out.extend(base + step * k for k in range(int(found[4] or 0) + 1))
    return out


def _eval(lines: list[str], number: int) -> tuple[Eval, int]:
    """The command and how many lines it took: some bodies end before the empty line."""
    command = _header(lines[0], number)
    for at, line in enumerate(lines[1:], 1):
        if line.startswith("expected_fail_"):
            kind, _, value = line.partition(" ")
            message, pattern = (value.strip(), "") if kind.endswith("message") else ("", value.strip())
            command.expectations[:] = [Expectation("fail", message, pattern)]
            return command, at + 1
        if line.startswith("expect range vector"):
            found = _EXPECT_RANGE.fullmatch(line)
            if found is None:
                raise NotationError(f"invalid range vector definition {line!r}")
            command.steps = (parse_duration(found[1]), parse_duration(found[2]), parse_duration(found[3]))
            command.time_ms = command.steps[1]
        elif line.startswith("expect string"):
            command.string = unquote(to_raw(line.removeprefix("expect string").strip()))
        elif line.split(" ")[0] == "expect":
            command.expectations.append(_expectation(line))
        elif (value := _scalar(line)) is not None:
            command.scalar = value
            return command, at + 1
        else:
            command.series.append(parse_series(line))
    return command, len(lines)


def _header(line: str, number: int) -> Eval:
    if found := _INSTANT.fullmatch(line):
        command = Eval(number, found[3], parse_duration(found[2]), None, True)
    elif found := _RANGE.fullmatch(line):
        start, end, step = (parse_duration(found[part]) for part in (2, 3, 4))
        command = Eval(number, found[5], end, (start, end, step), False)
    else:
        raise NotationError("invalid evaluation command")
    if found[1]:
        command.expectations.append(Expectation(found[1]))
    return command


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
