"""The error of a text that is not PromQL, and the limits on what the parser takes in."""

from __future__ import annotations

from pythanos.errors import BadRequest

# Levels of a syntax tree. Everything that walks a tree may recurse: this many levels of two or three Python frames each
# stay below the interpreter's default limit of 1,000.
DEPTH_MAX = 256
# Operators in a row, as in `a or b or c`: they are one level, and are never recursed along.
CHAIN_MAX = 10_000
# Bytes of one expression.
LENGTH_MAX = 1 << 20


class ParseError(BadRequest):
    """A text that cannot be parsed, or an expression whose types do not fit.

    ``message`` is the reason; ``start`` its byte offset; ``line`` and ``column`` count from 1, the column in bytes.
    """

    def __init__(self, message: str, raw: str, start: int) -> None:
        self.message = message
        self.start = start
        self.line = raw.count("\n", 0, start) + 1
        self.column = start - raw.rfind("\n", 0, start)
        where = f"{self.line}:{self.column}" if raw else "unknown position"
        super().__init__(f"{where}: parse error: {message}")
