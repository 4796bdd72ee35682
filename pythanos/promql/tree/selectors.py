"""The selectors of an expression."""

from __future__ import annotations

from collections.abc import Iterator

from pythanos.promql.syntax.ast import Expr, VectorSelector, children


def selectors_of(expr: Expr) -> Iterator[VectorSelector]:
    """Every selector, instant or of a range, from left to right."""
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        if isinstance(node, VectorSelector):
            yield node
        waiting += reversed(children(node))
