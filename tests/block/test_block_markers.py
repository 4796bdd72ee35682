from pathlib import Path

import pytest

from pythanos.block.markers import (
    DeletionMark,
    NoCompactMark,
    NoDownsampleMark,
    UnsupportedMark,
    encode_mark,
    mark_for_deletion,
    mark_for_no_compact,
    mark_for_no_downsample,
    read_mark,
    remove_mark,
)
from pythanos.errors import BucketUnavailable, CorruptData
from pythanos.objstore.memory import MemoryBucket
from pythanos.testing.buckets import bucket_of, contents, numbered_ulid
from pythanos.testing.faulty_bucket import FaultyBucket

GOLDEN = Path(__file__).parent.parent / "golden" / "meta"
ULID = "01M7YT14SG4W5AW2RCK5Q12WG6"
NOW_MS = 1795256545_999


@pytest.mark.parametrize(
    ("kind", "write", "options", "expected"),
    [
        (DeletionMark, mark_for_deletion, {"details": "old <data>"},
         DeletionMark(id=ULID, version=1, details="old <data>", deletion_time=1795256545)),
        (NoCompactMark, mark_for_no_compact, {"details": 'by "hand"'},
         NoCompactMark(id=ULID, version=1, details='by "hand"', no_compact_time=1795256545, reason="manual")),
        (NoDownsampleMark, mark_for_no_downsample, {"details": "x"},
         NoDownsampleMark(id=ULID, version=1, details="x", no_downsample_time=1795256545, reason="manual")),
    ],
    ids=["deletion", "no-compact", "no-downsample"],
)  # fmt: skip
def test_marks_are_those_of_thanos_byte_for_byte(kind, write, options, expected):
    """XC-66 to XC-68: what Thanos wrote is read, and what is written is what Thanos wrote."""
    name = f"{ULID}/{kind.filename}"
    golden = (GOLDEN / kind.filename).read_bytes()
    assert read_mark(bucket_of({name: golden}), ULID, kind) == expected
    assert encode_mark(expected) == golden
    bucket = MemoryBucket()
    assert write(bucket, ULID, now_ms=NOW_MS, **options) is True
    assert contents(bucket) == {name: golden}


def test_empty_details_are_left_out():
    assert encode_mark(DeletionMark(id=ULID, version=1)) == (
        f'{{"id":"{ULID}","version":1,"deletion_time":0}}'.encode()
    )  # fmt: skip


def test_an_absent_mark_is_none():
    """XC-69."""
    for kind in (DeletionMark, NoCompactMark, NoDownsampleMark):
        assert read_mark(MemoryBucket(), ULID, kind) is None


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"id": 5, "version": 1}', b'{"version": 1}', b"\xff\xfe", b"[" * 9999]
)
def test_half_a_mark_is_corrupt_data(data):
    with pytest.raises(CorruptData, match=r"deletion-mark\.json") as caught:
        read_mark(bucket_of({f"{ULID}/deletion-mark.json": data}), ULID, DeletionMark)
    assert not isinstance(caught.value, UnsupportedMark)


@pytest.mark.parametrize("version", [0, 2])
def test_another_version_is_an_error_of_its_own(version):
    """XC-69."""
    data = b'{"id": "%s", "version": %d, "deletion_time": 5}' % (ULID.encode(), version)
    with pytest.raises(UnsupportedMark, match=f"version {version}"):
        read_mark(bucket_of({f"{ULID}/deletion-mark.json": data}), ULID, DeletionMark)


def test_a_second_mark_changes_nothing():
    bucket = MemoryBucket()
    assert mark_for_deletion(bucket, ULID, now_ms=1000, details="first")
    before = contents(bucket)
    assert not mark_for_deletion(bucket, ULID, now_ms=9000, details="second")
    assert contents(bucket) == before


def test_a_mark_is_taken_away_once():
    bucket = MemoryBucket()
    mark_for_no_compact(bucket, ULID, now_ms=1000)
    assert remove_mark(bucket, ULID, NoCompactMark) is True
    assert remove_mark(bucket, ULID, NoCompactMark) is False
    assert contents(bucket) == {}


def test_a_bucket_that_does_not_answer_is_not_an_absent_mark():
    bucket = FaultyBucket(MemoryBucket(), 1)
    with pytest.raises(BucketUnavailable):
        read_mark(bucket, numbered_ulid(1), DeletionMark)
