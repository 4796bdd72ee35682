"""Floats as Go prints them."""

from __future__ import annotations

import math
from decimal import Decimal

# Go's %v, with the shortest digits, turns to an exponent below 1e-4 and from 1e6 on.
_EXPONENT_MIN, _EXPONENT_MAX = -4, 6


def plain(value: float) -> str:
    """The shortest digits that give the same float, never with an exponent (strconv.FormatFloat with 'f', -1)."""
    if not math.isfinite(value):
        return _special(value)
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text[:-2] if text.endswith(".0") else text


def short(value: float) -> str:
    """The shortest digits, with an exponent for very large and very small values (fmt's %v)."""
    if not math.isfinite(value) or value == 0:
        return plain(value)
    digits = Decimal(repr(value)).normalize()
    exponent = digits.adjusted()
    if _EXPONENT_MIN <= exponent < _EXPONENT_MAX:
        return plain(value)
    sign, figures, _ = digits.as_tuple()
    mantissa = "".join(map(str, figures))
    point = f"{mantissa[0]}.{mantissa[1:]}" if len(mantissa) > 1 else mantissa
    return f"{'-' if sign else ''}{point}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"
