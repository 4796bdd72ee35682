"""Metadata, targets, rules, alerts, exemplars and head statistics over endpoints in memory."""

import json
from urllib.parse import urlencode

import pytest
from web_fixtures import Served

from pythanos.daemons.prom_apis import build_question_apis
from pythanos.errors import EndpointUnavailable
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.promapi.exemplars import Exemplar, ExemplarsRequest, SeriesExemplars
from pythanos.model.promapi.metadata import Metadata, MetadataRequest
from pythanos.model.promapi.rules import Alert, AlertingRule, AlertState, RecordingRule, RuleGroup, RulesRequest
from pythanos.model.promapi.statistics import HeadStatistics, StatisticsRequest, TSDBStatistics
from pythanos.model.promapi.targets import ActiveTarget, TargetHealth, Targets, TargetState
from pythanos.promql.syntax.cursor import ParserOptions
from pythanos.query.fanout.clients import PromEndpoint
from pythanos.query.fanout.gather import FanOut
from pythanos.query.fanout.questions import PromQuestions
from pythanos.storeapi.batches import StoreWarning
from pythanos.testing.fake_promapi import FakePromAPI
from pythanos.web.api.metadata.settings import MetadataSettings
from pythanos.web.api.params import MAX_TIME_MS, MIN_TIME_MS
from pythanos.workers import InlinePool


class Rig:
    def __init__(self, *items, **settings):
        self.fake = FakePromAPI(items)
        endpoints = [PromEndpoint("e:1", self.fake)] if items else []
        questions = PromQuestions(lambda api: endpoints, FanOut(InlinePool()))
        apis = build_question_apis(questions, MetadataSettings(**settings), ParserOptions())
        self.served = Served(apis.routes(), tenant_header="THANOS-TENANT", default_tenant="default-tenant")

    def get(self, path, *, method="GET", tenant="", **parameters):
        query, headers = urlencode(parameters, doseq=True), {"THANOS_TENANT": tenant} if tenant else {}
        if method == "POST":
            headers["Content_Type"] = "application/x-www-form-urlencoded"
            answer = self.served.ask(f"/api/v1/{path}", "POST", query.encode(), **headers)
        else:
            answer = self.served.ask(f"/api/v1/{path}?{query}", **headers)
        self.answer = answer
        return answer.status, json.loads(answer.body)


NO_STATISTICS = {
    "headStats": {"numSeries": 0, "numLabelPairs": 0, "chunkCount": 0, "minTime": 0, "maxTime": 0},
    "seriesCountByMetricName": [],
    "labelValueCountByLabelName": [],
    "memoryInBytesByLabelName": [],
    "seriesCountByLabelValuePair": [],
}


@pytest.mark.parametrize(
    "path, parameters, data",
    [
        ("metadata", {}, {}),
        ("targets", {}, {"activeTargets": [], "droppedTargets": []}),
        ("rules", {}, {"groups": []}),
        ("alerts", {}, {"alerts": []}),
        ("query_exemplars", {"query": "up"}, []),
        ("status/tsdb", {}, NO_STATISTICS),
    ],
)
def test_without_endpoints_the_answers_are_empty(path, parameters, data):
    """QU-32: the shape is there, so that Grafana and the pages have something to read."""
    assert Rig().get(path, **parameters) == (200, {"status": "success", "data": data})


