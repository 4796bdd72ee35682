"""QueryLog: what is kept of each query while it runs, and said of it afterwards if it was slow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from pythanos.context import RequestContext
from pythanos.query.active_queries import ActiveQueries
from pythanos.query.telemetry import QueryTelemetry

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
    series: int = 0
    read: int = 0


@dataclass(frozen=True, slots=True)
class QueryLog:
    """``slow_ms``: queries that are evaluated for longer are logged, those that fail as well; 0 for none."""

    monotonic: Callable[[], float]
    active: ActiveQueries | None = None
    slow_ms: int = 0
    telemetry: QueryTelemetry | None = None

    @contextmanager
    def running(self, ctx: RequestContext, run: QueryRun) -> Iterator[None]:
        """Around the evaluation; what it raises goes through."""
        telemetry, active = self.telemetry, self.active
        started = self.monotonic()
        outcome = ""
        try:
            with (
                telemetry.running if telemetry is not None else nullcontext(),
                active.running(run.text) if active is not None else nullcontext(),
            ):
                yield
        except BaseException as error:
            outcome = str(error) or type(error).__name__
            raise
        finally:
            seconds = self.monotonic() - started
            if telemetry is not None:
                telemetry.ended(seconds)
                if not outcome:
                    telemetry.done(seconds, series=run.series, read=run.read, scanned=run.samples, tenant=ctx.tenant)
            if 0 < self.slow_ms < seconds * 1000:
                _report(ctx, run, seconds, outcome)


def _report(ctx: RequestContext, run: QueryRun, seconds: float, outcome: str) -> None:
    fields: dict[str, object] = {"query": run.text, "time_taken_seconds": round(seconds, 3)}
    if run.step_ms:
        fields.update(start_ms=run.start_ms, end_ms=run.end_ms, step_ms=run.step_ms)
    else:
        fields.update(time_ms=run.end_ms)
    # A query that failed has not said how many it looked at.
    fields.update({"err": outcome} if outcome else {"samples": run.samples, "peak_samples": run.peak_samples})
    fields.update(tenant=ctx.tenant, request_id=ctx.request_id)
    log.warning("slow query detected", extra=fields)
