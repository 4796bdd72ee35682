import json
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from pythanos.block.shipper import SHIPPER_FILENAME, Shipper, ShipperMetrics, ShipperOptions
from pythanos.errors import BadRequest, BucketUnavailable, CorruptData, Halt
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.objstore.memory import MemoryBucket
from pythanos.testing.block_builder import build_block, float_chunk
from pythanos.testing.buckets import EPOCH_MS, HOUR_MS, contents, make_meta, numbered_ulid, put_meta
from pythanos.testing.faulty_bucket import FaultyBucket
from pythanos.tsdb.meta import decode_meta, encode_meta
from pythanos.workers import InlinePool

GOLDEN = Path(__file__).parent.parent / "golden" / "meta"
LABELS = {"cluster": "one", "replica": "0"}


def local_block(folder, number, *, hours=(0, 2), level=1, samples=2):
    """A block as Prometheus leaves it: without a thanos section."""
    start, end = (hour * HOUR_MS for hour in hours)
    series = [({"__name__": "m"}, [float_chunk([(start, 1.0), (end - 1, 2.0)])])]
    meta = build_block(FilesystemBucket(str(folder)), numbered_ulid(number), series, mint=start, maxt=end)
    meta = msgspec.structs.replace(
        meta,
        thanos=None,
        stats=msgspec.structs.replace(meta.stats, num_samples=samples),
        compaction=msgspec.structs.replace(meta.compaction, level=level),
    )
    (folder / meta.ulid / "meta.json").write_bytes(encode_meta(meta))
    return meta


def shipper(folder, bucket, *, labels=LABELS, registry=None, **options):
    return Shipper(
        str(folder),
        bucket,
        lambda: labels,
        ShipperOptions(**options),
        fetch=InlinePool(),
        clock=lambda: EPOCH_MS / 1000,
        metrics=ShipperMetrics(registry),
    )


def shipped(folder):
    return json.loads((folder / SHIPPER_FILENAME).read_text())["uploaded"] or []


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


def test_blocks_go_into_the_bucket_with_labels_and_source(folder):
    """TO-22: source bucket.upload, the given labels, thanos.shipper.json."""
    local = local_block(folder, 1)
    bucket, registry = MemoryBucket(), CollectorRegistry()
    shipment = shipper(folder, bucket, registry=registry).sync()
    assert shipment.uploaded == (local.ulid,)
    meta = decode_meta(bucket.get(f"{local.ulid}/meta.json"), "x")
    assert meta.labels == LABELS
    assert meta.source == "bucket.upload"
    assert meta.segment_files == ("000001",)
    assert meta.upload_time_ms == EPOCH_MS
    assert msgspec.structs.replace(meta, thanos=None) == local
    assert bucket.get(f"{local.ulid}/index") == (folder / local.ulid / "index").read_bytes()
    assert shipped(folder) == [local.ulid]
    assert registry.get_sample_value("thanos_shipper_uploads_total") == 1
    assert registry.get_sample_value("thanos_shipper_dir_syncs_total") == 1
    assert list((folder / "thanos" / "upload").iterdir()) == []


def test_the_local_block_stays_as_it_was(folder):
    local = local_block(folder, 1)
    before = {path: path.read_bytes() for path in (folder / local.ulid).rglob("*") if path.is_file()}
    shipper(folder, MemoryBucket()).sync()
    assert {path: path.read_bytes() for path in (folder / local.ulid).rglob("*") if path.is_file()} == before


def test_the_file_of_shipped_blocks_is_that_of_thanos(folder):
    golden = (GOLDEN / "thanos.shipper.json").read_bytes()
    ulids = json.loads(golden)["uploaded"]
    folder.mkdir()
    each = shipper(folder, MemoryBucket())
    each._write_shipped(ulids)
    assert (folder / SHIPPER_FILENAME).read_bytes() == golden
    assert each._read_shipped() == set(ulids)


def test_what_was_shipped_is_not_shipped_again_even_where_the_bucket_has_it_no_longer(folder):
    """The compactor has replaced it since."""
    local = local_block(folder, 1)
    bucket = MemoryBucket()
    shipper(folder, bucket).sync()
    for name in list(bucket.iter(recursive=True)):
        bucket.delete(name)
    assert shipper(folder, bucket).sync().uploaded == ()
    assert contents(bucket) == {}
    assert shipped(folder) == [local.ulid]


@pytest.mark.parametrize("content", ["", "{", '{"version": 2, "uploaded": []}', '{"version": 1, "uploaded": null}'])
def test_without_a_readable_file_the_bucket_is_asked(folder, content):
    local = local_block(folder, 1)
    bucket = MemoryBucket()
    shipper(folder, bucket).sync()
    (folder / SHIPPER_FILENAME).write_text(content)
    watched = FaultyBucket(bucket)
    assert shipper(folder, watched).sync().uploaded == ()
    assert watched.log == [("exists", f"{local.ulid}/meta.json")]
    assert shipped(folder) == [local.ulid]


def test_blocks_that_are_gone_are_forgotten(folder):
    first, second = local_block(folder, 1), local_block(folder, 2)
    shipper(folder, MemoryBucket()).sync()
    (folder / first.ulid).rename(folder / "elsewhere")
    shipper(folder, MemoryBucket()).sync()
    assert shipped(folder) == [second.ulid]


def test_the_oldest_data_goes_first(folder):
    local_block(folder, 1, hours=(4, 6))
    local_block(folder, 2, hours=(0, 2))
    local_block(folder, 3, hours=(2, 4))
    order = (numbered_ulid(2), numbered_ulid(3), numbered_ulid(1))
    assert shipper(folder, MemoryBucket()).sync().uploaded == order