def test_rules_have_the_members_of_thanos():
    alert = Alert({"a": "b"}, {"text": "t"}, AlertState.FIRING, "1e+00", 1_700_000_000_120_000_000)
    rules = (
        AlertingRule("Busy", "up > 0", {"s": "1"}, {"x": "y"}, (alert,), AlertState.FIRING, 60.0, 5.0, "ok"),
        RecordingRule("a:b", "sum(up)", {}, "err", "why <it>", 0.5, 1_700_000_000_000_000_000),
    )
    rig = Rig(RuleGroup("g", "f", rules, 30.0, 0.25, None, 3, abort=True))
    shown_alert = {
        "labels": {"a": "b"},
        "annotations": {"text": "t"},
        "state": "firing",
        "activeAt": "2023-11-14T22:13:20.12Z",
        "value": "1e+00",
        "partialResponseStrategy": "WARN",
    }
    status, body = rig.get("rules")
    assert status == 200
    assert body["data"]["groups"] == [
        {
            "name": "g",
            "file": "f",
            "rules": [
                {
                    "state": "firing",
                    "name": "Busy",
                    "query": "up > 0",
                    "duration": 60,
                    "labels": {"s": "1"},
                    "annotations": {"x": "y"},
                    "alerts": [shown_alert],
                    "health": "ok",
                    "evaluationTime": 0,
                    "lastEvaluation": "0001-01-01T00:00:00Z",
                    "keepFiringFor": 5,
                    "type": "alerting",
                },
                {
                    "name": "a:b",
                    "query": "sum(up)",
                    "labels": {},
                    "health": "err",
                    "lastError": "why <it>",
                    "evaluationTime": 0.5,
                    "lastEvaluation": "2023-11-14T22:13:20Z",
                    "type": "recording",
                },
            ],
            "interval": 30,
            "evaluationTime": 0.25,
            "lastEvaluation": "0001-01-01T00:00:00Z",
            "limit": 3,
            "partialResponseStrategy": "ABORT",
        }
    ]
    assert rig.get("alerts")[1]["data"] == {"alerts": [shown_alert]}
    assert rig.get("rules", exclude_alerts="true")[1]["data"]["groups"][0]["rules"][0]["alerts"] == []


def test_parameters_of_rules_reach_the_endpoints():
    rig = Rig(RuleGroup("g", "f", ()))
    rig.get(
        "rules", type="alert", **{"match[]": ['{a="b"}'], "rule_name[]": ["x", "y"], "rule_group[]": "g", "file[]": "f"}
    )
    assert rig.fake.requests == [RulesRequest(1, ('{a="b"}',), ("x", "y"), ("g",), ("f",))]


def test_targets():
    target = ActiveTarget(
        {"__address__": "x"}, {"job": "j"}, "p", "u", "g", "boom", 1_700_000_000_000_000_000, 0.5, TargetHealth.DOWN
    )
    rig = Rig(Targets((target,)))
    assert rig.get("targets", state="Active")[1]["data"]["activeTargets"] == [
        {
            "discoveredLabels": {"__address__": "x"},
            "labels": {"job": "j"},
            "scrapePool": "p",
            "scrapeUrl": "u",
            "globalUrl": "g",
            "lastError": "boom",
            "lastScrape": "2023-11-14T22:13:20Z",
            "lastScrapeDuration": 0.5,
            "health": "down",
        }
    ]
    assert rig.fake.requests == [TargetState.ACTIVE]


def test_metadata():
    rig = Rig({"up": (Metadata("gauge", "Is <up>", ""),)})
    assert rig.get("metadata", metric="up", limit=5)[1]["data"] == {
        "up": [{"type": "gauge", "help": "Is <up>", "unit": ""}]
    }
    assert rig.fake.requests == [MetadataRequest("up", 5)]
    assert rig.get("metadata", limit="-1")[1]["data"]
    assert rig.get("metadata", limit="0")[1]["data"] == {}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_exemplars(method):
    """Values are strings and times seconds, as Prometheus has them."""
    rig = Rig(SeriesExemplars({"a": "b"}, (Exemplar({"id": "1"}, 1e21, 1_500),)))
    status, body = rig.get("query_exemplars", method=method, query="up + down", start=1, end=2.5)
    assert (status, body["data"]) == (
        200,
        [
            {
                "seriesLabels": {"a": "b"},
                "exemplars": [{"labels": {"id": "1"}, "timestamp": 1.5, "value": "1000000000000000000000"}],
            }
        ],
    )
    assert rig.fake.requests == [ExemplarsRequest('{__name__="up"}+{__name__="down"}', 1000, 2500)]


