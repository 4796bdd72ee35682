"""Series descriptions: ``metric{label="value"} 1+2x3 _ stale {{schema:0 sum:1}}x2``."""

from __future__ import annotations

import re
from dataclasses import replace

from pythanos.model.matchers import MatchType
from pythanos.model.series import ABSENT
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.promql.syntax.parser import parse_metric_selector
from pythanos.testing.promqltest.histograms import Histogram, added, parse_histogram

_NUMBER = r"[+-]?(?:inf|nan|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)"
_FLOATS = re.compile(rf"({_NUMBER})([+-](?:{_NUMBER[5:]}))?(?:x(\d+))?", re.IGNORECASE)
_HISTOGRAM = re.compile(r"(\{\{.*?\}\})([+-]\{\{.*?\}\})?(?:x(\d+))?")
_GAPS = re.compile(r"_(?:x(\d+))?")
REPEATS_MAX = 1_000_000
_ITEM = re.compile(r"\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x\d+)?|\S+")


# A sample of a series line: a float, a native histogram, or a gap.
Item = float | Histogram | None
LabelSet = tuple[tuple[str, str], ...]


class NotationError(ValueError):
    """A line that is not in the notation."""


def split_metric(line: str) -> tuple[str, str]:
    """(metric, rest) of a series line; the metric ends with its braces or at the first space."""
    brace = line.find("{")
    space = re.search(r"\s", line)
    apart = space is not None and space.start() < brace and not line[space.start() : brace].isspace()
    if brace < 0 or line.startswith("{{", brace) or apart:
        return (line[: space.start()], line[space.end() :]) if space else (line, "")
    quote = ""
    at = brace
    while at < len(line):
        char = line[at]
        if quote:
            at += char == "\\" and quote != "`"
            quote = "" if char == quote else quote
        elif char in "\"'`":
            quote = char
        elif char == "}":
            return line[: at + 1], line[at + 1 :]
        at += 1
    raise NotationError(f"unclosed label set in {line!r}")


def parse_metric(text: str) -> LabelSet:
    """The label set of a metric as it is written in a series line, sorted by name. Raises NotationError."""
    selector = parse_metric_selector(text, EVERYTHING)
    labels: dict[str, str] = {}
    for matcher in selector.matchers:
        if matcher.type is not MatchType.EQ or matcher.name in labels:
            raise NotationError(f"not a label set: {text}")
        if matcher.value:
            labels[matcher.name] = matcher.value
    return tuple(sorted(labels.items()))


def parse_series(line: str) -> tuple[LabelSet, list[Item]]:
    """The label set and the samples of a series line: a float, a histogram, or None for a gap."""
    metric, rest = split_metric(line)
    items: list[Item] = []
    for item in _ITEM.findall(rest):
        items.extend(_expand(item))
    return parse_metric(metric), items


def parse_float(text: str) -> float:
    """A decimal float, ``inf`` or ``nan`` in any case. Raises ValueError."""
    if "_" in text:
        raise ValueError(text)
    return float(text)


def repeats(text: str | None, default: int = 0) -> int:
    """The number behind an ``x``. Raises NotationError for more samples than a script has any use for."""
    if text and (len(text) > len(str(REPEATS_MAX)) or int(text) > REPEATS_MAX):
        raise NotationError(f"more than {REPEATS_MAX} samples in a row: x{text}")
    return int(text or default)


def _expand(item: str) -> list[Item]:
    if item == "stale":
        return [ABSENT]
    if found := _GAPS.fullmatch(item):
        return [None] * repeats(found[1], 1)
    if found := _HISTOGRAM.fullmatch(item):
        return _histograms(found[1], found[2] or "", repeats(found[3]))
    found = _FLOATS.fullmatch(item)
    if found is None:
        raise NotationError(f"not a sample: {item}")
    value = parse_float(found[1])
    step = parse_float(found[2]) if found[2] else 0.0
    values: list[Item] = [value]
    for _ in range(repeats(found[3])):
        # Added up one by one, as the reference does, rounding included.
        value = value + step if found[2] else value
        values.append(value)
    return values


def _histograms(base: str, step: str, times: int) -> list[Item]:
    """A histogram and ``times`` more, each the one before plus the signed step. Raises ValueError."""
    current = parse_histogram(base)
    if not step:
        return [current] * (times + 1)
    grown, sign = parse_histogram(step[1:]), -1 if step[0] == "-" else 1
    # Whether a hint is compared is decided by the step's text, for the base too, as in the reference.
    current = replace(current, hint_given=grown.hint_given)
    values: list[Item] = [current]
    for _ in range(times):
        current = added(current, grown, sign)
        values.append(current)
    return values
