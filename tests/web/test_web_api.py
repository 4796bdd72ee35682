"""The JSON API with the real engine over samples in memory: envelopes, parameters, results."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from web_fixtures import Served

from pythanos.context import RequestContext
from pythanos.errors import BucketUnavailable, QueryTimeout, StoreFailed
from pythanos.model.matchers import Matcher
from pythanos.objstore.memory import MemoryBucket
from pythanos.promql.engine import Engine, EngineOptions
from pythanos.promql.queryable import EncodedSeries, SelectHints, Selection
from pythanos.query.endpoints import EndpointStatus
from pythanos.query.queryable import SelectOptions
from pythanos.runtime.clock import ManualClock
from pythanos.runtime.gate import Gate
from pythanos.storeapi.batches import StoreWarning
from pythanos.storeapi.requests import LabelNamesRequest, LabelsAnswer, LabelValuesRequest, PartialResponse
from pythanos.testing.fake_store import FakeStore
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.tsdb.meta import BlockMeta, Compaction, ThanosMeta
from pythanos.web.api.blocks import BlocksAPI
from pythanos.web.api.labels import LabelsAPI
from pythanos.web.api.query.handlers import QueryAPI
from pythanos.web.api.query.settings import QuerySettings
from pythanos.web.api.status import StatusAPI
from pythanos.web.api.stores import StoresAPI
from pythanos.web.pages import Pages
from pythanos.workers import Workers

NOW_MS = 1_700_000_600_000
T0 = 1_700_000_000


class QueryRig:
    """The query API over a MemoryQueryable; remembers how series were to be fetched."""

    def __init__(self, settings: QuerySettings | None = None, gate: Gate | None = None) -> None:
        self.data = MemoryQueryable()
        times = [T0 * 1000 + 15_000 * n for n in range(41)]
        for instance, slope in (("a", 1.0), ("b", 2.5)):
            values = [slope * n for n in range(41)]
            self.data.add({"__name__": "requests_total", "instance": instance}, times, values)
        self.data.add({"__name__": "odd", "path": '/"x"<&>'}, times[:1], [math.nan])
        self.asked: list[tuple[SelectOptions, object]] = []
        self.registry = CollectorRegistry()
        api = QueryAPI(
            Engine(EngineOptions(), Workers.inline()),
            self.queryable,
            gate or Gate(20, registry=self.registry, prefix="thanos_query_concurrent"),
            settings or QuerySettings(),
            clock=ManualClock(NOW_MS),
            registry=self.registry,
        )
        self.served = Served(api.routes())

    def queryable(self, options: SelectOptions, store_matchers: object) -> MemoryQueryable:
        self.asked.append((options, store_matchers))
        return self.data

    def get(self, path: str, **args: object) -> tuple[int, dict]:
        answer = self.served.ask(
            f"/api/v1/{path}?" + "&".join(f"{name}={_quote(value)}" for name, value in args.items())
        )
        return answer.status, json.loads(answer.body)

    def range(self, query: str, start: object = T0 + 60, end: object = T0 + 120, **args: object) -> tuple[int, dict]:
        return self.get("query_range", query=query, start=start, end=end, **args)


def _quote(value: object) -> str:
    return "".join(c if c.isalnum() else "".join(f"%{byte:02x}" for byte in c.encode()) for c in str(value))


def test_an_instant_vector():
    """The default time is now; values are strings; analysis is there and empty, as in Thanos."""
    status, body = QueryRig().get("query", query="requests_total")
    assert status == 200 and list(body) == ["status", "data"]
    assert body["data"] == {
        "resultType": "vector",
        "result": [
            {"metric": {"__name__": "requests_total", "instance": "a"}, "value": [T0 + 600, "40"]},
            {"metric": {"__name__": "requests_total", "instance": "b"}, "value": [T0 + 600, "100"]},
        ],
        "analysis": {},
    }


def test_a_matrix():
    """Points on steps from start to end, both inside."""
    status, body = QueryRig().range("sum(rate(requests_total[1m]))", step=30)
    assert status == 200
    (series,) = body["data"]["result"]
    assert series["metric"] == {} and [t for t, _ in series["values"]] == [T0 + 60, T0 + 90, T0 + 120]
    assert all(float(value) == pytest.approx(3.5 / 15) for _, value in series["values"])


def test_scalars_strings_and_range_vectors():
    """The other result types; a scalar never has an exponent, a string is escaped for HTML."""
    rig = QueryRig()
    assert rig.get("query", query="1e-9", time=1.5)[1]["data"]["result"] == [1.5, "0.000000001"]
    assert rig.get("query", query="-2.5e22", time=1)[1]["data"]["result"] == [1, "-25000000000000000000000"]
    raw = rig.served.ask("/api/v1/query?query=%22%3Cb%3E%22&time=0").text
    assert '"result":[0,"\\u003cb\\u003e"]' in raw
    kind = rig.get("query", query='requests_total{instance="a"}[30s]', time=T0 + 30)[1]["data"]
    assert kind["resultType"] == "matrix" and kind["result"][0]["values"] == [[T0 + 15, "1"], [T0 + 30, "2"]]


def test_labels_are_not_escaped_for_html_and_nan_is_a_string():
    """The two encoders of Prometheus differ; labels go through the kernel."""
    raw = QueryRig().served.ask(f"/api/v1/query?query=odd&time={T0}").text
    assert '{"__name__":"odd","path":"/\\"x\\"<&>"}' in raw and f'[{T0},"NaN"]' in raw


def test_post_form():
    """Grafana sends its queries so."""
    rig = QueryRig()
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    got = rig.served.ask("/api/v1/query", "POST", b"query=vector(1)&time=5", **form)
    parts = b'--x\r\nContent-Disposition: form-data; name="query"\r\n\r\nvector(1)\r\n--x--'
    content_type = "multipart/form-data; boundary=x"
    in_parts = rig.served.ask("/api/v1/query?time=5", "POST", parts, Content_Type=content_type)
    assert in_parts.body == got.body
    assert json.loads(got.body)["data"]["result"] == [{"metric": {}, "value": [5, "1"]}]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"start": "x"}, 'cannot parse "x" to a valid timestamp'),
        ({"end": ""}, 'cannot parse "" to a valid timestamp'),
        ({"start": 2, "end": 1}, "end timestamp must not be before start time"),
        ({"step": 0}, "zero or negative query resolution step widths are not accepted. Try a positive integer"),
        ({"step": -1}, "zero or negative query resolution step widths are not accepted. Try a positive integer"),
        ({"start": 0, "end": 2, "step": 0.0001}, re.compile("exceeded maximum resolution of 11,000 points")),
        ({"start": 0, "end": 11_001, "step": 1}, re.compile("exceeded maximum resolution of 11,000 points")),
        ({"engine": "mysql"}, "'mysql' bad engine"),
        ({"timeout": "soon"}, 'cannot parse "soon" to a valid duration'),
        ({"query": "sum("}, re.compile("parse error: unclosed left parenthesis")),
        ({"query": "requests_total[5m]"}, re.compile("invalid expression type")),
        ({"storeMatch[]": "{"}, re.compile("parse error")),
        ({"dedup": "2"}, re.compile("'dedup' parameter: ")),
    ],
)
def test_bad_range_queries(args: dict, message: object):
    """QU-24: 400 bad_data with Thanos' and Prometheus' words."""
    given = {"query": "up", "start": T0, "end": T0 + 60, "step": 15} | args
    status, body = QueryRig().get("query_range", **given)
    assert (status, body["errorType"]) == (400, "bad_data")
    assert message.search(body["error"]) if isinstance(message, re.Pattern) else body["error"] == message


def test_the_default_step():
    """max(range / 250 s, default step); 11,000 steps are still allowed."""
    rig = QueryRig()
    values = rig.range("vector(1)", start=0, end=1000)[1]["data"]["result"][0]["values"]
    assert values[1][0] - values[0][0] == 4
    values = rig.range("vector(1)", start=0, end=10)[1]["data"]["result"][0]["values"]
    assert len(values) == 11
    values = QueryRig(QuerySettings(default_step_ms=500)).range("vector(1)", start=0, end=10)[1]["data"]["result"][0]
    assert len(values["values"]) == 21
    assert rig.range("vector(1)", start=0, end=11_000, step=1)[0] == 200


def test_how_series_are_fetched():
    """dedup, replicaLabels[], storeMatch[], partial_response, max_source_resolution and shard_info reach the stores."""
    rig = QueryRig(QuerySettings(replica_labels=("replica",), partial_response=True))
    rig.range("requests_total", step=60)
    options, matchers = rig.asked.pop()
    assert options == SelectOptions(dedup=True, replica_labels=("replica",), partial_response=True) and matchers == ()
    rig.range(
        "requests_total", step=3000, **{"replicaLabels[]": "r"}, dedup="false", partial_response="0",
        max_source_resolution="auto", shard_info='{"total_shards":2}', **{"storeMatch[]": '{__address__="x"}'},
    )  # fmt: skip
    options, matchers = rig.asked.pop()
    assert (options.dedup, options.replica_labels, options.partial_response) == (False, ("r",), False)
    assert (options.max_resolution_ms, options.shard.total_shards) == (600_000, 2)
    assert [[matcher.name for matcher in one] for one in matchers] == [["__address__"]]


def test_stats_and_warnings():
    """Statistics on request; warnings of stores forbid caching, those of PromQL do not."""
    rig = QueryRig()
    stats = rig.get("query", query="requests_total", stats="all")[1]["data"]["stats"]
    assert stats["samples"]["totalQueryableSamples"] == 2 and set(stats["timings"]) >= {
        "execTotalTime",
        "execQueueTime",
    }
    rig.data.warnings = ("store x did not answer",)
    got = rig.served.ask("/api/v1/query?query=requests_total")
    assert json.loads(got.body)["warnings"] == ["store x did not answer"]
    assert got.headers["cache-control"] == "no-store"
    rig.data.warnings = ()
    got = rig.served.ask(f"/api/v1/query?query=quantile(2,requests_total)&time={T0}")
    [warning] = json.loads(got.body)["warnings"]
    assert warning.startswith("PromQL warning: quantile value should be between 0 and 1")
    assert "cache-control" not in got.headers


def test_timeouts_and_failures_of_stores():
    """QU-25: a query over its time is 503 timeout; a store that does not answer is 422 execution, as in Thanos."""
    failures = [
        (QueryTimeout("query timed out"), 503, "timeout"),
        (BucketUnavailable("down"), 422, "execution"),
        (StoreFailed("proxy Series(): gone"), 422, "execution"),
    ]
    for error, expected, error_type in failures:
        for after in (None, 0, 1):
            rig = QueryRig()
            rig.data = _Failing(rig.data, error, after)
            status, body = rig.get("query", query="requests_total")
            assert (status, body["errorType"], str(error) in body["error"]) == (expected, error_type, True)
    for engine, text in [("prometheus", "expanding series: proxy Series(): gone"), ("thanos", "proxy Series(): gone")]:
        rig = QueryRig()
        rig.data = _Failing(rig.data, StoreFailed("proxy Series(): gone"), None)
        assert rig.get("query", query="requests_total", engine=engine)[1]["error"] == text
    status, body = QueryRig().get("query", query="requests_total", timeout="0.000000001")
    assert (status, body["errorType"]) == (503, "timeout")


class _Failing:
    """Fails at once, or where it is read: after so many of the batches."""

    hidden_labels: frozenset[str] = frozenset()

    def __init__(self, data: MemoryQueryable, error: Exception, after: int | None) -> None:
        self._data, self._error, self._after = data, error, after

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        if self._after is None:
            raise self._error
        selection = self._data.select(ctx, matchers, hints)
        return Selection(self._some(selection.batches, self._after))

    def _some(self, batches: Iterator[EncodedSeries], after: int) -> Iterator[EncodedSeries]:
        yield from itertools.islice(batches, after)
        raise self._error


def test_the_gate_counts_queries_and_not_mistakes():
    """As in Thanos, a query passes the gate after its parameters were read."""
    rig = QueryRig()
    rig.get("query", query="vector(1)")
    rig.get("query", query="vector(1)", time="x")
    assert rig.registry.get_sample_value("thanos_query_concurrent_gate_queries_total") == 1
    assert rig.registry.get_sample_value("thanos_query_concurrent_gate_queries_in_flight") == 0


class LabelStore(FakeStore):
    """A FakeStore that answers label requests from a table."""

    def label_names(self, ctx, request: LabelNamesRequest) -> LabelsAnswer:
        self.requests.append(request)
        return LabelsAnswer(("job", "\u00fc", "a"), ("half an answer",) if request.matchers else ())

    def label_values(self, ctx, request: LabelValuesRequest) -> LabelsAnswer:
        self.requests.append(request)
        return LabelsAnswer((f"{request.label}-2", f"{request.label}-1"))


def labels_rig(settings: QuerySettings | None = None, **store: object) -> tuple[Served, LabelStore]:
    fake = LabelStore(**store)
    return Served(LabelsAPI(lambda matchers: fake, settings or QuerySettings(), ManualClock(NOW_MS)).routes()), fake


def ask(served: Served, target: str, **headers: str) -> tuple[int, dict]:
    answer = served.ask(target, **headers)
    return answer.status, json.loads(answer.body)


def test_label_names_and_values():
    """Sorted by bytes, each once over all match[], with the time range, cut at the limit with a warning."""
    served, store = labels_rig()
    assert ask(served, "/api/v1/labels") == (200, {"status": "success", "data": ["a", "job", "\u00fc"]})
    _status, body = ask(served, "/api/v1/labels?match[]=a&match[]=b&limit=2&start=1&end=2")
    assert body["data"] == ["a", "job"]
    assert body["warnings"] == ["half an answer", "results truncated due to limit"]
    request = store.requests[-1]
    assert (request.mint, request.maxt, request.limit, len(request.matchers)) == (1000, 2000, 3, 1)
    assert ask(served, "/api/v1/label/U__a_2e_b/values")[1]["data"] == ["a.b-1", "a.b-2"]
    assert ask(served, "/api/v1/label/%ff/values")[0] == 400
    assert ask(served, "/api/v1/labels?partial_response=false")[0] == 200
    assert store.requests[-1].partial_response is PartialResponse.ABORT


def test_series():
    """QU-30: match[] is needed; label sets of all selectors, once each and in order; replica labels are gone."""
    series = [({"__name__": "up", "i": str(n % 3), "replica": str(n)}, []) for n in range(6)]
    served, store = labels_rig(QuerySettings(replica_labels=("replica",)), series_list=series)
    status, body = ask(served, "/api/v1/series")
    assert (status, body["error"]) == (400, "no match[] parameter provided")
    status, body = ask(served, "/api/v1/series?match[]=up&match[]={i=%221%22}")
    assert body["data"] == [{"__name__": "up", "i": str(n)} for n in range(3)]
    assert store.requests[-1].skip_chunks and store.requests[-1].without_replica_labels == ("replica",)
    assert len(ask(served, "/api/v1/series?match[]=up&dedup=0")[1]["data"]) == 6
    status, body = ask(served, "/api/v1/series?match[]=up&limit=2")
    assert len(body["data"]) == 2 and body["warnings"] == ["results truncated due to limit"]
    assert ask(served, "/api/v1/series?match[]=nothing")[1]["data"] == []


def test_series_of_a_store_that_cannot_strip_replica_labels():
    """They are taken out here, and a warning of the store comes along."""
    series = [({"__name__": "up", "replica": str(n)}, []) for n in range(2)]
    served, _ = labels_rig(
        QuerySettings(replica_labels=("replica",)),
        series_list=series, strips_replica_labels=False, frames=[StoreWarning("slow")],
    )  # fmt: skip
    _status, body = ask(served, "/api/v1/series?match[]=up")
    assert (body["data"], body["warnings"]) == ([{"__name__": "up"}], ["slow"])


def test_stores():
    """QU-31: by kind, with Go's zero time for never and null for no error."""
    statuses = [
        EndpointStatus("b:1", "store", 0, 5, ({"r": "1", "a": "2"},), 1_700_000_000_123, ""),
        EndpointStatus("a:1", "sidecar", 1, 2, (), None, "refused"),
        EndpointStatus("c:1", "", 0, 0),
    ]
    _status, body = ask(Served(StoresAPI(lambda: statuses).routes()), "/api/v1/stores")
    assert list(body["data"]) == ["sidecar", "store"]
    assert body["data"]["store"] == [
        {"name": "b:1", "lastCheck": "2023-11-14T22:13:20.123Z", "lastError": None, "labelSets": [{"a": "2", "r": "1"}],
         "minTime": 0, "maxTime": 5}
    ]  # fmt: skip
    assert body["data"]["sidecar"][0]["lastCheck"] == "0001-01-01T00:00:00Z"
    assert body["data"]["sidecar"][0]["lastError"] == "refused"


