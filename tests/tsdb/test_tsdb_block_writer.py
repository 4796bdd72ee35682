"""Blocks written whole or not at all, from columns; read back by the block reader."""

import os

import msgspec
import numpy as np
import pytest

from pythanos._chunks import encode_floats
from pythanos._labels import labels_from_dicts
from pythanos.errors import CorruptData, Halt
from pythanos.model.chunks import AGGREGATE, FLOAT_HISTOGRAM_ST, HISTOGRAM, HISTOGRAM_ST, XOR, XOR2
from pythanos.model.resolution import COUNT, COUNTER, RAW, SUM
from pythanos.model.series import LabelColumn, SeriesBatch
from pythanos.tsdb.block_reader import BlockReader
from pythanos.tsdb.block_writer import BlockWriter, chunk_samples, write_block
from pythanos.tsdb.meta import BlockMeta, Compaction, decode_meta

ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
META = BlockMeta(ulid=ULID, mint=0, maxt=1000, compaction=Compaction(level=1, sources=(ULID,)))


def batch_of(names: list[str], chunks: list[list[tuple[int, bytes, int, int]]]) -> SeriesBatch:
    """chunks: for each series (mint, data, encoding, aggregate) of each of its chunk rows; a chunk lasts 9 ms."""
    column = labels_from_dicts([{"__name__": name} for name in names])
    rows = [row for own in chunks for row in own]
    labels = bytes(column.arena)
    length = np.array([len(row[1]) for row in rows], np.int32)
    mint = np.array([row[0] for row in rows], np.int64)
    return SeriesBatch(
        labels=LabelColumn(labels + b"".join(row[1] for row in rows), column.offset, column.length, column.hash),
        chunk_start=np.cumsum([0] + [len(own) for own in chunks]).astype(np.int64),
        chunk_mint=mint,
        chunk_maxt=mint + 9,
        chunk_encoding=np.array([row[2] for row in rows], np.uint8),
        chunk_aggregate=np.array([row[3] for row in rows], np.uint8),
        chunk_offset=len(labels) + np.cumsum(length, dtype=np.int64) - length,
        chunk_length=length,
    )


def xor(*values: float, start: int = 0) -> bytes:
    times = start + np.arange(len(values), dtype=np.int64)
    return bytes(encode_floats(times, np.array(values), np.array([0, len(values)], np.int64))[0])


def plain(start: int, *values: float) -> tuple[int, bytes, int, int]:
    return start, xor(*values, start=start), XOR, RAW


def test_series_come_back_as_they_were_written(tmp_path):
    first = batch_of(["a", "b"], [[plain(0, 1.0, 2.0), plain(10, 3.0)], [plain(5, 4.0)]])
    second = batch_of(["c"], [[plain(7, 5.0, 6.0, 7.0)]])
    meta = write_block(tmp_path, META, [first, second])
    assert (meta.stats.num_series, meta.stats.num_chunks, meta.stats.num_samples) == (3, 4, 7)
    assert decode_meta((tmp_path / ULID / "meta.json").read_bytes(), "meta.json") == meta
    with BlockReader(tmp_path / ULID) as block:
        (samples,) = block.samples()
        assert samples.values.tolist() == [1, 2, 3, 4, 5, 6, 7]
        assert samples.timestamps.tolist() == [0, 1, 10, 5, 7, 8, 9]
        assert samples.start.tolist() == [0, 3, 4, 7]
        assert [len(each) for each in block.batches(series_per_batch=2)] == [2, 1]
        assert block.index.label_values("__name__") == ["a", "b", "c"]


def test_chunks_spread_over_segments(tmp_path):
    batches = (batch_of([f"m{i:03d}"], [[plain(0, *range(20))]]) for i in range(40))
    write_block(tmp_path, META, batches, segment_bytes_max=200)
    assert len(list((tmp_path / ULID / "chunks").iterdir())) > 5
    with BlockReader(tmp_path / ULID) as block:
        (samples,) = block.samples()
        assert samples.values.tolist() == list(range(20)) * 40


def test_series_without_chunks_are_left_out(tmp_path):
    meta = write_block(tmp_path, META, [batch_of(["a", "b", "c"], [[], [plain(0, 1.0)], []])])
    assert meta.stats.num_series == 1
    with BlockReader(tmp_path / ULID) as block:
        assert block.index.label_values("__name__") == ["b"]


@pytest.mark.parametrize("batches", [[], [batch_of(["a"], [[]])]])
def test_nothing_to_write_makes_no_block(tmp_path, batches):
    assert write_block(tmp_path, META, batches) is None
    assert list(tmp_path.iterdir()) == []


def test_aggregates_of_a_window_become_one_chunk(tmp_path):
    """Thanos' downsampled blocks: rows of one chunk are joined, and come apart again as asked for."""
    rows = [
        (0, xor(10.0), XOR, COUNT),
        (0, xor(55.0), XOR, SUM),
        (0, xor(9.0), XOR, COUNTER),
        (10, xor(2.0, 3.0), XOR, COUNT),
        (10, xor(1.0, 2.0), XOR, SUM),
    ]
    meta = write_block(tmp_path, META, [batch_of(["a", "b"], [rows, [(0, xor(7.0), XOR, COUNT)]])])
    assert (meta.stats.num_chunks, meta.stats.num_samples) == (3, 4)
    with BlockReader(tmp_path / ULID) as block:
        (found,) = block.batches(aggregates=(SUM, COUNTER))
        assert found.chunk_aggregate.tolist() == [SUM, COUNTER, SUM]
        assert found.chunk_mint.tolist() == [0, 0, 10]
        (whole,) = block.batches(aggregates=(COUNT, SUM, COUNTER))
        assert write_block(tmp_path / "again", META, [whole]) == meta
        for name in ("index", "chunks/000001"):
            assert (tmp_path / "again" / ULID / name).read_bytes() == (tmp_path / ULID / name).read_bytes()


