"""Loop: classification of errors, backing off, counting, and never dying unseen."""

import random

from prometheus_client import CollectorRegistry
from twisted.internet import defer
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from pythanos.errors import BucketUnavailable, Halt, QueryCanceled
from pythanos.runtime.clock import ManualClock
from pythanos.runtime.loops import Loop, LoopMetrics, StartWindowPassed


class NoJitter(random.Random):
    def random(self) -> float:
        return 0.0


class LoopTests(SynchronousTestCase):
    def setUp(self):
        self.reactor = MemoryReactorClock()
        self.registry = CollectorRegistry()
        self.clock = ManualClock(1_000_000)
        self.outcomes: list[Exception | None] = []
        self.runs: list[float] = []

    def loop(self, **options) -> Loop:
        defaults = {"interval_seconds": 60, "job": self.job, "run": self.inline}
        return Loop(
            "sync",
            reactor=self.reactor,
            clock=self.clock,
            metrics=LoopMetrics(self.registry),
            rng=NoJitter(),
            **(defaults | options),
        )

    def job(self, ctx) -> None:
        self.runs.append(self.reactor.seconds())
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome

    @staticmethod
    def inline(job, ctx):
        return defer.maybeDeferred(job, ctx)

    def advance(self, *seconds: float) -> None:
        for one in seconds:
            self.reactor.advance(one)

    def count(self, result: str) -> float | None:
        return self.registry.get_sample_value("pythanos_loop_runs_total", {"loop": "sync", "result": result})

    def test_it_runs_at_once_and_then_every_interval(self):
        """The first success makes it ready and is the moment its start is done."""
        loop = self.loop()
        self.assertEqual(loop.unready(), "sync: the first run is not done")
        self.successResultOf(loop.startService())
        self.assertIsNone(loop.unready())
        self.advance(59, 1, 60)
        self.assertEqual(self.runs, [0, 60, 120])
        self.assertEqual(self.count("success"), 3)
        stamp = self.registry.get_sample_value("pythanos_loop_last_success_timestamp_seconds", {"loop": "sync"})
        self.assertEqual(stamp, 1000)

    def test_transient_errors_back_off(self):
        """1, 2, 4 ... seconds while nothing has succeeded, at most the retry ceiling."""
        self.outcomes = [BucketUnavailable("down")] * 6
        loop = self.loop()
        first = loop.startService()
        self.advance(*[1] * 40)
        self.assertEqual(self.runs, [0, 1, 3, 7, 15, 25, 35])
        self.successResultOf(first)
        self.assertEqual((self.count("retry"), self.count("success")), (6, 1))

    def test_after_a_success_it_backs_off_up_to_the_interval(self):
        """A store that has its blocks asks a broken bucket less and less often."""
        self.outcomes = [None, *[BucketUnavailable("down")] * 8]
        self.successResultOf(self.loop().startService())
        self.advance(*[1] * 250)
        self.assertEqual(self.runs, [0, 60, 61, 63, 67, 75, 91, 123, 183, 243])

    def test_a_bug_is_logged_and_the_loop_goes_on(self):
        """One bad run never ends periodic work."""
        self.outcomes = [None, KeyError("oops"), None]
        self.loop().startService()
        self.advance(60, 60)
        self.assertEqual(self.runs, [0, 60, 120])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(self.count("error"), 1)

    def test_halt_stops_the_work_and_raises_a_gauge(self):
        """The process lives, the metric tells."""
        self.outcomes = [None, Halt("overlapping blocks")]
        self.loop().startService()
        self.advance(60, 60, 60)
        self.assertEqual(self.runs, [0, 60])
        self.assertEqual(self.registry.get_sample_value("pythanos_loop_halted", {"loop": "sync"}), 1)

    def test_the_start_fails_when_its_window_passes(self):
        """ST-2: the initial sync is tried again and again, but not for ever."""
        self.outcomes = [BucketUnavailable("list the bucket: refused")] * 99
        loop = self.loop(start_window_seconds=30)
        first = loop.startService()
        self.advance(*[1] * 29)
        self.assertNoResult(first)
        self.advance(1)
        failure = self.failureResultOf(first, StartWindowPassed)
        self.assertEqual(failure.getErrorMessage(), "sync: list the bucket: refused")

    def test_stopping_waits_for_the_running_job(self):
        """The job sees its context cancelled; no further run follows."""
        running: list = []

        def slow(job, ctx):
            running.append((defer.Deferred(), ctx))
            return running[-1][0]

        loop = self.loop(run=slow)
        first = loop.startService()
        first.addErrback(lambda failure: failure.trap(QueryCanceled) and None)
        stopped = loop.stopService()
        self.assertNoResult(stopped)
        self.assertTrue(running[0][1].canceled)
        running[0][0].errback(QueryCanceled("stopped"))
        self.successResultOf(stopped)
        self.advance(120)
        self.assertEqual(len(running), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
