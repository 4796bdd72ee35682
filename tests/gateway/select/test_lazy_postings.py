"""Which posting groups are left to the series (ST-25)."""

from pythanos.gateway.select.lazy_postings import KEYS_LIMIT, POSTINGS_SIZE, plan_lazy_groups
from pythanos.gateway.select.posting_groups import PostingGroup


def group(name, cardinality, *, removes=False):
    keys = ("key",)
    if removes:
        return PostingGroup(name, True, remove_keys=keys, cardinality=cardinality)
    return PostingGroup(name, False, add_keys=keys, cardinality=cardinality)


def plan(*groups, series_bytes=512, ratio=0.5, key_ratio=0.0, keys=1):
    return plan_lazy_groups(
        groups, lambda one: keys, series_bytes=series_bytes, match_ratio=ratio, key_series_ratio=key_ratio
    )


def lazy_names(found):
    return [one.name for one in found.groups if one.lazy]


def test_a_large_group_costs_more_than_the_few_series_that_it_would_save():
    found = plan(group("rare", 10), group("common", 1_000_000))
    assert lazy_names(found) == ["common"]
    assert found.reasons == ((POSTINGS_SIZE, 4_000_000),)


def test_groups_of_like_size_are_all_fetched():
    assert lazy_names(plan(group("a", 1000), group("b", 1100))) == []


def test_a_single_adding_group_is_always_fetched():
    assert lazy_names(plan(group("only", 1_000_000))) == []
    assert lazy_names(plan(group("tiny", 1, removes=True), group("only", 1_000_000))) == []


def test_after_the_first_lazy_group_every_larger_one_is_lazy_too():
    found = plan(group("a", 10), group("b", 1_000_000), group("c", 2_000_000, removes=True))
    assert lazy_names(found) == ["b", "c"]


def test_a_removing_group_saves_at_most_what_it_holds():
    assert lazy_names(plan(group("a", 100_000), group("b", 200_000, removes=True), series_bytes=8)) == ["b"]
    assert lazy_names(plan(group("a", 100_000), group("b", 200_000, removes=True), series_bytes=64)) == []


def test_a_group_with_many_keys_for_few_series_is_lazy_whatever_its_size():
    found = plan(group("a", 10), group("b", 11), key_ratio=2.0, keys=21)
    assert found.reasons == ((KEYS_LIMIT, 44),)
    assert lazy_names(plan(group("a", 10), group("b", 11), key_ratio=0.0, keys=21)) == []
