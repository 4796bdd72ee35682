"""The port through which parts of a query are evaluated elsewhere; ``query.distributed`` is the implementation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher
from pythanos.model.series import LabelColumn
from pythanos.promql.values import HistogramRows, Steps

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RemoteQuery:
    """An expression that gives an instant vector, at steps that are whole seconds. ``lookback_ms`` is the asker's."""

    text: str
    steps: Steps
    lookback_ms: int


@dataclass(slots=True)
class RemoteRows:
    """Some series of a remote answer at the steps of its query; arrays belong to the receiver.

    labels: LabelColumn of n; values: float64[n, steps], absent where there is no float.
    """

    labels: LabelColumn
    values: NDArray[np.float64]
    histograms: HistogramRows | None = None


class EncodedRows(Protocol):
    """A part of a remote answer as it came."""

    def decode(self) -> RemoteRows | None:
        """Its series, None for none; from any thread, the GIL released. Raises CorruptData."""


@dataclass(slots=True)
class RemoteAnswer:
    """Batches to be pulled; warnings and the samples that were looked at are complete once they are exhausted.

    ``sizes``: how many series came in each batch so far, counted by whoever decodes them.
    """

    batches: Iterator[EncodedRows]
    warnings: list[str] = field(default_factory=list)
    samples: int = 0
    sizes: list[int] = field(default_factory=list)


class RemoteEngine(Protocol):
    """A querier that evaluates PromQL over series of its own.

    ``[mint, maxt]`` ms is the time for which its answers are whole. ``label_sets``: external labels of its series,
    without those that are deduplicated away; ``partition_sets``: of each the labels by which engines differ. Engines
    that share a partition set have the same series, each its own time of them.
    """

    @property
    def address(self) -> str: ...

    @property
    def mint(self) -> int: ...

    @property
    def maxt(self) -> int: ...

    @property
    def label_sets(self) -> tuple[Labels, ...]: ...

    @property
    def partition_sets(self) -> tuple[Labels, ...]: ...

    def query(self, ctx: RequestContext, query: RemoteQuery) -> RemoteAnswer:
        """Asks at once; the answer must be exhausted or its batches closed. Its batches raise as the engine does."""


@dataclass(frozen=True, slots=True)
class Remotes:
    """The engines of one query.

    ``tenant``: the condition that every selector gets which is sent away, in place of its own on that label.
    ``local_labels``: labels that nobody but this process knows; an expression that mentions one stays here.
    """

    engines: tuple[RemoteEngine, ...]
    tenant: Matcher | None = None
    local_labels: frozenset[str] = frozenset()
