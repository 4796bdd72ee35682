"""The k-way merge of series streams against a dictionary, and its streaming behaviour."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pythanos import _labels
from pythanos._wire import decode_series, encode_series
from pythanos.errors import CorruptData
from pythanos.storeapi.batches import SeriesBatch, SeriesHints, StoreWarning
from pythanos.storeapi.merge import merge_frames, merge_series, resorted, take_series
from pythanos.testing.fake_store import ChunkRow, batch_of, series_of

label_sets = st.dictionaries(
    st.sampled_from(["a", "b", "le", "zone"]), st.sampled_from(["1", "10", "2", "é"]), max_size=3
)
times = st.integers(0, 4)


@st.composite
def aggregate_chunks(draw):
    """The rows of one AggrChunk."""
    mint, span = draw(times), draw(times)
    kinds = draw(st.just([0]) | st.lists(st.integers(1, 5), min_size=1, unique=True).map(sorted))
    return [
        ChunkRow(mint, mint + span, draw(st.sampled_from([b"", b"x", b"yz"])), draw(st.sampled_from([1, 2])), kind)
        for kind in kinds
    ]


@st.composite
def sorted_series(draw):
    entries = draw(st.lists(st.tuples(label_sets, st.lists(aggregate_chunks(), max_size=3)), max_size=8))
    for _, units in entries:
        units.sort(key=lambda unit: (unit[0].mint, unit[0].maxt))
    return sorted(entries, key=lambda entry: key_of(entry[0]))


def key_of(labels: dict) -> list:
    return sorted((name.encode(), value.encode()) for name, value in labels.items())


def batches(entries: list, sizes: list) -> list:
    """The entries as batches of the given sizes, repeated; a size of 0 is an empty batch."""
    out, at, turn = [], 0, 0
    series = [(labels, [row for unit in units for row in unit]) for labels, units in entries]
    while at < len(series):
        size = sizes[turn % len(sizes)]
        out.append(batch_of(series[at : at + size]))
        at, turn = at + size, turn + 1
    return out


def units_of(chunks: list) -> list:
    """Chunk rows as AggrChunks: adjacent rows of one range in rising kind."""
    units: list = []
    for row in chunks:
        last = units[-1][-1] if units else None
        if last and (last.mint, last.maxt) == (row.mint, row.maxt) and last.aggregate < row.aggregate:
            units[-1].append(row)
        else:
            units.append([row])
    return units


def flat(unit: list) -> tuple:
    return tuple(tuple(row) for row in unit)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(sorted_series(), min_size=2, max_size=5),
    st.lists(st.integers(0, 3), min_size=1, max_size=3).filter(any),
    st.integers(1, 5),
)
def test_merging_joins_equal_label_sets_and_drops_identical_chunks(streams, sizes, batch_size):
    """QU-11, ST-20: label order, each set once, chunks by mint, every different chunk kept once."""
    wanted: dict = {}
    for entries in streams:
        for labels, units in entries:
            rows = [row for unit in units for row in unit]
            wanted.setdefault(tuple(key_of(labels)), []).append({flat(unit) for unit in units_of(rows)})
    merged = list(merge_series([iter(batches(entries, sizes)) for entries in streams], batch_size))
    assert [len(batch) for batch in merged[:-1]] == [batch_size] * (len(merged) - 1)
    found = [entry for batch in merged for entry in series_of(batch)]
    assert [tuple(key_of(labels)) for labels, _ in found] == sorted(wanted)
    for labels, chunks in found:
        parts = wanted[tuple(key_of(labels))]
        assert [row.mint for row in chunks] == sorted(row.mint for row in chunks)
        if len(parts) > 1:
            assert {tuple(row) for row in chunks} == {row for part in parts for unit in part for row in unit}
            assert sorted(flat(u) for u in units_of(chunks)) == sorted(set().union(*parts))
    for batch in merged:
        assert (
            batch.labels.hash.tolist()
            == _labels.hashes(batch.labels.arena, batch.labels.offset, batch.labels.length).tolist()
        )


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(st.lists(sorted_series(), min_size=1, max_size=4), st.permutations(range(4)))
def test_the_order_of_streams_does_not_matter(streams, order):
    """Merging gives the same series whichever store answers first, where chunks differ in content."""
    chosen = [streams[i] for i in order if i < len(streams)]
    one = [entry for b in merge_series([iter(batches(s, [2])) for s in streams], 3) for entry in series_of(b)]
    two = [entry for b in merge_series([iter(batches(s, [2])) for s in chosen], 3) for entry in series_of(b)]
    assert one == two


A, B, C = ({"a": value} for value in "123")
ROW = ChunkRow(0, 10, b"x")


def test_a_single_stream_passes_untouched():
    """One store's batches are handed on as the same objects, without a copy."""
    source = [batch_of([(A, [ROW]), (B, [ROW])]), batch_of([(C, [ROW])])]
    merged = list(merge_series([iter(source)], 64))
    assert all(out is batch for out, batch in zip(merged, source, strict=True))


