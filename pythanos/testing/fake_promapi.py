"""A PromAPI of plain Python values for tests: it says what it was given, and fails or waits where it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pythanos.context import RequestContext


@dataclass
class FakePromAPI:
    """Every question is answered by ``items`` (values and StoreWarnings) and remembered in ``requests``.

    ``before_item(number, ctx)`` runs before each item, and once after the last; it may raise or wait.
    """

    items: Sequence[Any] = ()
    before_item: Callable[[int, RequestContext], None] = lambda number, ctx: None
    requests: list[Any] = field(default_factory=list)
    aborts: list[bool] = field(default_factory=list)

    def metadata(self, ctx: RequestContext, request: Any, *, abort: bool) -> Iterator[Any]:
        return self._answer(ctx, request, abort)

    def targets(self, ctx: RequestContext, request: Any, *, abort: bool) -> Iterator[Any]:
        return self._answer(ctx, request, abort)

    def rules(self, ctx: RequestContext, request: Any, *, abort: bool) -> Iterator[Any]:
        return self._answer(ctx, request, abort)

    def exemplars(self, ctx: RequestContext, request: Any, *, abort: bool) -> Iterator[Any]:
        return self._answer(ctx, request, abort)

    def statistics(self, ctx: RequestContext, request: Any, *, abort: bool) -> Iterator[Any]:
        return self._answer(ctx, request, abort)

    def _answer(self, ctx: RequestContext, request: Any, abort: bool) -> Iterator[Any]:
        self.requests.append(request)
        self.aborts.append(abort)
        for number, item in enumerate(self.items):
            self.before_item(number, ctx)
            yield item
        self.before_item(len(self.items), ctx)
