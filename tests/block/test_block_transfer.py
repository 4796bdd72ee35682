import hashlib

import pytest

from pythanos.block.markers import mark_for_deletion
from pythanos.block.transfer import block_files, delete_block, download_block, upload_block
from pythanos.context import RequestContext
from pythanos.errors import BadRequest, BucketUnavailable, CorruptData, ObjectNotFound, QueryCanceled
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.objstore.memory import MemoryBucket
from pythanos.testing.block_builder import build_block, float_chunk
from pythanos.testing.buckets import EPOCH_MS, bucket_of, contents, make_meta, numbered_ulid
from pythanos.testing.faulty_bucket import FaultyBucket
from pythanos.tsdb.meta import decode_meta, encode_meta
from pythanos.workers import InlinePool, ThreadPool

ULID = numbered_ulid(1)
SERIES = [({"__name__": "m", "i": str(i)}, [float_chunk([(0, 1.0), (60_000, float(i))])]) for i in range(4)]
OPTIONS = {"now_ms": EPOCH_MS, "fetch": InlinePool()}


@pytest.fixture
def folder(tmp_path):
    """A local block of two segment files."""
    build_block(FilesystemBucket(str(tmp_path)), ULID, SERIES, external={"cluster": "one"}, chunks_per_segment=2)
    return tmp_path / ULID


@pytest.fixture
def meta(folder):
    return decode_meta((folder / "meta.json").read_bytes(), "meta.json")


def test_meta_json_goes_last(folder, meta):
    """XC-62: chunks, index, meta.json; whoever sees meta.json sees a whole block."""
    bucket = FaultyBucket(MemoryBucket(), operations={"upload"})
    upload_block(bucket, str(folder), meta, **OPTIONS)
    names = [name for _, name in bucket.log]
    assert names == [f"{ULID}/{path}" for path in ("chunks/000001", "chunks/000002", "index", "meta.json")]


def test_the_uploaded_meta_lists_the_files_and_the_time(folder, meta):
    bucket = MemoryBucket()
    uploaded = upload_block(bucket, str(folder), meta, **OPTIONS)
    assert decode_meta(bucket.get(f"{ULID}/meta.json"), "x") == uploaded
    assert uploaded.upload_time_ms == EPOCH_MS
    assert [file.rel_path for file in uploaded.files] == ["chunks/000001", "chunks/000002", "index", "meta.json"]
    sizes = {file.rel_path: file.size_bytes for file in uploaded.files}
    assert sizes == {
        path: len(bucket.get(f"{ULID}/{path}")) if path != "meta.json" else 0 for path in sizes
    }  # fmt: skip
    assert all(file.hash is None for file in uploaded.files)


def test_hashes_on_request(folder, meta):
    bucket = MemoryBucket()
    uploaded = upload_block(bucket, str(folder), meta, hash_function="SHA256", **OPTIONS)
    for file in uploaded.files[:-1]:
        assert file.hash.func == "SHA256"
        assert file.hash.value == hashlib.sha256(bucket.get(f"{ULID}/{file.rel_path}")).hexdigest()
    assert uploaded.files[-1].hash is None


def test_a_block_of_nobody_is_refused(folder, tmp_path):
    bucket = MemoryBucket()
    with pytest.raises(BadRequest, match="no external labels"):
        upload_block(bucket, str(folder), make_meta(1, labels={}), **OPTIONS)
    assert contents(bucket) == {}


@pytest.mark.parametrize("gone", ["index", "chunks"])
def test_a_folder_that_is_no_whole_block_is_refused(folder, meta, gone):
    path = folder / gone
    path.rename(folder / "elsewhere")
    bucket = MemoryBucket()
    with pytest.raises(CorruptData, match="not a whole block"):
        upload_block(bucket, str(folder), meta, **OPTIONS)
    assert contents(bucket) == {}


