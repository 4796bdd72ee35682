import threading

import numpy as np
import pytest
from contracts.bucket_contract import BucketContract

from pythanos.errors import BucketUnavailable, ObjectNotFound
from pythanos.objstore.hedging import LEARNED, HedgedBucket, HedgingConfig, Latencies
from pythanos.objstore.memory import MemoryBucket
from pythanos.workers import InlinePool, ThreadPool


class TestHedgedBucket(BucketContract):
    @pytest.fixture
    def bucket(self):
        bucket = HedgedBucket(MemoryBucket(), HedgingConfig(enabled=True, quantile=0.5), ThreadPool("hedged", 8))
        yield bucket
        bucket.close()


class Stuck(MemoryBucket):
    """Reads answer at once until ``stick``; then the first of them waits for ``release``, and the others ``answer``."""

    def __init__(self, answer=None):
        super().__init__()
        self.calls, self.sticking, self.answer = 0, False, answer
        self.release = threading.Event()
        self.lock = threading.Lock()

    def get(self, name):
        if not self.sticking:
            return super().get(name)
        with self.lock:
            self.calls += 1
            number = self.calls
        if number == 1:
            self.release.wait(10)
            raise BucketUnavailable("the first one")
        if self.answer is not None:
            raise self.answer
        return super().get(name)


def hedged(inner, **config):
    inner.upload("x", b"body")
    bucket = HedgedBucket(inner, HedgingConfig(enabled=True, **config), ThreadPool("hedged", 4))
    for _ in range(LEARNED):
        bucket.get("x")
    inner.sticking = True
    return bucket


def test_a_read_that_takes_long_is_asked_again():
    """ST-30: the second request's answer comes while the first is still waiting."""
    inner = Stuck()
    bucket = hedged(inner)
    assert bucket.get("x") == b"body"
    assert inner.calls == 2
    inner.release.set()
    bucket.close()


def test_at_most_so_many_requests_are_sent():
    """ST-30: with up_to 1 nothing is asked again, and the error of the only request is the answer."""
    inner = Stuck()
    bucket = hedged(inner, up_to=1)
    threading.Timer(0.05, inner.release.set).start()
    with pytest.raises(BucketUnavailable, match="the first one"):
        bucket.get("x")
    assert inner.calls == 1
    bucket.close()


def test_an_error_is_the_answer_only_when_every_request_failed():
    inner = Stuck(answer=BucketUnavailable("the second one"))
    bucket = hedged(inner, up_to=2)
    threading.Timer(0.05, inner.release.set).start()
    with pytest.raises(BucketUnavailable, match="the first one"):
        bucket.get("x")
    assert inner.calls == 2
    bucket.close()


def test_an_absent_object_is_an_answer():
    inner = Stuck(answer=ObjectNotFound("x"))
    bucket = hedged(inner)
    with pytest.raises(ObjectNotFound):
        bucket.get("x")
    inner.release.set()
    bucket.close()


def test_nothing_is_asked_again_before_enough_is_known():
    inner = Stuck()
    inner.upload("x", b"body")
    bucket = HedgedBucket(inner, HedgingConfig(enabled=True), InlinePool())
    assert [bucket.get("x") for _ in range(LEARNED - 1)] == [b"body"] * (LEARNED - 1)


@pytest.mark.parametrize("q", [0.01, 0.5, 0.9, 0.99])
def test_quantiles_are_within_two_percent(q):
    values = np.random.default_rng(3).lognormal(-4, 2, 5000).clip(1e-5, 800)
    latencies = Latencies()
    for value in values:
        latencies.add(float(value))
    assert latencies.quantile(q) == pytest.approx(np.quantile(values, q, method="inverted_cdf"), rel=0.021)


def test_no_latency_is_out_of_reach():
    latencies = Latencies()
    assert latencies.quantile(0.9) == 0
    for value in (0.0, 1e-9, 1e9):
        latencies.add(value)
    assert len(latencies) == 3
    assert latencies.quantile(0.999) > 800
