import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from pythanos.block.filters import (
    ConsistencyDelayFilter,
    DeletionMarkFilter,
    DuplicateFilter,
    FilterInput,
    LabelShardFilter,
    ReplicaLabelRemover,
    TimePartitionFilter,
)
from pythanos.block.markers import mark_for_deletion
from pythanos.config import decode_tree
from pythanos.context import RequestContext
from pythanos.errors import BucketUnavailable
from pythanos.model.relabel import RelabelRule
from pythanos.model.timerange import ClosedRange
from pythanos.objstore.memory import MemoryBucket
from pythanos.testing.buckets import EPOCH_MS, bucket_of, make_meta, numbered_ulid
from pythanos.testing.faulty_bucket import FaultyBucket
from pythanos.tsdb.meta import format_time
from pythanos.workers import InlinePool

GIVEN = FilterInput(RequestContext(), InlinePool())


def metas(*found):
    return {meta.ulid: meta for meta in found}


def excluded(verdict):
    """Numbers of the blocks that were left out."""
    return sorted(number for number in range(100) if numbered_ulid(number) in verdict.excluded)


class TestTimePartition:
    def test_blocks_outside_of_the_window_are_left_out(self):
        blocks = metas(*(make_meta(n, mint=n * 100, maxt=n * 100 + 100) for n in range(6)))
        verdict = TimePartitionFilter(lambda: ClosedRange(250, 400)).decide(blocks, GIVEN)
        assert excluded(verdict) == [0, 1, 5]
        assert set(verdict.excluded.values()) == {"time-excluded"}

    def test_the_window_is_asked_for_each_time(self):
        """A relative --min-time slides."""
        windows = [ClosedRange(0, 10), ClosedRange(500, 600)]
        found = TimePartitionFilter(lambda: windows.pop(0))
        blocks = metas(make_meta(1, mint=0, maxt=100))
        assert excluded(found.decide(blocks, GIVEN)) == []
        assert excluded(found.decide(blocks, GIVEN)) == [1]


class TestLabelShard:
    def rules(self, *trees):
        return decode_tree(list(trees), list[RelabelRule], "x", environment={})

    def test_blocks_of_other_labels_are_left_out(self):
        rules = self.rules({"action": "keep", "source_labels": ["cluster"], "regex": "eu.*"})
        blocks = metas(make_meta(1, labels={"cluster": "eu1"}), make_meta(2, labels={"cluster": "us"}), make_meta(3))
        assert excluded(LabelShardFilter(rules).decide(blocks, GIVEN)) == [2, 3]

    def test_the_block_id_is_a_label(self):
        """ST-3: blocks are spread by __block_id."""
        rules = self.rules({"action": "drop", "source_labels": ["__block_id"], "regex": numbered_ulid(2)})
        assert excluded(LabelShardFilter(rules).decide(metas(*map(make_meta, (1, 2, 3))), GIVEN)) == [2]

    def test_shards_share_the_blocks_out(self):
        blocks = metas(*map(make_meta, range(60)))
        kept = []
        for shard in range(3):
            rules = self.rules(
                {"action": "hashmod", "source_labels": ["__block_id"], "target_label": "shard", "modulus": 3},
                {"action": "keep", "source_labels": ["shard"], "regex": shard},
            )
            out = LabelShardFilter(rules).decide(blocks, GIVEN).excluded
            kept += [ulid for ulid in blocks if ulid not in out]
        assert sorted(kept) == sorted(blocks)

    def test_without_rules_every_block_stays(self):
        """One without external labels too."""
        assert excluded(LabelShardFilter([]).decide(metas(make_meta(1, labels={})), GIVEN)) == []


class TestConsistencyDelay:
    def delayed(self, *blocks, registry=None):
        now_s = EPOCH_MS / 1000 + 1000
        return ConsistencyDelayFilter(600_000, registry, clock=lambda: now_s).decide(metas(*blocks), GIVEN)

    def test_fresh_blocks_wait(self):
        """ST-4: by the time of the ULID."""
        assert excluded(self.delayed(make_meta(99), make_meta(10))) == []
        newer = ConsistencyDelayFilter(600_000, clock=lambda: EPOCH_MS / 1000 + 650)
        assert excluded(newer.decide(metas(make_meta(49), make_meta(51)), GIVEN)) == [51]

    def test_the_time_of_upload_counts_where_it_is_known(self):
        """ST-4: an old ULID uploaded now is fresh, whatever its age."""
        now = format_time(EPOCH_MS + 999_000)
        verdict = self.delayed(make_meta(1, upload_time=now), make_meta(2))
        assert verdict.excluded == {numbered_ulid(1): "too-fresh"}

    @pytest.mark.parametrize("source", ["compactor", "compactor.repair", "bucket.repair"])
    def test_blocks_that_replace_others_do_not_wait(self, source):
        now = format_time(EPOCH_MS + 999_000)
        assert excluded(self.delayed(make_meta(1, upload_time=now, source=source))) == []

    def test_the_delay_is_a_metric(self):
        registry = CollectorRegistry()
        self.delayed(registry=registry)
        assert registry.get_sample_value("thanos_consistency_delay_seconds") == 600


