"""What a fan-out tells of each of its stores."""

from __future__ import annotations

import pytest

from pythanos.context import RequestContext
from pythanos.errors import EndpointUnavailable
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.usage import StoreUsage
from pythanos.storeapi.batches import SeriesBatch, StoreWarning
from pythanos.storeapi.metering import metered
from pythanos.storeapi.proxy import Endpoint, ProxyMetrics, ProxyStore
from pythanos.storeapi.requests import SeriesRequest
from pythanos.testing.fake_store import ChunkRow, FakeStore
from pythanos.workers import ThreadPool

UP = Matcher(MatchType.EQ, "__name__", "up")
# Two bytes of number of samples, as every chunk begins: 258 and 3.
FIRST, SECOND = ChunkRow(0, 10, b"\x01\x02rest"), ChunkRow(11, 20, b"\x00\x03rest")


def store(*instances: str) -> FakeStore:
    return FakeStore([({"__name__": "up", "instance": name}, [FIRST, SECOND]) for name in instances])


def frames(*stores: FakeStore, **fields: bool) -> list[object]:
    pool = ThreadPool("streams", 4)
    endpoints = [Endpoint(f"store-{i}:10901", one, one.info()) for i, one in enumerate(stores)]
    proxy = ProxyStore(lambda: endpoints, pool, ProxyMetrics())
    try:
        return list(proxy.series(RequestContext(), SeriesRequest(0, 100, (UP,), **fields)))
    finally:
        pool.stop()


def test_every_store_of_a_fan_out_is_told() -> None:
    """Address, batches, series, chunks, and the samples that the chunks say they hold."""
    found = {
        frame.address: frame for frame in frames(store("a", "b"), store("c"), usage=True) if type(frame) is StoreUsage
    }
    assert set(found) == {"store-0:10901", "store-1:10901"}
    usage = found["store-0:10901"]
    assert (usage.series, usage.chunks, usage.samples) == (2, 4, 2 * (258 + 3))
    assert usage.responses >= 1
    assert usage.nbytes >= 4 * 6
    assert found["store-1:10901"].series == 1


def test_a_single_store_is_told_too() -> None:
    """Its frames are passed through unmerged."""
    assert [frame.series for frame in frames(store("a"), usage=True) if type(frame) is StoreUsage] == [1]


def test_nobody_who_does_not_ask_is_told() -> None:
    """The frame is for this process alone."""
    assert {type(frame) for frame in frames(store("a"), store("c"))} == {SeriesBatch}


def test_a_store_that_fails_is_told_with_what_it_sent() -> None:
    """The error comes after the usage."""

    def failing():
        yield StoreWarning("slow")
        raise EndpointUnavailable("gone")

    stream = metered(failing(), "a:1", iter(range(100)).__next__)
    assert next(stream) == StoreWarning("slow")
    assert next(stream) == StoreUsage("a:1", 2, 0, 1)
    with pytest.raises(EndpointUnavailable):
        next(stream)


def test_closing_closes_the_store() -> None:
    """Whoever gives up must not leave a call open."""
    closed = []

    def open_ended():
        try:
            while True:
                yield StoreWarning("more")
        finally:
            closed.append(True)

    stream = metered(open_ended(), "a:1", iter(range(100)).__next__)
    next(stream)
    stream.close()
    assert closed == [True]
