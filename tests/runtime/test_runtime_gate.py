"""Gate: how many run, who waits, who is turned away."""

import threading

import pytest
from prometheus_client import CollectorRegistry

from pythanos.context import RequestContext
from pythanos.errors import LimitExceeded, QueryCanceled, QueryTimeout
from pythanos.runtime.gate import Gate


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def gate(registry: CollectorRegistry, concurrent_max: int, **options) -> Gate:
    return Gate(concurrent_max, registry=registry, prefix="thanos_query_concurrent", **options)


def test_metrics_have_thanos_names(registry: CollectorRegistry):
    """The dashboards read ..._gate_queries_max and ..._in_flight."""
    one = gate(registry, 20)
    with one.enter(RequestContext()):
        assert registry.get_sample_value("thanos_query_concurrent_gate_queries_in_flight") == 1
    assert registry.get_sample_value("thanos_query_concurrent_gate_queries_in_flight") == 0
    assert registry.get_sample_value("thanos_query_concurrent_gate_queries_max") == 20
    assert registry.get_sample_value("thanos_query_concurrent_gate_queries_total") == 1
    bucket = {"le": "0.01"}
    assert registry.get_sample_value("thanos_query_concurrent_gate_queries_duration_seconds_bucket", bucket) == 1


def test_zero_means_no_limit(registry: CollectorRegistry):
    """As in Thanos."""
    one = gate(registry, 0)
    with one.enter(RequestContext(timeout_seconds=5)), one.enter(RequestContext(timeout_seconds=5)):
        assert registry.get_sample_value("thanos_query_concurrent_gate_queries_in_flight") == 2


def test_the_next_one_enters_when_one_leaves(registry: CollectorRegistry):
    """First come, first served; the place goes from hand to hand."""
    one = gate(registry, 1)
    entered, order = [threading.Event() for _ in range(3)], []

    def visit(number: int) -> None:
        with one.enter(RequestContext(timeout_seconds=10)):
            order.append(number)
            entered[number].set()

    threads = []
    with one.enter(RequestContext()):
        for number in range(3):
            threads.append(threading.Thread(target=visit, args=(number,)))
            threads[-1].start()
            while len(one._waiting) <= number:
                threading.Event().wait(0.001)
        assert order == []
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2]
    assert registry.get_sample_value("thanos_query_concurrent_gate_queries_in_flight") == 0
    with one.enter(RequestContext()):
        pass


def test_an_error_inside_gives_the_place_back(registry: CollectorRegistry):
    """A failed query does not cost capacity."""
    one = gate(registry, 1)
    for _ in range(3):
        with pytest.raises(KeyError), one.enter(RequestContext()):
            raise KeyError


def test_too_many_waiting_is_an_immediate_refusal(registry: CollectorRegistry):
    """Overflow answers at once, marked as admission."""
    one = gate(registry, 1, waiting_max=0)
    with one.enter(RequestContext()), pytest.raises(LimitExceeded) as caught, one.enter(RequestContext()):
        pass
    assert caught.value.admission and caught.value.limit == "query.max_concurrent"


def test_a_deadline_ends_the_wait(registry: CollectorRegistry):
    """Waiting counts towards the query's timeout, and leaves nothing behind."""
    one = gate(registry, 1)
    with one.enter(RequestContext()):
        with pytest.raises(QueryTimeout), one.enter(RequestContext(timeout_seconds=0.001)):
            pass
        assert not one._waiting
    with one.enter(RequestContext()):
        pass


def test_a_client_that_goes_away_leaves_the_queue(registry: CollectorRegistry):
    """Cancelling wakes the waiting thread, and the place is not lost."""
    one = gate(registry, 1)
    ctx, outcome = RequestContext(), []

    def visit() -> None:
        try:
            with one.enter(ctx):
                outcome.append("entered")
        except QueryCanceled:
            outcome.append("canceled")

    with one.enter(RequestContext()):
        thread = threading.Thread(target=visit)
        thread.start()
        while not one._waiting:
            threading.Event().wait(0.001)
        ctx.cancel()
        thread.join(10)
    assert outcome == ["canceled"]
    with one.enter(RequestContext(timeout_seconds=1)):
        pass