def test_a_single_stream_is_cut_to_the_batch_size():
    """A larger batch is cut into slices that share its arena."""
    source = batch_of([(A, [ROW]), (B, [ROW, ROW]), (C, [])])
    merged = list(merge_series([iter([source])], 2))
    assert [series_of(batch) for batch in merged] == [series_of(source)[:2], series_of(source)[2:]]
    assert all(batch.labels.arena is source.labels.arena for batch in merged)


@pytest.mark.parametrize("cuts", [[4], [1, 1, 1, 1], [2, 2], [3, 1]])
def test_a_series_sent_in_parts_by_one_store_is_joined(cuts):
    """A label set that one stream repeats, within a batch or across batches, comes out once."""
    later = ChunkRow(11, 20, b"y")
    entries = [(A, [ROW]), (A, [later]), (A, [ROW]), (B, [ROW])]
    parts, at = [], 0
    for cut in cuts:
        parts.append(batch_of(entries[at : at + cut]))
        at += cut
    merged = [entry for batch in merge_series([iter(parts)], 10) for entry in series_of(batch)]
    assert merged == [(A, [ROW, later]), (B, [ROW])]


def test_rows_that_need_no_copy_are_slices():
    """A stretch of series that only one of several stores has shares that store's arena."""
    left, right = batch_of([(A, [ROW]), (B, [ROW])]), batch_of([(C, [ROW])])
    first, second = merge_series([iter([left]), iter([right])], 2)
    assert first.labels.arena is left.labels.arena
    assert second.labels.arena is right.labels.arena


def test_streams_are_pulled_one_batch_ahead():
    """No stream is read further than the batch that the merge stands in."""
    pulled = [0, 0]

    def stream(number, values):
        for value in values:
            pulled[number] += 1
            yield batch_of([({"a": value}, [ROW])])

    merged = merge_series([stream(0, "1357"), stream(1, "2468")], 1)
    next(merged)
    assert max(pulled) <= 2
    assert len(list(merged)) == 7


def test_other_frames_pass_and_streams_are_closed():
    """Warnings and hints travel with the merged series; closing the merge closes every stream."""
    closed = []

    def stream(name):
        try:
            yield StoreWarning(name)
            yield batch_of([(A, [ROW])])
            yield SeriesHints(queried_blocks=(name,))
            yield batch_of([(B, [ROW])])
        finally:
            closed.append(name)

    frames = list(merge_frames([stream("x"), stream("y")], 10))
    assert [f.message for f in frames if isinstance(f, StoreWarning)] == ["x", "y"]
    assert sorted(f.queried_blocks[0] for f in frames if isinstance(f, SeriesHints)) == ["x", "y"]
    assert [series_of(f) for f in frames if isinstance(f, SeriesBatch)] == [[(A, [ROW]), (B, [ROW])]]
    abandoned = merge_frames([stream("p"), stream("q")], 10)
    next(abandoned)
    abandoned.close()
    assert sorted(closed) == ["p", "x", "y"]