def test_status():
    """Flags, runtime and build information; the preflight of any path is 204."""
    served = Served(StatusAPI({"query.timeout": "2m", "a": "1"}, ManualClock(0)).routes())
    assert ask(served, "/api/v1/status/flags")[1]["data"] == {"a": "1", "query.timeout": "2m"}
    assert ask(served, "/api/v1/status/runtimeinfo")[1]["data"]["startTime"] == "1970-01-01T00:00:00Z"
    fields = ["version", "revision", "branch", "buildUser", "buildDate", "goVersion"]
    assert list(ask(served, "/api/v1/status/buildinfo")[1]["data"]) == fields
    assert served.ask("/api/v1/query", "OPTIONS").status == 204


ULID = "01HF00000000000000000000AB"


def blocks_rig(**options: object) -> tuple[Served, MemoryBucket]:
    meta = BlockMeta(
        ulid=ULID, mint=0, maxt=10, compaction=Compaction(level=2, sources=(ULID,)),
        thanos=ThanosMeta(version=1, labels={"r": "<1>"}, source="sidecar"),
    )  # fmt: skip
    bucket = MemoryBucket()
    return Served(BlocksAPI(lambda: [meta, meta], bucket, ManualClock(NOW_MS), label="r", **options).routes()), bucket


def test_loaded_blocks():
    """The metas as in meta.json; the view of the whole bucket is empty."""
    served, _ = blocks_rig()
    data = ask(served, "/api/v1/blocks?view=loaded")[1]["data"]
    assert (data["label"], data["err"], data["refreshedAt"]) == ("r", None, "2023-11-14T22:23:20Z")
    assert [block["ulid"] for block in data["blocks"]] == [ULID, ULID]
    assert data["blocks"][0]["thanos"]["labels"] == {"r": "<1>"}
    assert ask(served, "/api/v1/blocks")[1]["data"]["blocks"] == []


