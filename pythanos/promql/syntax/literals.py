"""Numbers, durations and strings as they are written in PromQL.

"Raw" text stands for the UTF-8 bytes of an expression, one character per byte (Latin-1), so that offsets count bytes;
for ASCII it is the text itself.
"""

from __future__ import annotations

import functools
import re

from pythanos.model.matchers import quote

_DIGITS = frozenset("0123456789")
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")
_UNITS = {
    "y": (1, 31_536_000_000),
    "w": (2, 604_800_000),
    "d": (3, 86_400_000),
    "h": (4, 3_600_000),
    "m": (5, 60_000),
    "s": (6, 1_000),
    "ms": (7, 1),
}
_DURATION_PART = re.compile(r"([0-9]*)([^0-9]*)")
# Digits of the largest integer of 64 bits; Python refuses to convert very long ones.
_DIGITS_MAX = 20
_DURATION_NS_MAX = (1 << 63) - 1
# Hexadecimal and octal integers, with separators.
_PREFIXED = re.compile(r"0[xX]_?([0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)|0_?([0-7]+(?:_[0-7]+)*)")
_FLOAT = re.compile(
    r"(?:[0-9]+(?:_[0-9]+)*(?:\.(?:[0-9]+(?:_[0-9]+)*)?)?|\.[0-9]+(?:_[0-9]+)*)(?:[eE][+-]?[0-9]+(?:_[0-9]+)*)?",
    re.ASCII,
)
_SIMPLE_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_HEX_LENGTHS = {"x": 2, "u": 4, "U": 8}
_HEX_VALUES = {char: int(char, 16) for char in "0123456789abcdefABCDEF"}
# Letter after the backslash: how many digits follow, their base, the largest value.
_CODES = {"x": (2, 16, 0xFF), "u": (4, 16, 0x10FFFF), "U": (8, 16, 0x10FFFF)}
_UNTERMINATED = "escape sequence not terminated"


def to_raw(text: str) -> str:
    """One character per byte of the text's UTF-8 form."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def decode(raw: str) -> str:
    """The text that a piece of raw text stands for; bytes that are not UTF-8 become lone surrogates."""
    return raw if raw.isascii() else raw.encode("latin-1").decode("utf-8", "surrogateescape")


def rune_at(raw: str, position: int) -> tuple[str, int]:
    """The character at an offset and its length in bytes; U+FFFD of length 1 for a byte that is not UTF-8."""
    first = raw[position]
    if first < "\x80":
        return first, 1
    encoded = raw[position : position + 4].encode("latin-1")
    for length in (2, 3, 4):
        try:
            return encoded[:length].decode("utf-8"), length
        except UnicodeDecodeError:
            continue
    return "\ufffd", 1


def quote_rune(char: str) -> str:
    """A character in Go's single quotes; "" stands for the end of the text."""
    if not char:
        return "'\ufffd'"
    if char == "'":
        return "'\\''"
    return "'" + ('"' if char == '"' else quote(char)[1:-1]) + "'"


def parse_number(raw: str) -> float:
    """The value of a number token. Raises ValueError with the text of Go's strconv for one that is none."""
    if raw[0] != "0" and raw.isdecimal():
        return float(raw) if len(raw) <= _DIGITS_MAX else _parse_float(raw)
    if raw[0] == "0" and (found := _PREFIXED.fullmatch(raw)):
        value = int(found[1] or found[2], 16 if found[1] else 8)
        if value < 1 << 63:
            return float(value)
    elif raw.lower() in ("inf", "nan"):
        return float(raw)
    return _parse_float(raw)


def _parse_float(raw: str) -> float:
    if not _FLOAT.fullmatch(raw):
        raise ValueError(f"strconv.ParseFloat: parsing {quote(raw)}: invalid syntax")
    number = float(raw)
    if number == float("inf"):
        raise ValueError(f"strconv.ParseFloat: parsing {quote(raw)}: value out of range")
    return number


@functools.lru_cache(maxsize=1024)
def parse_duration_seconds(raw: str) -> float:
    """Seconds of a duration token. Raises ValueError."""
    total, last, position = 0, 0, 0
    while position < len(raw):
        found = _DURATION_PART.match(raw, position)
        assert found is not None  # both groups may be empty
        digits, unit = found.groups()
        significant = digits.lstrip("0")
        if not digits or not unit or len(significant) > _DIGITS_MAX or int(significant or "0") >= 1 << 64:
            raise ValueError(f"not a valid duration string: {quote(raw)}")
        if unit not in _UNITS:
            raise ValueError(f"unknown unit {quote(unit)} in duration {quote(raw)}")
        order, size = _UNITS[unit]
        if order <= last:
            raise ValueError(f"not a valid duration string: {quote(raw)}")
        last = order
        total += int(significant or "0") * size
        if total * 1_000_000 > _DURATION_NS_MAX:
            raise ValueError("duration out of range")
        position = found.end()
    return total // 1000 + (total % 1000) / 1000


