"""Functions of single samples, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pythanos._rows import Function

# Functions of a sample's value alone; the names of both are the kernel's, in lower case.
MATH_FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        function.name.lower(): function
        for function in Function
        if function < Function.NEGATE or Function.NEGATE < function < Function.ROUND
    }
)
# Parts of the UTC date of a Unix time; without an argument, of the evaluation time.
DATE_FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {function.name.lower(): function for function in Function if function >= Function.MINUTE}
)
