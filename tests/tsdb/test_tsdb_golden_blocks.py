"""Blocks of real Prometheus read to samples and written again, byte for byte; index-headers as real Thanos has them."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pythanos._chunks import decode_chunks, encode_floats
from pythanos._symbols import SymbolTable
from pythanos.errors import CorruptData
from pythanos.model.chunks import XOR
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.series import LabelColumn, SeriesBatch
from pythanos.model.timerange import ClosedRange
from pythanos.objstore.memory import MemoryBucket
from pythanos.tsdb.block_reader import BlockReader
from pythanos.tsdb.block_writer import write_block
from pythanos.tsdb.index_header import IndexHeader, write_index_header
from pythanos.tsdb.tombstones import Tombstones, encode_tombstones
from pythanos.workers import InlinePool

GOLDEN = Path(__file__).parents[1] / "golden" / "blocks"
WRITERS = ("prometheus-2.42", "prometheus-3.14")
START = 1_700_000_000_000


@pytest.fixture(params=WRITERS)
def folder(request) -> Path:
    (block,) = (GOLDEN / request.param).iterdir()
    return block


def recoded(batch: SeriesBatch, spare_byte: bool) -> SeriesBatch:
    """The same series with chunks encoded anew from their samples."""
    decoded = decode_chunks(batch.labels.arena, batch.chunk_offset, batch.chunk_length, batch.chunk_encoding)
    arena, offset, length = encode_floats(decoded.timestamps, decoded.values, decoded.start, XOR, spare_byte=spare_byte)
    labels = bytes(batch.labels.arena)
    column = LabelColumn(labels + bytes(arena), batch.labels.offset, batch.labels.length, batch.labels.hash)
    parts = {"labels": column, "chunk_offset": offset + len(labels), "chunk_length": length}
    return SeriesBatch(**({name: getattr(batch, name) for name in SeriesBatch.__slots__} | parts))


def is_old(folder: Path) -> bool:
    return folder.parent.name == "prometheus-2.42"


def test_a_block_read_to_samples_and_written_again_has_the_same_bytes(folder, tmp_path):
    """2.42's label indices and spare bytes are options; its meta.json lacks the count of float samples."""
    with BlockReader(folder) as block:
        batches = (recoded(batch, is_old(folder)) for batch in block.batches(series_per_batch=3))
        meta = write_block(tmp_path, block.meta, batches, label_indices=is_old(folder))
    written = tmp_path / meta.ulid
    names = ["index", "chunks/000001", "tombstones"] + ([] if is_old(folder) else ["meta.json"])
    for name in names:
        assert (written / name).read_bytes() == (folder / name).read_bytes(), name
    assert meta.stats.num_samples == meta.stats.num_float_samples == block.meta.stats.num_samples == 2300
    assert (meta.stats.num_series, meta.stats.num_chunks) == (11, 23)
    assert [path.name for path in tmp_path.iterdir()] == [meta.ulid]


def test_the_samples_are_those_that_were_put_in(folder):
    with BlockReader(folder) as block:
        path = [Matcher(MatchType.EQ, "__name__", "temperature"), Matcher(MatchType.RE, "path", "/日本/[23]")]
        refs = block.select(path)
        (batch,) = block.samples(refs)
        specials = batch.values[batch.start[1] : batch.start[2]]
        assert batch.timestamps[:100].tolist() == [START + 60_000 * i for i in range(100)]
        assert batch.values[:100].tolist() == [42.0] * 100
        assert [str(value) for value in specials[:6]] == ["nan", "inf", "-inf", "0.0", "-0.0", "1e-320"]
        assert specials.tolist()[5] == 1e-320
        (narrow,) = block.samples(refs, ClosedRange(START + 60_000, START + 180_000))
        assert narrow.timestamps[: narrow.start[1]].tolist() == [START + 60_000 * i for i in (1, 2, 3)]
        assert list(block.samples(refs, ClosedRange(0, START - 1))) == []


