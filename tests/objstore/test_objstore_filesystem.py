import os
import threading

import pytest
from contracts.bucket_contract import BucketContract

from pythanos.errors import BadRequest, BucketUnavailable, ObjectNotFound
from pythanos.objstore.filesystem import STALE_UPLOAD_SECONDS, FilesystemBucket


class TestFilesystemBucket(BucketContract):
    @pytest.fixture
    def bucket(self, tmp_path):
        return FilesystemBucket(str(tmp_path / "root"))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def bucket(root):
    found = FilesystemBucket(str(root))
    found.upload("block/chunks/000001", b"chunk")
    return found


@pytest.mark.parametrize(
    "name", ["../outside", "block/../../outside", "/etc/hostname", "a//b", "./a", "a/.", "..", "", "block/", "a\0b"]
)
def test_a_name_does_not_lead_out_of_the_root(bucket, root, name):
    """Reading finds nothing there, writing is refused, and nothing appears outside (XC-1)."""
    (root.parent / "outside").write_bytes(b"secret")
    for read in (bucket.get, bucket.attributes, bucket.delete):
        with pytest.raises(ObjectNotFound):
            read(name)
    assert not bucket.exists(name)
    with pytest.raises(BadRequest):
        bucket.upload(name, b"x")
    assert (root.parent / "outside").read_bytes() == b"secret"
    assert list(bucket.iter("..")) == []
    assert list(bucket.iter("block/..", recursive=True)) == []


def test_a_link_is_no_object(bucket, root):
    """Neither a link to a file nor one to a folder, and reading through it finds nothing."""
    (root.parent / "elsewhere").mkdir()
    (root.parent / "elsewhere" / "file").write_bytes(b"secret")
    os.symlink(root.parent / "elsewhere", root / "block" / "folder")
    os.symlink(root.parent / "elsewhere" / "file", root / "block" / "file")
    assert sorted(bucket.iter(recursive=True)) == ["block/chunks/000001"]
    assert sorted(bucket.iter("block")) == ["block/chunks/"]
    assert list(bucket.iter("block/folder")) == []
    for name in ("block/file", "block/folder/file"):
        assert not bucket.exists(name)
        with pytest.raises(ObjectNotFound):
            bucket.get(name)
    with pytest.raises(BadRequest):
        bucket.upload("block/folder/new", b"x")
    assert os.listdir(root.parent / "elsewhere") == ["file"]


def test_an_upload_onto_a_link_replaces_the_link(bucket, root):
    (root.parent / "target").write_bytes(b"secret")
    os.symlink(root.parent / "target", root / "block" / "name")
    bucket.upload("block/name", b"ours")
    assert (root.parent / "target").read_bytes() == b"secret"
    assert bucket.get("block/name") == b"ours"


def test_a_failed_upload_leaves_the_old_object_and_no_rest(bucket, root):
    class Broken:
        def read(self, size):
            raise OSError("disk on fire")

    with pytest.raises(BucketUnavailable):
        bucket.upload("block/chunks/000001", Broken())
    assert bucket.get("block/chunks/000001") == b"chunk"
    assert os.listdir(root / ".uploads") == []


def test_an_upload_that_has_not_ended_is_not_seen(bucket):
    """A reader sees the old object until the new one is whole."""
    half_way, go_on = threading.Event(), threading.Event()

    class Slow:
        parts = [b"new", b""]  # noqa: RUF012

        def read(self, size):
            half_way.set()
            assert go_on.wait(10)
            return self.parts.pop(0)

    writer = threading.Thread(target=bucket.upload, args=("block/chunks/000001", Slow()))
    writer.start()
    assert half_way.wait(10)
    assert bucket.get("block/chunks/000001") == b"chunk"
    assert sorted(bucket.iter(recursive=True)) == ["block/chunks/000001"]
    go_on.set()
    writer.join()
    assert bucket.get("block/chunks/000001") == b"new"


def test_what_a_crash_left_of_uploads_is_taken_away_a_day_later(bucket, root):
    for name, age in (("old", STALE_UPLOAD_SECONDS + 60), ("new", 60)):
        path = root / ".uploads" / name
        path.write_bytes(b"rest")
        moment = path.stat().st_mtime - age
        os.utime(path, (moment, moment))
    bucket.upload("next", b"x")
    assert os.listdir(root / ".uploads") == ["new"]


def test_a_delete_takes_empty_folders_away_up_to_the_root(bucket, root):
    """XC-6."""
    bucket.upload("block/index", b"x")
    bucket.delete("block/chunks/000001")
    assert os.listdir(root / "block") == ["index"]
    bucket.delete("block/index")
    assert os.listdir(root) == [".uploads"]


def test_an_empty_folder_is_not_listed(bucket, root):
    (root / "empty" / "deeper").mkdir(parents=True)
    assert sorted(bucket.iter()) == ["block/"]


def test_a_missing_root_is_not_an_empty_bucket(tmp_path):
    """A disk that is not mounted must not make anybody drop blocks."""
    with pytest.raises(BucketUnavailable, match="does not exist"):
        list(FilesystemBucket(str(tmp_path / "absent")).iter())


def test_a_folder_without_permission_is_an_error_and_not_an_absent_object(bucket, root, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(BucketUnavailable, match="Permission denied"):
        list(bucket.iter("block"))


def test_uploads_and_deletes_in_one_folder_do_not_disturb_each_other(bucket):
    """A delete takes away the folder that an upload next door just made."""
    errors = []

    def churn(number):
        try:
            for _ in range(60):
                bucket.upload(f"same/folder/{number}", b"x")
                bucket.delete(f"same/folder/{number}")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
