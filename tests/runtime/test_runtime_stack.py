"""Stack: order, waiting, failed starts, stopping in the middle of a start."""

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from pythanos.errors import BucketUnavailable
from pythanos.runtime.exits import ExitCode
from pythanos.runtime.stack import STOP_MAX_SECONDS, Stack, StartFailed


class Child(Service):
    """Writes down what happens to it; starts and stops when told."""

    def __init__(self, name: str, diary: list[str], *, slow_start: bool = False, slow_stop: bool = False) -> None:
        self.setName(name)
        self.diary = diary
        self.started = defer.Deferred() if slow_start else None
        self.stopped = defer.Deferred() if slow_stop else None
        self.error: Exception | None = None

    def startService(self):
        self.diary.append(f"start {self.name}")
        if self.error is not None:
            raise self.error
        return self.started

    def stopService(self):
        self.diary.append(f"stop {self.name}")
        return self.stopped


class StackTests(SynchronousTestCase):
    def setUp(self):
        self.reactor = MemoryReactorClock()
        self.diary: list[str] = []
        self.exits: list[object] = []
        self.exit_code = ExitCode(self.exits.append)

    def stack(self, *children: Child, detached: bool = False) -> Stack:
        return Stack(
            "store",
            children,
            reactor=self.reactor,
            exit_code=self.exit_code,
            detached=detached,
            settled=lambda: self.diary.append("settled"),
        )

    def test_children_start_in_order_and_wait(self):
        """The second child starts when the first is ready; the stack is ready when all are."""
        slow, quick = Child("a", self.diary, slow_start=True), Child("b", self.diary)
        stack = self.stack(slow, quick)
        self.assertEqual(stack.unready(), "not started")
        stack.startService()
        self.assertEqual((self.diary, stack.unready()), (["start a"], "starting a"))
        slow.started.callback(None)
        self.assertEqual(self.diary, ["start a", "start b", "settled"])
        self.assertIsNone(stack.unready())

    def test_children_stop_in_reverse_and_wait(self):
        """A dependency stays up until its user has stopped."""
        one, two = Child("a", self.diary), Child("b", self.diary, slow_stop=True)
        stack = self.stack(one, two)
        stack.startService()
        done = stack.stopService()
        self.assertEqual(self.diary[3:], ["stop b"])
        self.assertEqual(stack.unready(), "shutting down")
        self.assertNoResult(done)
        two.stopped.callback(None)
        self.assertEqual(self.diary[3:], ["stop b", "stop a"])
        self.successResultOf(done)

    def test_a_stop_that_fails_or_hangs_does_not_hold_up_the_others(self):
        """Errors are logged, and waiting is bounded."""
        one, two = Child("a", self.diary), Child("b", self.diary, slow_stop=True)
        stack = self.stack(one, two)
        stack.startService()
        done = stack.stopService()
        self.reactor.advance(STOP_MAX_SECONDS)
        self.successResultOf(done)
        self.assertEqual(self.diary[-1], "stop a")
        self.assertEqual(len(self.flushLoggedErrors(defer.TimeoutError)), 1)

    def test_a_failed_start_stops_everything_and_exits_non_zero(self):
        """What was started is stopped in reverse, the reactor ends, the exit code is 1."""
        one, two, three = (Child(name, self.diary) for name in "abc")
        two.error = BucketUnavailable("list the bucket")
        stack = self.stack(one, two, three)
        stack.startService()
        self.assertEqual(self.diary, ["start a", "start b", "stop b", "stop a"])
        self.assertEqual((self.exit_code.code, len(self.exits)), (1, 1))
        self.reactor.run()
        self.assertTrue(self.reactor.hasStopped)

    def test_an_unexpected_error_is_logged_with_its_traceback(self):
        """A bug in a part is told apart from a world that does not cooperate."""
        one = Child("a", self.diary)
        one.error = KeyError("oops")
        self.stack(one).startService()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(self.exit_code.code, 1)

    def test_a_detached_start_that_fails_at_once_raises(self):
        """twistd, waiting in the parent, gets one line that names part and cause."""
        one = Child("http", self.diary)
        one.error = OSError("address in use")
        with self.assertRaises(StartFailed) as caught:
            self.stack(one, detached=True).startService()
        self.assertEqual(str(caught.exception), "starting http: address in use")

    def test_a_later_failure_stops_too(self):
        """A child whose Deferred fails is a failed start."""
        one = Child("a", self.diary, slow_start=True)
        self.stack(one).startService()
        one.started.errback(BucketUnavailable("gone"))
        self.assertEqual(self.diary, ["start a", "stop a"])
        self.assertEqual(self.exit_code.code, 1)

    def test_stopping_during_a_start_is_clean(self):
        """SIGTERM while a part is starting cancels the start, stops that part, and exits 0."""
        one, two = Child("a", self.diary), Child("b", self.diary, slow_start=True)
        stack = self.stack(one, two)
        stack.startService()
        self.successResultOf(stack.stopService())
        self.assertEqual(self.diary, ["start a", "start b", "stop b", "stop a"])
        self.assertEqual((self.exit_code.code, self.exits), (0, []))
