"""Symbols, offset table, series entries and index building against plain Python, and against hostile bytes."""

import io
import struct
from itertools import pairwise

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import index_reference as reference
from kernels.index_reference import Series

from pythanos._index import decode_series
from pythanos._index_build import IndexBuilder
from pythanos._offset_table import PostingsTable
from pythanos._symbols import SymbolTable, crc32c_of
from pythanos.errors import CorruptData, Halt
from pythanos.model.series import LabelColumn
from pythanos.tsdb.index_writer import IndexWriter

EVER = (-(2**63), 2**63 - 1)
NAMES = [b"__name__", b"a", b"aa", b"b", b"job", b"zone", b"\xff\xfe", b"n" * 130]
VALUES = [b"a", b"b", b"\x00", b"up", b"x" * 127, b"x" * 128, b"x" * 300, "zürich".encode(), b"\xff"]

label_sets = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from(VALUES) | st.binary(min_size=1, max_size=40), min_size=1, max_size=6
)


@st.composite
def chunk_lists(draw):
    out, at, ref = [], draw(st.integers(-(2**40), 2**40)), draw(st.integers(0, 2**34))
    for _ in range(draw(st.integers(1, 4))):
        maxt = at + draw(st.sampled_from([0, 1, 7_200_000, 2**33]))
        out.append((at, maxt, ref))
        at, ref = maxt + draw(st.sampled_from([1, 15_000, 2**20])), ref + draw(st.sampled_from([0, 200, 2**20]))
    return out


@st.composite
def blocks(draw):
    """Series in label order, chunk references rising through the block."""
    sets = {tuple(sorted(one.items())): one for one in draw(st.lists(label_sets, max_size=12))}
    series, last = [], 0
    for key in sorted(sets):
        chunks = [(mint, maxt, ref + last) for mint, maxt, ref in draw(chunk_lists())]
        last = chunks[-1][2]
        series.append(Series(sets[key], chunks))
    return series


def column(sets: list[dict[bytes, bytes]]) -> LabelColumn:
    wire = [reference.label_block(one) for one in sets]
    length = np.array([len(one) for one in wire], np.int32)
    offset = np.concatenate([[0], np.cumsum(length, dtype=np.int64)])[:-1].astype(np.int64)
    return LabelColumn(
        b"".join(wire), offset, length, np.array([xxhash.xxh64_intdigest(one) for one in wire], np.uint64)
    )


def columns_of(series: list[Series]) -> tuple:
    rows = [chunk for one in series for chunk in one.chunks]
    start = np.concatenate([[0], np.cumsum([len(one.chunks) for one in series], dtype=np.int64)]).astype(np.int64)
    times = [np.array([row[k] for row in rows], np.int64) for k in range(2)]
    return column([one.labels for one in series]), start, *times, np.array([row[2] for row in rows], np.uint64)


def places(data: bytes, series: list[Series], symbols: SymbolTable, version: int = 2) -> np.ndarray:
    """Where each entry begins."""
    at, out = struct.unpack_from(">6Q", data, len(data) - 52)[1], []
    for _ in series:
        at += 0 if version == 1 else -at % 16
        out.append(at)
        size, length = 0, 0
        while True:
            byte = data[at + length]
            size |= (byte & 0x7F) << 7 * length
            length += 1
            if byte < 0x80:
                break
        at += length + size + 4
    return np.array(out, np.int64)


def table_of(data: bytes) -> PostingsTable:
    at = struct.unpack_from(">6Q", data, len(data) - 52)[5]
    return PostingsTable(data, at, at)


