"""Which blocks a request needs: external labels, time, resolution (ST-13, ST-14, ST-27)."""

from dataclasses import dataclass, field

import pytest

from pythanos.errors import CorruptData
from pythanos.gateway.block_set import BlockSet, BlockSets
from pythanos.gateway.bucket_block import BucketBlock
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.timerange import ClosedRange
from pythanos.testing.buckets import make_meta

RAW, FIVE_MINUTES, HOUR = 0, 300_000, 3_600_000
EQ, NEQ, RE, NRE = MatchType


@dataclass(eq=False)
class Block:
    """A BucketBlock without a header."""

    meta: object
    pins: int = 0
    ulid: str = field(init=False)

    def __post_init__(self):
        self.ulid = self.meta.ulid
        self.labels = self.meta.labels

    overlaps = BucketBlock.overlaps
    matches = BucketBlock.matches

    def pin(self):
        self.pins += 1


def block(number, mint, maxt, resolution=RAW, labels=None):
    return Block(make_meta(number, mint=mint, maxt=maxt, resolution_ms=resolution, labels=labels or {}))


def chosen(blocks, mint, maxt, max_resolution, matchers=()):
    found = BlockSet({})
    for one in blocks:
        found.add(one)
    wanted = found.blocks_for(ClosedRange(mint, maxt), max_resolution, matchers)
    return [(one.meta.resolution_ms, one.meta.mint, one.meta.maxt) for one in wanted]


BLOCKS = [
    block(1, 0, 100),
    block(2, 100, 200),
    block(3, 200, 300),
    block(4, 0, 100, FIVE_MINUTES),
    block(5, 100, 200, FIVE_MINUTES),
    block(6, 0, 100, HOUR),
]


def test_raw_blocks_are_chosen_where_nothing_coarser_is_allowed():
    assert chosen(BLOCKS, 0, 299, 0) == [(RAW, 0, 100), (RAW, 100, 200), (RAW, 200, 300)]
    assert chosen(BLOCKS, 0, 299, FIVE_MINUTES - 1) == chosen(BLOCKS, 0, 299, 0)


def test_gaps_of_the_coarsest_allowed_resolution_are_filled_with_finer_ones():
    assert chosen(BLOCKS, 0, 299, HOUR) == [(HOUR, 0, 100), (FIVE_MINUTES, 100, 200), (RAW, 200, 300)]
    assert chosen(BLOCKS, 0, 299, FIVE_MINUTES) == [(FIVE_MINUTES, 0, 100), (FIVE_MINUTES, 100, 200), (RAW, 200, 300)]


def test_a_gap_in_the_middle_and_one_before_the_first_block_are_filled():
    blocks = [block(1, 0, 300), block(2, 100, 150, HOUR), block(3, 200, 250, HOUR)]
    assert chosen(blocks, 0, 299, HOUR) == [(RAW, 0, 300), (HOUR, 100, 150), (HOUR, 200, 250)]


def test_a_block_ends_before_its_maxt_and_a_request_includes_its_own():
    assert chosen(BLOCKS, 100, 100, 0) == [(RAW, 100, 200)]
    assert chosen(BLOCKS, 99, 99, 0) == [(RAW, 0, 100)]
    assert chosen(BLOCKS, 99, 100, 0) == [(RAW, 0, 100), (RAW, 100, 200)]
    assert chosen(BLOCKS, 300, 400, 0) == []


def test_overlapping_blocks_all_come_and_a_short_one_inside_a_long_one_opens_no_gap():
    blocks = [block(1, 0, 1000, FIVE_MINUTES), block(2, 10, 20, FIVE_MINUTES), block(3, 0, 1000)]
    assert chosen(blocks, 0, 999, FIVE_MINUTES) == [(FIVE_MINUTES, 0, 1000), (FIVE_MINUTES, 10, 20)]


def test_blocks_that_block_matchers_leave_out_are_not_replaced():
    """ST-27."""
    matcher = Matcher(NEQ, "__block_id", BLOCKS[5].ulid)
    assert chosen(BLOCKS, 0, 299, HOUR, (matcher,)) == [(FIVE_MINUTES, 100, 200), (RAW, 200, 300)]
    matcher = Matcher(EQ, "__block_id", BLOCKS[1].ulid)
    assert chosen(BLOCKS, 0, 299, 0, (matcher,)) == [(RAW, 100, 200)]


def test_a_resolution_that_does_not_exist_is_refused():
    with pytest.raises(CorruptData, match="unsupported downsampling resolution 60000"):
        BlockSet({}).add(block(1, 0, 1, 60_000))


def test_matchers_on_external_labels_are_checked_and_taken_away():
    """ST-13."""
    found = BlockSet({"region": "eu"})
    on_series = Matcher(EQ, "job", "x")
    assert found.matchers_for([Matcher(EQ, "region", "eu"), on_series]) == (on_series,)
    assert found.matchers_for([Matcher(RE, "region", "e.*"), Matcher(NEQ, "region", "us")]) == ()
    assert found.matchers_for([Matcher(EQ, "region", "us"), on_series]) is None


@pytest.fixture
def sets():
    found = BlockSets()
    for one in (
        block(1, 0, 100, labels={"r": "a"}),
        block(2, 0, 100, labels={"r": "b"}),
        block(3, 100, 200, labels={"r": "a"}),
    ):
        found.add(one)
    return found


def test_selected_blocks_are_pinned_and_the_others_are_not(sets):
    found = sets.select(ClosedRange(0, 99), [Matcher(EQ, "r", "a"), Matcher(EQ, "x", "1")], (), 0)
    assert [(one.meta.mint, rest) for one, rest in found] == [(0, (Matcher(EQ, "x", "1"),))]
    assert [one.pins for one in sets.all()] == [1, 0, 0]


def test_a_label_set_goes_with_its_last_block(sets):
    assert sets.label_sets() == [{"r": "a"}, {"r": "b"}]
    second = next(one for one in sets.all() if one.labels == {"r": "b"})
    assert sets.remove(second.ulid) is second
    assert sets.label_sets() == [{"r": "a"}]
    assert sets.remove(second.ulid) is None
    assert len(sets) == 2 and second.ulid not in sets
