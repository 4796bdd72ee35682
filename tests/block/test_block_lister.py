import pytest

from pythanos.block.lister import LISTERS, list_concurrent, list_recursive
from pythanos.context import RequestContext
from pythanos.errors import BucketUnavailable, QueryCanceled
from pythanos.testing.buckets import EPOCH_MS, bucket_of, make_meta, numbered_ulid, put_meta
from pythanos.testing.faulty_bucket import FaultyBucket
from pythanos.workers import InlinePool, ThreadPool

A, B, C = (numbered_ulid(number) for number in (1, 2, 3))


@pytest.fixture
def bucket():
    """Two whole blocks, one of them marked, one without meta.json, and things that are no blocks."""
    found = bucket_of(
        {
            f"{A}/index": b"",
            f"{A}/chunks/000001": b"",
            f"{B}/deletion-mark.json": b"",
            f"{C}/chunks/000001": b"",
            f"{C}/chunks/meta.json": b"",
            "../meta.json": b"",
            "thanos/upload/x": b"",
            f"{A[:-1]}/meta.json": b"",
            f"{A.lower()}/meta.json": b"",
            numbered_ulid(9): b"a file of that name",
            "readme": b"",
            "debug/metas/01.json": b"",
        }
    )
    put_meta(found, make_meta(1))
    put_meta(found, make_meta(2))
    return found


@pytest.mark.parametrize("discovery", list(LISTERS))
def test_blocks_are_told_from_partial_blocks_and_from_others(bucket, discovery):
    """ST-8, XC-60; XC-61: what lies in debug/ is passed over without a word."""
    listing = LISTERS[discovery](bucket, InlinePool(), RequestContext())
    assert set(listing.complete) == {A, B}
    assert listing.partial == {C}
    assert set(listing.ignored) == {"../", "thanos/", f"{A[:-1]}/", f"{A.lower()}/", numbered_ulid(9), "readme"}
    assert listing.ignored["../"] == "not a ULID"
    assert listing.ignored["readme"] == "not a folder"


def test_concurrent_discovery_is_one_listing_and_a_question_per_block(bucket):
    """ST-8."""
    watched = FaultyBucket(bucket)
    listing = list_concurrent(watched, InlinePool(), RequestContext())
    assert watched.log[0] == ("iter", "")
    assert sorted(watched.log[1:]) == [("exists", f"{ulid}/meta.json") for ulid in (A, B, C)]
    assert listing.complete == {A: None, B: None}
    assert listing.marked is None


def test_recursive_discovery_is_one_listing_that_also_tells_times_and_marks(bucket):
    """ST-8: no question per block."""
    watched = FaultyBucket(bucket)
    listing = list_recursive(watched, InlinePool(), RequestContext())
    assert watched.log == [("iter", "")]
    assert listing.complete == {A: EPOCH_MS, B: EPOCH_MS}
    assert listing.marked == {B}


def test_many_blocks_are_asked_about_on_the_pool():
    found = bucket_of({})
    for number in range(300):
        put_meta(found, make_meta(number))
    pool = ThreadPool("fetch", 8)
    listing = list_concurrent(found, pool, RequestContext())
    pool.stop()
    assert set(listing.complete) == {numbered_ulid(number) for number in range(300)}


@pytest.mark.parametrize("discovery", list(LISTERS))
def test_a_listing_that_breaks_off_is_an_error_and_not_a_shorter_listing(bucket, discovery):
    calls = FaultyBucket(bucket)
    LISTERS[discovery](calls, InlinePool(), RequestContext())
    for number in range(1, calls.calls + 1):
        with pytest.raises(BucketUnavailable):
            LISTERS[discovery](FaultyBucket(bucket, number), InlinePool(), RequestContext())


@pytest.mark.parametrize("discovery", list(LISTERS))
def test_a_canceled_look_stops(bucket, discovery):
    ctx = RequestContext()
    ctx.cancel()
    with pytest.raises(QueryCanceled):
        LISTERS[discovery](bucket, InlinePool(), ctx)