class TestDecodeSeries:
    @given(blocks(), st.sampled_from([1, 2, 3]))
    def test_entries_come_out_as_they_were_put_in(self, series, version):
        data = reference.index(series, version=version)
        symbols = SymbolTable(data, 5, version=version)
        found = decode_series(data, places(data, series, symbols, version), symbols, *EVER, check_crc=True)
        assert found.rows.tolist() == list(range(len(series)))
        for i, one in enumerate(series):
            assert found.labels.block(i) == reference.label_block(one.labels)
            assert int(found.labels.hash[i]) == xxhash.xxh64_intdigest(found.labels.block(i))
            rows = slice(int(found.chunk_start[i]), int(found.chunk_start[i + 1]))
            times = zip(found.chunk_mint[rows].tolist(), found.chunk_maxt[rows].tolist(), strict=True)
            assert [(*pair, ref) for pair, ref in zip(times, found.chunk_ref[rows].tolist(), strict=True)] == one.chunks

    @given(blocks(), label_sets, st.sets(st.sampled_from([*NAMES, b"absent"])), st.sampled_from([1, 2]))
    def test_external_labels_override_and_dropped_names_are_gone(self, series, external, drop, version):
        data = reference.index(series, version=version)
        symbols = SymbolTable(data, 5, version=version)
        block = reference.label_block(external)
        where = places(data, series, symbols, version)
        found = decode_series(data, where, symbols, *EVER, external=block, drop=tuple(drop))
        for i, one in enumerate(series):
            merged = {name: value for name, value in {**one.labels, **external}.items() if name not in drop}
            assert found.labels.block(i) == reference.label_block(merged)

    @given(blocks(), st.integers(-(2**41), 2**41), st.sampled_from([0, 10**6, 2**35]), st.booleans())
    def test_only_series_and_chunks_inside_the_range_come_out(self, series, mint, width, skip):
        data = reference.index(series)
        symbols = SymbolTable(data, 5)
        found = decode_series(data, places(data, series, symbols), symbols, mint, mint + width, skip_chunks=skip)
        inside = [[c for c in one.chunks if c[0] <= mint + width and c[1] >= mint] for one in series]
        assert found.rows.tolist() == [i for i, chunks in enumerate(inside) if chunks]
        expected = [] if skip else [c[2] for chunks in inside for c in chunks]
        assert found.chunk_ref.tolist() == expected

    @given(blocks(), st.data())
    def test_entries_may_lie_in_parts_of_their_own(self, series, data_of):
        """Whatever is cut off is named for another fetch, with the length that it needs."""
        data = reference.index(series)
        symbols = SymbolTable(data, 5)
        where = places(data, series, symbols)
        whole = decode_series(data, where, symbols, *EVER)
        sizes = [data_of.draw(st.sampled_from([0, 1, 3, 20, 500])) for _ in series]
        parts = [data[at : at + size] for at, size in zip(where.tolist(), sizes, strict=True)]
        numbers, zeros = np.arange(len(series), dtype=np.int32), np.zeros(len(series), np.int64)
        found = decode_series(parts, zeros, symbols, *EVER, part=numbers, part_start=where)
        assert sorted([*found.rows.tolist(), *found.refetch.tolist()]) == list(range(len(series)))
        for row, length in zip(found.refetch.tolist(), found.refetch_length.tolist(), strict=True):
            parts[row] = data[where[row] : where[row] + max(length, 1 << 16)]
        again = decode_series(parts, zeros, symbols, *EVER, part=numbers)
        assert bytes(again.labels.arena) == bytes(whole.labels.arena)
        assert again.chunk_ref.tolist() == whole.chunk_ref.tolist()

    def test_more_series_than_wait_at_a_time_keep_their_order(self):
        series = [Series({b"__name__": b"m", b"n": b"%05d" % i}, [(i, i, i)]) for i in range(1000)]
        data = reference.index(series)
        symbols = SymbolTable(data, 5)
        found = decode_series(data, places(data, series, symbols), symbols, 100, 899)
        assert found.rows.tolist() == list(range(100, 900))
        assert found.labels.block(37) == reference.label_block(series[137].labels)

    @given(blocks(), st.data())
    def test_rising_says_that_the_series_rise_and_none_begins_the_next(self, series, data_of):
        """Then external labels cannot change their order, wherever they go."""
        data = reference.index(series)
        symbols = SymbolTable(data, 5)
        order = data_of.draw(st.just(range(len(series))) | st.permutations(range(len(series))))
        found = decode_series(data, places(data, series, symbols)[list(order)], symbols, *EVER)
        keys = [sorted(series[row].labels.items()) for row in order]
        assert found.rising == all(a < b and b[: len(a)] != a for a, b in pairwise(keys))

    @pytest.mark.parametrize("shared", [0, 1, 62, 63, 64, 65, 80])
    def test_series_of_very_many_labels_come_out_whole(self, shared):
        """Also where they share more than is compared; what is not known to rise is not said to."""
        common = {b"a%03d" % i: b"x" * (i % 7 + 1) for i in range(shared)}
        tails = [{b"b": b"1", b"c%d" % i: b"2"} for i in range(3)]
        series = [Series({**common, **tail}, [(0, 1, 8)]) for tail in tails]
        data = reference.index(series)
        symbols = SymbolTable(data, 5)
        external = reference.label_block({b"a0005": b"e", b"b0": b"f"})
        found = decode_series(data, places(data, series, symbols), symbols, *EVER, external=external)
        for i, one in enumerate(series):
            merged = {**one.labels, b"a0005": b"e", b"b0": b"f"}
            assert found.labels.block(i) == reference.label_block(merged)
        assert found.rising == (shared < 63)

    def test_refetch_length_is_the_whole_entry(self):
        body = reference.entry_body(Series({b"a": b"b"}, [(0, 1, 2)]), {b"a": 0, b"b": 1})
        data = reference.entry(body)
        symbols = SymbolTable(reference.symbols_section([b"a", b"b"]), 0, file_start=0)
        found = decode_series(data[:-1], [0], symbols, *EVER)
        assert (found.refetch.tolist(), found.refetch_length.tolist()) == ([0], [len(data)])

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b"\x01\x00\x09\x01\x00\x00\x00", "unknown symbol"),
            (b"\x7f\x00", "more labels than bytes"),
            (b"\x01\x00\x01\x02\x00\x00\x00", "ends inside its chunks"),
            (b"\x01\x00\x80", "ends inside its labels"),
            (b"", "more labels than bytes"),
        ],
    )
    def test_a_broken_entry_is_corrupt_data_at_its_place_in_the_file(self, body, reason):
        symbols = SymbolTable(reference.symbols_section([b"a", b"b"]), 0, file_start=0)
        good = reference.entry(reference.entry_body(Series({b"a": b"b"}, [(0, 1, 2)]), {b"a": 0, b"b": 1}))
        parts = [good, b"..." + reference.entry(body)]
        with pytest.raises(CorruptData, match=reason) as caught:
            decode_series(
                parts, [0, 3], symbols, *EVER, part=np.array([0, 1], np.int32), part_start=[0, 4096], file="x/index"
            )
        assert (caught.value.file, caught.value.offset) == ("x/index", 4099)

    def test_a_wrong_checksum_counts_only_where_it_is_asked_for(self):
        symbols = SymbolTable(reference.symbols_section([b"a", b"b"]), 0, file_start=0)
        data = bytearray(reference.entry(reference.entry_body(Series({b"a": b"b"}, [(0, 1, 2)]), {b"a": 0, b"b": 1})))
        data[-1] ^= 1
        assert len(decode_series(bytes(data), [0], symbols, *EVER)) == 1
        with pytest.raises(CorruptData, match="checksum"):
            decode_series(bytes(data), [0], symbols, *EVER, check_crc=True)

    def test_wrong_arguments_are_refused(self):
        symbols = SymbolTable(reference.symbols_section([b"a"]), 0)
        with pytest.raises(ValueError, match="part 2 of 1"):
            decode_series([b"xx"], [0], symbols, *EVER, part=np.array([2], np.int32))
        with pytest.raises(ValueError, match="not a label block"):
            decode_series(b"xx", [0], symbols, *EVER, external=b"junk")
        with pytest.raises(CorruptData, match="before the start"):
            decode_series(b"xx", [-1], symbols, *EVER)
        with pytest.raises(CorruptData, match="too long"):
            decode_series(b"\xff\xff\xff\xff\x7f" + bytes(20), [0], symbols, *EVER)

    @settings(max_examples=300)
    @given(st.binary(max_size=60), st.sampled_from([1, 2]))
    def test_any_bytes_give_entries_or_corrupt_data(self, body, version):
        symbols = SymbolTable(reference.symbols_section([b"a", b"b", b"zz"]), 0, version=version, file_start=0)
        data = reference.entry(body) + body
        try:
            found = decode_series(data, np.arange(len(data) + 3), symbols, 0, 10**15)
        except CorruptData as error:
            assert 0 <= error.offset <= len(data) + 3
        else:
            assert len(found.chunk_mint) == found.chunk_start[-1]


