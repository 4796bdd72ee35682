"""The endpoint set: what is polled, kept, asked, forgotten and disconnected, and when."""

from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from pythanos.context import RequestContext
from pythanos.errors import ConfigError, EndpointUnavailable, QueryCanceled, QueryTimeout
from pythanos.query.endpoint_metrics import EndpointMetrics, EndpointNode
from pythanos.query.endpoints import EndpointSet, EndpointSpec, EndpointTimes, label_sets_text
from pythanos.storeapi.store import StoreInfo
from pythanos.testing.fake_store import FakeStore
from pythanos.tls import ClientTLS
from pythanos.workers import InlinePool

MINUTE_MS = 60_000


@dataclass
class Announcement:
    component: str
    store: StoreInfo | None
    apis: frozenset = frozenset({"store"})


@dataclass
class Client(FakeStore):
    """A connection whose Info answer, or failure, the test sets."""

    answer: object = None
    timeouts: list = field(default_factory=list)
    disconnected: int = 0
    outdated: bool = False

    def is_outdated(self):
        return self.outdated

    def fetch_info(self, ctx, *, until_connected=True):
        self.timeouts.append(ctx.remaining_seconds())
        if until_connected and self.answer is DOWN:
            raise QueryTimeout("query timed out")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self):
        self.disconnected += 1


DOWN = EndpointUnavailable("connection refused")
SIDECAR = Announcement("sidecar", StoreInfo(({"replica": "a"},), 10, 20))


class Fleet:
    """A set of endpoints with its specs, clients and clock at hand."""

    def __init__(self, **answers):
        self.answers, self.specs, self.now, self.clients = answers, [], 0, {}
        self.connected = []
        self.registry = CollectorRegistry()
        self.metrics = EndpointMetrics(self.registry)
        self.set = EndpointSet(
            lambda: self.specs,
            self.connect,
            InlinePool(),
            self.metrics,
            now_ms=lambda: self.now,
            times=EndpointTimes(5_000, 5 * MINUTE_MS, 2 * MINUTE_MS),
        )

    def connect(self, spec):
        address = spec.address
        self.connected.append(address)
        if isinstance(self.answers[address], ConfigError):
            raise self.answers[address]
        self.clients[address] = Client(answer=self.answers[address])
        return self.clients[address]

    def update(self, *specs, at=None):
        if specs:
            self.specs = [EndpointSpec(spec) if isinstance(spec, str) else spec for spec in specs]
        self.now = self.now if at is None else at
        self.set.update(RequestContext())
        return [endpoint.address for endpoint in self.set.endpoints()]


def test_endpoints_that_answer_are_asked():
    """QU-1: each gets an Info call with its own timeout; what it announced decides what it is asked."""
    fleet = Fleet(a=SIDECAR, b=Announcement("rule", None, frozenset({"rules"})))
    assert not fleet.set.ready
    assert fleet.update("a", "b") == ["a"]
    assert fleet.set.ready
    assert fleet.set.endpoints()[0].info == SIDECAR.store
    assert fleet.set.clients("rules") == [("b", fleet.clients["b"])]
    assert 0 < fleet.clients["a"].timeouts[0] <= 5
    assert fleet.connected == ["a", "b"]
    fleet.update()
    assert fleet.connected == ["a", "b"]


def test_a_new_endpoint_that_does_not_answer_is_left_out():
    """QU-1: it is not listed, its connection is closed, and the next round tries again."""
    fleet = Fleet(a=DOWN)
    assert fleet.update("a") == []
    assert fleet.set.statuses() == []
    assert fleet.clients["a"].disconnected == 1
    fleet.answers["a"] = SIDECAR
    assert fleet.update() == ["a"]


def test_the_first_round_does_not_wait_long_for_what_refuses_connections():
    """QU-7: nobody is ready before it ends. Later rounds try until the timeout, and the reason is the refusal."""
    fleet = Fleet(a=DOWN, b=SIDECAR)
    assert fleet.update(EndpointSpec("a", strict=True), "b") == ["a", "b"]
    first, again = fleet.clients["a"].timeouts
    assert again <= 2 < first
    fleet.update()
    assert fleet.clients["a"].timeouts[-1] > 4
    assert fleet.set.statuses()[0].last_error == "connection refused"


