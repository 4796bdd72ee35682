"""The parser's place in the tokens, its options, and the making of its errors."""

from __future__ import annotations

from dataclasses import dataclass

from pythanos.promql.syntax.errors import DEPTH_MAX, LENGTH_MAX, ParseError
from pythanos.promql.syntax.lexer import tokenize
from pythanos.promql.syntax.literals import decode, to_raw
from pythanos.promql.syntax.tokens import ERROR, describe


@dataclass(frozen=True, slots=True)
class ParserOptions:
    """Which parts of the language are on; the defaults are those of Prometheus 3.14 without feature flags.

    ``experimental_functions``: flag promql-experimental-functions; ``duration_expressions``: always on since 3.14;
    ``extended_ranges``: promql-extended-range-selectors; ``fill_modifiers``: promql-binop-fill-modifiers;
    ``x_functions``: Thanos' xrate, xincrease and xdelta.
    """

    experimental_functions: bool = False
    duration_expressions: bool = True
    extended_ranges: bool = False
    fill_modifiers: bool = False
    x_functions: bool = False


EVERYTHING = ParserOptions(experimental_functions=True, extended_ranges=True, fill_modifiers=True, x_functions=True)


class Cursor:
    """Tokens of one text and the index of the next one. Rules are functions that take a cursor and move it."""

    __slots__ = ("aggregations", "ends", "error", "index", "kinds", "nesting", "options", "raw", "starts")

    def __init__(self, text: str, options: ParserOptions) -> None:
        """Raises ParseError for a text that is longer than LENGTH_MAX bytes."""
        raw = to_raw(text)
        self.raw = raw
        if len(raw) > LENGTH_MAX:
            raise ParseError(f"expression is longer than {LENGTH_MAX} bytes", raw, 0)
        tokens = tokenize(raw)
        self.kinds, self.starts, self.ends, self.error = tokens.kinds, tokens.starts, tokens.ends, tokens.error
        self.index = 0
        self.options = options
        # How many parsed-but-open aggregations and how many nested rules surround the next token.
        self.aggregations = 0
        self.nesting = 0

    def text(self, index: int) -> str:
        """The text of a token as it was written."""
        return decode(self.raw[self.starts[index] : self.ends[index]])

    def fail(self, message: str, start: int) -> ParseError:
        """The error of a place in the text, to be raised."""
        return ParseError(message, self.raw, start)

    def unexpected(self, context: str = "", expected: str = "") -> ParseError:
        """The error of the next token having no place here; a mistake in the token itself goes before."""
        index = self.index
        kind, start = self.kinds[index], self.starts[index]
        if kind == ERROR:
            return ParseError(self.error, self.raw, start)
        message = f"unexpected {describe(kind, self.raw[start : self.ends[index]])}"
        if not context and self.aggregations:
            context = "aggregation"
        if context:
            message += f" in {context}"
        if expected:
            message += f", expected {expected}"
        return ParseError(message, self.raw, start)

    def look(self) -> None:
        """Raises if the next token is a mistake: for rules that read it before they check themselves."""
        if self.kinds[self.index] == ERROR:
            raise self.unexpected()

    def enter(self) -> None:
        """Counts one more nested rule. Raises ParseError at DEPTH_MAX; the caller counts down itself."""
        self.nesting += 1
        if self.nesting > DEPTH_MAX:
            raise self.too_deep(self.starts[self.index])

    def too_deep(self, start: int) -> ParseError:
        return ParseError(f"expression is nested deeper than {DEPTH_MAX} levels", self.raw, start)