class TestSymbolTable:
    @given(st.sets(st.binary(max_size=300), max_size=60), st.binary(max_size=5), st.integers(0, 9))
    def test_every_symbol_is_found_by_number_and_by_text(self, symbols, other, shift):
        ordered = sorted(symbols)
        table = SymbolTable(bytes(shift) + reference.symbols_section(ordered), shift, file_start=shift)
        assert len(table) == len(ordered)
        assert [table.bytes_at(i) for i in range(len(table))] == ordered
        assert [table.lookup(symbol) for symbol in ordered] == list(range(len(ordered)))
        assert (table.lookup(other) is not None) == (other in symbols)
        assert table.section_bytes == len(reference.symbols_section(ordered))
        with pytest.raises(IndexError):
            table.bytes_at(len(ordered))

    def test_text_that_is_no_utf8_survives(self):
        table = SymbolTable(reference.symbols_section([b"\xff\xfe"]), 0)
        assert table.lookup(table.text(0)) == 0

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "longer than the file"),
            (bytes(7), "longer than the file"),
            (struct.pack(">I", 2) + bytes(20), "longer than the file"),
            (reference.section(struct.pack(">I", 9) + b"\x01a"), "more symbols than bytes"),
            (reference.section(struct.pack(">I", 1) + b"\x05a"), "do not fill"),
            (reference.section(struct.pack(">I", 1) + b"\x01ab"), "do not fill"),
            (reference.symbols_section([b"b", b"a"]), "out of order"),
            (reference.symbols_section([b"a", b"a"]), "out of order"),
            (reference.symbols_section([b"a"])[:-1] + b"x", "checksum"),
        ],
    )
    def test_a_broken_section_is_corrupt_data(self, data, reason):
        with pytest.raises(CorruptData, match=reason):
            SymbolTable(data, 0)

    @given(st.binary(max_size=200))
    def test_any_section_gives_symbols_or_corrupt_data(self, body):
        for data in (body, reference.section(body)):
            try:
                table = SymbolTable(data, 0)
            except CorruptData:
                continue
            assert [table.lookup(table.bytes_at(i)) for i in range(len(table))] == list(range(len(table)))


