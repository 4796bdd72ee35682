"""Which external label sets a request can match."""

import pytest

from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.relabel import RelabelRule
from pythanos.storeapi.external_labels import TsdbSelector, any_can_match, matchers_for, remaining_matchers

EU, US = {"region": "eu", "replica": "a"}, {"region": "us"}


def equal(name: str, value: str) -> Matcher:
    return Matcher(MatchType.EQ, name, value)


def test_matchers_on_given_labels_are_used_up():
    """QU-9: what the labels decide is removed, what they contradict excludes them, the rest remains."""
    assert remaining_matchers([equal("region", "eu"), equal("job", "x")], EU) == (equal("job", "x"),)
    assert remaining_matchers([equal("region", "us")], EU) is None
    assert remaining_matchers([equal("region", "us")], {}) == (equal("region", "us"),)


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        (equal("region", "eu"), True),
        (equal("region", "asia"), False),
        (equal("replica", "b"), True),
        (Matcher(MatchType.NRE, "region", "eu|us"), False),
        (equal("job", "x"), True),
    ],
)
def test_a_label_that_a_set_does_not_have_can_match(matcher, expected):
    """QU-8: one label set that does not contradict is enough; an absent label contradicts nothing."""
    assert any_can_match([matcher], [EU, US]) is expected
    assert any_can_match([matcher], []) is True


def test_the_selector_keeps_some_label_sets_and_asks_for_no_others():
    """QU-8: where the rules keep a part of a store's label sets, extra matchers name exactly these."""
    selector = TsdbSelector((RelabelRule(source_labels=("region",), regex="e.*", action="keep"),))
    assert selector.kept([EU, US]) == (EU,)
    assert selector.selects([EU, US])
    assert not selector.selects([US])
    assert selector.selects([])
    assert {str(matcher) for matcher in selector.extra_matchers([EU, US])} == {'region=~"eu"', 'replica=~"a"'}
    assert selector.extra_matchers([EU]) == ()
    assert TsdbSelector().extra_matchers([EU, US]) == ()


def test_matchers_for_label_sets_quote_values_and_allow_absence():
    """Values are taken literally; a label that one of the sets lacks may be empty."""
    zone, region = matchers_for([{"region": "eu.1", "zone": "a"}, {"region": "us+"}])[::-1]
    assert [zone.matches(value) for value in ("a", "", "b")] == [True, True, False]
    assert [region.matches(value) for value in ("eu.1", "us+", "euX1", "uss", "")] == [True, True, False, False, False]
