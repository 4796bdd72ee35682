"""The health of an index, and the checks over a bucket."""

import numpy as np
import pytest

from pythanos._labels import label_block, labels_from_blocks
from pythanos.block.index_health import IndexHealth, check_index
from pythanos.block.verify import DEFAULT_ISSUES, VerifyInput, check_issues, verify_blocks
from pythanos.context import RequestContext
from pythanos.errors import BadRequest, BucketUnavailable, CorruptData
from pythanos.model.entries import SeriesEntries
from pythanos.model.timerange import BlockRange
from pythanos.objstore.memory import MemoryBucket
from pythanos.testing.block_builder import build_block, float_chunk
from pythanos.testing.buckets import make_meta, numbered_ulid
from pythanos.testing.faulty_bucket import FaultyBucket
from pythanos.tsdb.index_reader import IndexReader
from pythanos.workers import InlinePool

BLOCK = BlockRange(0, 1000)
NOTHING = np.zeros(0, np.int64)


class Index:
    """An index of the given series: (label set or block, chunk ranges); stands for one that no writer of ours makes."""

    index_version = 2
    file = "block/index"

    def __init__(self, *series):
        self._series = series

    def all_series(self):
        return np.arange(1, 2 * len(self._series) + 1, 2, dtype=np.uint32)

    def series(self, refs):
        chosen = [self._series[int(ref) // 2] for ref in refs]
        kept = [(labels, chunks) for labels, chunks in chosen if chunks]
        column = labels_from_blocks([x if isinstance(x, bytes) else label_block(x) for x, _ in kept])
        flat = [chunk for _, chunks in kept for chunk in chunks]
        return SeriesEntries(
            np.arange(len(kept)),
            column,
            np.cumsum([0] + [len(chunks) for _, chunks in kept]).astype(np.int64),
            np.array([mint for mint, _ in flat], np.int64),
            np.array([maxt for _, maxt in flat], np.int64),
            np.array([8 + 100 * number for number in range(len(flat))], np.uint64),
            NOTHING,
            NOTHING,
        )


def health(*chunks, block=BLOCK):
    """Of an index of one series with these chunks."""
    return check_index(Index(({"a": "1"}, list(chunks))), block)


class TestHealth:
    def test_a_healthy_index_has_no_problems(self):
        found = health((0, 99), (100, 199), (200, 1000))
        assert found.problems() == []
        assert (found.series, found.chunks) == (1, 3)

    @pytest.mark.parametrize(
        ("chunks", "counts", "problem"),
        [
            ([(0, 99), (50, 199)], {"out_of_order_chunks": 1, "out_of_order_series": 1}, "1/1 series have an average"),
            ([(100, 199), (0, 99)], {"out_of_order_chunks": 1, "out_of_order_series": 1}, "1.000 out-of-order chunks"),
            ([(0, 99), (99, 199)], {"out_of_order_chunks": 1, "out_of_order_series": 1}, "out-of-order"),
            ([(-5, 99)], {"outside_chunks": 1}, "found 1 chunks non-completely outside the block time range"),
            ([(900, 1001)], {"outside_chunks": 1}, "non-completely outside"),
            ([(-50, -1)], {"outside_chunks": 1, "complete_outside_chunks": 1}, "found 1 chunks completely outside"),
            ([(1001, 1100)], {"outside_chunks": 1, "complete_outside_chunks": 1}, "completely outside"),
            ([(0, 9), (1000, 1100)], {"outside_chunks": 1, "issue347_outside_chunks": 1}, "issues/347"),
        ],
    )
    def test_what_is_wrong_is_counted_and_said(self, chunks, counts, problem):
        """TO-3, without the repair."""
        found = health(*chunks)
        named = {name: getattr(found, name) for name in IndexHealth.__slots__ if "chunks" in name or "order" in name}
        assert {name: count for name, count in named.items() if count and name != "chunks"} == counts
        assert len(found.problems()) == 1
        assert problem in found.problems()[0]

    def test_equal_chunks_are_duplicates_and_not_out_of_order(self):
        found = health((0, 99), (0, 99))
        assert (found.duplicated_chunks, found.out_of_order_chunks) == (1, 0)
        assert found.problems() == []

    def test_chunks_of_different_series_are_not_neighbours(self):
        found = check_index(Index(({"a": "1"}, [(500, 600)]), ({"a": "2"}, [(0, 100)])), BLOCK)
        assert found.problems() == []

    def test_labels_out_of_order_within_a_set(self):
        """A bug of Prometheus up to 2.8."""
        wrong = label_block({"b": "1"}) + label_block({"a": "1"})
        found = check_index(Index((label_block({"a": "0"}), [(0, 1)]), (wrong, [(0, 1)])), BLOCK)
        assert found.out_of_order_labels == 1
        assert found.problems() == ["index contains 1 postings with out of order labels"]

    @pytest.mark.parametrize(
        ("series", "reason"),
        [
            ([({"a": "2"}, [(0, 1)]), ({"a": "1"}, [(0, 1)])], "out of order"),
            ([({"a": "1"}, [(0, 1)]), ({"a": "1"}, [(0, 1)])], "repeated"),
            ([({"a": "1"}, [])], "without chunks"),
            ([({}, [(0, 1)])], "without labels"),
        ],
    )
    def test_what_no_reader_can_work_with_is_corrupt_data(self, series, reason):
        with pytest.raises(CorruptData, match=rf"block/index: .*{reason}"):
            check_index(Index(*series), BLOCK)

    def test_series_are_in_order_across_batches(self, monkeypatch):
        monkeypatch.setattr("pythanos.block.index_health.SERIES_PER_BATCH", 2)
        good = [({"a": str(number)}, [(0, 1)]) for number in range(5)]
        assert check_index(Index(*good), BLOCK).series == 5
        with pytest.raises(CorruptData, match="out of order"):
            check_index(Index(good[0], good[1], good[1], good[2]), BLOCK)

    def test_sizes_are_the_distances_of_neighbours(self):
        found = check_index(Index(({"a": "1"}, [(0, 1), (2, 3)]), ({"a": "2"}, [(0, 1)])), BLOCK)
        assert (found.series_size_max, found.chunk_size_max) == (32, 100)

    def test_of_a_real_index(self):
        bucket = MemoryBucket()
        series = [
            ({"__name__": "m", "i": f"{i:03d}"}, [float_chunk([(t, 1.0), (t + 50, 2.0)]) for t in (0, 100)])
            for i in range(100)
        ]
        meta = build_block(bucket, numbered_ulid(1), series)
        found = check_index(IndexReader(bucket.get(f"{meta.ulid}/index")), meta.range)
        assert (found.series, found.chunks, found.problems()) == (100, 200, [])


class TestBucket:
    @pytest.fixture
    def bucket(self):
        return MemoryBucket()

    def findings(self, bucket, metas, tmp_path, issues=DEFAULT_ISSUES, blocks=()):
        given = VerifyInput(bucket, metas, str(tmp_path), InlinePool(), RequestContext(), blocks)
        found = list(verify_blocks(given, issues))
        assert list(tmp_path.iterdir()) == []
        return found

    def block(self, bucket, number, times=(0, 100), **options):
        series = [({"__name__": "m"}, [float_chunk([(t, 1.0), (t + 50, 2.0)]) for t in times])]
        meta = build_block(bucket, numbered_ulid(number), series, **options)
        return {meta.ulid: meta}

    def test_a_healthy_bucket_has_no_findings(self, bucket, tmp_path):
        metas = self.block(bucket, 1) | self.block(bucket, 2, times=(200, 300))
        assert self.findings(bucket, metas, tmp_path) == []

    def test_each_index_is_checked_and_a_broken_one_does_not_stop_the_others(self, bucket, tmp_path):
        """TO-3: chunks outside, a truncated index, a flipped byte, an index that is not there."""
        metas = {}
        for number in range(1, 6):
            metas |= self.block(bucket, number, maxt=120 if number == 2 else None, external={"n": str(number)})
        names = {number: f"{numbered_ulid(number)}/index" for number in range(1, 6)}
        index = bucket.get(names[3])
        bucket.upload(names[3], index[:-10])
        bucket.upload(names[4], bytes([index[0] ^ 1]) + index[1:])
        bucket.delete(names[5])
        found = {finding.blocks[0]: finding.text for finding in self.findings(bucket, metas, tmp_path)}
        assert set(found) == {numbered_ulid(number) for number in range(2, 6)}
        assert "non-completely outside" in found[numbered_ulid(2)]
        assert "table of contents" in found[numbered_ulid(3)]
        assert found[numbered_ulid(4)].startswith(f"{numbered_ulid(4)}/index: magic")
        assert "not found" in found[numbered_ulid(5)]

    def test_overlaps_are_told_by_group(self, bucket, tmp_path):
        """TO-5."""
        metas = self.block(bucket, 1) | self.block(bucket, 2) | self.block(bucket, 3, external={"other": "labels"})
        found = self.findings(bucket, metas, tmp_path, ["overlapped_blocks"])
        assert [finding.blocks for finding in found] == [(numbered_ulid(1), numbered_ulid(2))]
        assert "[0, 151)" in found[0].text

    def test_duplicates_of_a_compaction(self, bucket, tmp_path):
        """TO-4, without the repair."""
        metas = {meta.ulid: meta for meta in (make_meta(n, sources=(1, 2), level=2) for n in (10, 11))}
        metas |= {meta.ulid: meta for meta in (make_meta(12, sources=(1, 3), level=2),)}
        found = self.findings(bucket, metas, tmp_path, ["duplicated_compaction"])
        assert [finding.blocks for finding in found] == [(numbered_ulid(10), numbered_ulid(11))]

    def test_some_blocks_only(self, bucket, tmp_path):
        metas = self.block(bucket, 1, maxt=120) | self.block(bucket, 2, maxt=120)
        found = self.findings(bucket, metas, tmp_path, ["index_known_issues"], blocks={numbered_ulid(2)})
        assert [finding.blocks for finding in found] == [(numbered_ulid(2),)]

    @pytest.mark.parametrize(
        ("issues", "blocks", "text"),
        [
            (["unknown"], (), "no such issue unknown; there are index_known_issues, overlapped_blocks"),
            (["overlapped_blocks"], ("x",), "cannot be restricted"),
        ],
    )
    def test_a_wrong_question_is_refused_before_the_bucket_is_asked(self, issues, blocks, text, tmp_path):
        """TO-1."""
        with pytest.raises(BadRequest, match=text):
            check_issues(issues, blocks)
        bucket = FaultyBucket(MemoryBucket())
        with pytest.raises(BadRequest):
            self.findings(bucket, {}, tmp_path, issues, blocks)
        assert bucket.calls == 0

    def test_a_bucket_that_does_not_answer_is_no_finding(self, bucket, tmp_path):
        metas = self.block(bucket, 1)
        with pytest.raises(BucketUnavailable):
            self.findings(FaultyBucket(bucket, 1), metas, tmp_path)
        assert list(tmp_path.iterdir()) == []