class TestDeletionMark:
    NOW_S = EPOCH_MS / 1000

    def filtered(self, bucket, *blocks, given=GIVEN):
        found = DeletionMarkFilter(bucket, 24 * 3_600_000, clock=lambda: self.NOW_S)
        return found, found.decide(metas(*blocks), given)

    def test_blocks_marked_longer_ago_than_the_delay_are_left_out(self):
        bucket = MemoryBucket()
        for number, hours in ((1, 25), (2, 23)):
            mark_for_deletion(bucket, numbered_ulid(number), now_ms=EPOCH_MS - hours * 3_600_000)
        found, verdict = self.filtered(bucket, *map(make_meta, (1, 2, 3)))
        assert verdict.excluded == {numbered_ulid(1): "marked-for-deletion"}
        assert set(found.marks) == {numbered_ulid(1), numbered_ulid(2)}

    @pytest.mark.parametrize("data", [b"{", b"", b'{"id": "x", "version": 7, "deletion_time": 5}'])
    def test_an_unreadable_mark_leaves_the_block_visible(self, data):
        """ST-5."""
        bucket = bucket_of({f"{numbered_ulid(1)}/deletion-mark.json": data})
        found, verdict = self.filtered(bucket, make_meta(1))
        assert verdict.excluded == {}
        assert found.marks == {}

    def test_a_bucket_that_does_not_answer_is_an_error(self):
        """Else a block that the compactor has replaced would come back."""
        with pytest.raises(BucketUnavailable):
            self.filtered(FaultyBucket(MemoryBucket(), 2), make_meta(1), make_meta(2))

    def test_only_blocks_that_the_listing_shows_marked_are_asked_about(self):
        bucket = MemoryBucket()
        mark_for_deletion(bucket, numbered_ulid(2), now_ms=0)
        watched = FaultyBucket(bucket)
        given = FilterInput(RequestContext(), InlinePool(), frozenset({numbered_ulid(2), numbered_ulid(77)}))
        _, verdict = self.filtered(watched, *map(make_meta, (1, 2, 3)), given=given)
        assert excluded(verdict) == [2]
        assert watched.log == [("get", f"{numbered_ulid(2)}/deletion-mark.json")]

    def test_a_mark_that_was_taken_away_is_forgotten(self):
        bucket = MemoryBucket()
        mark_for_deletion(bucket, numbered_ulid(1), now_ms=0)
        found, _ = self.filtered(bucket, make_meta(1))
        bucket.delete(f"{numbered_ulid(1)}/deletion-mark.json")
        assert found.decide(metas(make_meta(1)), GIVEN).excluded == {}
        assert found.marks == {}


class TestDuplicates:
    def left_out(self, *blocks):
        found = DuplicateFilter()
        verdict = found.decide(metas(*blocks), GIVEN)
        assert set(found.duplicates) == set(verdict.excluded)
        assert set(verdict.excluded.values()) <= {"duplicate"}
        return excluded(verdict)

    def test_blocks_whose_sources_another_one_has_are_left_out(self):
        assert self.left_out(make_meta(1), make_meta(2), make_meta(3), make_meta(10, sources=(1, 2), level=2)) == [1, 2]

    def test_of_equal_sources_the_oldest_stays(self):
        assert self.left_out(make_meta(11, sources=(1, 2)), make_meta(10, sources=(2, 1))) == [11]

    def test_a_chain_of_compactions_leaves_the_last(self):
        blocks = [make_meta(n) for n in (1, 2, 3, 4)]
        blocks += [make_meta(10, sources=(1, 2)), make_meta(11, sources=(3, 4)), make_meta(20, sources=(1, 2, 3, 4))]
        assert self.left_out(*blocks) == [1, 2, 3, 4, 10, 11]

    def test_sources_that_are_only_partly_covered_stay(self):
        assert self.left_out(make_meta(10, sources=(1, 2)), make_meta(11, sources=(2, 3))) == []

    def test_other_labels_and_other_resolutions_are_other_groups(self):
        blocks = [
            make_meta(10, sources=(1,)),
            make_meta(11, sources=(1,), labels={"cluster": "two"}),
            make_meta(12, sources=(1,), resolution_ms=300_000),
        ]
        assert self.left_out(*blocks) == []

    def test_blocks_without_sources_are_no_duplicates(self):
        blocks = metas(make_meta(1), *(make_meta(n, sources=()) for n in (2, 3)))
        assert DuplicateFilter().decide(blocks, GIVEN).excluded == {}

    @given(st.lists(st.frozensets(st.integers(1, 6), min_size=1), min_size=1, max_size=12))
    def test_no_source_is_lost_and_nothing_superfluous_stays(self, sources):
        blocks = {number: each for number, each in enumerate(sources, 10)}
        out = self.left_out(*(make_meta(number, sources=tuple(each)) for number, each in blocks.items()))
        kept = {number: each for number, each in blocks.items() if number not in out}
        assert set().union(*kept.values()) == set().union(*blocks.values())
        assert all(not a <= b for n, a in kept.items() for m, b in kept.items() if n != m)
        assert all(any(blocks[number] <= each for each in kept.values()) for number in out)


class TestReplicaLabels:
    def test_they_are_taken_out_of_the_metas(self):
        blocks = metas(make_meta(1, labels={"cluster": "a", "replica": "0"}), make_meta(2, labels={"cluster": "a"}))
        verdict = ReplicaLabelRemover(["replica", "rule_replica"]).decide(blocks, GIVEN)
        assert {ulid: meta.labels for ulid, meta in verdict.changed.items()} == {numbered_ulid(1): {"cluster": "a"}}
        assert blocks[numbered_ulid(1)].labels["replica"] == "0"

    def test_a_block_keeps_at_least_one_label(self):
        verdict = ReplicaLabelRemover(["replica"]).decide(metas(make_meta(1, labels={"replica": "0"})), GIVEN)
        assert verdict.changed[numbered_ulid(1)].labels == {"replica": "deduped"}
