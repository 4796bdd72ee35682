"""What every Bucket does; each implementation runs this suite by giving a ``bucket`` fixture with an empty bucket."""

import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from pythanos.objstore.bucket import ObjectNotFound

BODY = bytes(range(256)) * 4


class BucketContract:
    """Subclasses define ``bucket``; ``delete_of_absent_is_silent`` where the service does not tell."""

    delete_of_absent_is_silent = False

    def test_what_was_uploaded_is_got_back(self, bucket):
        bucket.upload("a/b/c", BODY)
        assert bucket.get("a/b/c") == BODY

    def test_an_empty_object_is_an_object(self, bucket):
        bucket.upload("empty", b"")
        assert bucket.get("empty") == b""
        assert bucket.get_range("empty", 0, 10) == b""
        assert bucket.attributes("empty").size == 0

    def test_a_file_is_uploaded_from_its_position_on(self, bucket):
        file = io.BytesIO(BODY)
        file.seek(5)
        bucket.upload("file", file)
        assert bucket.get("file") == BODY[5:]

    def test_a_real_file_is_uploaded(self, bucket, tmp_path):
        (tmp_path / "body").write_bytes(BODY * 3000)
        with open(tmp_path / "body", "rb") as file:
            bucket.upload("file", file)
        assert bucket.get("file") == BODY * 3000

    def test_an_upload_replaces_the_object(self, bucket):
        bucket.upload("name", b"a long first body")
        bucket.upload("name", b"second")
        assert bucket.get("name") == b"second"

    @pytest.mark.parametrize(
        ("offset", "length", "expected"),
        [
            (0, 10, BODY[:10]),
            (100, 1, BODY[100:101]),
            (1000, 24, BODY[1000:]),
            (1000, 500, BODY[1000:]),
            (1023, 1, BODY[1023:]),
            (1024, 1, b""),
            (5000, 10, b""),
            (10, 0, b""),
            (0, -1, BODY),
            (1000, -1, BODY[1000:]),
            (1024, -1, b""),
        ],
    )
    def test_a_range_ends_where_the_object_ends(self, bucket, offset, length, expected):
        bucket.upload("name", BODY)
        assert bucket.get_range("name", offset, length) == expected

    @pytest.mark.parametrize(("offset", "length"), [(-1, 10), (0, -2)])
    def test_a_range_that_nobody_means_is_an_error(self, bucket, offset, length):
        bucket.upload("name", BODY)
        with pytest.raises(ValueError):
            bucket.get_range("name", offset, length)

    def test_reading_an_absent_object_tells_its_name(self, bucket):
        bucket.upload("folder/name", b"x")
        for read in (
            lambda: bucket.get("folder/other"),
            lambda: bucket.get_range("folder/other", 0, 5),
            lambda: bucket.get_range("folder/other", 0, 0),
            lambda: bucket.attributes("folder/other"),
        ):
            with pytest.raises(ObjectNotFound) as caught:
                read()
            assert caught.value.name == "folder/other"

    def test_a_folder_is_no_object(self, bucket):
        bucket.upload("folder/name", b"x")
        assert not bucket.exists("folder")
        with pytest.raises(ObjectNotFound):
            bucket.get("folder")

    def test_exists(self, bucket):
        bucket.upload("folder/name", b"x")
        assert bucket.exists("folder/name")
        assert not bucket.exists("folder/nam")
        assert not bucket.exists("folder/name/below")

    def test_attributes_tell_size_and_time(self, bucket):
        bucket.upload("name", BODY)
        found = bucket.attributes("name")
        assert found.size == len(BODY)
        # Within what a wrong clock or a second of resolution may do: not seconds, not nanoseconds.
        assert 1_600_000_000_000 < found.last_modified_ms < 4_000_000_000_000

    def test_the_listing_of_a_folder_names_each_folder_once(self, bucket):
        for name in ("a", "b/1", "b/2", "b/c/3", "bb/4"):
            bucket.upload(name, b"x")
        assert sorted(bucket.iter()) == ["a", "b/", "bb/"]
        assert sorted(bucket.iter("b")) == ["b/1", "b/2", "b/c/"]
        assert sorted(bucket.iter("b/")) == ["b/1", "b/2", "b/c/"]
        assert sorted(bucket.iter("b/c")) == ["b/c/3"]

    def test_a_recursive_listing_names_every_object_below(self, bucket):
        for name in ("a", "b/1", "b/c/2", "bb/3"):
            bucket.upload(name, b"x")
        assert sorted(bucket.iter(recursive=True)) == ["a", "b/1", "b/c/2", "bb/3"]
        assert sorted(bucket.iter("b", recursive=True)) == ["b/1", "b/c/2"]

    def test_the_listing_of_an_absent_folder_is_empty(self, bucket):
        bucket.upload("a/1", b"x")
        assert list(bucket.iter("absent")) == []
        assert list(bucket.iter("a/1")) == []
        assert list(bucket.iter("absent", recursive=True)) == []

    def test_a_walk_tells_size_and_time_of_each_object(self, bucket):
        bucket.upload("a/1", b"x")
        bucket.upload("a/b/2", b"xyz")
        bucket.upload("other", b"")
        found = dict(bucket.walk("a"))
        assert {name: attributes.size for name, attributes in found.items()} == {"a/1": 1, "a/b/2": 3}
        assert found["a/1"] == bucket.attributes("a/1") or (
            # A listing may tell fractions of a second that HTTP's Last-Modified cannot.
            abs(found["a/1"].last_modified_ms - bucket.attributes("a/1").last_modified_ms) < 1000
        )

    def test_a_deleted_object_is_gone(self, bucket):
        bucket.upload("a/1", b"x")
        bucket.upload("a/2", b"y")
        bucket.delete("a/1")
        assert not bucket.exists("a/1")
        assert sorted(bucket.iter("a")) == ["a/2"]

    def test_deleting_an_absent_object(self, bucket):
        bucket.upload("a/1", b"x")
        if self.delete_of_absent_is_silent:
            bucket.delete("a/2")
        else:
            with pytest.raises(ObjectNotFound) as caught:
                bucket.delete("a/2")
            assert caught.value.name == "a/2"

    @pytest.mark.parametrize("name", ["with space", "plus+percent%25", "umlaut-ä", "a=b&c?d#e", "tilde~(x)'*!", "d/.e"])
    def test_names_may_hold_any_character(self, bucket, name):
        bucket.upload(f"folder/{name}", BODY)
        assert bucket.get(f"folder/{name}") == BODY
        assert bucket.get_range(f"folder/{name}", 1, 2) == BODY[1:3]
        assert bucket.exists(f"folder/{name}")
        assert list(bucket.iter("folder", recursive=True)) == [f"folder/{name}"]
        bucket.delete(f"folder/{name}")
        assert not bucket.exists(f"folder/{name}")

    def test_threads_may_share_it(self, bucket):
        def work(number):
            name = f"shared/{number}"
            bucket.upload(name, BODY[:number])
            return bucket.get(name) == BODY[:number] and bucket.get_range(name, number // 2, 10)

        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(work, range(1, 41)))
        assert got == [BODY[:number][number // 2 : number // 2 + 10] for number in range(1, 41)]
        assert len(list(bucket.iter("shared"))) == 40