def scan_number(raw: str, start: int, *, hexadecimal: bool = True) -> tuple[bool, int]:
    """Whether a number stands at an offset, and where the scan ended; Prometheus' own rules, which are not Go's.

    ``hexadecimal`` also refuses an ``x`` right after the number; series notation, where ``x`` repeats, turns it off.
    """
    position, digits = start, _DIGITS
    if hexadecimal and raw[position : position + 1] == "0":
        position += 1
        if raw[position : position + 1] in ("x", "X"):
            position += 1
            digits = _HEX_DIGITS
            position += raw[position : position + 1] == "_"
    position += raw[position : position + 1] == "."
    position += raw[position : position + 1] in digits
    valid, position = _scan_number_rest(raw, position, digits)
    if not valid or position == start:
        return False, position
    following = raw[position : position + 1]
    return (not hexadecimal and following == "x") or following not in _WORD, position


def _scan_number_rest(raw: str, position: int, digits: frozenset[str]) -> tuple[bool, int]:
    dot = exponent = False
    length = len(raw)
    while position < length:
        char = raw[position]
        if char == ".":
            position += 1
            if dot:
                return False, position
            dot = True
            if raw[position : position + 1] in ("_", "."):
                return False, position + 1
            if digits is _HEX_DIGITS:
                return False, position
        elif char in "eE":
            position += 1
            if exponent:
                return False, position
            exponent = True
            position += raw[position : position + 1] in ("+", "-")
            if position >= length or raw[position] in "._eE":
                return False, min(position + 1, length)
        elif char == "_":
            position += 1
            if position >= length or raw[position] in "._eE":
                return False, min(position + 1, length)
        elif char in digits:
            while position < length and raw[position] in digits:
                position += 1
        else:
            break
    return True, position


def scan_duration_rest(raw: str, position: int) -> tuple[bool, int]:
    """Whether a duration's units follow its first number, and where the scan ended."""
    allowed = "smhdwy"
    while True:
        if raw[position : position + 1] not in allowed or position >= len(raw):
            return False, position
        position += 1
        position += raw[position : position + 1] == "s"
        if raw[position : position + 1] not in _DIGITS:
            break
        while raw[position : position + 1] in _DIGITS:
            position += 1
        allowed = "smhdw"
    following = raw[position : position + 1]
    if following in _WORD:
        return False, position + 1
    return True, position


def unquote(raw: str) -> str:
    """The text of a string token, whose escapes the lexer has checked."""
    body = raw[1:-1]
    if raw[0] == "`" or "\\" not in body:
        return decode(body)
    out, position = bytearray(), 0
    while (found := body.find("\\", position)) >= 0:
        out += body[position:found].encode("latin-1")
        letter = body[found + 1]
        if letter in _SIMPLE_ESCAPES:
            out.append(_SIMPLE_ESCAPES[letter])
            position = found + 2
        elif letter in _HEX_LENGTHS:
            position = found + 2 + _HEX_LENGTHS[letter]
            code = int(body[found + 2 : position], 16)
            out += bytes((code,)) if letter == "x" else chr(code).encode("utf-8")
        elif letter in _DIGITS:
            position = found + 4
            out.append(int(body[found + 1 : position], 8))
        else:
            out += letter.encode("latin-1")
            position = found + 2
    out += body[position:].encode("latin-1")
    return out.decode("utf-8", "surrogateescape")


def scan_string(raw: str, start: int) -> tuple[int, str]:
    """The offset behind the string that opens at ``start``, and "" or what is wrong with it."""
    opening = raw[start]
    position, length = start + 1, len(raw)
    while position < length:
        char = raw[position]
        if char == opening:
            return position + 1, ""
        if char == "\\" and opening != "`":
            position, mistake = _escape(raw, position + 1, opening)
            if mistake:
                return position, mistake
            continue
        if char == "\n" and opening != "`":
            break
        if char >= "\x80":
            rune, width = rune_at(raw, position)
            if rune == "\ufffd":
                return position, "invalid UTF-8 rune"
            position += width
            continue
        position += 1
    return position, "unterminated raw string" if opening == "`" else "unterminated quoted string"


def _escape(raw: str, position: int, opening: str) -> tuple[int, str]:
    if position >= len(raw):
        return position, _UNTERMINATED
    letter = raw[position]
    if letter in "abfnrtv\\" or letter == opening:
        return position + 1, ""
    if letter in "01234567":
        count, base, value_max = 3, 8, 0xFF
    elif letter in _CODES:
        count, base, value_max = _CODES[letter]
        position += 1
    else:
        return position, f"unknown escape sequence {_shown(raw, position)}"
    value = 0
    for index in range(position, position + count):
        if index >= len(raw):
            return index, _UNTERMINATED
        digit = _HEX_VALUES.get(raw[index], 16)
        if digit >= base:
            return index, f"illegal character {_shown(raw, index)} in escape sequence"
        value = value * base + digit
    if value > value_max or 0xD800 <= value < 0xE000:
        return position, "escape sequence is an invalid Unicode code point"
    return position + count, ""


def _shown(raw: str, position: int) -> str:
    rune = rune_at(raw, position)[0]
    code = f"U+{ord(rune):04X}"
    return f"{code} '{rune}'" if rune.isprintable() else code