@pytest.mark.parametrize("afterwards", [False, True])
def test_whatever_upload_fails_nothing_is_left_and_a_rerun_converges(folder, meta, afterwards):
    """The n-th upload fails, n = 1 until clean; also where it was carried out and only the answer was lost."""
    whole = MemoryBucket()
    upload_block(whole, str(folder), meta, **OPTIONS)
    for number in range(1, 5):
        bucket = MemoryBucket()
        with pytest.raises(BucketUnavailable):
            faulty = FaultyBucket(bucket, number, afterwards=afterwards, operations={"upload"})
            upload_block(faulty, str(folder), meta, **OPTIONS)
        assert contents(bucket) == {}
        upload_block(bucket, str(folder), meta, **OPTIONS)
        assert contents(bucket) == contents(whole)


def test_a_bucket_that_is_gone_for_good_never_shows_a_meta_without_its_block(folder, meta):
    """From the n-th call on nothing works, the cleaning up neither; a rerun converges."""
    whole = MemoryBucket()
    upload_block(whole, str(folder), meta, **OPTIONS)
    number = 0
    while True:
        number += 1
        bucket = MemoryBucket()
        faulty = FaultyBucket(bucket, number, forever=True, afterwards=number % 2 == 0)
        try:
            upload_block(faulty, str(folder), meta, **OPTIONS)
            break
        except BucketUnavailable:
            left = contents(bucket)
            assert f"{ULID}/meta.json" not in left or left == contents(whole)
            upload_block(bucket, str(folder), meta, **OPTIONS)
            assert contents(bucket) == contents(whole)
    assert number > 5


def test_a_failed_second_upload_does_not_take_a_whole_block_away(folder, meta):
    bucket = MemoryBucket()
    upload_block(bucket, str(folder), meta, **OPTIONS)
    before = contents(bucket)
    with pytest.raises(BucketUnavailable):
        upload_block(FaultyBucket(bucket, 2, operations={"upload"}), str(folder), meta, **OPTIONS)
    assert contents(bucket) == before


def test_a_canceled_upload_cleans_up(folder, meta):
    bucket, ctx = MemoryBucket(), RequestContext()
    ctx.cancel()
    with pytest.raises(QueryCanceled):
        upload_block(bucket, str(folder), meta, ctx=ctx, **OPTIONS)
    assert contents(bucket) == {}


class TestDelete:
    @pytest.fixture
    def bucket(self):
        found = bucket_of({f"{ULID}/{name}": b"x" for name in ("index", "chunks/000001", "chunks/000002", "meta.json")})
        mark_for_deletion(found, ULID, now_ms=0)
        found.upload(f"{numbered_ulid(2)}/index", b"another block")
        return found

    def test_meta_json_goes_first_and_the_deletion_mark_last(self, bucket):
        watched = FaultyBucket(bucket, operations={"delete"})
        delete_block(watched, ULID)
        names = [name for _, name in watched.log]
        assert names[0] == f"{ULID}/meta.json"
        assert names[-1] == f"{ULID}/deletion-mark.json"
        assert contents(bucket) == {f"{numbered_ulid(2)}/index": b"another block"}

    def test_whatever_fails_a_rest_is_seen_as_one_and_a_rerun_converges(self, bucket):
        objects = contents(bucket)
        for number in range(1, 7):
            bucket = bucket_of(objects)
            with pytest.raises(BucketUnavailable):
                delete_block(FaultyBucket(bucket, number), ULID)
            left = contents(bucket)
            if f"{ULID}/meta.json" in left:
                assert left == objects
            elif any(name.startswith(ULID) for name in left):
                assert f"{ULID}/deletion-mark.json" in left
            delete_block(bucket, ULID)
            assert set(contents(bucket)) == {f"{numbered_ulid(2)}/index"}

    def test_a_folder_is_gone_with_its_block(self, tmp_path, folder):
        delete_block(FilesystemBucket(str(tmp_path)), ULID)
        assert not folder.exists()


