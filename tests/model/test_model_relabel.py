import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos.config import decode_tree
from pythanos.errors import ConfigError
from pythanos.model.relabel import SELECTOR_ACTIONS, RelabelRule, check_rules, relabel


def rules(*trees):
    found = decode_tree(list(trees), tuple[RelabelRule, ...], "relabel", environment={})
    check_rules(found, "relabel")
    return found


LABELS = {"a": "foo", "b": "bar", "c": "baz"}


@pytest.mark.parametrize(
    ("labels", "rule", "expected"),
    [
        (LABELS, {"source_labels": ["a"], "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch${1}"},
         LABELS | {"d": "choo-choo"}),
        (LABELS, {"source_labels": ["a", "b"], "regex": "f(.*);(.*)r", "target_label": "a",
                  "replacement": "b${1}${2}m"},
         LABELS | {"a": "boobam"}),
        (LABELS, {"source_labels": ["a"], "regex": "f", "target_label": "d", "replacement": "x"}, LABELS),
        (LABELS, {"source_labels": ["a"], "regex": "no-match", "target_label": "d", "replacement": "x"}, LABELS),
        (LABELS, {"source_labels": ["a"], "regex": "f(.*)", "target_label": "$1x", "replacement": "v"}, LABELS),
        (LABELS, {"source_labels": ["a"], "regex": "f(.*)", "target_label": "${1}x", "replacement": "v"},
         LABELS | {"oox": "v"}),
        (LABELS, {"source_labels": ["a"], "regex": "f(?P<rest>.*)", "target_label": "d", "replacement": "<$rest>$$1$"},
         LABELS | {"d": "<oo>$1$"}),
        (LABELS, {"target_label": "d", "replacement": "static"}, LABELS | {"d": "static"}),
        (LABELS, {"source_labels": ["a"], "target_label": "b", "replacement": ""}, {"a": "foo", "c": "baz"}),
        (LABELS, {"source_labels": ["missing"], "target_label": "b"}, {"a": "foo", "c": "baz"}),
        (LABELS, {"source_labels": ["a"], "regex": "f(x)?oo", "target_label": "d", "replacement": "[$1]"},
         LABELS | {"d": "[]"}),
        (LABELS, {"source_labels": ["a", "b"], "separator": "", "regex": "foobar", "action": "keep"}, LABELS),
        (LABELS, {"source_labels": ["a"], "regex": "fo", "action": "keep"}, None),
        (LABELS, {"source_labels": ["a"], "regex": "foo", "action": "drop"}, None),
        (LABELS, {"source_labels": ["a"], "regex": "oo", "action": "drop"}, LABELS),
        (LABELS, {"source_labels": ["a"], "regex": "FOO", "action": "KEEP"}, None),
        ({"a": "x\ny"}, {"source_labels": ["a"], "regex": "x.y", "action": "Keep"}, {"a": "x\ny"}),
        ({"a": "x", "b": "x"}, {"source_labels": ["a"], "target_label": "b", "action": "keepequal"},
         {"a": "x", "b": "x"}),
        ({"a": "x", "b": "y"}, {"source_labels": ["a"], "target_label": "b", "action": "keepequal"}, None),
        ({"a": "x", "b": "x"}, {"source_labels": ["a"], "target_label": "b", "action": "dropequal"}, None),
        ({"a": "x"}, {"source_labels": ["a"], "target_label": "b", "action": "dropequal"}, {"a": "x"}),
        (LABELS, {"source_labels": ["c"], "target_label": "d", "action": "hashmod", "modulus": 1000},
         LABELS | {"d": "976"}),
        ({"a": "foo\nbar"}, {"source_labels": ["a"], "target_label": "b", "action": "hashmod", "modulus": 1000},
         {"a": "foo\nbar", "b": "734"}),
        ({"a": "foo", "b1": "bar", "b2": "baz"}, {"regex": "(b.*)", "replacement": "bar_$1", "action": "labelmap"},
         {"a": "foo", "b1": "bar", "b2": "baz", "bar_b1": "bar", "bar_b2": "baz"}),
        ({"__meta_my_bar": "aaa", "__meta_other": "x"}, {"regex": "__meta_(my.*)", "action": "labelmap"},
         {"__meta_my_bar": "aaa", "__meta_other": "x", "my_bar": "aaa"}),
        (LABELS, {"regex": "a|b", "action": "labeldrop"}, {"c": "baz"}),
        (LABELS, {"regex": "a|b", "action": "labelkeep"}, {"a": "foo", "b": "bar"}),
        ({"a": "bAr123Foo"}, {"source_labels": ["a"], "target_label": "b", "action": "uppercase"},
         {"a": "bAr123Foo", "b": "BAR123FOO"}),
        ({"a": "bÄrẞ"}, {"source_labels": ["a"], "target_label": "a", "action": "lowercase"}, {"a": "bärß"}),
        ({"a": "ß"}, {"source_labels": ["a"], "target_label": "a", "action": "uppercase"}, {"a": "ß"}),
        ({"shard": "0"}, {"source_labels": ["shard"], "regex": 0, "action": "keep"}, {"shard": "0"}),
    ],
)  # fmt: skip
def test_actions(labels, rule, expected):
    before = dict(labels)
    assert relabel(labels, rules(rule)) == expected
    assert labels == before


