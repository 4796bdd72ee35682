"""PromQL: a lexer's tokens to a checked syntax tree, by precedence climbing.

Grammar, messages and positions are those of ``prometheus:promql/parser`` 3.14. The nodes of a tree are at most
``errors.DEPTH_MAX`` levels deep: nested rules count while parsing. Operators in a row, however
many, are one level.
"""

from __future__ import annotations

from pythanos.promql.syntax.ast import (
    AGGREGATIONS,
    EXPERIMENTAL_AGGREGATIONS,
    PARAMETER_AGGREGATIONS,
    AggregateExpr,
    BinaryExpr,
    Call,
    Cardinality,
    Expr,
    NumberLiteral,
    ParenExpr,
    StringLiteral,
    UnaryExpr,
    VectorMatching,
    VectorSelector,
)
from pythanos.promql.syntax.checker import check, check_depth
from pythanos.promql.syntax.cursor import Cursor, ParserOptions
from pythanos.promql.syntax.durations import parse_literal
from pythanos.promql.syntax.errors import DEPTH_MAX
from pythanos.promql.syntax.literals import unquote
from pythanos.promql.syntax.modifiers import POSTFIX, parse_postfix
from pythanos.promql.syntax.selectors import parse_grouping, parse_selector
from pythanos.promql.syntax.signatures import FUNCTIONS, X_FUNCTIONS
from pythanos.promql.syntax.tokens import (
    DURATION,
    EOF,
    IDENTIFIER,
    METRIC_NAMES,
    NUMBER,
    OPERAND_STARTS,
    STRING,
    TIME_WORDS,
)

_POWERS = {
    "or": 1,
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(("==", "!=", "<=", "<", ">=", ">", "</", ">/"), 3),
    **dict.fromkeys("+-", 4),
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 6,
}
# A sign binds as tightly as multiplication: only powers go before it.
_SIGN_POWER = 6
_ONE_TO_ONE = VectorMatching()
_DEFAULTS = ParserOptions()
_set = object.__setattr__


def parse(text: str, options: ParserOptions = _DEFAULTS) -> Expr:
    """The checked tree of an expression. Raises ParseError."""
    cursor = Cursor(text, options)
    if cursor.kinds[0] == EOF:
        raise cursor.fail("no expression found in input", 0)
    expr = _parse_expr(cursor, 1)
    if cursor.kinds[cursor.index] != EOF:
        raise cursor.unexpected()
    if cursor.index > DEPTH_MAX:
        check_depth(expr, cursor)
    check(expr, cursor)
    return expr


def parse_metric_selector(text: str, options: ParserOptions = _DEFAULTS) -> VectorSelector:
    """A bare selector, as in ``match[]`` parameters; it may match everything. Raises ParseError."""
    cursor = Cursor(text, options)
    if cursor.kinds[0] not in METRIC_NAMES and cursor.kinds[0] != "{":
        raise cursor.unexpected()
    selector = parse_selector(cursor)
    if cursor.kinds[cursor.index] != EOF:
        raise cursor.unexpected()
    return selector


def _parse_expr(cursor: Cursor, power_min: int) -> Expr:
    """An expression of operators that bind at least as tightly as ``power_min``."""
    kinds = cursor.kinds
    kind = kinds[cursor.index]
    if kind == "+" or kind == "-":
        lhs = _signed(cursor)
    else:
        lhs = _OPERANDS.get(kind, _unexpected)(cursor)
        if kinds[cursor.index] in POSTFIX:
            lhs = parse_postfix(cursor, lhs)
    while (power := _POWERS.get(op := kinds[cursor.index], 0)) >= power_min:
        cursor.index += 1
        return_bool = kinds[cursor.index] == "bool"
        cursor.index += return_bool
        matching = _matching(cursor) if kinds[cursor.index] in _MATCHING_STARTS else _ONE_TO_ONE
        cursor.enter()
        rhs = _parse_expr(cursor, power if op == "^" else power + 1)
        cursor.nesting -= 1
        if matching is not _ONE_TO_ONE and not cursor.options.fill_modifiers:
            _refuse_fill(cursor, matching, lhs.start)
        lhs = BinaryExpr(op, lhs, rhs, matching, return_bool, lhs.start, rhs.end)
    return lhs


