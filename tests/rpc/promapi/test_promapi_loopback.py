"""The services Metadata, Targets, Rules, Exemplars and Status behind our gRPC server, reached through our client."""

from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from pythanos.context import RequestContext
from pythanos.errors import BadRequest, EndpointUnavailable
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.promapi.exemplars import Exemplar, ExemplarsRequest, SeriesExemplars
from pythanos.model.promapi.metadata import Metadata, MetadataRequest
from pythanos.model.promapi.rules import (
    Alert,
    AlertingRule,
    AlertState,
    RecordingRule,
    RuleGroup,
    RulesRequest,
    RuleType,
)
from pythanos.model.promapi.statistics import HeadStatistics, StatisticsRequest, TSDBStatistics
from pythanos.model.promapi.targets import ActiveTarget, DroppedTarget, TargetHealth, Targets, TargetState
from pythanos.promql.syntax.cursor import ParserOptions
from pythanos.query.fanout.clients import PromEndpoint
from pythanos.query.fanout.exemplars import selectors_in
from pythanos.query.fanout.gather import FanOut
from pythanos.query.fanout.questions import PromQuestions
from pythanos.rpc.client import RemoteStore
from pythanos.rpc.info_servicer import SERVICE as INFO
from pythanos.rpc.info_servicer import InfoServicer
from pythanos.rpc.promapi.servicer import APIS, PromAPIServicer
from pythanos.rpc.server import GRPCServer
from pythanos.storeapi.batches import StoreWarning
from pythanos.testing.fake_promapi import FakePromAPI
from pythanos.testing.fake_store import FakeStore
from pythanos.workers import InlinePool

ALERT = Alert({"a": "b"}, {"text": "ü"}, AlertState.FIRING, "1e+00", 1_700_000_000_123_456_789, abort=True)
RULES = (
    AlertingRule(
        "Busy",
        "up > 0",
        {"severity": "page"},
        {"text": "t"},
        (ALERT, Alert({}, {}, AlertState.PENDING)),
        AlertState.FIRING,
        60.0,
        5.5,
        "ok",
        "none",
        0.25,
        1_700_000_000_000_000_001,
    ),
    RecordingRule("a:b", "sum(up)", {"team": "x"}, "err", "why", 0.5, None),
)
# (method, request, what the endpoint says)
CASES = [
    ("metadata", MetadataRequest("up", 7), {"up": (Metadata("gauge", "Is up.", ""), Metadata("counter", "", "s"))}),
    (
        "targets",
        TargetState.DROPPED,
        Targets(
            (
                ActiveTarget(
                    {"__address__": "x"},
                    {"job": "j"},
                    "pool",
                    "http://x",
                    "http://g",
                    "down",
                    1_700_000_000_500_000_000,
                    0.125,
                    TargetHealth.DOWN,
                ),
            ),
            (DroppedTarget({"__address__": "y"}),),
        ),
    ),
    (
        "rules",
        RulesRequest(RuleType.ALERT, ('{a="b"}',), ("Busy",), ("group",), ("file.yml",)),
        RuleGroup("group", "file.yml", RULES, 30.0, 0.75, 1_700_000_000_000_000_000, 9, abort=True),
    ),
    ("exemplars", ExemplarsRequest("up", -5, 10), SeriesExemplars({"a": "b"}, (Exemplar({"id": "1"}, 2.5, -3),))),
    (
        "statistics",
        StatisticsRequest(3, (Matcher(MatchType.NRE, "a", "b.*"),)),
        {"t": TSDBStatistics(HeadStatistics(1, 2, 3, 4, 5), (("up", 2),), (("a", 1),), (), (("a=b", 9),))},
    ),
]


class Rig:
    """A server over one FakePromAPI, and a client."""

    def __init__(self):
        self.fake = FakePromAPI()
        questions = PromQuestions(lambda api: [PromEndpoint("inner", self.fake)], FanOut(InlinePool()))
        servicer = PromAPIServicer(questions, partial(selectors_in, options=ParserOptions()))
        info = InfoServicer("query", FakeStore(mint=3, maxt=8), APIS)
        handlers = [(INFO, info.handler()), *servicer.handlers()]
        self.server = GRPCServer("127.0.0.1:0", handlers, registry=CollectorRegistry())
        self.server.start()
        self.client = RemoteStore(f"127.0.0.1:{self.server.port}")

    def ask(self, method, request, *, abort=False):
        ctx = RequestContext(timeout_seconds=10)
        return list(getattr(self.client.promapi, method)(ctx, request, abort=abort))


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.client.close()
    rig.server.stop(0)


@pytest.mark.parametrize("method, request_, value", CASES, ids=[case[0] for case in CASES])
def test_every_field_survives_the_way_there_and_back(rig, method, request_, value):
    """Requests arrive, values and warnings come back; exemplars are asked for by their selectors."""
    rig.fake.items = [value, StoreWarning("something is missing"), value]
    assert rig.ask(method, request_) == [StoreWarning("something is missing"), value, value]
    expected = ExemplarsRequest('{__name__="up"}', -5, 10) if method == "exemplars" else request_
    assert rig.fake.requests == [expected]
    assert rig.fake.aborts == [False]


def test_info_announces_the_services(rig):
    info = rig.client.fetch_info(RequestContext(timeout_seconds=10))
    assert info.apis == {"store", *APIS}


def test_errors_keep_their_meaning(rig):
    """A failing endpoint is a warning, or an error where the request says ABORT; a bad query is a bad request."""

    def fail(number, ctx):
        raise EndpointUnavailable("inner: gone")

    rig.fake.before_item = fail
    assert rig.ask("rules", RulesRequest()) == [StoreWarning("receiving rules from inner: gone")]
    with pytest.raises(EndpointUnavailable, match="receiving rules from inner: gone"):
        rig.ask("rules", RulesRequest(), abort=True)
    with pytest.raises(BadRequest, match="parse error"):
        rig.ask("exemplars", ExemplarsRequest("sum(", 0, 1))
