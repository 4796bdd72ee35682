import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos.block.overlaps import duplicated, overlapping, overlapping_by_group
from pythanos.model.timerange import BlockRange
from pythanos.testing.buckets import make_meta, numbered_ulid


def blocks(*ranges):
    return [make_meta(number, mint=mint, maxt=maxt) for number, (mint, maxt) in enumerate(ranges, 1)]


def numbers(overlap):
    return [n for meta in overlap.blocks for n in range(100) if numbered_ulid(n) == meta.ulid]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], []),
        ([(0, 10)], []),
        ([(0, 10), (10, 20), (20, 30)], []),
        ([(0, 10), (9, 20)], [((9, 10), [1, 2])]),
        ([(0, 10), (0, 10)], [((0, 10), [1, 2])]),
        ([(0, 30), (5, 10), (6, 8)], [((6, 8), [1, 2, 3])]),
        ([(0, 30), (0, 10), (10, 20), (20, 30)], [((0, 10), [1, 2]), ((10, 20), [1, 3]), ((20, 30), [1, 4])]),
        ([(20, 30), (0, 10), (5, 12), (25, 40)], [((5, 10), [2, 3]), ((25, 30), [1, 4])]),
    ],
)
def test_which_blocks_cover_the_same_time(ranges, expected):
    """A block's end is outside; each group shares the range that it names."""
    found = [((o.range.mint, o.range.maxt), numbers(o)) for o in overlapping(blocks(*ranges))]
    assert found == expected


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10)), max_size=12))
def test_an_overlap_is_found_exactly_where_two_blocks_share_time(spans):
    metas = blocks(*((start, start + length) for start, length in spans))
    shared = any(
        a.mint < b.maxt and b.mint < a.maxt for i, a in enumerate(metas) for b in metas[i + 1 :]
    )  # fmt: skip
    found = overlapping(metas)
    assert bool(found) == shared
    for overlap in found:
        assert overlap.range.mint < overlap.range.maxt
        assert all(m.mint <= overlap.range.mint and overlap.range.maxt <= m.maxt for m in overlap.blocks)


def test_blocks_of_different_groups_do_not_overlap():
    metas = [
        make_meta(1),
        make_meta(2, labels={"cluster": "two"}),
        make_meta(3, resolution_ms=300_000),
        make_meta(4),
    ]
    found = overlapping_by_group(metas)
    assert list(found) == [make_meta(1).group_key]
    assert [numbers(overlap) for overlap in found[make_meta(1).group_key]] == [[1, 4]]


def test_the_same_data_twice():
    metas = [
        make_meta(10, sources=(1, 2), level=2),
        make_meta(11, sources=(2, 1), level=2),
        make_meta(12, sources=(1, 2), level=3),
        make_meta(13, sources=(1, 2), level=2, samples=5),
        make_meta(14, sources=(1, 3), level=2),
        make_meta(15, sources=(1, 2), level=2, maxt=99),
    ]
    assert [[meta.ulid for meta in same] for same in duplicated(metas)] == [[numbered_ulid(10), numbered_ulid(11)]]


def test_an_overlap_reads_as_one_line():
    text = str(overlapping(blocks((0, 10), (5, 20)))[0])
    assert text == f"[5, 10): {numbered_ulid(1)} [0, 10), {numbered_ulid(2)} [5, 20)"
    assert BlockRange(5, 10) == overlapping(blocks((0, 10), (5, 20)))[0].range