def _unexpected(cursor: Cursor) -> Expr:
    raise cursor.unexpected()


def _refuse_fill(cursor: Cursor, matching: VectorMatching, start: int) -> None:
    cursor.look()
    if matching.fill_left is not None or matching.fill_right is not None:
        raise cursor.fail("binop fill modifiers are experimental and not enabled", start)


def _signed(cursor: Cursor) -> Expr:
    """An operand behind any number of signs."""
    kinds, first = cursor.kinds, cursor.index
    while kinds[cursor.index] in ("+", "-"):
        cursor.index += 1
    signs = range(cursor.index - 1, first - 1, -1)
    cursor.enter()
    expr = _parse_expr(cursor, _SIGN_POWER)
    cursor.nesting -= 1
    for index in signs:
        op, start = kinds[index], cursor.starts[index]
        if type(expr) is NumberLiteral:
            if op == "-":
                _set(expr, "value", -expr.value)
            _set(expr, "start", start)
        else:
            expr = UnaryExpr(op, expr, start, expr.end)
    return expr


def _number(cursor: Cursor) -> Expr:
    return parse_literal(cursor)


def _string(cursor: Cursor) -> Expr:
    index = cursor.index
    start, end = cursor.starts[index], cursor.ends[index]
    cursor.index = index + 1
    return StringLiteral(unquote(cursor.raw[start:end]), start, end)


def _paren(cursor: Cursor) -> Expr:
    start = cursor.starts[cursor.index]
    cursor.index += 1
    cursor.enter()
    expr = _parse_expr(cursor, 1)
    cursor.nesting -= 1
    if cursor.kinds[cursor.index] != ")":
        raise cursor.unexpected()
    cursor.index += 1
    return ParenExpr(expr, start, cursor.ends[cursor.index - 1])


def _name(cursor: Cursor) -> Expr:
    """A function call or a selector: a word decides by what follows it."""
    if cursor.kinds[cursor.index + 1] != "(":
        return parse_selector(cursor)
    index, options = cursor.index, cursor.options
    name, start = cursor.text(index), cursor.starts[index]
    cursor.index += 1
    args = _arguments(cursor)
    function = FUNCTIONS.get(name)
    if function is None and options.x_functions:
        function = X_FUNCTIONS.get(name)
    if function is None:
        raise cursor.fail(f'unknown function with name "{name}"', start)
    if function.experimental and not options.experimental_functions:
        raise cursor.fail(f'function "{name}" is not enabled', start)
    return Call(function, args, start, cursor.ends[cursor.index - 1])


def _arguments(cursor: Cursor) -> tuple[Expr, ...]:
    """The arguments in parentheses; the cursor stands on the opening one."""
    kinds = cursor.kinds
    cursor.index += 1
    args: list[Expr] = []
    cursor.enter()
    if kinds[cursor.index] != ")":
        args.append(_parse_expr(cursor, 1))
        while kinds[cursor.index] == ",":
            comma = cursor.starts[cursor.index]
            cursor.index += 1
            if kinds[cursor.index] not in OPERAND_STARTS:
                cursor.look()
                raise cursor.fail("trailing commas not allowed in function call args", comma)
            args.append(_parse_expr(cursor, 1))
        if kinds[cursor.index] != ")":
            raise cursor.unexpected()
    cursor.nesting -= 1
    cursor.index += 1
    return tuple(args)