def test_an_endpoint_that_is_silent_is_said_to_be():
    fleet = Fleet(a=QueryTimeout("query timed out"))
    fleet.update(EndpointSpec("a", strict=True))
    assert fleet.set.statuses()[0].last_error == "no answer within 5s"


def test_a_known_endpoint_that_fails_is_listed_but_not_asked_and_forgotten_later():
    """QU-1: five minutes after its last success it goes; QU-5: its connection five minutes after that."""
    fleet = Fleet(a=SIDECAR)
    fleet.update("a", at=1000)
    client = fleet.clients["a"]
    client.answer = DOWN
    assert fleet.update(at=2000) == []
    (status,) = fleet.set.statuses()
    assert (status.last_error, status.last_check_ms, status.label_sets) == (
        "connection refused",
        1000,
        ({"replica": "a"},),
    )
    fleet.update(at=1000 + 5 * MINUTE_MS - 1)
    assert len(fleet.set.statuses()) == 1
    fleet.update(at=1000 + 5 * MINUTE_MS)
    assert fleet.set.statuses() == []
    assert client.disconnected == 0
    fleet.specs = []
    fleet.update(at=1000 + 10 * MINUTE_MS - 1)
    assert client.disconnected == 0
    fleet.update(at=1000 + 10 * MINUTE_MS)
    assert client.disconnected == 1


def test_an_endpoint_that_recovers_is_asked_again():
    """A failure in between leaves no trace."""
    fleet = Fleet(a=SIDECAR)
    fleet.update("a")
    fleet.clients["a"].answer = DOWN
    assert fleet.update(at=1000) == []
    fleet.clients["a"].answer = SIDECAR
    assert fleet.update(at=2000) == ["a"]
    assert fleet.set.statuses()[0].last_error == ""


def test_a_strict_endpoint_is_always_asked():
    """QU-2: before it ever answered as a store of all time, later as what it last announced; never forgotten."""
    fleet = Fleet(a=DOWN)
    strict = EndpointSpec("a", strict=True)
    assert fleet.update(strict) == ["a"]
    info = fleet.set.endpoints()[0].info
    assert (info.mint, info.maxt, info.label_sets) == (-(2**63), 2**63 - 1, ())
    fleet.clients["a"].answer = SIDECAR
    fleet.update(at=1000)
    fleet.clients["a"].answer = DOWN
    assert fleet.update(at=100 * MINUTE_MS) == ["a"]
    assert fleet.set.endpoints()[0].info == SIDECAR.store
    assert fleet.set.statuses()[0].last_error == "connection refused"


def test_an_endpoint_that_is_no_longer_configured_goes_at_once_and_is_disconnected_later():
    """QU-5: running streams may end."""
    fleet = Fleet(a=SIDECAR, b=SIDECAR)
    fleet.update("a", "b")
    assert fleet.update("b") == ["b"]
    assert fleet.clients["a"].disconnected == 0
    fleet.update(at=5 * MINUTE_MS)
    assert fleet.clients["a"].disconnected == 1
    assert fleet.clients["b"].disconnected == 0


def test_a_duplicated_address_counts_once_and_the_last_one_wins():
    """QU-4: with a counter."""
    fleet = Fleet(a=DOWN)
    assert fleet.update("a", EndpointSpec("a", strict=True)) == ["a"]
    assert fleet.registry.get_sample_value("thanos_query_duplicated_endpoint_addresses_total") == 1


def test_two_producers_with_the_same_external_labels_are_reported(caplog):
    """QU-4: two sidecars or rulers, but not two stores."""
    fleet = Fleet(a=SIDECAR, b=SIDECAR)
    fleet.update("a", "b")
    assert "found duplicate storeEndpoints producer" in caplog.text
    caplog.clear()
    store = Announcement("store", SIDECAR.store)
    Fleet(a=store, b=store).update("a", "b")
    assert "duplicate" not in caplog.text


