"""RequestPool and Probe: admission, draining, computed readiness."""

import sys

from prometheus_client import CollectorRegistry
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from pythanos.errors import LimitExceeded
from pythanos.runtime.probe import Probe
from pythanos.runtime.workers import SPARE_THREADS, TURN_SECONDS, RequestPool


class HandReactor(MemoryReactorClock):
    """Runs what threads hand over when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.handed: list = []

    def callFromThread(self, function, *args):
        self.handed.append((function, args))


class HandTeam:
    """A team of threads whose jobs the test runs."""

    def __init__(self) -> None:
        self.jobs: list = []
        self.stopped = self.exhausted = False
        self.hurried = 0

    def stop(self) -> None:
        self.stopped = True

    def run(self, job, *args):
        if self.exhausted:
            raise RuntimeError("can't start new thread")
        self.jobs.append(lambda: job(*args))
        return len(self.jobs) > 1

    def hurry(self):
        self.hurried += 1
        return len(self.jobs) > 1


class RequestPoolTests(SynchronousTestCase):
    def setUp(self):
        self.reactor, self.registry = HandReactor(), CollectorRegistry()
        self.pool = RequestPool("api", 2, self.reactor, self.registry, limit="api.threads")
        self.pool._team = self.hand = HandTeam()
        self.pool.startService()

    def perform(self) -> None:
        self.hand.jobs.pop(0)()
        for function, args in self.reactor.handed:
            function(*args)
        self.reactor.handed = []

    def test_a_call_answers_in_the_reactor_thread(self):
        """The result of the job is the result of the Deferred."""
        answer = self.pool.call(lambda number: number + 1, 41)
        self.assertNoResult(answer)
        self.perform()
        self.assertEqual(self.successResultOf(answer), 42)

    def test_an_error_of_the_job_is_the_failure_of_the_call(self):
        """What the job raises fails the Deferred, and the place is free again."""
        failed = self.pool.call(int, "no number")
        self.perform()
        self.failureResultOf(failed, ValueError)
        self.assertEqual(self.registry.get_sample_value("pythanos_api_in_flight"), 0)

    def test_overflow_is_turned_away_at_once(self):
        """The third request of a pool of two fails without waiting, and is counted."""
        kept = [self.pool.call(int), self.pool.call(int)]
        failure = self.failureResultOf(self.pool.call(int), LimitExceeded)
        self.assertTrue(failure.value.admission)
        self.assertIn("(api.threads is 2)", str(failure.value))
        self.assertEqual(self.registry.get_sample_value("pythanos_api_rejected_total"), 1)
        self.perform()
        self.assertEqual(self.registry.get_sample_value("pythanos_api_in_flight"), 1)
        self.successResultOf(kept[0])
        kept.append(self.pool.call(int))
        self.assertNoResult(kept[2])

    def test_a_request_without_a_thread_is_turned_away(self):
        """Where the system has no thread to give the request fails as one too many does, and takes no place."""
        self.hand.exhausted = True
        failure = self.failureResultOf(self.pool.call(int), LimitExceeded)
        self.assertIn("can't start new thread (api.threads is 2)", str(failure.value))
        self.assertEqual(self.registry.get_sample_value("pythanos_api_in_flight"), 0)
        self.hand.exhausted = False
        answer = self.pool.call(int)
        self.perform()
        self.assertEqual(self.successResultOf(answer), 0)

    def test_a_request_that_wants_to_end_the_process_ends_itself(self):
        """SystemExit in a thread is the failure of that request, which is counted out."""
        answer = self.pool.call(sys.exit, 3)
        self.perform()
        self.failureResultOf(answer, SystemExit)
        self.assertEqual(self.registry.get_sample_value("pythanos_api_in_flight"), 0)

    def test_operators_have_a_few_threads_more(self):
        """What they look at answers while every other thread is taken, but is bounded, too."""
        kept = [self.pool.call(int), self.pool.call(int)]
        kept += [self.pool.call_spare(int) for _ in range(SPARE_THREADS)]
        self.failureResultOf(self.pool.call_spare(int), LimitExceeded)
        for answer in kept:
            self.assertNoResult(answer)

    def test_jobs_that_wait_are_looked_after(self):
        """While a job waits for another one the team is hurried turn by turn, by one timer; then no more."""
        self.pool.call(int)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.pool.call(int)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.reactor.advance(TURN_SECONDS)
        self.assertEqual((self.hand.hurried, len(self.reactor.getDelayedCalls())), (1, 1))
        self.perform()
        self.reactor.advance(TURN_SECONDS)
        self.assertEqual((self.hand.hurried, self.reactor.getDelayedCalls()), (2, []))

    def test_stopping_drains(self):
        """New requests are refused, running ones finish, then the threads end."""
        running = self.pool.call(int)
        done = self.pool.stopService()
        self.failureResultOf(self.pool.call(int), LimitExceeded)
        self.assertNoResult(done)
        self.perform()
        self.successResultOf(running)
        self.successResultOf(done)
        self.assertTrue(self.hand.stopped)


class Part:
    def __init__(self, reason: str | None) -> None:
        self.reason = reason

    def unready(self) -> str | None:
        return self.reason


class ProbeTests(SynchronousTestCase):
    def test_ready_is_computed_from_the_parts(self):
        """The first reason that a part gives is the daemon's; the metric says the same at once."""
        reactor, registry = MemoryReactorClock(), CollectorRegistry()
        part, other = Part("initial sync"), Part(None)
        probe = Probe("store", [other, part], reactor, registry)

        def status(check: str) -> float | None:
            return registry.get_sample_value("thanos_status", {"component": "store", "check": check})

        self.assertEqual((probe.unready(), status("ready"), status("healthy")), ("not running", 0, 0))
        probe.startService()
        self.assertEqual((probe.unready(), status("ready"), status("healthy")), ("initial sync", 0, 1))
        part.reason = None
        self.assertEqual((probe.unready(), status("ready")), (None, 1))
        reactor.advance(1)
        probe.stopService()
        self.assertEqual((probe.unready(), status("ready")), ("not running", 0))
        self.assertEqual(reactor.getDelayedCalls(), [])
