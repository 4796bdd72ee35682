"""Reading ahead is bounded by bytes, keeps the order, and leaves nothing behind."""

import threading

import pytest

from pythanos.errors import LimitExceeded
from pythanos.gateway.limits import ChunkBudget
from pythanos.gateway.select.read_ahead import ReadAhead
from pythanos.workers import InlinePool, ThreadPool


def ahead(items, bytes_max, *, job=lambda item: item * 10, pool=None, budget=None):
    return ReadAhead(pool or InlinePool(), job, items, bytes_max=bytes_max, budget=budget)


def test_results_come_in_order():
    pool = ThreadPool("test", 4)
    try:
        assert list(ahead(((i, 1) for i in range(100)), 7, pool=pool)) == [i * 10 for i in range(100)]
    finally:
        pool.stop()


def test_jobs_begin_only_as_far_ahead_as_their_bytes_allow():
    begun = []
    reads = ahead([(i, 4) for i in range(10)], 10, job=begun.append)
    reads.begin()
    assert begun == [0, 1]
    next(reads)
    # The first result is still in its reader's hands.
    assert begun == [0, 1]
    next(reads)
    assert begun == [0, 1, 2]


def test_one_job_runs_even_when_it_is_larger_than_the_bound():
    assert list(ahead([(1, 100), (2, 100)], 10)) == [10, 20]


def test_what_is_held_is_taken_from_the_budget_and_given_back():
    budget = ChunkBudget(100)
    reads = ahead([(i, 30) for i in range(4)], 60, budget=budget)
    next(reads)
    assert budget.held == 60
    reads.close()
    assert budget.held == 0
    list(ahead([(i, 30) for i in range(4)], 60, budget=budget))
    assert budget.held == 0


def test_a_used_up_budget_is_an_error_and_not_a_wait():
    budget = ChunkBudget(50)
    budget.take(40)
    with pytest.raises(LimitExceeded, match="chunk pool of 50 bytes exhausted"):
        next(ahead([(1, 30)], 100, budget=budget))
    assert budget.held == 40


def test_an_error_of_a_job_comes_at_its_turn_and_closing_still_gives_back():
    def job(item):
        if item == 1:
            raise ValueError("broken")
        return item

    budget = ChunkBudget(100)
    reads = ahead([(0, 10), (1, 10), (2, 10)], 50, job=job, budget=budget)
    assert next(reads) == 0
    with pytest.raises(ValueError, match="broken"):
        next(reads)
    reads.close()
    assert budget.held == 0


def test_closing_ends_the_iteration():
    reads = ahead([(i, 1) for i in range(10)], 3)
    next(reads)
    reads.close()
    assert list(reads) == []


def test_alone_the_last_job_runs_in_the_callers_thread_and_the_others_do_not():
    pool = ThreadPool("test", 2)
    try:
        for count in (1, 3):
            items = [(number, 1) for number in range(count)]
            threads = list(ReadAhead(pool, lambda _: threading.get_ident(), items, bytes_max=100, alone=True))
            assert len(threads) == count
            assert (threads[0] == threading.get_ident()) == (count == 1)
            together = list(ReadAhead(pool, lambda _: threading.get_ident(), items, bytes_max=100))
            assert threading.get_ident() not in together
    finally:
        pool.stop()


@pytest.mark.parametrize("alone", [False, True])
def test_alone_or_not_all_results_come_in_order_and_a_short_budget_holds_them_back(alone):
    budget = ChunkBudget(10)
    items = [(number, 5) for number in range(7)]
    ahead = ReadAhead(InlinePool(), str, items, bytes_max=100, budget=budget, alone=alone)
    assert list(ahead) == [str(number) for number in range(7)]
    ahead.close()
    assert budget.try_take(10)