def test_marking_a_block():
    """204 and a mark in the bucket; mistakes are bad_data in Thanos' words."""
    served, bucket = blocks_rig()
    form = {"Content_Type": "application/x-www-form-urlencoded"}

    def mark(body: str) -> tuple[int, str]:
        answer = served.ask("/api/v1/blocks/mark", "POST", body.encode(), **form)
        return answer.status, json.loads(answer.body)["error"] if answer.body else ""

    assert mark(f"id={ULID}&action=DELETION&detail=old") == (204, "")
    assert json.loads(bucket.get(f"{ULID}/deletion-mark.json"))["deletion_time"] == NOW_MS // 1000
    assert mark(f"id={ULID}&action=NO_COMPACTION") == (204, "")
    assert bucket.exists(f"{ULID}/no-compact-mark.json")
    assert mark("action=DELETION") == (400, "ID cannot be empty")
    assert mark(f"id={ULID}") == (400, "Action cannot be empty")
    assert mark("id=../x&action=DELETION") == (400, 'ULID "../x" is not valid')
    assert mark(f"id={ULID}&action=EXPLODE") == (400, "not supported marker EXPLODE")
    served, bucket = blocks_rig(disable_admin_operations=True)
    assert mark(f"id={ULID}&action=DELETION") == (400, "Admin operations are disabled")
    assert not bucket.exists(f"{ULID}/deletion-mark.json")


