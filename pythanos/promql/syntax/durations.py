"""Duration expressions: arithmetic inside brackets and after ``offset``.

Grammar and messages follow ``prometheus:promql/parser/generated_parser.y``. After ``offset`` a literal or a call ends
the duration (``offset -2^2`` is ``(offset -2)^2``), while behind a parenthesis the arithmetic goes on.
"""

from __future__ import annotations

from pythanos.promql.syntax.ast import DurationExpr, DurationOperand, NumberLiteral
from pythanos.promql.syntax.cursor import Cursor
from pythanos.promql.syntax.literals import parse_duration_seconds, parse_number
from pythanos.promql.syntax.tokens import DURATION, DURATION_WORDS, NUMBER

_POWERS = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 3}
_SIGN_POWER = 3
# Seconds that 64 bits of nanoseconds hold.
_SECONDS_MAX = (1 << 63) / 1e9
_DURATIONS = "number, duration, step(), or range()"
_OFFSET = ("offset", _DURATIONS)
_RANGE = ("subquery or range selector", _DURATIONS)
_STEP = ("subquery selector", 'number, duration, step(), range(), or "]"')
_set = object.__setattr__


def parse_literal(cursor: Cursor) -> NumberLiteral:
    """A number or a duration as a number of seconds; the cursor stands on it."""
    index = cursor.index
    start, end = cursor.starts[index], cursor.ends[index]
    raw = cursor.raw[start:end]
    cursor.index = index + 1
    try:
        if cursor.kinds[index] == DURATION:
            return NumberLiteral(parse_duration_seconds(raw), True, start, end)
        return NumberLiteral(parse_number(raw), False, start, end)
    except ValueError as error:
        message = str(error) if cursor.kinds[index] == DURATION else f"error parsing number: {error}"
        raise cursor.fail(message, start) from None


def to_ms(literal: NumberLiteral) -> int:
    """Whole milliseconds of a literal in seconds, by way of rounded nanoseconds as Go's time.Duration holds them."""
    exact = literal.value * 1e9
    nanoseconds = int(exact + 0.5) if exact >= 0 else -int(0.5 - exact)
    return nanoseconds // 1_000_000 if nanoseconds >= 0 else -(-nanoseconds // 1_000_000)


def parse_offset(cursor: Cursor) -> DurationOperand:
    """The duration of an offset; the cursor stands behind ``offset``."""
    sign = None
    if cursor.kinds[cursor.index] in ("+", "-"):
        sign = cursor.index
        cursor.index += 1
    kind = cursor.kinds[cursor.index]
    if kind in (NUMBER, DURATION):
        literal = parse_literal(cursor)
        return _bounded(cursor, literal) if sign is None else _signed(cursor, sign, literal)
    if kind in DURATION_WORDS:
        call = _call(cursor, _OFFSET, None if sign is None else cursor.starts[sign])
        if sign is None:
            return call
        return DurationExpr(cursor.kinds[sign], None, call, False, cursor.starts[sign], call.end)
    if sign is not None and kind == "(":
        inner, _, _ = _parenthesized(cursor, _OFFSET)
        return _signed(cursor, sign, _wrapped(inner, inner.start, inner.end))
    if sign is not None:
        cursor.index = sign
    operand = _parse(cursor, 1, _OFFSET)
    cursor.look()
    return operand


def parse_range(cursor: Cursor) -> DurationOperand:
    """The range of a range vector or subquery; the cursor stands behind the bracket."""
    return _positive(cursor, _parse(cursor, 1, _RANGE))


def parse_step(cursor: Cursor) -> DurationOperand:
    """The step of a subquery; the cursor stands behind the colon."""
    return _positive(cursor, _parse(cursor, 1, _STEP))


def _positive(cursor: Cursor, operand: DurationOperand) -> DurationOperand:
    cursor.look()
    if type(operand) is NumberLiteral and operand.value <= 0:
        raise cursor.fail("duration must be greater than 0", operand.start)
    return operand