def test_compacted_and_empty_blocks_stay_unless_asked_for(folder):
    """TO-22: level above 1 only with upload_compacted; an empty block never."""
    local_block(folder, 1, level=2)
    local_block(folder, 2, samples=0)
    bucket, registry = MemoryBucket(), CollectorRegistry()
    assert shipper(folder, bucket, registry=registry).sync().uploaded == ()
    assert registry.get_sample_value("thanos_shipper_upload_compacted_done") == 0
    registry = CollectorRegistry()
    assert shipper(folder, bucket, registry=registry, upload_compacted=True).sync().uploaded == (numbered_ulid(1),)
    assert registry.get_sample_value("thanos_shipper_upload_compacted_done") == 1


class TestOverlap:
    """A compacted block must not lie over blocks that are in the bucket already."""

    def test_of_the_same_labels_is_refused(self, folder):
        local_block(folder, 1, level=2, hours=(0, 8))
        bucket = MemoryBucket()
        put_meta(bucket, make_meta(50, labels=LABELS, mint=2 * HOUR_MS, maxt=4 * HOUR_MS))
        with pytest.raises(Halt, match=f"{numbered_ulid(1)} is blocked.*{numbered_ulid(50)}"):
            shipper(folder, bucket, upload_compacted=True).sync()
        assert shipper(folder, bucket, upload_compacted=True, allow_out_of_order_uploads=True).sync().uploaded

    def test_of_other_labels_or_times_is_none(self, folder):
        local_block(folder, 1, level=2, hours=(0, 8))
        bucket = MemoryBucket()
        put_meta(bucket, make_meta(50, labels={"cluster": "two"}, mint=2 * HOUR_MS, maxt=4 * HOUR_MS))
        put_meta(bucket, make_meta(51, labels=LABELS, mint=8 * HOUR_MS, maxt=10 * HOUR_MS))
        bucket.upload(f"{numbered_ulid(52)}/index", b"half a block")
        assert shipper(folder, bucket, upload_compacted=True).sync().uploaded == (numbered_ulid(1),)

    def test_among_blocks_in_the_bucket_is_not_this_blocks_fault(self, folder):
        local_block(folder, 1, level=2, hours=(0, 8))
        bucket = MemoryBucket()
        for number in (50, 51):
            put_meta(bucket, make_meta(number, labels=LABELS, mint=20 * HOUR_MS, maxt=22 * HOUR_MS))
        assert shipper(folder, bucket, upload_compacted=True).sync().uploaded == (numbered_ulid(1),)


@pytest.mark.parametrize("labels", [{}, None])
def test_without_labels_nothing_is_shipped(folder, labels):
    local_block(folder, 1)
    bucket = MemoryBucket()
    with pytest.raises(BadRequest, match="external labels"):
        shipper(folder, bucket, labels=labels).sync()
    assert contents(bucket) == {}


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(BadRequest, match="No such file"):
        shipper(tmp_path / "absent", MemoryBucket()).sync()


class TestCorruptBlocks:
    @pytest.fixture
    def bad(self, folder):
        """One good block and two that are none."""
        local_block(folder, 1)
        local_block(folder, 2)
        (folder / numbered_ulid(2) / "meta.json").write_bytes(b"{")
        (folder / numbered_ulid(3)).mkdir()
        (folder / "not-a-block").mkdir()
        return folder

    def test_stop_the_sync(self, bad):
        registry = CollectorRegistry()
        with pytest.raises(CorruptData, match=numbered_ulid(2)):
            shipper(bad, MemoryBucket(), registry=registry).sync()
        assert registry.get_sample_value("thanos_shipper_dir_sync_failures_total") == 1

    def test_or_are_passed_over_on_request(self, bad):
        registry = CollectorRegistry()
        shipment = shipper(bad, MemoryBucket(), registry=registry, skip_corrupted_blocks=True).sync()
        assert shipment.uploaded == (numbered_ulid(1),)
        assert set(shipment.failed) == {numbered_ulid(2), numbered_ulid(3)}
        assert registry.get_sample_value("thanos_shipper_corrupted_blocks_total") == 2


def test_whatever_call_fails_every_block_is_in_the_bucket_once_after_a_rerun(folder):
    """The n-th call fails, n = 1 until clean."""
    for number in (1, 2):
        local_block(folder, number, hours=(number * 2, number * 2 + 2))
    whole = MemoryBucket()
    shipper(folder, whole).sync()
    number = 0
    while True:
        number += 1
        (folder / SHIPPER_FILENAME).unlink()
        bucket = MemoryBucket()
        try:
            shipper(folder, FaultyBucket(bucket, number)).sync()
            break
        except BucketUnavailable:
            for ulid in shipped(folder):
                assert f"{ulid}/meta.json" in contents(bucket)
            shipper(folder, bucket).sync()
            assert contents(bucket) == contents(whole)
            assert shipped(folder) == [numbered_ulid(1), numbered_ulid(2)]
    assert number > 8


def test_out_of_order_uploads_go_on_after_a_failure(folder):
    local_block(folder, 1)
    local_block(folder, 2)
    bucket, registry = MemoryBucket(), CollectorRegistry()
    faulty = FaultyBucket(bucket, 1, operations={"upload"})
    shipment = shipper(folder, faulty, registry=registry, allow_out_of_order_uploads=True).sync()
    assert shipment.uploaded == (numbered_ulid(2),)
    assert set(shipment.failed) == {numbered_ulid(1)}
    assert registry.get_sample_value("thanos_shipper_upload_failures_total") == 1
