import pytest
from contracts.bucket_contract import BucketContract

from pythanos.objstore.memory import MemoryBucket


class TestMemoryBucket(BucketContract):
    @pytest.fixture
    def bucket(self):
        return MemoryBucket()

    def test_the_time_of_change_is_that_of_the_given_clock(self):
        bucket = MemoryBucket(clock=lambda: 12.5)
        bucket.upload("name", b"")
        assert bucket.attributes("name").last_modified_ms == 12_500