def test_matchers_select_as_prometheus_does(folder):
    with BlockReader(folder) as block:
        counts = {
            (MatchType.EQ, "zone", "zürich-1"): 2,
            (MatchType.NEQ, "zone", "zürich-1"): 9,
            (MatchType.RE, "zone", "z.*-[12]"): 4,
            (MatchType.RE, "zone", "z.*-2|"): 7,
            (MatchType.NRE, "zone", ".+"): 5,
            (MatchType.EQ, "zone", ""): 5,
            (MatchType.NEQ, "zone", ""): 6,
            (MatchType.EQ, "absent", "x"): 0,
        }
        for (kind, name, value), count in counts.items():
            assert len(block.select([Matcher(kind, name, value)])) == count
        assert len(block.select()) == 11
        both = [Matcher(MatchType.NEQ, "zone", "zürich-1"), Matcher(MatchType.EQ, "job", "api")]
        assert len(block.select(both)) == 4


def test_tombstones_hide_samples(folder, tmp_path):
    copied = tmp_path / folder.name
    shutil.copytree(folder, copied)
    with BlockReader(copied) as block:
        refs = block.index.all_series()
    dead = Tombstones.of([(int(refs[0]), START, START + 60_000), (int(refs[2]), 0, START * 2)])
    (copied / "tombstones").write_bytes(encode_tombstones(dead))
    with BlockReader(copied) as block:
        (batch,) = block.samples(refs[:3])
    assert np.diff(batch.start).tolist() == [295, 300, 0]
    assert batch.timestamps[0] == START + 75_000


def test_index_headers_have_the_bytes_that_thanos_writes(folder, tmp_path):
    """ST-9, ST-10: written from range reads of the block's index, whatever is left over of an earlier try."""
    bucket = MemoryBucket()
    bucket.upload(f"{folder.name}/index", (folder / "index").read_bytes())
    path = tmp_path / folder.name / "index-header"
    path.parent.mkdir()
    path.with_name("index-header.tmp").write_bytes(b"left over" * 1000)
    write_index_header(bucket, folder.name, path, InlinePool())
    assert path.read_bytes() == (GOLDEN / "thanos-0.43" / f"{folder.name}.index-header").read_bytes()
    assert [each.name for each in path.parent.iterdir()] == ["index-header"]


def test_an_index_header_of_thanos_answers_as_the_index_does(folder):
    header = IndexHeader(GOLDEN / "thanos-0.43" / f"{folder.name}.index-header")
    with BlockReader(folder) as block:
        index = block.index
        assert header.index_version == index.index_version == 2
        assert header.label_names() == index.label_names()
        assert header.label_names() == ["__name__", "instance", "job", "long", "path", "quoted", "zone"]
        assert header.label_values("zone") == ["zürich-0", "zürich-1", "zürich-2"]
        assert header.label_values("absent") == []
        assert header.symbols.lookup("zürich-1") == index.symbols.lookup("zürich-1")
        for name in ["", *header.label_names()]:
            values = [""] if name == "" else header.label_values(name)
            assert header.postings_ranges(name, values).tolist() == index.postings_ranges(name, values).tolist()
        assert header.postings_range("zone", "nowhere") is None


def test_a_flipped_bit_in_any_file_is_corrupt_data_naming_the_file(folder, tmp_path):
    """Every bit of the index that a checksum or a fixed field covers; padding bytes carry nothing."""
    with BlockReader(folder) as block:
        expected = [bytes(batch.labels.arena) for batch in block.batches()]
    copied = tmp_path / folder.name
    shutil.copytree(folder, copied)
    whole = (folder / "index").read_bytes()
    caught = 0
    for at in range(0, len(whole), 3):
        (copied / "index").write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        try:
            with BlockReader(copied) as block:
                found = [bytes(batch.labels.arena) for batch in block.batches()]
                for name in block.index.label_names():
                    block.index.series_with(name, *block.index.label_values(name))
        except CorruptData as error:
            assert error.file.endswith("/index")
            caught += 1
        else:
            assert found == expected
    assert caught > len(whole) // 3 * 0.7


def test_a_head_symbol_table_is_carried_over_whole(folder, tmp_path):
    with BlockReader(folder) as block:
        symbols: SymbolTable = block.index.symbols
        assert symbols.bytes_at(0) == b""
        meta = msgspec.structs.replace(block.meta, ulid="01ARZ3NDEKTSV4RRFFQ69G5FAV")
        rows = block.index.all_series()[:1]
        write_block(tmp_path, meta, block.batches(rows), symbols=symbols)
    with BlockReader(tmp_path / meta.ulid) as other:
        assert len(other.index.symbols) == len(symbols)
        assert len(other.index.all_series()) == 1
