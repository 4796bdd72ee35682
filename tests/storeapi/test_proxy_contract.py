"""The fan-out is a Store like any other: the contract over one fake store per stream."""

import numpy as np
import pytest
from contracts.store_contract import MATCHING_SERIES, StoreContract, Stream, frames_of

from pythanos._chunks import encode_floats
from pythanos.errors import BadRequest
from pythanos.model.matchers import Matcher, MatchType
from pythanos.storeapi.proxy import Endpoint, ProxyMetrics, ProxyStore
from pythanos.storeapi.requests import PartialResponse
from pythanos.testing.fake_store import ChunkRow, FakeStore
from pythanos.workers import ThreadPool


def chunk(samples: list) -> ChunkRow:
    times, values = np.array([t for t, _ in samples]), np.array([v for _, v in samples], np.float64)
    data, _, _ = encode_floats(times, values, [0, len(times)])
    return ChunkRow(samples[0][0], samples[-1][0], bytes(data))


def store_of(stream: Stream) -> FakeStore:
    series = [
        ({**labels, **stream.external}, [chunk(samples) for samples in chunks]) for labels, chunks in stream.series
    ]
    return FakeStore(series, label_sets=[stream.external])


@pytest.fixture(scope="module")
def pool():
    threads = ThreadPool("streams", 16)
    yield threads
    threads.stop()


class TestProxy(StoreContract):
    @pytest.fixture
    def open_store(self, pool):
        def build(streams):
            endpoints = [Endpoint(f"{i}:1", store, store.info()) for i, store in enumerate(map(store_of, streams))]
            return ProxyStore(lambda: endpoints, pool, ProxyMetrics())

        return build

    def test_no_matcher_but_on_external_labels_is_refused(self, open_store):
        """QU-9: the fan-out refuses what has no matcher; what each store makes of the rest is the store's to say."""
        with pytest.raises(BadRequest, match="no matchers specified"):
            frames_of(open_store([Stream({"region": "eu"}, MATCHING_SERIES)]), [])

    def test_a_stores_refusal_aborts_as_one(self, open_store):
        """A BadRequest from a store stays one where the answer has to be complete."""
        store = open_store([Stream({"region": "eu"}, MATCHING_SERIES)])
        (endpoint,) = store.endpoints()

        def refuse(number: int) -> None:
            raise BadRequest("no matchers specified (excluding external labels)")

        endpoint.store.before_frame = refuse
        with pytest.raises(BadRequest, match=r"0:1.*no matchers specified"):
            frames_of(store, [Matcher(MatchType.EQ, "region", "eu")], partial_response=PartialResponse.ABORT)


class TestProxyOverPlainStores(TestProxy):
    """The same over stores that can neither shard nor strip replica labels (QU-12)."""

    @pytest.fixture
    def open_store(self, pool):
        def build(streams):
            stores = [store_of(stream) for stream in streams]
            for store in stores:
                store.shards = store.strips_replica_labels = False
                store.series_list = sorted(store.series_list, key=lambda entry: sorted(entry[0].items()))
            endpoints = [Endpoint(f"{i}:1", store, store.info()) for i, store in enumerate(stores)]
            return ProxyStore(lambda: endpoints, pool, ProxyMetrics())

        return build
