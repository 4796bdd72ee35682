import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos.objstore.s3.parts import FilePart, PartSource, md5_of

BODY = bytes(range(256)) * 10


@pytest.fixture(params=["bytes", "BytesIO", "file", "pipe-like"])
def source(request, tmp_path):
    """A source of BODY, from its fifth byte on for files."""
    if request.param == "bytes":
        yield PartSource(BODY[5:])
    elif request.param == "BytesIO":
        file = io.BytesIO(BODY)
        file.seek(5)
        yield PartSource(file)
    elif request.param == "file":
        (tmp_path / "body").write_bytes(BODY)
        with open(tmp_path / "body", "rb") as file:
            file.seek(5)
            yield PartSource(file)
    else:
        file = io.BytesIO(BODY[5:])

        class Stream:
            read = staticmethod(file.read)

        yield PartSource(Stream())


def content(part):
    return part.read() if isinstance(part, FilePart) else part


def test_parts_follow_each_other_from_the_files_position_on(source):
    taken = []
    while part := source.take(1000):
        taken.append(content(part))
    assert [len(part) for part in taken] == [1000, 1000, 555]
    assert b"".join(taken) == BODY[5:]
    assert not source.take(1000)


def test_all_at_once(source):
    assert content(source.take(-1)) == BODY[5:]
    assert not source.take(-1)


def test_how_much_is_left(source):
    source.take(55)
    assert source.left in (len(BODY) - 60, None)


def test_the_digest_leaves_the_part_at_its_start(source):
    part = source.take(500)
    assert md5_of(part) == hashlib.md5(BODY[5:505]).digest()
    assert content(part) == BODY[5:505]


def test_a_part_of_a_file_is_not_read_before_it_is_sent(tmp_path):
    """Four threads with parts of 64 MB would else take 256 MB."""
    path = tmp_path / "sparse"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with open(path, "rb") as file:
        part = PartSource(file).take(1 << 39)
        assert len(part) == 1 << 39
        assert part.read(10) == bytes(10)


@given(st.lists(st.tuples(st.sampled_from(["read", "seek", "end", "by"]), st.integers(0, 30)), max_size=8))
def test_a_part_behaves_as_a_file_of_its_own(steps):
    with open(__file__, "rb") as file:
        whole = file.read()
        part, model = FilePart(file.fileno(), 10, 20), io.BytesIO(whole[10:30])
        for step, number in steps:
            if step == "read":
                assert part.read(number) == model.read(number)
            elif step == "seek":
                assert part.seek(number) == model.seek(number)
            elif step == "end":
                assert part.seek(-min(number, 20), 2) == model.seek(-min(number, 20), 2)
            else:
                assert part.seek(number, 1) == model.seek(number, 1)
            assert part.tell() == model.tell()
        assert part.read() == model.read()
