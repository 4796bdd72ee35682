"""A bucket with every kind of damage: the store says what it left out and why, and serves the rest."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from e2e.store_protos import STORE
from generated import generate
from real.answers import ask
from running import Daemon, folder_bucket, running_query, running_store

from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.testing.block_builder import build_block, float_chunk
from pythanos.testing.buckets import EPOCH_MS, HOUR_MS, numbered_ulid

SAMPLES = [(EPOCH_MS + minute * 60_000, float(minute)) for minute in range(100)]
GOOD = numbered_ulid(1)
BAD_CHUNK = numbered_ulid(2)
TORN_CHUNK = numbered_ulid(3)


def cut(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x40
    path.write_bytes(data)


def edit_meta(block: Path, change: Callable[[dict], None]) -> None:
    meta = json.loads((block / "meta.json").read_text())
    change(meta)
    (block / "meta.json").write_text(json.dumps(meta))


def without_index(block: Path) -> None:
    (block / "index").unlink()


# What is done to a block that cannot be loaded then, and a word of the reason.
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "index cut in half": (lambda block: cut(block / "index", (block / "index").stat().st_size // 2), "index"),
    "index cut to nothing": (lambda block: cut(block / "index", 0), "index"),
    "index cut to its header": (lambda block: cut(block / "index", 5), "index"),
    "no index": (without_index, "index"),
    "wrong magic": (lambda block: flip(block / "index", 0), "magic"),
    "unknown index version": (lambda block: flip(block / "index", 4), "version"),
    "flipped bit in the symbols": (lambda block: flip(block / "index", 20), "checksum"),
    "flipped bit in the table of contents": (lambda block: flip(block / "index", -10), "checksum"),
}
# What is left out already when metas are read, with the value of the metric's label state.
META_DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no meta.json": (lambda block: (block / "meta.json").unlink(), "no-meta-json"),
    "empty meta.json": (lambda block: cut(block / "meta.json", 0), "corrupted-meta-json"),
    "cut meta.json": (lambda block: cut(block / "meta.json", 40), "corrupted-meta-json"),
    "meta.json of version 2": (lambda block: edit_meta(block, lambda meta: meta.update(version=2)), ""),
}
ODD_FOLDERS = (
    "..%2F..%2Fetc",
    "%2e%2e",
    "...",
    "debug",
    "01ARZ3NDEKTSV4RRFFQ69G5FA",
    "01arz3ndektsv4rrffq69g5fav",
    "ü",
    "a b",
)


def number_of(damage: str) -> int:
    return 100 + [*DAMAGES, *META_DAMAGES].index(damage)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bucket")
    store = FilesystemBucket(str(folder))
    chunks = [float_chunk(SAMPLES[:60]), float_chunk(SAMPLES[60:])]

    def block(number: int) -> Path:
        name = {"__name__": "m", "block": str(number)}
        build_block(store, numbered_ulid(number), [(name, chunks), ({**name, "other": "yes"}, chunks)])
        return folder / numbered_ulid(number)

    block(1)
    # The last byte of a segment is of its last chunk's checksum.
    flip(block(2) / "chunks" / "000001", -1)
    cut(block(3) / "chunks" / "000001", 60)
    for damage, (inflict, _) in {**DAMAGES, **META_DAMAGES}.items():
        inflict(block(number_of(damage)))
    for name in ODD_FOLDERS:
        shutil.copytree(folder / GOOD, folder / name)
    (folder / "a file").write_text("no block")
    return folder


@pytest.fixture(scope="module")
def store(bucket, tmp_path_factory) -> Iterator[Daemon]:
    with running_store(tmp_path_factory.mktemp("store"), folder_bucket(bucket)) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def querier(store, tmp_path_factory) -> Iterator[Daemon]:
    with running_query(tmp_path_factory.mktemp("query"), [store.grpc]) as daemon:
        yield daemon


def select(daemon: Daemon, folder: Path, **labels: str) -> list[object]:
    """All series with these labels."""
    messages, stubs = generate("store", STORE, folder)
    with grpc.insecure_channel(daemon.grpc) as channel:
        matchers = [messages.LabelMatcher(name=name, value=value) for name, value in labels.items()]
        request = messages.SeriesRequest(min_time=0, max_time=EPOCH_MS + 2 * HOUR_MS, matchers=matchers)
        return [one.series for one in stubs.StoreStub(channel).Series(request) if one.WhichOneof("result") == "series"]


def test_the_good_block_is_served(store, tmp_path):
    found = select(store, tmp_path, __name__="m", block="1")
    assert [len(one.chunks) for one in found] == [2, 2]
    # With the two whose damage only reading their chunks can find.
    assert store.metrics()["thanos_bucket_store_blocks_loaded"] == 3


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_block_that_cannot_be_loaded_is_logged_with_the_reason(store, damage):
    ulid = numbered_ulid(number_of(damage))
    lines = [line for line in store.process.output.splitlines() if ulid in line and "loading block failed" in line]
    assert lines and "level=warn" in lines[0]
    assert DAMAGES[damage][1] in lines[0].partition("err=")[2]


def test_blocks_that_cannot_be_loaded_are_counted(store):
    assert store.metrics()["thanos_bucket_store_block_load_failures_total"] == len(DAMAGES)


@pytest.mark.parametrize("damage", META_DAMAGES)
def test_a_block_without_a_usable_meta_is_logged(store, damage):
    ulid = numbered_ulid(number_of(damage))
    assert any(ulid in line for line in store.process.output.splitlines())


def test_blocks_without_a_usable_meta_are_counted(store):
    metrics = store.metrics()
    states = [state for _, state in META_DAMAGES.values() if state]
    for state in set(states):
        assert metrics[f'thanos_blocks_meta_synced{{state="{state}"}}'] == states.count(state)


@pytest.mark.parametrize("name", ODD_FOLDERS)
def test_a_folder_that_is_no_block_is_no_block(store, name):
    blocks = ask(store.http, "blocks", {"view": "loaded"}).body["data"]["blocks"]
    assert sorted(block["ulid"] for block in blocks) == [GOOD, BAD_CHUNK, TORN_CHUNK]


@pytest.mark.parametrize(("number", "ulid"), [(2, BAD_CHUNK), (3, TORN_CHUNK)])
def test_a_corrupt_chunk_fails_its_query_only(store, tmp_path, number, ulid):
    with pytest.raises(grpc.RpcError) as failed:
        select(store, tmp_path, __name__="m", block=str(number))
    assert failed.value.code() is grpc.StatusCode.DATA_LOSS
    assert f"{ulid}/chunks/000001" in failed.value.details()
    assert "offset" in failed.value.details()
    assert len(select(store, tmp_path, __name__="m", block="1")) == 2


def test_a_query_says_which_object_is_corrupt(querier):
    at = str(SAMPLES[-1][0] / 1000)
    answer = ask(querier.http, "query", {"query": 'm{block="2"}', "time": at, "partial_response": "false"})
    assert answer.status >= 400
    assert f"{BAD_CHUNK}/chunks/000001" in answer.body["error"]
    partial = ask(querier.http, "query", {"query": 'm{block=~"1|2"}', "time": at, "partial_response": "true"})
    assert partial.status == 200 and f"{BAD_CHUNK}/chunks/000001" in partial.body["warnings"][0]
    good = ask(querier.http, "query", {"query": 'm{block="1"}', "time": at})
    assert good.size == 2 and "warnings" not in good.body
