"""QueryLog: what is kept of each query while it runs, and said of it afterwards if it was slow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pythanos.context import RequestContext
from pythanos.query.active_queries import ActiveQueries

log = logging.getLogger(__name__)


@dataclass(slots=True)
class QueryRun:
    """One query; times in ms, ``step_ms`` 0 for an instant one. The samples are filled in when it is done."""

    text: str
    start_ms: int
    end_ms: int
    step_ms: int = 0
    samples: int = 0
    peak_samples: int = 0


@dataclass(frozen=True, slots=True)
class QueryLog:
    """``slow_ms``: queries that are evaluated for longer are logged, those that fail as well; 0 for none."""

    monotonic: Callable[[], float]
    active: ActiveQueries | None = None
    slow_ms: int = 0

    @contextmanager
    def running(self, ctx: RequestContext, run: QueryRun) -> Iterator[None]:
        """Around the evaluation; what it raises goes through."""
        started = self.monotonic()
        outcome = ""
        try:
            if self.active is None:
                yield
            else:
                with self.active.running(run.text):
                    yield
        except BaseException as error:
            outcome = str(error) or type(error).__name__
            raise
        finally:
            seconds = self.monotonic() - started
            if 0 < self.slow_ms < seconds * 1000:
                _report(ctx, run, seconds, outcome)


def _report(ctx: RequestContext, run: QueryRun, seconds: float, outcome: str) -> None:
    fields: dict[str, object] = {"query": run.text, "time_taken_seconds": round(seconds, 3)}
    if run.step_ms:
        fields.update(start_ms=run.start_ms, end_ms=run.end_ms, step_ms=run.step_ms)
    else:
        fields.update(time_ms=run.end_ms)
    fields.update(samples=run.samples, peak_samples=run.peak_samples)
    fields.update(tenant=ctx.tenant, request_id=ctx.request_id)
    if outcome:
        fields["err"] = outcome
    log.warning("slow query detected", extra=fields)
