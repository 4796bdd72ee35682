"""Asking many endpoints at once: all values in the order of the endpoints, and what went wrong as warnings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pythanos.context import RequestContext
from pythanos.errors import PythanosError, QueryCanceled, QueryTimeout, Retryable
from pythanos.storeapi.batches import StoreWarning
from pythanos.workers import Pool

log = logging.getLogger(__name__)

T = TypeVar("T")
C = TypeVar("C")

# With partial responses, the share of the time left that endpoints may take; the rest is for the answer.
ENDPOINTS_SHARE = 0.9


@dataclass(slots=True)
class Gathered(Generic[T]):
    """What endpoints said; ``warnings`` each once."""

    values: list[T] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


@dataclass(frozen=True, slots=True)
class FanOut:
    """How endpoints are asked. pool: a thread for each endpoint that is asked."""

    pool: Pool

    def gather(
        self,
        ctx: RequestContext,
        clients: Sequence[tuple[str, C]],
        ask: Callable[[RequestContext, C], Iterable[T | StoreWarning]],
        *,
        what: str,
        abort: bool,
    ) -> Gathered[T]:
        """The values of all (address, client); ``what`` is the plural of them in messages.

        An endpoint that fails makes a warning, what it said before counts; with ``abort`` it fails the request: raises
        what the endpoint raised (Retryable with its cause named), or QueryTimeout, QueryCanceled.
        """
        ctx.check()
        parts = [_part(ctx, abort) for _ in clients]
        jobs = [
            self.pool.submit(_one, part, address, client, ask, what)
            for part, (address, client) in zip(parts, clients, strict=True)
        ]
        gathered: Gathered[T] = Gathered()
        try:
            ctx.step_aside()
            for job in jobs:
                values, warnings, error = job.result()
                ctx.check()
                gathered.values += values
                for text in warnings:
                    gathered.warn(text)
                if error is not None:
                    if abort:
                        raise error
                    log.warning("%s", error)
                    gathered.warn(str(error))
        finally:
            for part in parts:
                part.cancel()
        return gathered


def _part(ctx: RequestContext, abort: bool) -> RequestContext:
    remaining = ctx.remaining_seconds()
    if abort or remaining is None:
        return ctx.child()
    return ctx.child(timeout_seconds=remaining * ENDPOINTS_SHARE)


def _one(
    ctx: RequestContext,
    address: str,
    client: C,
    ask: Callable[[RequestContext, C], Iterable[T | StoreWarning]],
    what: str,
) -> tuple[list[T], list[str], PythanosError | None]:
    values: list[T] = []
    warnings: list[str] = []
    try:
        for item in _closing(ask(ctx, client)):
            if isinstance(item, StoreWarning):
                warnings.append(item.message)
            else:
                values.append(item)
    except (QueryTimeout, QueryCanceled) as error:
        return values, warnings, Retryable(f"receiving {what} from {address}: {error}")
    except PythanosError as error:
        return values, warnings, type(error)(f"receiving {what} from {error}") if _plain(error) else error
    return values, warnings, None


def _plain(error: PythanosError) -> bool:
    """Whether the class takes a text alone, and the text starts with the address."""
    return isinstance(error, Retryable)


def _closing(items: Iterable[T]) -> Iterator[T]:
    try:
        yield from items
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
