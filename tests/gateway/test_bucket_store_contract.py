"""BucketStore is a Store, in each of its ways to read blocks."""

import pytest
from contracts.store_contract import StoreContract
from gateway.store_helpers import bucket_with, synced_store

from pythanos.workers import Workers

SETTINGS = {
    "plain": "",
    "lazy": """
store: {enable_index_header_lazy_reader: true, index_header_lazy_download_strategy: lazy}
""",
    "lazy postings": """
store: {enable_lazy_expanded_postings: true, posting_group_max_key_series_ratio: 0.01}
""",
    "small pieces": """
index_cache_size: 0
debug: {series_batch_size: 2, estimated_max_series_size: 8, estimated_max_chunk_size: 4}
""",
    "in memory only": "cache_index_header: false",
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys(), scope="class")
class TestBucketStore(StoreContract):
    @pytest.fixture
    def open_store(self, tmp_path, settings):
        opened = []

        def open_store(streams):
            opened.append(synced_store(bucket_with(streams), tmp_path, settings=settings))
            return opened[-1]

        yield open_store
        for store in opened:
            store.close()


class TestBucketStoreOnThreads(StoreContract):
    @pytest.fixture
    def open_store(self, tmp_path):
        workers = Workers.threaded(4)
        opened = []

        def open_store(streams):
            settings = "debug: {series_batch_size: 3}"
            opened.append(synced_store(bucket_with(streams), tmp_path, settings=settings, workers=workers))
            return opened[-1]

        yield open_store
        for store in opened:
            store.close()
        workers.stop()
