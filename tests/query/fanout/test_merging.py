"""What several endpoints say as one answer (QU-32, QU-33)."""

import math

import pytest

from pythanos.context import RequestContext
from pythanos.errors import BadRequest
from pythanos.model.promapi.exemplars import Exemplar, ExemplarsRequest, SeriesExemplars
from pythanos.model.promapi.metadata import Metadata
from pythanos.model.promapi.rules import AlertingRule, AlertState, RecordingRule, RuleGroup, RulesRequest, RuleType
from pythanos.model.promapi.statistics import HeadStatistics, TSDBStatistics
from pythanos.model.promapi.targets import ActiveTarget, DroppedTarget, TargetHealth, Targets
from pythanos.promql.syntax.cursor import ParserOptions
from pythanos.query.fanout.clients import PromEndpoint
from pythanos.query.fanout.exemplars import merge_exemplars, selectors_in
from pythanos.query.fanout.gather import FanOut
from pythanos.query.fanout.metadata import merge_metadata
from pythanos.query.fanout.questions import PromQuestions
from pythanos.query.fanout.rules import merge_groups
from pythanos.query.fanout.statistics import merge_by_tenant, merge_statistics
from pythanos.query.fanout.targets import merge_targets
from pythanos.testing.fake_promapi import FakePromAPI
from pythanos.web.api.params import selectors
from pythanos.workers import InlinePool

GAUGE, COUNTER = Metadata("gauge", "h", ""), Metadata("counter", "h", "")


def test_metadata_of_a_metric_comes_once_each():
    answers = [{"b": (GAUGE,), "a": (GAUGE, GAUGE)}, {"b": (COUNTER, GAUGE), "c": (GAUGE,)}]
    merged = merge_metadata(answers, -1)
    assert list(merged) == ["a", "b", "c"]
    assert (merged["a"], merged["b"]) == ((GAUGE,), (GAUGE, COUNTER))
    # A metric that is in already gets all of its metadata.
    assert merge_metadata(answers, 2) == {"a": (GAUGE,), "b": (GAUGE, COUNTER)}
    assert merge_metadata(answers, 0) == {}


def target(replica, health=TargetHealth.UP, scrape=1, **more):
    labels = {"job": "j", "replica": replica}
    return ActiveTarget(
        {"__address__": "x", "replica": replica}, labels, "pool", "url", **more, last_scrape_ns=scrape, health=health
    )


def test_targets_of_replicas_are_one():
    """A target that is down for one replica is shown as down; else the younger scrape counts."""
    answers = [
        Targets((target("a"),), (DroppedTarget({"z": "1", "replica": "a"}),)),
        Targets((target("b", scrape=5),), (DroppedTarget({"z": "1", "replica": "b"}), DroppedTarget({"y": "1"}))),
    ]
    merged = merge_targets(answers, ["replica"])
    assert [one.last_scrape_ns for one in merged.active] == [5]
    assert merged.active[0].labels == {"job": "j"}
    assert [one.discovered_labels for one in merged.dropped] == [{"y": "1"}, {"z": "1"}]
    down = merge_targets([*answers, Targets((target("c", TargetHealth.DOWN, 2),))], ["replica"])
    assert [one.health for one in down.active] == [TargetHealth.DOWN]
    assert len(merge_targets(answers, ()).active) == 2


def alerting(name, state=AlertState.INACTIVE, evaluated=1, **labels):
    return AlertingRule(name, "q", labels, state=state, last_evaluation_ns=evaluated)


def recording(name, evaluated=1, **labels):
    return RecordingRule(name, "q", labels, last_evaluation_ns=evaluated)


def merged_rules(groups, request=None, replicas=("replica",)):
    request = request or RulesRequest()
    return merge_groups(groups, request, selectors(request.matchers), replicas)


def test_groups_of_a_file_and_name_are_one_and_so_are_rules_of_replicas():
    """The more severe alert stays, then what was evaluated last; alerting rules come first."""
    groups = [
        RuleGroup("g", "f2", (recording("r", replica="a"), alerting("A", AlertState.PENDING, replica="a"))),
        RuleGroup("g", "f1", ()),
        RuleGroup(
            "g",
            "f2",
            (recording("r", 9, replica="b"), alerting("A", AlertState.FIRING, 0, replica="b"), alerting("B", x="y")),
        ),
    ]
    first, second = merged_rules(groups)
    assert (first.file, first.rules, second.file) == ("f1", (), "f2")
    assert [(rule.name, dict(rule.labels)) for rule in second.rules] == [("A", {}), ("B", {"x": "y"}), ("r", {})]
    assert second.rules[0].state is AlertState.FIRING
    assert second.rules[2].last_evaluation_ns == 9


