"""The kinds of tokens and how messages name them.

A kind is a string: an upper-case class (``NUMBER``), a keyword in lower case, or the spelling of a sign.
"""

from __future__ import annotations

from pythanos.model.matchers import quote
from pythanos.promql.syntax.ast import AGGREGATIONS
from pythanos.promql.syntax.literals import decode

IDENTIFIER = "IDENTIFIER"
METRIC_IDENTIFIER = "METRIC_IDENTIFIER"
NUMBER = "NUMBER"
DURATION = "DURATION"
STRING = "STRING"
EOF = "EOF"
ERROR = "ERROR"

WORD_OPERATORS = frozenset(("and", "or", "unless", "atan2"))
FILLS = frozenset(("fill", "fill_left", "fill_right"))
TIME_WORDS = frozenset(("start", "end", "step", "range", "max_of", "min_of"))
DURATION_WORDS = frozenset(("step", "range", "max_of", "min_of"))
MODIFIERS = FILLS | {"offset", "smoothed", "anchored", "by", "without", "on", "ignoring", "group_left", "group_right"}
KEYWORDS = AGGREGATIONS | WORD_OPERATORS | MODIFIERS | TIME_WORDS | {"bool"}
OPERATORS = WORD_OPERATORS | {
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "@",
    "==",
    "!=",
    "<=",
    "<",
    ">=",
    ">",
    "</",
    ">/",
    "=~",
    "!~",
}

# Keywords that may not be the name of a metric: each would read as a modifier or an operator.
METRIC_NAMES = (KEYWORDS - {"bool", "on", "ignoring", "group_left", "group_right", "atan2"}) | {
    IDENTIFIER,
    METRIC_IDENTIFIER,
}
LABEL_NAMES = (KEYWORDS - {"without"}) | {IDENTIFIER, METRIC_IDENTIFIER}
OPERAND_STARTS = METRIC_NAMES | {NUMBER, DURATION, STRING, "(", "{", "+", "-"}

# A longer text is cut in messages.
_SHOWN_MAX = 10
_CLASS_NAMES = {
    IDENTIFIER: "identifier",
    METRIC_IDENTIFIER: "metric identifier",
    NUMBER: "number",
    DURATION: "duration",
    STRING: "string",
}


def describe(kind: str, raw: str) -> str:
    """How a message names a token: ``identifier "foo"``, ``<by>``, ``<op:+>``, ``<aggr:sum>``, ``"("``."""
    if kind == EOF:
        return "end of input"
    text = decode(raw)
    if kind in MODIFIERS or kind == "bool":
        return f"<{text}>"
    if kind in OPERATORS:
        return f"<op:{text}>"
    if kind in AGGREGATIONS:
        return f"<aggr:{text}>"
    if kind in (IDENTIFIER, METRIC_IDENTIFIER):
        return f"{_CLASS_NAMES[kind]} {quote(text)}"
    shown = quote(text) if len(raw) <= _SHOWN_MAX else quote(text[:_SHOWN_MAX]) + "..."
    return f"{_CLASS_NAMES[kind]} {shown}" if kind in _CLASS_NAMES else shown
