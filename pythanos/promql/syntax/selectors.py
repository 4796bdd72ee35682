"""Label matchers in braces, and the lists of labels of ``by``, ``without``, ``on``, ``ignoring`` and ``group_*``."""

from __future__ import annotations

from pythanos.errors import BadRequest
from pythanos.model.matchers import Matcher, MatchType, compile_pattern, quote
from pythanos.promql.syntax.ast import VectorSelector
from pythanos.promql.syntax.cursor import Cursor
from pythanos.promql.syntax.literals import unquote
from pythanos.promql.syntax.tokens import IDENTIFIER, LABEL_NAMES, STRING

METRIC_NAME = "__name__"
_TYPES = {"=": MatchType.EQ, "!=": MatchType.NEQ, "=~": MatchType.RE, "!~": MatchType.NRE}


def parse_selector(cursor: Cursor) -> VectorSelector:
    """A vector selector without modifiers; the cursor stands on its name or on its brace."""
    index = cursor.index
    start, end = cursor.starts[index], cursor.ends[index]
    if cursor.kinds[index] == "{":
        matchers = parse_matchers(cursor)
        return VectorSelector("", tuple(matchers), start=start, end=cursor.ends[cursor.index - 1])
    name = cursor.raw[start:end]
    cursor.index = index + 1
    matchers = []
    if cursor.kinds[index + 1] == "{":
        matchers = parse_matchers(cursor)
        end = cursor.ends[cursor.index - 1]
    matchers.append(Matcher(MatchType.EQ, METRIC_NAME, name))
    return VectorSelector(name, tuple(matchers), start=start, end=end)


def parse_matchers(cursor: Cursor) -> list[Matcher]:
    """The matchers between braces; the cursor stands on the opening one and is left behind the closing one."""
    kinds = cursor.kinds
    cursor.index += 1
    matchers: list[Matcher] = []
    while kinds[cursor.index] != "}":
        matchers.append(_matcher(cursor))
        if kinds[cursor.index] == ",":
            cursor.index += 1
        elif kinds[cursor.index] != "}":
            raise cursor.unexpected("label matching", '"," or "}"')
    cursor.index += 1
    return matchers


def _matcher(cursor: Cursor) -> Matcher:
    index, kinds = cursor.index, cursor.kinds
    start, end = cursor.starts[index], cursor.ends[index]
    kind = kinds[index]
    if kind == IDENTIFIER:
        name = cursor.raw[start:end]
    elif kind == STRING:
        name = unquote(cursor.raw[start:end])
    else:
        raise cursor.unexpected("label matching", 'identifier or "}"')
    cursor.index = index + 1
    match_type = _TYPES.get(kinds[index + 1])
    if match_type is None:
        if kind == STRING:
            return Matcher(MatchType.EQ, METRIC_NAME, name)
        raise cursor.unexpected("label matching", "label matching operator")
    cursor.index = index + 2
    if kinds[index + 2] != STRING:
        raise cursor.unexpected("label matching", "string")
    value = unquote(cursor.raw[cursor.starts[index + 2] : cursor.ends[index + 2]])
    cursor.index = index + 3
    if match_type >= MatchType.RE:
        try:
            compile_pattern(value)
        except BadRequest as error:
            raise cursor.fail(str(error), start) from error
    return Matcher(match_type, name, value)


def parse_grouping(cursor: Cursor) -> tuple[str, ...]:
    """A list of label names in parentheses; the cursor stands behind the word that asks for it."""
    kinds = cursor.kinds
    if kinds[cursor.index] != "(":
        raise cursor.unexpected("grouping opts", '"("')
    cursor.index += 1
    labels: list[str] = []
    while kinds[cursor.index] != ")":
        labels.append(_label(cursor))
        if kinds[cursor.index] == ",":
            cursor.index += 1
        elif kinds[cursor.index] != ")":
            raise cursor.unexpected("grouping opts", '"," or ")"')
    cursor.index += 1
    return tuple(labels)


def _label(cursor: Cursor) -> str:
    index = cursor.index
    kind = cursor.kinds[index]
    if kind in LABEL_NAMES:
        name = cursor.text(index)
    elif kind == STRING:
        name = unquote(cursor.raw[cursor.starts[index] : cursor.ends[index]])
        if not name or (not name.isascii() and not _is_utf8(name)):
            raise cursor.fail(f"invalid label name for grouping: {quote(name)}", cursor.starts[index])
    else:
        raise cursor.unexpected("grouping opts", "label")
    cursor.index = index + 1
    return name


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