@pytest.mark.parametrize(
    "request_, names",
    [
        (RulesRequest(RuleType.ALERT), [["A"], []]),
        (RulesRequest(RuleType.RECORD), [["r"], []]),
        (RulesRequest(rule_names=("A",)), [["A"]]),
        (RulesRequest(groups=("g",)), [["A", "r"]]),
        (RulesRequest(groups=("empty",)), []),
        (RulesRequest(files=("f",)), [["A", "r"]]),
        (RulesRequest(files=("other",)), []),
        (RulesRequest(matchers=('{team="x"}',)), [["A"]]),
        (RulesRequest(matchers=('{team="x"}', '{team="y"}')), []),
        # A templated value is as good as none.
        (RulesRequest(matchers=('{template=""}',)), [["A", "r"]]),
    ],
)
def test_filters_take_away_rules_and_groups_without_any(request_, names):
    rules = (alerting("A", team="x", template="{{ $value }}"), recording("r"))
    groups = [RuleGroup("g", "f", rules), RuleGroup("empty", "f", ())]
    assert (
        sorted(([rule.name for rule in group.rules] for group in merged_rules(groups, request_)), reverse=True) == names
    )


def test_exemplars_of_replicas_are_one_series_by_time():
    one, other = Exemplar({"id": "1"}, 1.0, 20), Exemplar({"id": "2"}, math.nan, 10)
    answers = [
        SeriesExemplars({"b": "1", "replica": "a"}, (one, other)),
        SeriesExemplars({"b": "1", "replica": "b"}, (one, Exemplar({"id": "2"}, math.nan, 10))),
        SeriesExemplars({"a": "1"}, (one,)),
        SeriesExemplars({"c": "1"}, ()),
    ]
    first, second = merge_exemplars(answers, ["replica"])
    assert (first.labels, second.labels) == ({"a": "1"}, {"b": "1"})
    assert second.exemplars == (other, one)


def asked(query, *endpoints, own=None):
    """What each endpoint was asked for the exemplars of a query."""
    questions = PromQuestions(lambda api: endpoints, FanOut(InlinePool()), own or {})
    request = ExemplarsRequest(query, 0, 1)
    questions.exemplars(RequestContext(), request, selectors_in(query, ParserOptions()), abort=True)
    return [[one.query for one in endpoint.client.requests] for endpoint in endpoints]


def test_endpoints_are_asked_for_the_selectors_that_they_can_have():
    """A Prometheus does not know its external labels; a querier does."""
    sidecar = PromEndpoint("s", FakePromAPI(), ({"cluster": "one"},))
    querier = PromEndpoint("q", FakePromAPI(), ({"cluster": "one"},), knows_external_labels=True)
    other = PromEndpoint("o", FakePromAPI(), ({"cluster": "two"},))
    query = 'rate(a{cluster="one"}[5m]) / b'
    assert asked(query, sidecar, querier, other) == [
        ['{__name__="a"}+{__name__="b"}'],
        ['{cluster="one", __name__="a"}+{__name__="b"}'],
        ['{__name__="b"}'],
    ]


def test_selectors_of_another_querier_are_asked_of_nobody():
    endpoint = PromEndpoint("s", FakePromAPI())
    assert asked('a{region="eu"}', endpoint, own={"region": "us"}) == [[]]
    with pytest.raises(BadRequest, match="no matchers"):
        asked('{region="us"}', endpoint, own={"region": "us"})


def test_statistics_are_sums_but_for_label_values():
    one = TSDBStatistics(
        HeadStatistics(1, 2, 3, 50, 60), (("a", 5), ("b", 1)), (("l", 3),), (("l", 10),), (("x=y", 1),)
    )
    two = TSDBStatistics(HeadStatistics(10, 20, 30, 40, 55), (("b", 9),), (("l", 2),), (("l", 5),), ())
    merged = merge_statistics([one, two, TSDBStatistics()])
    assert merged.head == HeadStatistics(11, 22, 33, 40, 60)
    assert merged.series_by_metric == (("b", 10), ("a", 5))
    assert (merged.values_by_label, merged.bytes_by_label) == ((("l", 3),), (("l", 15),))
    assert merge_by_tenant([{"t": one}, {"t": two, "u": one}]) == {
        "t": merge_statistics([one, two]),
        "u": merge_statistics([one]),
    }
    assert merge_statistics([]) == TSDBStatistics()
