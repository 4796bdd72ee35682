"""Gate: how many pieces of one kind of work run at once, with Thanos' gate metrics."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from pythanos.context import RequestContext
from pythanos.errors import LimitExceeded, QueryTimeout
from pythanos.tally import TallyCounter, TallyGauge, TallyHistogram

WAIT_BUCKETS_SECONDS = (0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120, 240, 360, 720)


class GateMetrics:
    """``<prefix>_gate_<operation>_{max,in_flight,total,duration_seconds}``."""

    def __init__(self, registry: CollectorRegistry | None, prefix: str, operation: str) -> None:
        name = f"{prefix}_gate_{operation}"
        self.max = TallyGauge(f"{name}_max", f"Maximum number of concurrent {operation}.", registry=registry)
        in_flight = TallyGauge(
            f"{name}_in_flight", f"Number of {operation} that are currently in flight.", registry=registry
        )
        self.in_flight = in_flight.labels()
        total = TallyCounter(f"{name}_total", f"Total number of {operation}.", registry=registry)
        self.total = total.labels()
        duration = TallyHistogram(
            f"{name}_duration_seconds",
            f"How many seconds it took for {operation} to wait at the gate.",
            buckets=WAIT_BUCKETS_SECONDS,
            registry=registry,
        )
        self.duration = duration.labels()


class Gate:
    """At most ``concurrent_max`` inside (0: no limit), first come first served, at most ``waiting_max`` before it.

    The caller's thread waits. As in Thanos a request counts as in flight from its arrival at the gate.
    """

    def __init__(
        self,
        concurrent_max: int,
        *,
        registry: CollectorRegistry | None = None,
        prefix: str = "thanos",
        operation: str = "queries",
        waiting_max: int = 1000,
        limit: str = "query.max_concurrent",
        metrics: GateMetrics | None = None,
    ) -> None:
        """``metrics``: those that gates of one kind share, instead of its own."""
        self.concurrent_max = concurrent_max
        self.waiting_max = waiting_max
        self.limit = limit
        self._metrics = metrics or GateMetrics(registry, prefix, operation)
        self._metrics.max.set(concurrent_max)
        self._lock = threading.Lock()
        self._inside = 0
        self._waiting: deque[_Turn] = deque()

    def enter(self, ctx: RequestContext) -> _Place:
        """Waits for a place, when the context is entered, and holds it. Raises LimitExceeded, QueryTimeout,
        QueryCanceled.
        """
        return _Place(self, ctx)

    def arrive(self, ctx: RequestContext) -> None:
        """Takes a place, to be given back by ``leave``; raises as ``enter``."""
        metrics = self._metrics
        metrics.total.inc()
        metrics.in_flight.inc()
        started = ctx.monotonic()
        try:
            self._take(ctx)
        except BaseException:
            metrics.in_flight.dec()
            raise
        finally:
            metrics.duration.observe(ctx.monotonic() - started)

    def leave(self) -> None:
        self._give_back()
        self._metrics.in_flight.dec()

    def _take(self, ctx: RequestContext) -> None:
        ctx.check()
        with self._lock:
            if self.concurrent_max <= 0 or self._inside < self.concurrent_max:
                self._inside += 1
                return
            if len(self._waiting) >= self.waiting_max:
                message = f"{self.concurrent_max} requests are running and {self.waiting_max} are waiting"
                raise LimitExceeded(self.limit, self.concurrent_max, message, admission=True)
            turn = _Turn()
            self._waiting.append(turn)
        ctx.on_cancel(turn.wake)
        ctx.step_aside()
        arrived = turn.wait(ctx.remaining_seconds())
        with self._lock:
            if turn.granted:
                if not ctx.canceled:
                    return
            else:
                self._waiting.remove(turn)
        if turn.granted:
            self._give_back()
        ctx.check()
        if not arrived:
            raise QueryTimeout("query timed out in query queue")

    def _give_back(self) -> None:
        with self._lock:
            if self._waiting:
                turn = self._waiting.popleft()
                turn.granted = True
                turn.wake()
            else:
                self._inside -= 1


class _Place:
    """The place of one request: a context manager, and no generator, as each query enters several gates."""

    __slots__ = ("_ctx", "_gate")

    def __init__(self, gate: Gate, ctx: RequestContext) -> None:
        self._gate = gate
        self._ctx = ctx

    def __enter__(self) -> None:
        self._gate.arrive(self._ctx)

    def __exit__(self, *error: object) -> None:
        self._gate.leave()


class _Turn:
    """One waiting request: woken when its place is granted, or when it is cancelled."""

    __slots__ = ("_event", "granted", "wake")

    def __init__(self) -> None:
        self._event = threading.Event()
        self.granted = False
        self.wake: Callable[[], None] = self._event.set

    def wait(self, seconds: float | None) -> bool:
        return self._event.wait(seconds)
