"""Segment files: written as Prometheus writes them, read whole or by reference, refused when damaged."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pythanos._chunks import decode_chunks, encode_floats
from pythanos._segments import frame_chunks, locate_chunks, plan_segments, scan_chunks
from pythanos.errors import CorruptData
from pythanos.model.chunks import XOR
from pythanos.tsdb.chunk_files import HEADER, ChunkFiles, Segment, SegmentWriter

GOLDEN = Path(__file__).parents[1] / "golden" / "chunks"
SAMPLE = re.compile(r"^(\w+)\{instance=\"(\w)\"\} (\S+) (\S+)$")


def openmetrics() -> dict[tuple[str, str], tuple[list[int], list[float]]]:
    """The text that promtool made the golden segment from: series in label order to timestamps and values."""
    series: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
    with gzip.open(GOLDEN / "promtool-openmetrics.txt.gz", "rt") as lines:
        for line in lines:
            if match := SAMPLE.match(line):
                times, values = series.setdefault((match[1], match[2]), ([], []))
                times.append(round(float(match[4]) * 1000))
                values.append(float(match[3]))
    return dict(sorted(series.items()))


def chunks_of(sizes: list[int]) -> tuple[bytes, np.ndarray, np.ndarray, np.ndarray]:
    """(arena, offset, length, encoding) of chunks with these sizes and distinct bytes."""
    length = np.array(sizes, np.int32)
    offset = (np.cumsum(length) - length).astype(np.int64)
    arena = np.random.default_rng(7).integers(0, 256, int(length.sum()), np.uint8).tobytes()
    return arena, offset, length, np.full(len(sizes), XOR, np.uint8)


def test_a_segment_of_prometheus_reads_as_its_source() -> None:
    """Every sample of the OpenMetrics text is in the segment that promtool wrote from it, in series order."""
    segment = Segment((GOLDEN / "promtool-000001").read_bytes(), "000001")
    record, chunks = segment.scan()
    assert record[0] == len(HEADER) and len(record) == 22
    decoded = decode_chunks(chunks.arena, chunks.offset, chunks.length, chunks.encoding)
    wanted = openmetrics().values()
    assert decoded.timestamps.tolist() == [t for times, _ in wanted for t in times]
    values = np.array([v for _, values in wanted for v in values])
    assert np.array_equal(decoded.values.view(np.uint64), values.view(np.uint64))


def test_a_segment_of_prometheus_is_written_again(tmp_path: Path) -> None:
    """Samples encoded anew and written by series give the file byte for byte, under the references of its records."""
    original = (GOLDEN / "promtool-000001").read_bytes()
    record, chunks = Segment(original, "000001").scan()
    decoded = decode_chunks(chunks.arena, chunks.offset, chunks.length, chunks.encoding)
    arena, offset, length = encode_floats(decoded.timestamps, decoded.values, decoded.start)
    ends = decoded.timestamps[decoded.start[1:] - 1]
    series = np.flatnonzero(ends[1:] < ends[:-1]) + 1
    with SegmentWriter(tmp_path) as writer:
        refs = writer.write(arena, offset, length, chunks.encoding, np.array([0, *series, len(length)]))
    assert (tmp_path / "000001").read_bytes() == original
    assert refs.tolist() == record.tolist()


def series_by_series(sizes: list[list[int]], limit: int) -> list[tuple[int, int]]:
    """Prometheus' WriteChunks in plain words: (segment, offset) of each chunk."""
    places, segment, position = [], 0, 0
    for chunks in sizes:
        entry, batch, first, cuts = position, 0, True, set()
        for i, size in enumerate(chunks):
            pessimistic = 5 + 1 + size + 4
            batch += pessimistic
            cut = i != 0 and batch + 8 > limit
            if first and entry > 8:
                cut = batch + entry > limit
                first = not cut
            if cut:
                cuts.add(i)
                batch = pessimistic
        position = position or 8
        for i, size in enumerate(chunks):
            if i in cuts:
                segment, position = segment + 1, 8
            places.append((segment, position))
            position += len(varint(size)) + 1 + size + 4
    return places


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(0, 300), max_size=8), max_size=12), st.integers(0, 900), st.integers(1, 5))
def test_cutting_rule(sizes: list[list[int]], limit: int, calls: int) -> None:
    """Chunks go where Prometheus puts them, however the series are divided among calls."""
    wanted = series_by_series(sizes, limit)
    places: list[tuple[int, int]] = []
    segment, position = 0, 8
    step = max(1, len(sizes) // calls)
    for begin in range(0, len(sizes), step):
        part = sizes[begin : begin + step]
        length = np.array([size for chunks in part for size in chunks], np.int32)
        start = np.cumsum([0, *[len(chunks) for chunks in part]])
        index, record, position = plan_segments(length, start, position, limit)
        places += [(segment + int(i), int(r)) for i, r in zip(index, record, strict=True)]
        segment += int(index[-1]) if len(index) else 0
    assert places == wanted


def test_files_are_cut_and_references_lead_back(tmp_path: Path) -> None:
    """With a small limit chunks spread over files, none above it, and every reference finds its chunk."""
    sizes = np.random.default_rng(3).integers(1, 200, 400).tolist()
    arena, offset, length, encoding = chunks_of(sizes)
    refs = []
    with SegmentWriter(tmp_path, segment_bytes_max=5000) as writer:
        for begin in range(0, 400, 100):
            rows = slice(begin, begin + 100)
            refs.append(writer.write(arena, offset[rows], length[rows], encoding[rows], np.arange(0, 101, 4)))
    all_refs = np.concatenate(refs)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [f"{i + 1:06d}" for i in range(len(files))] and len(files) > 5
    assert all(file.stat().st_size <= 5000 for file in files)
    order = np.random.default_rng(4).permutation(400)
    with ChunkFiles(tmp_path) as chunk_files:
        assert chunk_files.size == sum(file.stat().st_size for file in files)
        seen = {}
        for part in chunk_files.locate(all_refs[order]):
            for row, begin, size in zip(part.row.tolist(), part.offset.tolist(), part.length.tolist(), strict=True):
                seen[int(order[row])] = bytes(part.arena[begin : begin + size])
    assert seen == {i: arena[offset[i] : offset[i] + length[i]] for i in range(400)}


def test_nothing_is_visible_before_it_is_complete(tmp_path: Path) -> None:
    """An open file has a .tmp name; an exception removes it, a close gives it its name."""
    chunks = chunks_of([10, 20])
    with pytest.raises(RuntimeError), SegmentWriter(tmp_path) as writer:
        writer.write(*chunks, np.array([0, 2]))
        assert [file.name for file in tmp_path.iterdir()] == ["000001.tmp"]
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with SegmentWriter(tmp_path) as writer:
        assert len(writer.write(*chunks, np.array([0, 0, 2]))) == 2
        assert len(writer.write(b"", *(np.array([], int),) * 3, np.array([0]))) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["000001"]
    with pytest.raises(FileExistsError):
        SegmentWriter(tmp_path)


def test_a_writer_without_chunks_leaves_an_empty_folder(tmp_path: Path) -> None:
    """As in Prometheus: no chunk, no file."""
    SegmentWriter(tmp_path / "chunks").close()
    assert list((tmp_path / "chunks").iterdir()) == []
    assert ChunkFiles(tmp_path / "chunks").segments == []


def test_bad_checksum_is_found_unless_unwanted() -> None:
    """One flipped bit of data is corrupt with checking and passes without."""
    arena, offset, length, encoding = chunks_of([50, 60])
    file = bytearray(HEADER + frame_chunks(arena, offset, length, encoding))
    file[-10] ^= 1
    segment = Segment(bytes(file), "chunks/000001")
    record = np.array([8, 8 + 1 + 1 + 50 + 4])
    assert segment.locate(record[:1]).length.tolist() == [50]
    with pytest.raises(CorruptData, match="checksum mismatch") as caught:
        segment.locate(record)
    assert (caught.value.file, caught.value.offset) == ("chunks/000001", 64)
    assert segment.locate(record, check_crc=False).length.tolist() == [50, 60]


def test_damaged_segments_are_refused() -> None:
    """Wrong magic, version or size of the header, and records that do not fit, are corrupt."""
    record = frame_chunks(*chunks_of([5]))
    for file, reason in (
        (b"", "shorter than its header"),
        (HEADER[:7], "shorter than its header"),
        (b"\0" + HEADER[1:], "not a segment file"),
        (HEADER[:4] + b"\2\0\0\0", "version 2"),
    ):
        with pytest.raises(CorruptData, match=reason):
            Segment(file, "f")
    for tail in (record[:-1], b"\x05", b"\xff" * 9, b"\x80\x80\x80\x80\x10" + bytes(20)):
        with pytest.raises(CorruptData):
            Segment(HEADER + record + tail, "f").scan()
    segment = Segment(HEADER + record, "f")
    for at in (-1, len(segment), 1 << 40, len(segment) - 2):
        with pytest.raises(CorruptData):
            segment.locate(np.array([at]))


def test_damaged_folders_are_refused(tmp_path: Path) -> None:
    """A missing number, an empty file and a reference to no file are corrupt; other names do not matter."""
    (tmp_path / "000001").write_bytes(HEADER + frame_chunks(*chunks_of([5])))
    (tmp_path / "notes.txt").write_text("x")
    with ChunkFiles(tmp_path) as files:
        assert len(files.segments) == 1
        with pytest.raises(CorruptData, match="missing segment"):
            list(files.locate(np.array([8, 1 << 32 | 8], np.uint64)))
    (tmp_path / "000003").write_bytes(HEADER)
    with pytest.raises(CorruptData, match="without gaps"):
        ChunkFiles(tmp_path)
    (tmp_path / "000003").rename(tmp_path / "000002")
    (tmp_path / "000002").write_bytes(b"")
    with pytest.raises(CorruptData, match="shorter"):
        ChunkFiles(tmp_path)


def test_records_that_are_not_all_there_can_be_asked_for_again() -> None:
    """In a fetched part of a file, records that go beyond it are listed with the bytes that they need."""
    arena, offset, length, encoding = chunks_of([50, 300, 20])
    part = frame_chunks(arena, offset, length, encoding)
    record = np.array([0, 56, 56 + 307])
    _, at, size, need, rows = locate_chunks(part[:-3], record, partial=True)
    assert (rows.tolist(), need.tolist(), size.tolist()) == ([2], [26], [50, 300, 0])
    assert part[at[1] : at[1] + 300] == arena[50:350]
    _, _, size, need, rows = locate_chunks(part[:57], record[:2], partial=True)
    assert (rows.tolist(), need.tolist(), size.tolist()) == ([1], [5], [50, 0])
    with pytest.raises(CorruptData) as caught:
        locate_chunks(part[:-3], record, file="chunks/000002", file_offset=1000)
    assert (caught.value.file, caught.value.offset) == ("chunks/000002", 1363)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.booleans(), st.integers(-5, 90))
def test_garbage_records(data: bytes, check_crc: bool, at: int) -> None:
    """Any bytes give records inside the buffer or CorruptData."""
    try:
        _, _, offset, length = scan_chunks(HEADER + data, check_crc=check_crc)
        assert ((offset >= 8) & (offset + length + 4 <= 8 + len(data))).all()
    except CorruptData:
        pass
    for partial in (False, True):
        try:
            _, offset, length, need, rows = locate_chunks(data, [at], check_crc=check_crc, partial=partial)
            assert len(rows) or offset[0] + length[0] + 4 <= len(data)
            assert (need >= 5).all()
        except CorruptData:
            pass


def test_plans_and_frames_check_their_columns() -> None:
    """Cuts and lengths that do not fit are ValueErrors."""
    for start in ([0], [0, 3], [1, 2], [0, 2, 1, 2], []):
        with pytest.raises(ValueError):
            plan_segments([1, 2], start, 8, 100)
    for offset, length in (([-1], [1]), ([0], [11]), ([5], [6]), ([0], [-1]), ([0, 1], [1])):
        with pytest.raises(ValueError):
            frame_chunks(bytes(10), offset, length, [XOR])
