"""ThreadTeam: every job runs once; small ones take turns, and nobody waits for one that waits."""

import threading

import pytest

from pythanos.runtime.workers import TURN_SECONDS, ThreadTeam


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def team(clock):
    return ThreadTeam("api", clock)


def test_small_jobs_take_turns_in_one_thread(team):
    """Jobs that come while another one runs are begun after it, in order, by the thread that did it."""
    held, done, seen = threading.Event(), threading.Semaphore(0), []

    def job(number: int) -> None:
        held.wait(5)
        seen.append((number, threading.current_thread().name))
        done.release()

    waits = [team.run(job, number) for number in range(5)]
    held.set()
    assert all(done.acquire(timeout=5) for _ in range(5))
    team.stop()
    assert waits == [False, True, True, True, True]
    assert seen == [(number, "api-0") for number in range(5)]


def test_a_job_that_steps_aside_lets_the_next_begin(team):
    """Three jobs that wait for each other all get a thread, as each says that it is going to wait."""
    barrier, passed = threading.Barrier(3), []

    def job() -> None:
        team.step_aside()
        passed.append(barrier.wait(5))

    for _ in range(3):
        team.run(job)
    while len(passed) < 3:
        threading.Event().wait(0.001)
    team.stop()
    assert sorted(passed) == [0, 1, 2]


def test_only_the_job_whose_turn_it_is_gives_it_away(team):
    """Stepping aside twice, or in a thread of somebody else, begins nothing more."""
    stepped, go, running = threading.Event(), threading.Event(), []

    def first() -> None:
        team.step_aside()
        team.step_aside()
        stepped.set()
        go.wait(5)

    def other(number: int) -> None:
        running.append(number)
        stepped.wait(5)
        go.wait(5)

    team.run(first)
    assert stepped.wait(5)
    for number in range(3):
        team.run(other, number)
    team.step_aside()
    while not running:
        threading.Event().wait(0.001)
    assert running == [0]
    go.set()
    team.stop()
    assert running == [0, 1, 2]


def test_a_job_that_takes_longer_than_a_turn_is_left_alone(team, clock):
    """Jobs that wait behind a long one begin when its turn has passed, and not before."""
    running, go, begun = threading.Event(), threading.Event(), threading.Event()

    def long() -> None:
        running.set()
        go.wait(5)

    team.run(long)
    assert running.wait(5)
    assert team.run(begun.set)
    clock.now += TURN_SECONDS / 2
    assert team.hurry()
    assert not begun.wait(0.01)
    clock.now += 2 * TURN_SECONDS
    team.hurry()
    assert begun.wait(5)
    go.set()
    team.stop()


def test_who_comes_after_a_long_job_began_does_not_wait(team, clock):
    """A job finds the turn free whose owner has had it for long."""
    running, go, begun = threading.Event(), threading.Event(), threading.Event()

    def long() -> None:
        running.set()
        go.wait(5)

    team.run(long)
    assert running.wait(5)
    clock.now += 2 * TURN_SECONDS
    team.run(begun.set)
    assert begun.wait(5)
    go.set()
    team.stop()


def test_stopping_waits_for_the_jobs():
    """After ``stop`` all jobs have run and the threads are gone."""
    team, ran = ThreadTeam("api"), []
    for number in range(20):
        team.run(ran.append, number)
    threads = list(team._threads)
    team.stop()
    assert sorted(ran) == list(range(20))
    assert not any(thread.is_alive() for thread in threads)
