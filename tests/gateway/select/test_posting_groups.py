"""Matchers become the posting groups that Prometheus' PostingsForMatchers would use (ST-15)."""

import itertools

import pytest

from pythanos.gateway.select.posting_groups import PostingGroup, posting_groups
from pythanos.gateway.select.value_matcher import ValueMatcher
from pythanos.model.matchers import Matcher, MatchType

SERIES = [
    {"n": "1"},
    {"n": "1", "i": "a"},
    {"n": "1", "i": "b"},
    {"n": "2"},
    {"n": "2.5"},
    {"i": "a"},
]
VALUES = {"n": ["1", "2", "2.5"], "i": ["a", "b"]}
EQ, NEQ, RE, NRE = MatchType


def groups_of(*matchers, seen=None):
    def label_values(name, prefix):
        if seen is not None:
            seen.append((name, prefix))
        return [value for value in VALUES.get(name, []) if value.startswith(prefix)]

    return posting_groups([ValueMatcher(Matcher(*one)) for one in matchers], label_values)


def select(groups):
    """What the groups select of SERIES, by set operations on lists as the gateway does them."""
    if groups is None:
        return []
    chosen = set(range(len(SERIES)))
    for group in groups:
        keyed = {i for i, labels in enumerate(SERIES) if labels.get(group.name, "") in group.keys}
        if group.add_keys:
            chosen &= keyed
        else:
            assert group.add_all
            chosen -= keyed
    return sorted(chosen)


CONDITIONS = [
    (kind, name, value)
    for name in ("n", "i", "missing")
    for kind, value in [
        (EQ, "1"), (EQ, "a"), (EQ, ""), (EQ, "nothing"), (NEQ, "1"), (NEQ, "a"), (NEQ, ""), (NEQ, "nothing"),
        (RE, "1"), (RE, "a|b"), (RE, "a|"), (RE, ""), (RE, ".*"), (RE, ".+"), (RE, "2.*"), (RE, "^a?$"),
        (RE, "nothing"),
        (NRE, "1"), (NRE, "a|b"), (NRE, "a|"), (NRE, ""), (NRE, ".*"), (NRE, ".+"), (NRE, "2.*"), (NRE, "^a?$"),
    ]
]  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda one: f"{one[1]}{one[0].operator}{one[2]}")
def test_one_matcher_selects_what_it_says(condition):
    matcher = Matcher(*condition)
    expected = [i for i, labels in enumerate(SERIES) if matcher.matches(labels.get(matcher.name, ""))]
    assert select(groups_of(condition)) == expected


def test_every_pair_of_matchers_selects_what_both_say():
    for first, second in itertools.combinations(CONDITIONS, 2):
        matchers = (Matcher(*first), Matcher(*second))
        expected = [
            i for i, labels in enumerate(SERIES) if all(one.matches(labels.get(one.name, "")) for one in matchers)
        ]
        assert select(groups_of(first, second)) == expected, (first, second)


def test_groups_come_by_name_and_one_for_each():
    groups = groups_of((EQ, "n", "1"), (NEQ, "i", "a"), (RE, "n", "1|2"))
    assert [(group.name, group.add_all, group.keys) for group in groups] == [
        ("i", True, ("a",)),
        ("n", False, ("1",)),
    ]
    assert len(groups[1].matchers) == 2


def test_what_cannot_match_is_known_without_reading_postings():
    assert groups_of((EQ, "n", "1"), (EQ, "n", "2")) is None
    assert groups_of((EQ, "n", "1"), (NRE, "i", ".*")) is None
    assert groups_of((RE, "n", "x.*")) is None
    assert groups_of((NEQ, "missing", "")) is None


def test_literals_are_looked_up_without_listing_the_values_of_the_label():
    seen = []
    groups_of((EQ, "n", "1"), (RE, "n", "1|2"), (NEQ, "i", "a"), (NRE, "i", "a|b"), (RE, "i", ".*"), seen=seen)
    assert seen == []


def test_the_values_of_a_label_are_listed_once_for_all_its_matchers():
    seen = []
    groups_of((RE, "n", ".*2.*"), (RE, "n", ".*5"), (NRE, "n", "1.*"), seen=seen)
    assert seen == [("n", "")]


def test_of_a_pattern_with_a_literal_start_only_the_values_with_that_prefix_are_listed():
    seen = []
    groups_of((RE, "n", "2(x|y)?.*"), seen=seen)
    assert seen == [("n", "2")]


def test_merging_keeps_all_matchers():
    merged = PostingGroup("n", True, remove_keys=("1",)).merged(PostingGroup("n", True, remove_keys=("1", "2")))
    assert merged.add_all and merged.remove_keys == ("1", "2")
