import pytest

from pythanos.objstore.retries import RetryPolicy


class Clock:
    def __init__(self):
        self.now = 100.0
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


class Flaky:
    def __init__(self, clock, failures, cost=0.0):
        self.clock, self.failures, self.cost, self.calls = clock, failures, cost, 0

    def __call__(self):
        self.calls += 1
        self.clock.now += self.cost
        if self.calls <= self.failures:
            raise ConnectionError(f"number {self.calls}")
        return "done"


def policy(clock, **settings):
    return RetryPolicy(sleep=clock.sleep, monotonic=lambda: clock.now, uniform=lambda low, high: high, **settings)


def test_what_passes_is_tried_again_with_growing_pauses():
    clock = Clock()
    flaky = Flaky(clock, failures=5)
    assert policy(clock, unit_seconds=0.2, cap_seconds=1.0).run(flaky, lambda error: True) == "done"
    assert clock.slept == [0.2, 0.4, 0.8, 1.0, 1.0]


def test_the_last_error_is_raised_after_the_last_attempt():
    clock = Clock()
    flaky = Flaky(clock, failures=99)
    with pytest.raises(ConnectionError, match="number 3"):
        policy(clock, attempts=3).run(flaky, lambda error: True)
    assert flaky.calls == 3
    assert len(clock.slept) == 2


def test_what_does_not_pass_is_raised_at_once():
    clock = Clock()
    flaky = Flaky(clock, failures=1)
    with pytest.raises(ConnectionError):
        policy(clock).run(flaky, lambda error: False)
    assert flaky.calls == 1
    assert clock.slept == []


def test_no_attempt_begins_after_the_deadline():
    """Slow failures use the time up, however many attempts are left."""
    clock = Clock()
    flaky = Flaky(clock, failures=99, cost=4.0)
    with pytest.raises(ConnectionError):
        policy(clock, attempts=50, deadline_seconds=10.0).run(flaky, lambda error: True)
    assert flaky.calls == 3
    assert clock.now - 100.0 < 14.0


def test_pauses_are_spread_so_that_clients_do_not_come_back_together():
    clock, asked = Clock(), []
    spread = RetryPolicy(
        attempts=3,
        sleep=clock.sleep,
        monotonic=lambda: clock.now,
        uniform=lambda low, high: asked.append((low, high)) or low,
    )
    with pytest.raises(ConnectionError):
        spread.run(Flaky(clock, failures=99), lambda error: True)
    assert asked[:2] == [(0.1, 0.2), (0.2, 0.4)]
