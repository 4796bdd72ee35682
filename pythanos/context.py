"""RequestContext: what travels down with one request: its deadline, its cancellation, its tenant.

The data plane calls ``check()`` once per batch; the edge calls ``cancel()`` when a client goes away.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pythanos.errors import QueryCanceled, QueryTimeout

DEFAULT_TENANT = "default-tenant"


def _nobody_waits() -> None:
    """The way to step aside where requests do not take turns."""


class RequestContext:
    """One request's deadline, cancellation flag and identity. Safe to use from several threads.

    ``step_aside`` is called before the work waits for anything but the interpreter, so that others may begin theirs.
    """

    __slots__ = ("_canceled", "_on_cancel", "deadline", "monotonic", "request_id", "step_aside", "tenant")

    def __init__(
        self,
        *,
        timeout_seconds: float | None = None,
        tenant: str = DEFAULT_TENANT,
        request_id: str = "",
        monotonic: Callable[[], float] = time.monotonic,
        step_aside: Callable[[], None] = _nobody_waits,
    ) -> None:
        self.monotonic = monotonic
        self.step_aside = step_aside
        self.deadline = None if timeout_seconds is None else monotonic() + timeout_seconds
        self.tenant = tenant
        self.request_id = request_id
        # A flag that is only ever raised, so it needs no lock.
        self._canceled = False
        self._on_cancel: list[Callable[[], None]] = []

    def child(self, *, timeout_seconds: float | None = None) -> RequestContext:
        """A part of the same request that may end earlier, by its own timeout or ``cancel``, and ends with this one."""
        child = RequestContext(
            timeout_seconds=timeout_seconds,
            tenant=self.tenant,
            request_id=self.request_id,
            monotonic=self.monotonic,
            step_aside=self.step_aside,
        )
        if self.deadline is not None and (child.deadline is None or self.deadline < child.deadline):
            child.deadline = self.deadline
        self.on_cancel(child.cancel)
        return child

    def check(self) -> None:
        """Raises QueryCanceled or QueryTimeout if the work should stop; cheap, called once per batch."""
        if self._canceled:
            raise QueryCanceled("query was canceled")
        if self.deadline is not None and self.monotonic() > self.deadline:
            raise QueryTimeout("query timed out")

    def remaining_seconds(self) -> float | None:
        """Seconds until the deadline, at least 0; None without one."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - self.monotonic())

    @property
    def canceled(self) -> bool:
        return self._canceled

    def cancel(self) -> None:
        """Stops the work: every ``check`` from now on raises, and the ``on_cancel`` callbacks run once."""
        if self._canceled:
            return
        self._canceled = True
        for callback in self._on_cancel:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Runs ``callback`` when the request is cancelled (at once if it already is): to close a stream, say."""
        self._on_cancel.append(callback)
        if self._canceled:
            callback()
