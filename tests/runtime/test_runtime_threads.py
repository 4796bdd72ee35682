"""ThreadTeam: every job runs once; small ones take turns, and nobody waits for one that waits."""

import random
import threading
from itertools import count

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


@pytest.fixture
def long_job(team):
    """A job of the team that has begun; it ends when this is set."""
    running, go = threading.Event(), threading.Event()

    def job() -> None:
        running.set()
        go.wait(5)

    team.run(job)
    assert running.wait(5)
    return go


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


def test_a_job_that_takes_longer_than_a_turn_is_left_alone(team, clock, long_job):
    """Jobs that wait behind a long one begin when its turn has passed, and not before."""
    begun = threading.Event()
    assert team.run(begun.set)
    clock.now += TURN_SECONDS / 2
    assert team.hurry()
    assert not begun.wait(0.01)
    clock.now += 2 * TURN_SECONDS
    team.hurry()
    assert begun.wait(5)
    long_job.set()
    team.stop()


def test_who_comes_after_a_long_job_began_does_not_wait(team, clock, long_job):
    """A job finds the turn free whose owner has had it for long."""
    begun = threading.Event()
    clock.now += 2 * TURN_SECONDS
    team.run(begun.set)
    assert begun.wait(5)
    long_job.set()
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


def test_no_more_threads_begin_than_jobs():
    """Hurrying again and again, before any thread has come to its turn, starts no thread that finds nothing to do."""
    ticks = count()
    team, go = ThreadTeam("api", lambda: float(next(ticks))), threading.Event()
    for _ in range(3):
        team.run(go.wait, 5)
    for _ in range(200):
        team.hurry()
        threading.Event().wait(0.00001)
    assert len(team._threads) <= 3
    go.set()
    team.stop()


def test_a_job_that_gets_no_thread_is_refused(team, monkeypatch):
    """Where the system has no thread to give, the job is not run, and the next one is as if it had never come."""
    ran = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            team.run(ran.append, 1)
    assert team.run(ran.append, 2) is False
    team.stop()
    assert ran == [2]


def test_a_long_job_keeps_its_turn_where_no_thread_can_be_had(team, clock, long_job, monkeypatch):
    """The jobs behind it wait until a thread can be started, or it is done; none is lost."""
    begun = threading.Event()
    clock.now += 2 * TURN_SECONDS
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert team.run(begun.set)
    assert team.hurry() is True or begun.is_set()
    assert begun.wait(5)
    long_job.set()
    team.stop()


def refuse(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("seed", range(3))
def test_whatever_jobs_do_each_runs_once(seed):
    """Jobs of all lengths that step aside, wait and compute at random: none is lost or done twice, the threads are no
    more than the jobs at once, and all that is left is done when the team stops.
    """
    chance, team, places = random.Random(seed), ThreadTeam("api"), threading.Semaphore(16)
    runs = [0] * 400

    def job(number: int, plan: list[tuple[str, float]]) -> None:
        for what, amount in plan:
            if what == "step aside":
                team.step_aside()
            elif what == "wait":
                threading.Event().wait(amount)
            else:
                sum(range(int(amount * 2e7)))
        runs[number] += 1
        places.release()

    hurries = False
    for number in range(len(runs)):
        plan = [
            (chance.choice(["step aside", "wait", "compute"]), chance.random() ** 4 * 0.004)
            for _ in range(chance.randrange(4))
        ]
        while not places.acquire(timeout=0.001):
            hurries = team.hurry()
        hurries = team.run(job, number, plan) or hurries
        if hurries and chance.random() < 0.3:
            hurries = team.hurry()
    # A thread may have done its job and not yet have asked for the next.
    assert len(team._threads) <= 2 * 16
    team.stop()
    assert runs == [1] * len(runs)
    assert not team._jobs