def test_statistics():
    head = HeadStatistics(1, 2, 3, 4, 5)
    rig = Rig({"a": TSDBStatistics(head, (("x", 2), ("y", 1))), "b": TSDBStatistics(head, (("y", 5),))})
    status, body = rig.get("status/tsdb", limit=1, **{"match[]": '{region="eu"}'})
    assert status == 200
    assert body["data"]["headStats"] == {
        "numSeries": 2,
        "numLabelPairs": 4,
        "chunkCount": 6,
        "minTime": 4,
        "maxTime": 5,
    }
    assert body["data"]["seriesCountByMetricName"] == [{"name": "y", "value": 6}]
    assert rig.fake.requests == [StatisticsRequest(1, (Matcher(MatchType.EQ, "region", "eu"),))]
    rig.get("status/tsdb", limit=0)
    assert rig.fake.requests[-1] == StatisticsRequest(10)


def test_enforced_tenants_see_their_own():
    """QU-34: selectors of exemplars and matchers of statistics get the tenant; only its statistics are shown."""
    rig = Rig(SeriesExemplars({}, ()), tenant_label="tenant_id")
    rig.get("query_exemplars", query='up{tenant_id="b"}', tenant="a")
    assert rig.fake.requests == [ExemplarsRequest('{__name__="up", tenant_id="a"}', MIN_TIME_MS, MAX_TIME_MS)]
    own, other = TSDBStatistics(HeadStatistics(1)), TSDBStatistics(HeadStatistics(7))
    rig = Rig({"a": own, "b": other}, tenant_label="tenant_id")
    assert rig.get("status/tsdb", tenant="a")[1]["data"]["headStats"]["numSeries"] == 1
    assert rig.fake.requests == [StatisticsRequest(10, (Matcher(MatchType.EQ, "tenant_id", "a"),))]
    assert rig.get("status/tsdb", tenant="c") == (
        422,
        {"status": "error", "errorType": "execution", "error": "retrieving tsdb statistics: c tenant not found"},
    )


def test_partial_responses_are_warnings_or_errors():
    """The parameter comes before the setting; answers with warnings are not to be stored."""

    def fail(number, ctx):
        raise EndpointUnavailable("e:1: gone")

    rig = Rig(StoreWarning("half of it"), {})
    assert rig.get("metadata")[1]["warnings"] == ["half of it"]
    assert rig.answer.headers["cache-control"] == "no-store"
    rig.fake.before_item = fail
    assert rig.get("metadata")[1]["warnings"] == ["receiving metadata from e:1: gone"]
    status, body = rig.get("metadata", partial_response="false")
    assert (status, body["errorType"], body["error"]) == (503, "unavailable", "receiving metadata from e:1: gone")
    strict = Rig({}, metadata_partial_response=False)
    strict.fake.before_item = fail
    assert strict.get("metadata")[0] == 503
    assert strict.get("metadata", partial_response="true")[0] == 200


@pytest.mark.parametrize(
    "path, parameters, text",
    [
        ("rules", {"type": "bad"}, "invalid rules parameter type='bad'"),
        ("rules", {"match[]": "{"}, "parse error"),
        ("targets", {"state": "bad"}, "invalid targets parameter state='bad'"),
        ("metadata", {"limit": "x"}, "invalid metric metadata limit='x'"),
        ("query_exemplars", {"query": "sum("}, "parse error"),
        ("query_exemplars", {"query": "up", "start": "x"}, "Invalid time value for 'start'"),
        ("query_exemplars", {"query": "up", "start": "2", "end": "1"}, "end timestamp must not be before start"),
        ("status/tsdb", {"limit": "x"}, 'cannot parse "x" to a valid limit'),
        ("alerts", {"partial_response": "x"}, "'partial_response' parameter"),
    ],
)
def test_bad_parameters_are_refused(path, parameters, text):
    status, body = Rig({}).get(path, **parameters)
    assert (status, body["errorType"]) == (400, "bad_data")
    assert text in body["error"]
