"""Selections that several operators of a query read: asked for once, pulled once, kept until the last has read them.

What is kept are the batches as they came, still encoded; each reader decodes what it uses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from pythanos import _labels
from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher
from pythanos.promql.accounting import Account
from pythanos.promql.queryable import EncodedSeries, Queryable, SelectHints, Selection

# More than this is not kept for readers that have not begun: they ask for themselves.
KEPT_BYTES_MAX = 64 << 20


class SharedReads:
    """The shared selections of one evaluation; used by the thread that evaluates."""

    def __init__(self, ctx: RequestContext, queryable: Queryable, account: Account, kept_max: int = KEPT_BYTES_MAX):
        self.ctx = ctx
        self.queryable = queryable
        self.account = account
        self.kept_max = kept_max
        self._reads: dict[tuple[tuple[Matcher, ...], SelectHints], _SharedRead] = {}

    def select(self, matchers: tuple[Matcher, ...], filters: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        """The series that match ``matchers`` and ``filters``, by a select of the matchers that others may share.

        Warnings of a shared selection stand in the one that its first reader was given.
        """
        key = (matchers, hints)
        read = self._reads.get(key)
        if read is None or read.begun:
            selection = self.queryable.select(self.ctx, matchers, hints)
            read = self._reads[key] = _SharedRead(selection, self.account, self.kept_max)
            warnings, usage, sizes = selection.warnings, selection.usage, selection.sizes
        else:
            warnings, usage, sizes = [], [], []

        def alone() -> Selection:
            own = self.queryable.select(self.ctx, matchers + filters, hints)
            warnings.extend(own.warnings)
            return own

        batches = read.reader(filters, alone, warnings)
        return Selection(batches, warnings, usage, sizes)


class _SharedRead:
    """One selection and how far each of its readers is."""

    def __init__(self, source: Selection, account: Account, kept_max: int) -> None:
        self.source = source
        self.account = account
        self.kept_max = kept_max
        self.begun = False
        self.kept: deque[tuple[EncodedSeries, int]] = deque()
        self.kept_bytes = 0
        # The number of the first batch that is kept, of the next that the source gives, and of each reader's next.
        self.first = self.pulled = 0
        self.positions: dict[int, int] = {}
        self._last_arena: object = None

    def reader(
        self, filters: tuple[Matcher, ...], alone: Callable[[], Selection], warnings: list[str]
    ) -> Iterator[EncodedSeries]:
        """The batches for one more reader. ``alone`` asks for it what is no longer kept."""
        number = len(self.positions)
        self.positions[number] = 0
        return self._read(number, filters, alone, warnings)

    def _read(
        self, number: int, filters: tuple[Matcher, ...], alone: Callable[[], Selection], warnings: list[str]
    ) -> Iterator[EncodedSeries]:
        self.begun = True
        own: Selection | None = None
        try:
            if number not in self.positions:
                own = alone()
                yield from own.batches
                warnings.extend(text for text in own.warnings if text not in warnings)
                return
            while (batch := self._next(number)) is not None:
                yield from filtered(batch, filters)
        finally:
            self.positions.pop(number, None)
            self._forget()
            for selection in (own, None if self.positions else self.source):
                close = getattr(selection and selection.batches, "close", None)
                if close is not None:
                    close()

    def _next(self, number: int) -> EncodedSeries | None:
        position = self.positions[number]
        if position == self.pulled:
            batch = next(self.source.batches, None)
            if batch is None:
                return None
            self._keep(batch)
        batch = self.kept[position - self.first][0]
        self.positions[number] = position + 1
        self._forget()
        return batch

    def _keep(self, batch: EncodedSeries) -> None:
        # Batches that were cut from one hold the same arena.
        arena = batch.labels.arena
        nbytes = 0 if arena is self._last_arena else len(arena)
        self._last_arena = arena
        self.kept.append((batch, nbytes))
        self.pulled += 1
        self.kept_bytes += nbytes
        self.account.keep(nbytes)
        if self.kept_bytes > self.kept_max:
            self.positions = {one: position for one, position in self.positions.items() if position}

    def _forget(self) -> None:
        """Lets go of the batches that every reader has had."""
        oldest = min(self.positions.values(), default=self.pulled)
        while self.first < oldest:
            _, nbytes = self.kept.popleft()
            self.first += 1
            self.kept_bytes -= nbytes
            self.account.keep(-nbytes)


def filtered(batch: EncodedSeries, filters: tuple[Matcher, ...]) -> Iterator[EncodedSeries]:
    """The part of a batch whose labels meet the conditions; nothing where none does."""
    keep = np.ones(len(batch.labels), np.bool_)
    for matcher in filters:
        index, values = _labels.value_index(batch.labels, matcher.name)
        keep &= np.fromiter(map(matcher.matches, values), np.bool_, len(values))[index]
    if keep.all():
        yield batch
    elif keep.any():
        yield batch.take(np.nonzero(keep)[0])