def _parse(cursor: Cursor, power_min: int, context: tuple[str, str]) -> DurationOperand:
    lhs = _operand(cursor, context)
    kinds = cursor.kinds
    while (power := _POWERS.get(op := kinds[cursor.index], 0)) >= power_min:
        at = cursor.starts[cursor.index]
        cursor.index += 1
        cursor.enter()
        rhs = _parse(cursor, power if op == "^" else power + 1, context)
        cursor.nesting -= 1
        cursor.look()
        _gate(cursor, lhs.start)
        if op in ("/", "%") and type(rhs) is NumberLiteral and rhs.value == 0:
            raise cursor.fail("division by zero" if op == "/" else "modulo by zero", at)
        lhs = DurationExpr(op, lhs, rhs, False, lhs.start, rhs.end)
    return lhs


def _operand(cursor: Cursor, context: tuple[str, str]) -> DurationOperand:
    kind = cursor.kinds[cursor.index]
    if kind in (NUMBER, DURATION):
        return _bounded(cursor, parse_literal(cursor))
    if kind in ("+", "-"):
        sign = cursor.index
        cursor.index += 1
        cursor.enter()
        operand = _parse(cursor, _SIGN_POWER, context)
        cursor.nesting -= 1
        cursor.look()
        return _signed(cursor, sign, operand)
    if kind in DURATION_WORDS:
        return _call(cursor, context)
    if kind == "(":
        inner, start, end = _parenthesized(cursor, context)
        _gate(cursor, inner.start)
        return _wrapped(inner, start, end)
    raise cursor.unexpected(*context)


def _call(cursor: Cursor, context: tuple[str, str], sign_start: int | None = None) -> DurationExpr:
    """``step()``, ``range()``, ``min_of(a, b)`` or ``max_of(a, b)``; the last two span from a to b in messages."""
    op, start = cursor.kinds[cursor.index], cursor.starts[cursor.index]
    cursor.index += 1
    _expect(cursor, "(", context)
    lhs = rhs = None
    if op in ("max_of", "min_of"):
        cursor.enter()
        lhs = _parse(cursor, 1, context)
        _expect(cursor, ",", context)
        rhs = _parse(cursor, 1, context)
        cursor.nesting -= 1
        start = lhs.start
    end = _expect(cursor, ")", context)
    _gate(cursor, start if sign_start is None else sign_start)
    return DurationExpr(op, lhs, rhs, False, start, end if rhs is None else rhs.end)


def _parenthesized(cursor: Cursor, context: tuple[str, str]) -> tuple[DurationOperand, int, int]:
    start = cursor.starts[cursor.index]
    cursor.index += 1
    cursor.enter()
    inner = _parse(cursor, 1, context)
    cursor.nesting -= 1
    return inner, start, _expect(cursor, ")", context)


def _expect(cursor: Cursor, kind: str, context: tuple[str, str]) -> int:
    if cursor.kinds[cursor.index] != kind:
        raise cursor.unexpected(*context)
    cursor.index += 1
    return cursor.ends[cursor.index - 1]


def _wrapped(inner: DurationOperand, start: int, end: int) -> DurationExpr:
    """An operand marked as standing in parentheses: a number gets a plus sign around it, which is not printed."""
    if type(inner) is NumberLiteral:
        return DurationExpr("+", None, inner, True, start, end)
    _set(inner, "wrapped", True)
    return inner


def _signed(cursor: Cursor, sign: int, operand: DurationOperand) -> DurationOperand:
    negative, start = cursor.kinds[sign] == "-", cursor.starts[sign]
    if type(operand) is DurationExpr:
        return DurationExpr("-", None, operand, False, start, operand.end) if negative else operand
    return _bounded(
        cursor, NumberLiteral(-operand.value if negative else operand.value, operand.duration, start, operand.end)
    )


def _bounded(cursor: Cursor, literal: NumberLiteral) -> NumberLiteral:
    if not -_SECONDS_MAX <= literal.value <= _SECONDS_MAX:
        raise cursor.fail("duration out of range", literal.start)
    return literal


def _gate(cursor: Cursor, blamed: int) -> None:
    if not cursor.options.duration_expressions:
        raise cursor.fail("experimental duration expression is not enabled", blamed)
