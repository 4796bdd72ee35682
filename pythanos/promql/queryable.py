"""The port through which series come into the engine; ``query.queryable`` is the implementation over stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from pythanos._dedup import SeriesDecoder
from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher
from pythanos.model.series import LabelColumn, SampleBatch
from pythanos.model.usage import StoreUsage


class SelectHints(msgspec.Struct, frozen=True):
    """What one selector of a query will do with its series.

    ``[mint, maxt]`` ms, both inside, covers offset, range and lookback. ``func`` is the name of the function or
    aggregation directly around the selector ("rate", "sum_over_time", "" for none). ``range_ms`` is 0 for an instant
    selector. ``usage`` asks for the usage of each store. ``projection``: the labels that the query looks at, None for
    all.
    """

    mint: int
    maxt: int
    step_ms: int = 0
    range_ms: int = 0
    func: str = ""
    grouping: tuple[str, ...] = ()
    grouping_by: bool = False
    limit: int = 0
    usage: bool = False
    projection: tuple[str, ...] | None = None


class EncodedSeries(Protocol):
    """One batch of selected series whose samples are still encoded.

    ``decode`` may be called from any thread (it releases the GIL for its work), so that decoding, window function and
    accumulation of one batch run as one job; by several readers where they share a selection. A batch that is too large
    for one job is taken in parts, whose ``decode`` may run at the same time; that of the whole is not called then.
    """

    @property
    def labels(self) -> LabelColumn: ...

    def decode(self) -> SampleBatch:
        """The samples, deduplicated, of the hinted range (some outside it may remain). Raises CorruptData."""

    def decoder(self) -> SeriesDecoder | None:
        """The same samples series by series, for kernels that read chunks; None where there is only ``decode``."""

    def part(self, start: int, stop: int) -> EncodedSeries:
        """Series [start, stop) as a batch of their own; cheap, copies nothing."""

    def take(self, rows: NDArray[np.intp]) -> EncodedSeries:
        """Some of the series, in the order given; copies no samples."""


@dataclass(slots=True)
class Selection:
    """The answer to a select: batches to be pulled, and warnings that are complete once the batches are exhausted.

    ``usage``, complete then too: what each store gave, where ``SelectHints.usage`` asked for it. ``sizes``: how many
    series came in each batch so far, where the Queryable counts them.
    """

    batches: Iterator[EncodedSeries]
    warnings: list[str] = field(default_factory=list)
    usage: list[StoreUsage] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


class Queryable(Protocol):
    """Where the engine's samples come from. Each label set occurs once in a selection; order is unspecified.

    ``hidden_labels``: labels by which series are selected although they do not have them in the answer.
    """

    @property
    def hidden_labels(self) -> frozenset[str]: ...

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection: ...
