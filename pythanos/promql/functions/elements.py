"""Functions of single samples, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pythanos._rows import Function

# Functions of a sample's value alone.
MATH_FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        name.lower(): Function[name]
        for name in (
            "ABS ACOS ACOSH ASIN ASINH ATAN ATANH CEIL COS COSH DEG EXP FLOOR LN LOG10 LOG2 RAD SGN SIN SINH SQRT TAN TANH"
        ).split()
    }
)
# Parts of the UTC date of a Unix time; without an argument, of the evaluation time.
DATE_FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        name.lower(): Function[name]
        for name in "MINUTE HOUR DAY_OF_WEEK DAY_OF_MONTH DAY_OF_YEAR DAYS_IN_MONTH MONTH YEAR".split()
    }
)
