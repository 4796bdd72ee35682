"""Annotations: what a query has to say about its answer, as warnings and infos with Prometheus' texts and positions."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from pythanos.model.matchers import quote


class Severity(enum.StrEnum):
    WARNING = "PromQL warning"
    INFO = "PromQL info"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One remark; ``start`` is the byte offset of the expression it is about."""

    severity: Severity
    message: str
    start: int

    def merged(self, other: Annotation) -> Annotation:
        """One of two with the same text, of which ``other`` was found before: the later position is kept."""
        return self

    def render(self, query: str) -> str:
        """The text with the position in ``query`` as ``(line:column)``; without a query, the text alone."""
        text = f"{self.severity}: {self.message}"
        return f"{text} ({position(query, self.start)})" if query else text


@dataclass(frozen=True, slots=True)
class ForcedMonotonic(Annotation):
    """histogram_quantile had to correct bucket counts: where, by how much, how often, from when to when (ms)."""

    bucket_min: float
    bucket_max: float
    difference_max: float
    samples: int
    mint: int
    maxt: int

    def merged(self, other: Annotation) -> Annotation:
        if not isinstance(other, ForcedMonotonic):
            return self
        return ForcedMonotonic(
            self.severity,
            self.message,
            self.start,
            min(self.bucket_min, other.bucket_min),
            max(self.bucket_max, other.bucket_max),
            max(self.difference_max, other.difference_max),
            self.samples + other.samples,
            min(self.mint, other.mint),
            max(self.maxt, other.maxt),
        )

    def render(self, query: str) -> str:
        text = f"{self.severity}: {self.message}"
        if not query:
            return text
        return (
            f"{text}, from buckets {format_g(self.bucket_min)} to {format_g(self.bucket_max)}, with a max diff of"
            f" {self.difference_max:.2g}, over {self.samples} samples from {_rfc3339(self.mint)}"
            f" to {_rfc3339(self.maxt)} ({position(query, self.start)})"
        )


@dataclass(frozen=True, slots=True)
class StartOverlap(Annotation):
    """Start timestamps that lie before the previous sample: in how many windows."""

    occurrences: int

    def merged(self, other: Annotation) -> Annotation:
        if not isinstance(other, StartOverlap):
            return self
        return StartOverlap(self.severity, self.message, self.start, self.occurrences + other.occurrences)

    def render(self, query: str) -> str:
        text = f"{self.severity}: {self.message}"
        if not query:
            return text
        count = f" ({self.occurrences} occurrences)" if self.occurrences > 1 else ""
        return f"{text}{count} ({position(query, self.start)})"


class Annotations:
    """The remarks of one query, one for each text. Not thread-safe: filled by the thread that evaluates the query."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[str, Annotation] = {}

    def add(self, annotation: Annotation) -> None:
        key = annotation.render("")
        known = self._found.get(key)
        self._found[key] = annotation if known is None else annotation.merged(known)

    def extend(self, annotations: Iterable[Annotation]) -> None:
        for annotation in annotations:
            self.add(annotation)

    def __len__(self) -> int:
        return len(self._found)

    def render(self, query: str, severity: Severity, limit: int = 0) -> list[str]:
        """The texts of one severity, at most ``limit`` (0: all) and then a line that counts the rest."""
        texts = [found.render(query) for found in self._found.values() if found.severity is severity]
        if limit and len(texts) > limit:
            kind = "warning" if severity is Severity.WARNING else "info"
            texts[limit:] = [f"{len(texts) - limit} more {kind} annotations omitted"]
        return texts


def position(query: str, start: int) -> str:
    """``line:column`` of a byte offset, both from 1, columns in bytes."""
    raw = query.encode("utf-8", "surrogateescape")
    if not 0 <= start <= len(raw):
        return "invalid position"
    line, column = raw.count(b"\n", 0, start) + 1, start - raw.rfind(b"\n", 0, start)
    return f"{line}:{column}"


def warning(message: str, start: int) -> Annotation:
    return Annotation(Severity.WARNING, message, start)


def info(message: str, start: int) -> Annotation:
    return Annotation(Severity.INFO, message, start)


def start_overlap(metric: str, start: int, windows: int) -> Annotation:
    """For a series in so many windows of which a sample claims to have begun before the one before it."""
    text = f"sample has start time that overlaps with previous sample timestamp for metric {quote(metric)}"
    return StartOverlap(Severity.WARNING, text, start, occurrences=windows)


def format_g(value: float) -> str:
    """A float as Go's ``%g`` prints it: the shortest digits, with an exponent below 1e-4 and from 1e6 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    digits = Decimal(repr(value)).normalize()
    exponent = digits.adjusted() if value else 0
    if -4 <= exponent < 6:
        text = format(digits, "f")
        return "-0" if value == 0 and math.copysign(1, value) < 0 else text
    sign, figures, _ = digits.as_tuple()
    mantissa = "".join(map(str, figures))
    point = f"{mantissa[0]}.{mantissa[1:]}" if len(mantissa) > 1 else mantissa
    return f"{'-' if sign else ''}{point}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _rfc3339(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
