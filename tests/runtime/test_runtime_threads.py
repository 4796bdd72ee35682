"""ThreadTeam: every job runs once, in no more threads than there were jobs at one time."""

import threading

from pythanos.runtime.workers import ThreadTeam


def test_jobs_one_after_the_other_share_a_thread():
    """A thread that is done takes the next job."""
    team, seen, done = ThreadTeam("api"), [], threading.Semaphore(0)

    def job(number: int) -> None:
        seen.append((number, threading.current_thread().name))

    for number in range(5):
        team.run(job, number)
        # The place of a job is free after it, so the next may come too early: wait for the team to say so.
        while team._under_way:
            done.acquire(timeout=0.001)
    team.stop()
    assert seen == [(number, "api-0") for number in range(5)]


def test_jobs_at_one_time_run_at_one_time():
    """Three jobs that wait for each other all get a thread."""
    team, barrier = ThreadTeam("api"), threading.Barrier(3)
    passed = []

    def job() -> None:
        passed.append(barrier.wait(5))

    for _ in range(3):
        team.run(job)
    team.stop()
    assert sorted(passed) == [0, 1, 2]


def test_stopping_waits_for_the_jobs():
    """After ``stop`` all jobs have run and the threads are gone."""
    team, ran = ThreadTeam("api"), []
    for number in range(20):
        team.run(ran.append, number)
    threads = list(team._threads)
    team.stop()
    assert sorted(ran) == list(range(20))
    assert not any(thread.is_alive() for thread in threads)
