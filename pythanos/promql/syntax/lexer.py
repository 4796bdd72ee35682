"""From raw text to tokens.

Words and signs mean different things at the top level, inside braces and inside brackets, so there is one master
pattern per context. The patterns take the usual forms in one match, often several tokens at once; whatever they leave
goes through character by character rules, which also find the messages. An error ends the tokens with an ``ERROR``
token: what stands before it may be wrong too, and the first mistake is the one that is reported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pythanos.model.matchers import quote
from pythanos.promql.syntax.literals import (
    decode,
    quote_rune,
    rune_at,
    scan_duration_rest,
    scan_number,
    scan_string,
)
from pythanos.promql.syntax.tokens import (
    DURATION,
    DURATION_WORDS,
    EOF,
    ERROR,
    FILLS,
    IDENTIFIER,
    KEYWORDS,
    METRIC_IDENTIFIER,
    NUMBER,
    STRING,
)

# Possessive, so that a long run of spaces before a mistake costs one pass.
_SKIP = r"(?:[ \t\n\r]++|\#[^\n\r]*+)*+"
_SIMPLE_NUMBER = r"(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+(?![A-Za-z0-9_.])"
_SIMPLE_DURATION = r"[0-9]++(?:ms|[smhdwy])(?:[0-9]++(?:ms|[smhdw]))*+(?![A-Za-z0-9_])"
_SIMPLE_STRING = r"\"[^\"\\\n\x80-\xff]*+\"|'[^'\\\n\x80-\xff]*+'|`[^`\x80-\xff]*+`"
_TOP = re.compile(
    rf"{_SKIP}(?:(?P<word>[A-Za-z_:][A-Za-z0-9_:]*+)|(?P<sign>==|!=|<=|>=|</|>/|=(?!~)|[-+*/%^<>@,(){{\[])"
    rf"|(?P<NUMBER>{_SIMPLE_NUMBER})|(?P<DURATION>{_SIMPLE_DURATION})|(?P<STRING>{_SIMPLE_STRING}))"
)
_MATCHER = re.compile(
    r"[ \t\n\r]*+([A-Za-z_][A-Za-z0-9_]*+)[ \t\n\r]*+(=~|!=|!~|=)[ \t\n\r]*+(\"[^\"\\\n\x80-\xff]*+\")[ \t\n\r]*+([,}])"
)
_BRACES = re.compile(
    rf"{_SKIP}(?:(?P<IDENTIFIER>[A-Za-z_][A-Za-z0-9_]*+)|(?P<sign>=~|!=|!~|[=,}}])|(?P<STRING>{_SIMPLE_STRING}))"
)
_RANGE = re.compile(
    rf"[ \t\n\r]*+({_SIMPLE_DURATION})[ \t\n\r]*+(?:(:)[ \t\n\r]*+(?:({_SIMPLE_DURATION})[ \t\n\r]*+)?+)?+\]"
)
_SPACES = re.compile(r"[ \t\n\r]*+")
_SKIPPED = re.compile(_SKIP)
_LETTERS = re.compile(r"[A-Za-z_]*+")
_OPENS = re.compile(r"[ \t\n\r]*+\(")
_DIGITS = frozenset("0123456789")
_LETTER_SET = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_BRACKET_SIGNS = frozenset("+-*/%^,")


@dataclass(slots=True)
class Tokens:
    """The tokens of a text as columns, ended by ``EOF`` or ``ERROR``; offsets are into ``raw``."""

    raw: str
    kinds: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    error: str = ""


class _Mistake(Exception):
    def __init__(self, message: str, start: int) -> None:
        self.message = message
        self.start = start


def tokenize(raw: str) -> Tokens:
    """All tokens of a raw text."""
    lexer = _Lexer(raw)
    tokens = lexer.tokens
    try:
        end = lexer.run()
        lexer.emit(EOF, end, end)
    except _Mistake as mistake:
        tokens.error = mistake.message
        lexer.emit(ERROR, mistake.start, mistake.start)
    return tokens


class _Lexer:
    __slots__ = ("depth", "got_duration", "raw", "tokens")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.tokens = Tokens(raw)
        self.depth = 0
        # Prometheus never clears this at a closing bracket; it only decides which message a stray colon gets.
        self.got_duration = False

    def emit(self, kind: str, start: int, end: int) -> None:
        tokens = self.tokens
        tokens.kinds.append(kind)
        tokens.starts.append(start)
        tokens.ends.append(end)

    def run(self) -> int:
        """Takes the whole text; returns its length. Raises _Mistake."""
        raw, position, match = self.raw, 0, _TOP.match
        kinds, starts, ends = self.tokens.kinds, self.tokens.starts, self.tokens.ends
        while True:
            found = match(raw, position)
            if found is None:
                position = _end(_SKIPPED, raw, position)
                if position == len(raw):
                    if self.depth:
                        raise _Mistake("unclosed left parenthesis", position)
                    return position
                position = self.rare(position)
                continue
            kind = found.lastgroup
            assert kind is not None  # every alternative is a named group
            start, position = found.span(kind)
            if kind == "word":
                word = raw[start:position].lower()
                kind = word if word in KEYWORDS else _word_kind(word)
                if kind in FILLS and not _OPENS.match(raw, position):
                    kind = IDENTIFIER
            elif kind == "sign":
                kind = raw[start:position]
            kinds.append(kind)
            starts.append(start)
            ends.append(position)
            if kind == "(":
                self.depth += 1
            elif kind == ")":
                self.close_parenthesis(position)
            elif kind == "{":
                position = self.braces(position)
            elif kind == "[":
                position = self.brackets(position)

    def close_parenthesis(self, position: int) -> None:
        self.depth -= 1
        if self.depth < 0:
            self.tokens.kinds.pop()
            self.tokens.starts.pop()
            self.tokens.ends.pop()
            raise _Mistake("unexpected right parenthesis ')'", position)

    def rare(self, start: int) -> int:
        """One token at the top level that the master pattern leaves; returns its end."""
        raw = self.raw
        char = raw[start]
        if char in _DIGITS or (char == "." and raw[start + 1 : start + 2] in _DIGITS):
            return self.number(start)
        if char in "\"'`":
            return self.string(start)
        if char == "=":
            raise _Mistake("unexpected character after '=': '~'", start)
        if char == "!":
            raise _Mistake(f"unexpected character after '!': {self.rune(start + 1)}", start)
        if char == "]":
            raise _Mistake("unexpected right bracket ']'", start)
        raise _Mistake(f"unexpected character: {self.rune(start)}", start)

    def rune(self, position: int) -> str:
        return quote_rune(rune_at(self.raw, position)[0] if position < len(self.raw) else "")

    def number(self, start: int) -> int:
        valid, position = scan_number(self.raw, start)
        kind = NUMBER
        if not valid:
            valid, position = scan_duration_rest(self.raw, position)
            kind = DURATION
        if not valid:
            shown = quote(decode(self.raw[start:position]))
            raise _Mistake(f"bad number or duration syntax: {shown}", start)
        self.emit(kind, start, position)
        return position

    def string(self, start: int) -> int:
        end, mistake = scan_string(self.raw, start)
        if mistake:
            raise _Mistake(mistake, start)
        self.emit(STRING, start, end)
        return end

    def braces(self, position: int) -> int:
        """The inside of braces up to and with the closing one; returns the offset behind it."""
        raw = self.raw
        while True:
            if found := _MATCHER.match(raw, position):
                for group, kind in ((1, IDENTIFIER), (2, found[2]), (3, STRING), (4, found[4])):
                    self.emit(kind, *found.span(group))
                position = found.end()
                if found[4] == "}":
                    return position
                continue
            if found := _BRACES.match(raw, position):
                kind = found.lastgroup
                assert kind is not None  # every alternative is a named group
                start, position = found.span(kind)
                kind = raw[start:position] if kind == "sign" else kind
                self.emit(kind, start, position)
                if kind == "}":
                    return position
                continue
            position = self.rare_in_braces(_end(_SKIPPED, raw, position))

    def rare_in_braces(self, start: int) -> int:
        raw = self.raw
        if start == len(raw):
            raise _Mistake("unexpected end of input inside braces", start)
        char = raw[start]
        if char in "\"'`":
            return self.string(start)
        if char == "!":
            raise _Mistake(f"unexpected character after '!' inside braces: {self.rune(start + 1)}", start)
        if char == "{":
            raise _Mistake("unexpected left brace '{'", start)
        raise _Mistake(f"unexpected character inside braces: {self.rune(start)}", start)

    def brackets(self, position: int) -> int:
        """The inside of brackets up to and with the closing one; returns the offset behind it."""
        if found := _RANGE.match(self.raw, position):
            self.got_duration = True
            self.emit(DURATION, *found.span(1))
            if found[2]:
                self.emit(":", *found.span(2))
            if found[3]:
                self.emit(DURATION, *found.span(3))
            self.emit("]", found.end() - 1, found.end())
            return found.end()
        return _Brackets(self).run(position)


def _end(pattern: re.Pattern[str], raw: str, position: int) -> int:
    """Where the match of a pattern ends that matches anywhere, be it the empty text."""
    found = pattern.match(raw, position)
    assert found is not None
    return found.end()


def _word_kind(word: str) -> str:
    if word in ("inf", "nan"):
        return NUMBER
    return METRIC_IDENTIFIER if ":" in word else IDENTIFIER


class _Brackets:
    """The two states inside brackets.

    Before the first number only durations and their arithmetic are read (``arithmetic``); behind it, signs and words
    are read as at the top level, but words that are not of the duration grammar are refused.
    """

    __slots__ = ("arithmetic", "colon", "lexer", "raw")

    def __init__(self, lexer: _Lexer) -> None:
        self.lexer = lexer
        self.raw = lexer.raw
        self.arithmetic = True
        self.colon = False

    def run(self, position: int) -> int:
        raw, lexer = self.raw, self.lexer
        while True:
            position = _end(_SPACES if self.arithmetic else _SKIPPED, raw, position)
            if position == len(raw):
                self.at_end(position)
            char = raw[position]
            if char == "]":
                lexer.emit("]", position, position + 1)
                return position + 1
            position = self.token(char, position)

    def at_end(self, position: int) -> None:
        if self.arithmetic:
            raise _Mistake("unexpected end of input in duration expression", position)
        raise _Mistake("unclosed left parenthesis" if self.lexer.depth else "unclosed left bracket", position)

    def token(self, char: str, start: int) -> int:
        lexer, raw = self.lexer, self.raw
        if char in _DIGITS or (char == "." and raw[start + 1 : start + 2] in _DIGITS):
            end = lexer.number(start)
            lexer.got_duration |= self.arithmetic
            self.arithmetic = False
            return end
        if char == ":":
            return self.on_colon(start)
        if char in _BRACKET_SIGNS or char in "()":
            lexer.emit(char, start, start + 1)
            lexer.depth += char == "("
            if char == ")":
                lexer.close_parenthesis(start + 1)
            return start + 1
        if char in _LETTER_SET:
            return self.word(char, start)
        if self.arithmetic:
            raise _Mistake(f"unexpected character in duration expression: {lexer.rune(start)}", start)
        return self.sign(char, start)

    def on_colon(self, start: int) -> int:
        lexer = self.lexer
        if self.arithmetic:
            if not lexer.got_duration:
                raise _Mistake("unexpected colon before duration in duration expression", start + 1)
            if self.colon:
                raise _Mistake("unexpected repeated colon in duration expression", start + 1)
        elif self.colon:
            raise _Mistake("unexpected colon ':'", start)
        lexer.emit(":", start, start + 1)
        self.colon = True
        return start + 1

    def word(self, char: str, start: int) -> int:
        lexer = self.lexer
        end = _end(_LETTERS, self.raw, start)
        word = self.raw[start:end].lower()
        if char in "srmSRM" and word in DURATION_WORDS:
            lexer.emit(word, start, end)
            return end
        if self.arithmetic:
            raise _Mistake(f"unexpected character in duration expression: {quote_rune(char)}", start)
        raise _Mistake(f"unexpected character: {quote_rune(char)}, expected ':'", start)

    def sign(self, char: str, start: int) -> int:
        """Tokens that have no place in brackets, and are read so that the parser can name them."""
        lexer, raw = self.lexer, self.raw
        if char == "[":
            raise _Mistake("unexpected left bracket '['", start)
        if char == "{":
            lexer.emit("{", start, start + 1)
            return lexer.braces(start + 1)
        found = _TOP.match(raw, start)
        if found is None:
            return lexer.rare(start)
        kind = found.lastgroup
        assert kind is not None  # every alternative is a named group
        lexer.emit(raw[start : found.end()] if kind == "sign" else kind, start, found.end())
        return found.end()