def test_a_stream_out_of_order_is_refused():
    """Series that go backwards in label order raise CorruptData, within a batch and across batches of output."""
    with pytest.raises(CorruptData, match="out of label order"):
        list(merge_series([iter([batch_of([(B, []), (A, [])])]), iter([batch_of([(C, [])])])], 10))
    with pytest.raises(CorruptData, match="out of label order"):
        list(merge_series([iter([batch_of([(B, [])]), batch_of([(A, [])])]), iter([batch_of([(C, [])])])], 1))


@given(sorted_series(), st.integers(1, 4), st.sampled_from([(), ("a",), ("a", "zone")]))
def test_resorting_removes_labels_and_restores_order(entries, size, drop):
    """QU-12: a stream whose store cannot strip replica labels comes out without them, in order, equal sets joined."""
    found = [entry for b in resorted(iter(batches(entries, [size])), drop, 3) for entry in series_of(b)]
    stripped = [({k: v for k, v in labels.items() if k not in drop}, units) for labels, units in entries]
    assert [key_of(labels) for labels, _ in found] == sorted(
        {tuple(key_of(s)): key_of(s) for s, _ in stripped}.values()
    )
    chunks = {(tuple(key_of(labels)), tuple(row)) for labels, rows in found for row in rows}
    assert chunks == {(tuple(key_of(labels)), tuple(r)) for labels, units in stripped for unit in units for r in unit}


@given(sorted_series(), st.data())
def test_taking_series_keeps_their_chunks(entries, data):
    """take_series picks rows in any order, with their chunks."""
    batch = batches(entries, [100])[0] if entries else batch_of([])
    rows = data.draw(st.lists(st.sampled_from(range(len(batch))), max_size=6)) if len(batch) else []
    taken = take_series(batch, np.array(rows, np.int64))
    assert series_of(taken) == [series_of(batch)[row] for row in rows]


def test_batches_that_point_outside_their_arena_are_corrupt():
    """Chunk rows outside the arena, and falling chunk starts, are CorruptData before any byte is read."""
    for change in (
        {"chunk_offset": np.array([10**6])},
        {"chunk_length": np.array([-1], np.int32)},
        {"chunk_start": np.array([1, 0])},
        {"chunk_start": np.array([0, 9])},
    ):
        batch = batch_of([(A, [ROW])])
        for name, value in change.items():
            setattr(batch, name, value)
        with pytest.raises(CorruptData):
            list(merge_series([iter([batch]), iter([batch_of([(B, [ROW])])])], 10))


def wired(batch: SeriesBatch) -> SeriesBatch:
    """The batch as another daemon would receive it, each series with its record."""
    decoded, _ = decode_series(encode_series(batch))
    return decoded


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(sorted_series(), min_size=1, max_size=3), st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_records_of_the_wire_change_nothing_but_the_work(stores, sizes):
    """The same series, and the same message of them, whether records or columns are copied."""
    streams = [batches(entries, sizes) for entries in stores]
    plain = list(merge_series([iter(stream) for stream in streams], 4))
    kept = list(merge_series([map(wired, stream) for stream in streams], 4))
    assert [series_of(batch) for batch in kept] == [series_of(batch) for batch in plain]
    assert [encode_series(batch) for batch in kept] == [encode_series(batch) for batch in plain]


def test_series_that_no_stores_share_keep_their_records():
    own = [wired(batch_of([({"a": str(i)}, [ChunkRow(0, 1, b"x" * i)])])) for i in range(4)]
    (merged,) = merge_series([iter(own[::2]), iter(own[1::2])], 10)
    assert merged.wire is not None
    assert series_of(merged) == [one for batch in own for one in series_of(batch)]


def test_a_record_that_does_not_hold_its_series_is_corrupt_data():
    good = wired(batch_of([({"a": "1"}, [ChunkRow(0, 1, b"xyz")])]))
    start, end = good.wire[0].tolist()
    for wire in ([0, end + 1], [start + 5, end], [start, end - 12], [end, start]):
        bad = replace(good, wire=np.array([wire], np.int64))
        with pytest.raises(CorruptData):
            list(merge_series([iter([bad]), iter([good])], 10))
