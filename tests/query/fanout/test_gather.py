"""Asking several endpoints: what one of them cannot say becomes a warning, or fails the request."""

import threading

import pytest

from pythanos.context import RequestContext
from pythanos.errors import CorruptData, EndpointUnavailable, QueryCanceled, QueryTimeout, Retryable
from pythanos.model.promapi.rules import RulesRequest
from pythanos.query.fanout.clients import PromEndpoint
from pythanos.query.fanout.gather import FanOut
from pythanos.query.fanout.questions import PromQuestions
from pythanos.storeapi.batches import StoreWarning
from pythanos.testing.fake_promapi import FakePromAPI
from pythanos.workers import InlinePool, ThreadPool


def ask(clients, *, abort=False, ctx=None, pool=None):
    endpoints = [PromEndpoint(f"e{number}", client) for number, client in enumerate(clients)]
    questions = PromQuestions(lambda api: endpoints, FanOut(pool or InlinePool()))
    return questions.rules(ctx or RequestContext(), RulesRequest(), abort=abort)


def failing(error, at=1):
    def fail(number, ctx):
        if number == at:
            raise error

    return fail


def test_values_come_in_the_order_of_the_endpoints_and_warnings_once():
    found = ask([FakePromAPI([1, StoreWarning("w"), 2]), FakePromAPI([StoreWarning("w"), 3, StoreWarning("v")])])
    assert (found.values, found.warnings) == ([1, 2, 3], ["w", "v"])


def test_nobody_to_ask_is_an_empty_answer():
    found = ask([])
    assert (found.values, found.warnings) == ([], [])


def test_what_was_said_before_a_failure_counts():
    broken = FakePromAPI([1, 2], failing(EndpointUnavailable("e0: gone")))
    found = ask([broken, FakePromAPI([3])])
    assert (found.values, found.warnings) == ([1, 3], ["receiving rules from e0: gone"])


@pytest.mark.parametrize("error", [EndpointUnavailable("e0: gone"), CorruptData("e0", -1, "garbage")])
def test_abort_fails_with_the_error_of_the_endpoint(error):
    with pytest.raises(type(error)):
        ask([FakePromAPI([1], failing(error)), FakePromAPI([3])], abort=True)


def test_a_hung_endpoint_costs_its_share_and_is_named():
    """The others' values come in time, with a warning that names the one that hung."""
    pool = ThreadPool("test", 2)

    def hang(number, ctx):
        released = threading.Event()
        ctx.on_cancel(released.set)
        released.wait(ctx.remaining_seconds())
        ctx.check()
        raise QueryTimeout("query timed out")

    ctx = RequestContext(timeout_seconds=1)
    found = ask([FakePromAPI([1], hang), FakePromAPI([2])], ctx=ctx, pool=pool)
    assert found.values == [2]
    assert found.warnings == ["receiving rules from e0: query timed out"]
    assert ctx.remaining_seconds() > 0
    pool.stop()


def test_a_cancelled_request_is_cancelled():
    ctx = RequestContext()
    with pytest.raises(QueryCanceled):
        ask([FakePromAPI([1], lambda number, part: ctx.cancel())], ctx=ctx)


def test_a_timeout_of_an_endpoint_is_not_that_of_the_request():
    with pytest.raises(Retryable, match="receiving rules from e0: query timed out"):
        ask([FakePromAPI([1], failing(QueryTimeout("query timed out")))], abort=True)
