"""The operators of binary expressions, as the kernels number them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pythanos._rows import Operator

ARITHMETIC: Mapping[str, Operator] = MappingProxyType(
    {
        "+": Operator.ADD,
        "-": Operator.SUB,
        "*": Operator.MUL,
        "/": Operator.DIV,
        "%": Operator.MOD,
        "^": Operator.POW,
        "atan2": Operator.ATAN2,
    }
)
COMPARISONS: Mapping[str, Operator] = MappingProxyType(
    {
        "==": Operator.EQ,
        "!=": Operator.NE,
        "<": Operator.LT,
        "<=": Operator.LE,
        ">": Operator.GT,
        ">=": Operator.GE,
    }
)
OPERATORS: Mapping[str, Operator] = MappingProxyType({**ARITHMETIC, **COMPARISONS})