def _aggregate(cursor: Cursor) -> Expr:
    kinds, first = cursor.kinds, cursor.index
    op = kinds[first]
    if kinds[first + 1] not in ("(", "by", "without"):
        return parse_selector(cursor)
    cursor.aggregations += 1
    cursor.index += 1
    grouping: tuple[str, ...] | None = None
    without = kinds[cursor.index] == "without"
    if kinds[cursor.index] != "(":
        cursor.index += 1
        grouping = parse_grouping(cursor)
        if kinds[cursor.index] != "(":
            raise cursor.unexpected()
    args = _arguments(cursor)
    if grouping is None:
        if kinds[cursor.index] in ("by", "without"):
            without = kinds[cursor.index] == "without"
            cursor.index += 1
            grouping = parse_grouping(cursor)
        else:
            cursor.look()
    cursor.aggregations -= 1
    start, end = cursor.starts[first], cursor.ends[cursor.index - 1]
    param, expr = _aggregated(cursor, op, args, start)
    return AggregateExpr(op, expr, param, grouping or (), without, start, end)


def _aggregated(cursor: Cursor, op: str, args: tuple[Expr, ...], start: int) -> tuple[Expr | None, Expr]:
    """Parameter and operand of an aggregation."""
    if not args:
        raise cursor.fail("no arguments for aggregate expression provided", start)
    wanted = 2 if op in PARAMETER_AGGREGATIONS else 1
    if op in EXPERIMENTAL_AGGREGATIONS and not cursor.options.experimental_functions:
        flag = "--enable-feature=promql-experimental-functions"
        raise cursor.fail(f"{op}() is experimental and must be enabled with {flag}", start)
    if len(args) != wanted:
        counts = f"expected {wanted}, got {len(args)}"
        raise cursor.fail(f"wrong number of arguments for aggregate expression provided, {counts}", start)
    return (args[0] if wanted == 2 else None), args[-1]


_MATCHING_STARTS = frozenset(("on", "ignoring", "fill", "fill_left", "fill_right"))
_GROUPS = {"group_left": Cardinality.MANY_TO_ONE, "group_right": Cardinality.ONE_TO_MANY}


def _matching(cursor: Cursor) -> VectorMatching:
    """The modifiers behind an operator and its ``bool``."""
    kinds = cursor.kinds
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    card, on = Cardinality.ONE_TO_ONE, kinds[cursor.index] == "on"
    if on or kinds[cursor.index] == "ignoring":
        cursor.index += 1
        labels = parse_grouping(cursor)
        if kinds[cursor.index] in _GROUPS:
            card = _GROUPS[kinds[cursor.index]]
            cursor.index += 1
            # The labels may be left out, but then an operand has to follow.
            if kinds[cursor.index] == "(" or kinds[cursor.index] not in OPERAND_STARTS:
                include = parse_grouping(cursor)
    fill_left = fill_right = None
    kind = kinds[cursor.index]
    if kind == "fill":
        fill_left = fill_right = _fill(cursor)
    elif kind == "fill_left":
        fill_left = _fill(cursor)
        if kinds[cursor.index] == "fill_right":
            fill_right = _fill(cursor)
    elif kind == "fill_right":
        fill_right = _fill(cursor)
        if kinds[cursor.index] == "fill_left":
            fill_left = _fill(cursor)
    return VectorMatching(card, labels, on, include, fill_left, fill_right)


def _fill(cursor: Cursor) -> float:
    """The value in the parentheses behind a fill modifier, on which the cursor stands."""
    kinds = cursor.kinds
    cursor.index += 2
    sign = kinds[cursor.index]
    if sign in ("+", "-"):
        cursor.index += 1
    if kinds[cursor.index] not in (NUMBER, DURATION):
        raise cursor.unexpected()
    value = parse_literal(cursor).value
    if kinds[cursor.index] != ")":
        raise cursor.unexpected()
    cursor.index += 1
    return -value if sign == "-" else value


_OPERANDS = {
    **dict.fromkeys(METRIC_NAMES, parse_selector),
    **dict.fromkeys(AGGREGATIONS, _aggregate),
    **dict.fromkeys(TIME_WORDS | {IDENTIFIER}, _name),
    "{": parse_selector,
    "(": _paren,
    NUMBER: _number,
    DURATION: _number,
    STRING: _string,
}
