"""Label matchers: = != =~ !~ over label values, with RE2 syntax and full anchoring.

Strings are ``str`` decoded from UTF-8 with ``surrogateescape``, so that any byte survives a round trip.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass

import re2

from pythanos.errors import BadRequest

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class MatchType(enum.IntEnum):
    """Numbered as in the StoreAPI's LabelMatcher.Type."""

    EQ = 0
    NEQ = 1
    RE = 2
    NRE = 3

    @property
    def operator(self) -> str:
        return ("=", "!=", "=~", "!~")[self]


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. An absent label has the value ``""``. Hashable, so usable as a cache key."""

    type: MatchType
    name: str
    value: str

    def matches(self, value: str) -> bool:
        """Whether a label of this value satisfies the matcher. Raises BadRequest for a bad pattern."""
        if self.type is MatchType.EQ:
            return value == self.value
        if self.type is MatchType.NEQ:
            return value != self.value
        found = compile_pattern(self.value).fullmatch(value.encode("utf-8", "surrogateescape")) is not None
        return found if self.type is MatchType.RE else not found

    @property
    def matches_empty(self) -> bool:
        return self.matches("")

    def inverse(self) -> Matcher:
        return Matcher(MatchType(self.type ^ 1), self.name, self.value)

    def __str__(self) -> str:
        name = self.name if _PLAIN_NAME.fullmatch(self.name) else quote(self.name)
        return f"{name}{self.type.operator}{quote(self.value)}"


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    options.max_mem = 64 << 20
    return options


@functools.lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> re2._Regexp:
    """The compiled form of a label pattern: RE2 over bytes, dot matches newline. Raises BadRequest."""
    try:
        return re2.compile(pattern.encode("utf-8", "surrogateescape"), _options())
    except re2.error as error:
        raise BadRequest(f"error parsing regexp: {_go_reason(error, pattern)}") from error


# How Go's regexp/syntax names what RE2 finds.
_GO_REASONS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
    "pattern too large - compile failed": "expression too large",
}


def _go_reason(error: re2.error, pattern: str) -> str:
    """What is wrong with a pattern and, in backquotes, where, as Prometheus says it."""
    found = error.args[0] if error.args else ""
    text = found.decode("utf-8", "surrogateescape") if isinstance(found, bytes) else str(found)
    for reason, shown in _GO_REASONS.items():
        if text == reason or text.startswith(reason + ": "):
            return f"{shown}: `{text[len(reason) + 2 :]}`"
    reason, colon, part = text.partition(": ")
    return f"{reason}: `{part if colon else pattern}`"


def quote(text: str) -> str:
    """The Go-quoted form of a string, as Prometheus prints label values."""
    out = []
    for char in text:
        code = ord(char)
        if char in '"\\':
            out.append("\\" + char)
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code - 0xDC00:02x}")
        elif code < 0x20 or code == 0x7F:
            out.append(f"\\x{code:02x}")
        elif char.isprintable() or char == " ":
            out.append(char)
        else:
            out.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return '"' + "".join(out) + '"'


_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
