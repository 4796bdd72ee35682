"""Functions of ranges that look beyond their edges: which there are, and what the kernel calls them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pythanos._extended import Function

# Functions that take each modifier.
ANCHORED = frozenset(("changes", "delta", "increase", "rate", "resets"))
SMOOTHED = frozenset(("delta", "increase", "rate"))
# The x functions of Thanos, and how far before a range they look for a sample.
X_FUNCTIONS = frozenset(("xdelta", "xincrease", "xrate"))
X_LOOKBACK_MS = 3_600_000
KERNELS: Mapping[str, Function] = MappingProxyType({function.name.lower(): function for function in Function})
