import pytest
from contracts.bucket_contract import BucketContract

from pythanos.objstore.memory import MemoryBucket
from pythanos.objstore.prefixed import PrefixedBucket


class TestPrefixedBucket(BucketContract):
    @pytest.fixture
    def bucket(self):
        whole = MemoryBucket()
        whole.upload("teams/other/x", b"not ours")
        whole.upload("x", b"not ours")
        return PrefixedBucket(whole, "/teams/one/")

    def test_objects_lie_below_the_prefix(self):
        """A prefix may be written with or without slashes around it."""
        whole = MemoryBucket()
        for prefix in ("teams/one", "/teams/one/"):
            PrefixedBucket(whole, prefix).upload(f"name{len(prefix)}", b"x")
        assert sorted(whole.iter("teams/one")) == ["teams/one/name11", "teams/one/name9"]

    def test_a_name_cannot_leave_the_prefix_by_a_listing_of_its_siblings(self):
        whole = MemoryBucket()
        whole.upload("ab/1", b"x")
        assert list(PrefixedBucket(whole, "a").iter(recursive=True)) == []