def test_raw_chunks_and_aggregates_do_not_mix(tmp_path):
    with pytest.raises(ValueError, match="raw chunks and aggregates"):
        write_block(tmp_path, META, [batch_of(["a"], [[plain(0, 1.0), (10, xor(1.0), XOR, SUM)]])])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("head", "encoding", "count"),
    [
        (b"\x01\x02", XOR, 258),
        (b"\x01\x02\x00", XOR2, 258),
        (b"\x01\x02\xc0", HISTOGRAM, 258),
        (b"\xc1\x02\x00", HISTOGRAM_ST, 258),
        (b"\x81\x02\x00", FLOAT_HISTOGRAM_ST, 258),
        (b"\x09\x01\x00\x07" + bytes(8), AGGREGATE, 7),
        (b"\x80\x01\x01\x00\x08" + bytes(130), AGGREGATE, 8),
        (b"\x80\x80\x01\x01\x00\x09" + bytes(130), AGGREGATE, 9),
    ],
)
def test_samples_are_counted_from_chunk_headers(head, encoding, count):
    assert chunk_samples(batch_of(["a"], [[(0, head, encoding, RAW)]])).tolist() == [count]


def test_histogram_samples_are_counted_apart(tmp_path):
    rows = [plain(0, 1.0, 2.0), (10, b"\x00\x05\x00", HISTOGRAM, RAW), (20, b"\x40\x03\x00", FLOAT_HISTOGRAM_ST, RAW)]
    stats = write_block(tmp_path, META, [batch_of(["a"], [rows])]).stats
    assert (stats.num_samples, stats.num_float_samples, stats.num_histogram_samples) == (10, 2, 8)


@pytest.mark.parametrize(
    "batches",
    [
        [batch_of(["b"], [[plain(0, 1.0)]]), batch_of(["a"], [[plain(0, 1.0)]])],
        [batch_of(["a", "a"], [[plain(0, 1.0)], [plain(0, 1.0)]])],
        [batch_of(["a"], [[plain(0, 1.0), plain(9, 1.0)]])],
    ],
)
def test_series_and_chunks_out_of_order_leave_nothing_behind(tmp_path, batches):
    with pytest.raises(Halt):
        write_block(tmp_path, META, batches)
    assert list(tmp_path.iterdir()) == []


def test_a_block_is_never_overwritten(tmp_path):
    write_block(tmp_path, META, [batch_of(["a"], [[plain(0, 1.0)]])])
    before = (tmp_path / ULID / "index").read_bytes()
    with pytest.raises(FileExistsError):
        write_block(tmp_path, META, [batch_of(["b"], [[plain(0, 1.0)]])])
    assert (tmp_path / ULID / "index").read_bytes() == before


def test_what_an_earlier_try_left_is_replaced(tmp_path):
    left = tmp_path / f"{ULID}.tmp-for-creation" / "chunks"
    left.mkdir(parents=True)
    (left / "000001").write_bytes(b"left over")
    assert write_block(tmp_path, META, [batch_of(["a"], [[plain(0, 1.0)]])]) is not None
    assert [path.name for path in tmp_path.iterdir()] == [ULID]


def test_whichever_sync_fails_there_is_a_whole_block_or_none(tmp_path, monkeypatch):
    """The n-th fsync fails, n = 1, 2, ... until none does; a rerun succeeds."""
    real, calls = os.fsync, 0

    def failing(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == fail_at:
            raise OSError("disk is full")
        real(handle)

    monkeypatch.setattr(os, "fsync", failing)
    for fail_at in range(1, 50):
        calls = 0
        folder = tmp_path / str(fail_at)
        try:
            write_block(folder, META, [batch_of(["a"], [[plain(0, 1.0)]])])
        except OSError:
            names = [path.name for path in folder.iterdir()]
            assert names in ([], [ULID])
            if names:
                BlockReader(folder / ULID).close()
        else:
            break
    assert fail_at > 6


def test_an_abandoned_writer_cleans_up(tmp_path):
    with pytest.raises(RuntimeError), BlockWriter(tmp_path, META) as writer:
        writer.add(batch_of(["a"], [[plain(0, 1.0)]]))
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_a_reference_to_a_chunk_that_is_not_there_is_corrupt_data(tmp_path):
    write_block(tmp_path, META, [batch_of(["a"], [[plain(0, 1.0), plain(10, 2.0)]])])
    segment = tmp_path / ULID / "chunks" / "000001"
    segment.write_bytes(segment.read_bytes()[:-3])
    with BlockReader(tmp_path / ULID) as block, pytest.raises(CorruptData) as caught:
        list(block.batches())
    assert caught.value.file == str(segment)


def test_a_block_of_another_meta_version_is_refused(tmp_path):
    write_block(tmp_path, META, [batch_of(["a"], [[plain(0, 1.0)]])])
    path = tmp_path / ULID / "meta.json"
    path.write_bytes(msgspec.json.encode({"ulid": ULID, "version": 2}))
    with pytest.raises(CorruptData, match="version 2"):
        BlockReader(tmp_path / ULID)


@pytest.mark.parametrize(
    "row", [(0, b"\x00", XOR, RAW), (0, b"", XOR, RAW), (0, b"\x80\x80\x01\x01\x00", AGGREGATE, RAW)]
)
def test_a_chunk_without_room_for_its_count_is_corrupt_data(tmp_path, row):
    with pytest.raises(CorruptData, match="too short"):
        write_block(tmp_path, META, [batch_of(["a"], [[row]])])
    assert list(tmp_path.iterdir()) == []