def test_rules_work_one_after_the_other():
    """Sharding, as operators write it: block i of 3."""
    shard = rules(
        {"action": "hashmod", "source_labels": ["cluster"], "target_label": "shard", "modulus": 3},
        {"action": "keep", "source_labels": ["shard"], "regex": 1},
    )
    kept = [number for number in range(100) if relabel({"cluster": str(number)}, shard) is not None]
    expected = [n for n in range(100) if int.from_bytes(hashlib.md5(b"%d" % n).digest()[8:], "big") % 3 == 1]
    assert kept == expected
    assert 20 < len(kept) < 50


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1)), st.integers(1, 7))
def test_shards_are_disjoint_and_leave_nothing_out(labels, shards):
    def has(number):
        chain = rules(
            {"action": "hashmod", "source_labels": list(labels), "target_label": "__s", "modulus": shards},
            {"action": "keep", "source_labels": ["__s"], "regex": number},
        )
        return relabel(labels, chain) is not None

    assert sum(has(number) for number in range(shards)) == 1


@pytest.mark.parametrize(
    ("rule", "key", "hint"),
    [
        ({"action": "remove"}, "[0].action", "not one of"),
        ({"action": "hashmod", "target_label": "x"}, "[0].modulus", "modulus"),
        ({"action": "hashmod", "modulus": 2}, "[0].target_label", "label"),
        ({"action": "replace"}, "[0].target_label", "label"),
        ({"action": "lowercase", "target_label": "x", "replacement": "y"}, "[0].replacement", "not valid"),
        ({"action": "keepequal", "target_label": "x", "regex": "y"}, "[0].action", "target_label only"),
        ({"action": "labeldrop", "regex": "x", "source_labels": ["a"]}, "[0].action", "regex only"),
        ({"action": "labelmap", "regex": "x", "replacement": ""}, "[0].replacement", "replacement"),
        ({"action": "keep", "regex": "("}, "[0].regex", "missing"),
        ({"action": "keep", "regexp": "x"}, "[0].regexp", "did you mean regex?"),
    ],
)
def test_a_rule_that_cannot_work_is_an_error_with_its_place(rule, key, hint):
    with pytest.raises(ConfigError) as caught:
        rules(rule)
    assert caught.value.key == key
    assert hint in caught.value.hint


def test_selectors_allow_three_actions_only():
    """The stores' selector.relabel-config: keep, drop, hashmod."""
    check_rules(rules({"action": "keep", "regex": "x"}), "x", actions=SELECTOR_ACTIONS)
    with pytest.raises(ConfigError):
        check_rules(rules({"target_label": "x"}), "x", actions=SELECTOR_ACTIONS)