def test_a_stopped_update_changes_nothing():
    """A cancelled round raises, and the endpoints stay as they were."""
    fleet = Fleet(a=SIDECAR)
    fleet.update("a")
    ctx = RequestContext()
    ctx.cancel()
    fleet.clients["a"].answer = DOWN
    with pytest.raises(QueryCanceled):
        fleet.set.update(ctx)
    assert [endpoint.address for endpoint in fleet.set.endpoints()] == ["a"]


def test_closing_disconnects_everything():
    fleet = Fleet(a=SIDECAR, b=SIDECAR)
    fleet.update("a", "b")
    fleet.update("b")
    fleet.set.close()
    assert [client.disconnected for client in fleet.clients.values()] == [1, 1]
    assert fleet.set.endpoints() == []


def test_connections_are_counted_by_external_labels_and_type():
    """thanos_store_nodes_grpc_connections counts those that may be asked."""
    fleet = Fleet(a=SIDECAR, b=SIDECAR, c=Announcement("store", StoreInfo((), 0, 1)))
    fleet.update("a", "b", "c")
    name = "thanos_store_nodes_grpc_connections"
    value = fleet.registry.get_sample_value
    assert value(name, {"external_labels": '{replica="a"}', "store_type": "sidecar"}) == 2
    assert value(name, {"external_labels": "no_external_labels", "store_type": "store"}) == 1
    fleet.clients["a"].answer = DOWN
    fleet.update()
    assert value(name, {"external_labels": '{replica="a"}', "store_type": "sidecar"}) == 1


def test_long_label_sets_are_cut_and_other_labels_can_be_chosen():
    registry = CollectorRegistry()
    metrics = EndpointMetrics(registry, ("external_labels", "ip_port"))
    metrics.show([EndpointNode("{" + "x" * 2000, "store", "one:1")])
    (sample,) = next(iter(metrics.collect())).samples
    assert sample.labels["ip_port"] == "one:1"
    assert len(sample.labels["external_labels"]) == 1000
    assert sample.labels["external_labels"].endswith("}")


def test_label_sets_are_printed_as_go_prints_them():
    assert label_sets_text([{"b": "2", "a": 'x"'}, {"a": "1"}]) == '{a="1"},{a="x\\"", b="2"}'


def test_an_endpoint_is_connected_to_anew_when_its_tls_changes():
    """Running streams end on the old connection, which is closed when they must have (QU-5)."""
    fleet = Fleet(a=SIDECAR)
    fleet.update("a")
    first = fleet.clients["a"]
    assert fleet.update(EndpointSpec("a", tls=ClientTLS(enabled=True)), at=1000) == ["a"]
    second = fleet.clients["a"]
    assert second is not first and not first.disconnected
    fleet.update(at=1000 + 6 * MINUTE_MS)
    assert (first.disconnected, second.disconnected) == (1, 0)
    assert fleet.connected == ["a", "a"]


def test_an_endpoint_is_connected_to_anew_when_its_certificates_are_replaced():
    """XC-31: without a restart."""
    fleet = Fleet(a=SIDECAR)
    fleet.update("a")
    first = fleet.clients["a"]
    first.outdated = True
    fleet.update()
    assert fleet.clients["a"] is not first
    fleet.update()
    assert fleet.connected == ["a", "a"]


def test_a_new_connection_that_does_not_answer_replaces_the_old_one_once():
    """What is known of the endpoint stays, as for any that stops answering."""
    fleet = Fleet(a=SIDECAR)
    fleet.update("a")
    fleet.answers["a"] = DOWN
    assert fleet.update(EndpointSpec("a", tls=ClientTLS(enabled=True))) == []
    assert fleet.set.statuses()[0].component == "sidecar"
    assert fleet.clients["a"].disconnected == 0


def test_an_endpoint_with_unusable_tls_files_is_skipped():
    """The others are asked nevertheless; one that is connected already stays so."""
    fleet = Fleet(a=ConfigError("a.pem", "", "no such file"), b=SIDECAR)
    assert fleet.update("a", "b") == ["b"]
    fleet.answers["b"] = ConfigError("b.pem", "", "no such file")
    assert fleet.update("a", EndpointSpec("b", tls=ClientTLS(enabled=True))) == ["b"]