def test_pages_load_nothing_from_elsewhere():
    """Every link is below the prefix, every asset is there, caches revalidate, / leads to the first page."""
    served = Served(Pages({"/graph": "graph.html", "/loaded": "blocks.html"}, external_prefix="/thanos").routes())
    home = served.ask("/")
    assert (home.status, home.headers["location"]) == (302, "/thanos/graph")
    for page in ("/graph", "/loaded"):
        got = served.ask(page)
        assert (
            got.headers["content-type"].startswith("text/html") and "'self'" in got.headers["content-security-policy"]
        )
        links = re.findall(r'(?:src|href)="([^"]*)"', got.text)
        assert links and all(link.startswith("/thanos/") for link in links)
        for link in links:
            assert served.ask(link.removeprefix("/thanos")).status == 200
        assert not re.search(r"https?://", got.text)
        assert served.ask(page, If_None_Match=got.headers["etag"]).status == 304
    assert served.ask("/static/..%2f__init__.py").status == 404


@pytest.mark.parametrize(
    ("sent", "prefix"),
    [
        ("/a/b/", "/a/b"),
        ("https://evil.example/x//y/../z", "/x/z"),
        ("//evil.example", ""),
        ("/\\evil.example", "/evil.example"),
        ("/%2f%2fevil.example", "/evil.example"),
        ('/"><script>', "/%22%3E%3Cscript%3E"),
        ("..", ""),
        ("http://[", ""),
        ("", ""),
    ],
)
def test_links_start_with_what_a_proxy_says(sent: str, prefix: str):
    """XC-51: only the path of it, made absolute, so that no header leads to another host."""
    served = Served(Pages({"/graph": "graph.html"}, prefix_header="X-Forwarded-Prefix").routes())
    assert served.ask("/", X_Forwarded_Prefix=sent).headers["location"] == f"{prefix}/graph"
    page = served.ask("/graph", X_Forwarded_Prefix=sent)
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    below = tuple(f"{prefix}/{name}" for name in ("static/", "graph", "loaded"))
    assert links and all(link.startswith(below) for link in links)
    assert served.ask("/graph", X_Forwarded_Prefix="/other").headers["etag"] != page.headers["etag"]


def test_the_configured_prefix_wins_over_the_header():
    """XC-51: and without a header configured none is looked at."""
    both = Pages({"/graph": "graph.html"}, external_prefix="/own/", prefix_header="X-Forwarded-Prefix")
    assert Served(both.routes()).ask("/", X_Forwarded_Prefix="/a").headers["location"] == "/own/graph"
    neither = Pages({"/graph": "graph.html"})
    assert Served(neither.routes()).ask("/", X_Forwarded_Prefix="/a").headers["location"] == "/graph"


def test_matchers_reach_the_stores():
    """The selectors of match[] are parsed by PromQL's parser."""
    served, store = labels_rig()
    ask(served, "/api/v1/labels?match[]={a%3D~%22b.*%22}")
    (matcher,) = store.requests[-1].matchers
    assert isinstance(matcher, Matcher) and matcher.name == "a" and matcher.matches("bcd")