class TestPostingsTable:
    @given(blocks(), st.sampled_from([1, 2]))
    def test_names_values_and_ranges_are_those_of_the_series(self, series, version):
        data = reference.index(series, version=version)
        table = table_of(data)
        lists: dict = {}
        for one in series:
            for name, value in one.labels.items():
                lists.setdefault(name, set()).add(value)
        assert table.names() == sorted(lists)
        assert len(table) == 1 + sum(len(values) for values in lists.values())
        for name, values in lists.items():
            first, end = table.bounds(name)
            shown = [value.decode("utf-8", "surrogateescape") for value in sorted(values)]
            assert table.values(first, end) == shown
            joined, starts = table.joined(first, end, b"\n")
            assert joined == b"".join(value + b"\n" for value in sorted(values))
            assert starts[-1] == len(joined)
            wanted = [b"absent", *sorted(values, reverse=True)]
            found = table.find(name, wanted)
            assert found.tolist() == [-1, *range(end - 1, first - 1, -1)]
            for value, (start, stop) in zip(wanted[1:], table.ranges(found)[1:].tolist(), strict=True):
                owners = [i for i, one in enumerate(series) if one.labels.get(name) == value]
                count, *refs = struct.unpack(f">{(stop - start) // 4}I", data[start : start + (stop - start) // 4 * 4])
                assert count == len(owners) == len(refs[:count])
        assert table.ranges([-1]).tolist() == [[-1, -1]]
        assert table.bounds(b"nothing of the kind") == (0, 0)

    @given(st.sets(st.binary(max_size=4), min_size=1), st.binary(max_size=2))
    def test_prefix_part_and_suffix_select_what_python_does(self, values, needle):
        rows = [(b"", b"", 8), *((b"n", value, 100 + 20 * i) for i, value in enumerate(sorted(values)))]
        table = PostingsTable(reference.offset_table(rows), 0, 1 << 20)
        first, end = table.bounds(b"n")
        ordered = sorted(values)
        low, high = table.with_prefix(b"n", needle)
        assert ordered[low - first : high - first] == [value for value in ordered if value.startswith(needle)]
        inside = table.containing(first, end, needle)
        assert [ordered[i - first] for i in inside] == [value for value in ordered if needle in value]
        behind = table.containing(first, end, needle, at_end=True)
        assert [ordered[i - first] for i in behind] == [value for value in ordered if value.endswith(needle)]

    def test_the_last_list_ends_where_the_table_begins(self):
        table = PostingsTable(reference.offset_table([(b"", b"", 100), (b"a", b"b", 120)]), 0, 140)
        assert table.ranges([0, 1]).tolist() == [[104, 116], [124, 136]]

    def test_an_entry_that_is_none_is_an_index_error(self):
        table = PostingsTable(reference.offset_table([(b"", b"", 100)]), 0, 140)
        for wrong in ([1], [-2]):
            with pytest.raises(IndexError):
                table.ranges(wrong)
        with pytest.raises(IndexError):
            table.values(0, 2)
        with pytest.raises(IndexError):
            table.containing(0, 2, b"x")

    @pytest.mark.parametrize(
        ("data", "end", "reason"),
        [
            (b"\x00\x00\x00\x09", 99, "longer than the file"),
            (reference.section(struct.pack(">I", 99)), 99, "more entries than bytes"),
            (reference.section(struct.pack(">I", 1) + b"\x03\x00\x00\x08"), 99, "does not fill"),
            (reference.section(struct.pack(">I", 1) + b"\x02\x00\x00\x08\x00"), 99, "does not fill"),
            (reference.offset_table([(b"", b"", 8)])[:-1] + b"x", 99, "checksum"),
            (reference.offset_table([(b"", b"", 8)]), 7, "impossible place"),
            (reference.offset_table([(b"", b"", 99)]), 99, "behind the lists"),
            (reference.offset_table([(b"", b"", 2**64 - 1)]), 99, "behind the lists"),
            (reference.offset_table([(b"", b"", 20), (b"a", b"b", 31)]), 99, "overlap"),
            (reference.offset_table([(b"", b"", 88)]), 99, "overlap"),
            (reference.offset_table([(b"a", b"b", 20), (b"", b"", 24)]), 99, "overlap"),
            (reference.offset_table([(b"a", b"b", 20), (b"a", b"b", 40)]), 99, "overlap"),
        ],
    )
    def test_a_broken_table_is_corrupt_data(self, data, end, reason):
        with pytest.raises(CorruptData, match=reason):
            PostingsTable(data, 0, end)

    @given(st.binary(max_size=120), st.integers(0, 2**64 - 1))
    def test_any_section_gives_a_table_or_corrupt_data(self, body, end):
        for data in (body, reference.section(body)):
            try:
                table = PostingsTable(data, 0, end)
            except CorruptData:
                continue
            assert len(table.values(0, len(table))) == len(table)
            table.ranges(np.arange(len(table)))


class TestIndexBuilder:
    @given(blocks(), st.integers(1, 12))
    def test_the_bytes_are_those_of_the_reference(self, series, split):
        """However the series are divided into batches."""
        writer = IndexWriter()
        writer.add_symbols([b""])
        for at in range(0, len(series), split):
            writer.add(*columns_of(series[at : at + split]))
        file = io.BytesIO()
        toc = writer.write(file)
        assert file.getvalue() == reference.index(series)
        assert toc.size == len(file.getvalue())

    def test_symbols_that_no_series_uses_are_kept(self):
        series = [Series({b"a": b"b"}, [(0, 1, 8)])]
        whole = reference.index(series, symbols=(b"", b"unused", b"zz"))
        writer = IndexWriter()
        writer.add_symbols(SymbolTable(whole, 5))
        writer.add(*columns_of(series))
        file = io.BytesIO()
        writer.write(file)
        assert file.getvalue() == whole

    def test_entries_larger_than_a_window_line_up(self):
        """Windows of entries and of lists continue where the one before ended."""
        series = [Series({b"i": b"%06d" % i, b"k": b"v"}, [(0, 1, i)]) for i in range(20_000)]
        writer = IndexWriter()
        writer.add(*columns_of(series))
        file = io.BytesIO()
        writer.write(file)
        data = file.getvalue()
        symbols = SymbolTable(data, 5)
        found = decode_series(data, places(data, series, symbols), symbols, *EVER, check_crc=True)
        assert found.chunk_ref.tolist() == list(range(20_000))
        assert len(table_of(data)) == 20_002

    @pytest.mark.parametrize(
        ("series", "reason"),
        [
            ([Series({b"b": b"1"}, [(0, 1, 1)]), Series({b"a": b"1"}, [(0, 1, 2)])], "out-of-order series"),
            ([Series({b"a": b"1"}, [(0, 1, 1)]), Series({b"a": b"1"}, [(0, 1, 2)])], "out-of-order series"),
            ([Series({}, [(0, 1, 1)])], "out-of-order series"),
            ([Series({b"a": b"1"}, [(0, 1, 9)]), Series({b"b": b"1"}, [(0, 1, 8)])], "unsorted chunk reference"),
            ([Series({b"a": b"1"}, [(0, 5, 1), (5, 9, 2)])], "begin after the one before"),
            ([Series({b"a": b"1"}, [(5, 4, 1)])], "begin after the one before"),
        ],
    )
    def test_series_and_chunks_out_of_order_are_refused(self, series, reason):
        with pytest.raises(Halt, match=reason):
            IndexBuilder().add(*columns_of(series))

    def test_the_order_holds_from_one_batch_to_the_next(self):
        builder = IndexBuilder()
        builder.add(*columns_of([Series({b"b": b"1"}, [(0, 1, 9)])]))
        with pytest.raises(Halt, match="unsorted chunk reference"):
            builder.add(*columns_of([Series({b"c": b"1"}, [(0, 1, 8)])]))

    @pytest.mark.parametrize(
        "block",
        [
            b"junk",
            b"\x0a\x03\x0a\x01a",
            b"\x0a\x05\x0a\x01a\x12\x00",
            b"\x0a\x86\x00\x0a\x01a\x12\x01b",
            reference.label_block({b"a": b"b"})[:-1],
        ],
    )
    def test_what_is_no_canonical_label_block_is_corrupt_data(self, block):
        labels = LabelColumn(block, np.array([0], np.int64), np.array([len(block)], np.int32), np.zeros(1, np.uint64))
        one = np.array([1], np.int64)
        with pytest.raises(CorruptData):
            IndexBuilder().add(labels, np.array([0, 1], np.int64), one, one, one.astype(np.uint64))

    def test_names_of_a_series_rise(self):
        block = reference.label_block({b"b": b"1"}) + reference.label_block({b"a": b"1"})
        labels = LabelColumn(block, np.array([0], np.int64), np.array([len(block)], np.int32), np.zeros(1, np.uint64))
        with pytest.raises(Halt, match="names of a series"):
            IndexBuilder().add(labels, np.array([0, 0], np.int64), *[np.empty(0, np.int64)] * 2, np.empty(0, np.uint64))

    def test_sections_are_given_in_their_order_only(self):
        builder = IndexBuilder()
        builder.add(*columns_of([Series({b"a": b"b"}, [(0, 1, 8)])]))
        with pytest.raises(ValueError, match="out of their order"):
            builder.symbols_section()
        builder.freeze()
        with pytest.raises(ValueError, match="out of their order"):
            builder.postings_window(0, 1, 0)
        with pytest.raises(ValueError, match="frozen"):
            builder.add_symbols([b"late"])
        with pytest.raises(ValueError, match="frozen"):
            builder.add(*columns_of([Series({b"b": b"b"}, [(0, 1, 8)])]))
        assert len(builder.series_window(10, 0)) > 0
        with pytest.raises(IndexError):
            builder.postings_window(0, 3, 0)

    def test_chunk_rows_outside_of_the_columns_are_refused(self):
        labels, _, mint, maxt, ref = columns_of([Series({b"a": b"b"}, [(0, 1, 8)])])
        with pytest.raises(ValueError, match="outside of their columns"):
            IndexBuilder().add(labels, np.array([0, 2], np.int64), mint, maxt, ref)


@given(st.binary(max_size=70))
def test_the_checksum_is_castagnolis(data):
    assert crc32c_of(data) == reference.crc32c(data)
    assert crc32c_of(data[3:], crc32c_of(data[:3])) == reference.crc32c(data)
