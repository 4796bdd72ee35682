"""Matchers made ready for many label values: the set of values that a pattern names, or a fast test.

Most patterns that people write are alternatives of literals with ``.*`` and ``.+`` between them. Those are read here
into *forms*; a pattern without wildcards is a set, one with a few becomes a ``re`` without nested repetition.
Everything else is left to RE2, which is linear but costs ten times as much per value from Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import takewhile

from pythanos.model.matchers import Matcher, MatchType, compile_pattern

SET_MATCHES_MAX = 256
WILDCARDS_MAX = 3

_ANY, _SOME = object(), object()
_Form = tuple[object, ...]
_SPECIAL = frozenset("*+?{}^$]")
_REPEATS = frozenset("*+?{")


class ValueMatcher:
    """A matcher whose pattern has been taken apart. Immutable. Construction raises BadRequest for a bad pattern.

    ``set_matches`` are the values that a ``=~`` or ``!~`` pattern names, None where it names no finite set. ``prefix``
    is what each value that matches begins with, "" where nothing is known.
    """

    __slots__ = ("_test", "matcher", "matches_empty", "prefix", "set_matches")

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self.set_matches: frozenset[str] | None = None
        prefix = ""
        if matcher.type in (MatchType.EQ, MatchType.NEQ):
            self._test: Callable[[str], object] = matcher.value.__eq__
        else:
            self.set_matches, prefix, self._test = _pattern_test(matcher.value)
        self.prefix = "" if self.negated else prefix
        self.matches_empty = self.matches("")

    @property
    def negated(self) -> bool:
        return self.matcher.type in (MatchType.NEQ, MatchType.NRE)

    def matches(self, value: str) -> bool:
        return bool(self._test(value)) != self.negated

    def select(self, values: Iterable[str]) -> list[str]:
        """The values that match, in their order."""
        test = self._test
        if self.negated:
            return [value for value in values if not test(value)]
        return [value for value in values if test(value)]


def _pattern_test(pattern: str) -> tuple[frozenset[str] | None, str, Callable[[str], object]]:
    """(set matches, prefix, test) of a pattern."""
    forms = _forms(pattern)
    if forms is None:
        compiled = compile_pattern(pattern)
        return None, "", lambda value: compiled.fullmatch(value.encode("utf-8", "surrogateescape"))
    if all(_wildcards(form) == 0 for form in forms):
        named = frozenset("".join(form) for form in forms)  # type: ignore[arg-type]
        return named, "", named.__contains__
    text = "|".join("".join(_as_re(piece) for piece in form) for form in forms)
    return None, _common_start([_literal_start(form) for form in forms]), re.compile(text, re.DOTALL).fullmatch


def _common_start(texts: list[str]) -> str:
    """What all begin with, which is what the first and the last in order begin with."""
    first, last = min(texts), max(texts)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    return first[:same]


def _literal_start(form: _Form) -> str:
    """What a form has before its first wildcard."""
    return "".join(str(piece) for piece in takewhile(lambda piece: isinstance(piece, str), form))


def _as_re(piece: object) -> str:
    if piece is _ANY:
        return ".*"
    return ".+" if piece is _SOME else re.escape(str(piece))


def _wildcards(form: _Form) -> int:
    return sum(not isinstance(piece, str) for piece in form)


def _forms(pattern: str) -> list[_Form] | None:
    """The alternatives of a pattern, each a run of characters and wildcards; None for any other pattern."""
    # As the whole value must match, one anchor at each end says nothing; between alternatives it would.
    if "|" not in pattern:
        pattern = pattern.removeprefix("^")
        if pattern.endswith("$") and not pattern.endswith("\\$"):
            pattern = pattern[:-1]
    reader = _PatternReader(pattern)
    try:
        forms = reader.alternatives()
    except _OtherPattern:
        return None
    if reader.at != len(pattern) or any(_wildcards(form) > WILDCARDS_MAX for form in forms):
        return None
    return forms


class _OtherPattern(Exception):
    """The pattern uses more of the language than this reader knows."""


class _PatternReader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def alternatives(self) -> list[_Form]:
        forms = self._sequence()
        while self._take("|"):
            forms = forms + self._sequence()
        return _limited(forms)

    def _sequence(self) -> list[_Form]:
        forms: list[_Form] = [()]
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            piece = self._piece()
            forms = _limited([form + more for form in forms for more in piece])
        return forms

    def _piece(self) -> list[_Form]:
        char = self._next()
        if char == ".":
            return [(self._wildcard(),)]
        if char == "(":
            forms = self._group()
        elif char == "[":
            forms = self._class()
        elif char == "\\":
            forms = [(self._escaped(),)]
        elif char in _SPECIAL:
            raise _OtherPattern
        else:
            forms = [(char,)]
        if self._take("?"):
            forms = [*forms, ()]
        if self._peek() in _REPEATS:
            raise _OtherPattern
        return forms

    def _wildcard(self) -> object:
        found = _ANY if self._take("*") else _SOME if self._take("+") else None
        if found is None or self._peek() in _REPEATS:
            raise _OtherPattern
        return found

    def _group(self) -> list[_Form]:
        if self._take("?") and not self._take(":"):
            raise _OtherPattern
        forms = self.alternatives()
        if not self._take(")"):
            raise _OtherPattern
        return forms

    def _class(self) -> list[_Form]:
        chars: list[str] = []
        while not self._take("]"):
            char = self._next()
            if char == "\\":
                char = self._escaped()
            elif char in "[^-":
                raise _OtherPattern
            if self._take("-"):
                last = self._next()
                if not (char.isalnum() and last.isalnum() and char <= last and ord(last) - ord(char) < 128):
                    raise _OtherPattern
                chars.extend(chr(code) for code in range(ord(char), ord(last) + 1))
            else:
                chars.append(char)
        if not chars:
            raise _OtherPattern
        return [(char,) for char in dict.fromkeys(chars)]

    def _escaped(self) -> str:
        char = self._next()
        if not char.isascii() or char.isalnum():
            raise _OtherPattern
        return char

    def _next(self) -> str:
        if self.at >= len(self.text):
            raise _OtherPattern
        self.at += 1
        return self.text[self.at - 1]

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1] or "|"

    def _take(self, char: str) -> bool:
        if self.text[self.at : self.at + 1] != char:
            return False
        self.at += 1
        return True


def _limited(forms: list[_Form]) -> list[_Form]:
    if len(forms) > SET_MATCHES_MAX:
        raise _OtherPattern
    return forms