class TestDownload:
    @pytest.fixture
    def bucket(self, folder, meta):
        found = MemoryBucket()
        upload_block(found, str(folder), meta, hash_function="SHA256", **OPTIONS)
        mark_for_deletion(found, ULID, now_ms=0)
        for name in ("notes.txt", "chunks/../../escape", "chunks/000001/below", "../escape"):
            found.upload(f"{ULID}/{name}", b"foreign")
        return found

    def tree(self, path):
        return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}

    def test_a_block_comes_back_as_it_was(self, bucket, folder, tmp_path):
        """Marks and objects that are no part of a block stay where they are, whatever their names."""
        target = tmp_path / "target"
        meta = download_block(bucket, ULID, str(target), fetch=InlinePool())
        assert self.tree(target) == {"meta.json", "index", "chunks/000001", "chunks/000002"}
        for path in ("index", "chunks/000001", "chunks/000002"):
            assert (target / path).read_bytes() == (folder / path).read_bytes()
        assert (target / "meta.json").read_bytes() == bucket.get(f"{ULID}/meta.json") == encode_meta(meta)
        assert not (tmp_path / "escape").exists()

    def test_large_files_come_in_parts(self, monkeypatch, tmp_path):
        monkeypatch.setattr("pythanos.block.transfer.PART_BYTES", 1000)
        body = bytes(range(256)) * 40
        bucket = bucket_of({f"{ULID}/index": body, f"{ULID}/meta.json": encode_meta(make_meta(1))})
        watched = FaultyBucket(bucket, operations={"get_range"})
        pool = ThreadPool("fetch", 4)
        download_block(watched, ULID, str(tmp_path), fetch=pool)
        pool.stop()
        assert (tmp_path / "index").read_bytes() == body
        assert watched.calls == 11

    def test_files_with_the_right_hash_are_not_fetched_again(self, bucket, tmp_path):
        """XC-63: meta.json always is; a damaged file is repaired."""
        download_block(bucket, ULID, str(tmp_path / "t"), fetch=InlinePool())
        (tmp_path / "t" / "chunks" / "000002").write_bytes(b"damaged")
        watched = FaultyBucket(bucket, operations={"get", "get_range"})
        download_block(watched, ULID, str(tmp_path / "t"), fetch=InlinePool())
        assert watched.log == [("get", f"{ULID}/meta.json"), ("get_range", f"{ULID}/chunks/000002")]
        assert (tmp_path / "t" / "chunks" / "000002").read_bytes() == bucket.get(f"{ULID}/chunks/000002")

    def test_a_block_without_chunks_gets_its_folder(self, tmp_path):
        """XC-63."""
        bucket = bucket_of({f"{ULID}/index": b"x", f"{ULID}/meta.json": encode_meta(make_meta(1))})
        download_block(bucket, ULID, str(tmp_path / "t"), fetch=InlinePool())
        assert (tmp_path / "t" / "chunks").is_dir()

    def test_whatever_fails_a_rerun_converges(self, bucket, folder, tmp_path):
        for number in range(1, 6):
            target = tmp_path / f"t{number}"
            with pytest.raises(BucketUnavailable):
                download_block(FaultyBucket(bucket, number), ULID, str(target), fetch=InlinePool())
            assert not (target / "meta.json").exists()
            download_block(bucket, ULID, str(target), fetch=InlinePool())
            assert (target / "index").read_bytes() == (folder / "index").read_bytes()
            assert not list(target.rglob("*.tmp"))

    def test_an_object_that_is_shorter_than_listed_is_an_error(self, bucket, tmp_path):
        class Short(FaultyBucket):
            def get_range(self, name, offset, length):
                return super().get_range(name, offset, length)[:-1]

        with pytest.raises(CorruptData, match=r"chunks/000001.*were listed"):
            download_block(Short(bucket), ULID, str(tmp_path / "t"), fetch=InlinePool())

    def test_a_block_that_is_not_there(self, tmp_path):
        with pytest.raises(ObjectNotFound):
            download_block(MemoryBucket(), ULID, str(tmp_path / "t"), fetch=InlinePool())


def test_files_are_listed_sorted(folder):
    assert [file.rel_path for file in block_files(str(folder), "", InlinePool())] == [
        "chunks/000001", "chunks/000002", "index", "meta.json",
    ]  # fmt: skip
