"""``format_query``, ``parse_query``, ``query_explain`` and the parameters ``limit`` and ``analyze``."""

import json
from urllib.parse import urlencode

import pytest
from test_web_api import T0, QueryRig
from web_fixtures import Served

from pythanos.promql.syntax.cursor import ParserOptions
from pythanos.web.api.query.expressions import ExpressionsAPI
from pythanos.web.api.query.settings import QuerySettings


def ask(path, query, method="GET"):
    served = Served(ExpressionsAPI(ParserOptions()).routes())
    form = urlencode({"query": query})
    if method == "POST":
        headers = {"Content_Type": "application/x-www-form-urlencoded"}
        answer = served.ask(f"/api/v1/{path}", "POST", form.encode(), **headers)
    else:
        answer = served.ask(f"/api/v1/{path}?{form}")
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_expressions_are_formatted_and_parsed(method):
    assert ask("format_query", "sum(rate(up[5m]))by(job)", method) == (
        200,
        {"status": "success", "data": "sum by (job) (rate(up[5m]))"},
    )
    tree = {"type": "parenExpr", "expr": {"type": "numberLiteral", "val": "1"}}
    assert ask("parse_query", "(1)", method) == (200, {"status": "success", "data": tree})
    assert list(ask("parse_query", "up", method)[1]["data"])[:3] == ["anchored", "matchers", "name"]


@pytest.mark.parametrize("path", ["format_query", "parse_query"])
def test_what_is_no_expression_is_refused_in_the_form_of_prometheus(path):
    status, body = ask(path, "sum(")
    assert (status, body["errorType"]) == (400, "bad_data")
    assert body["error"].startswith('invalid parameter "query": 1:5: parse error: ')
    assert ask(path, "")[0] == 400


def test_plans_are_explained():
    """XC-46: names and children; nothing is evaluated."""
    rig = QueryRig()
    status, body = rig.get("query_explain", query="sum(rate(requests_total[5m]))", engine="thanos")
    assert status == 200
    assert body["data"]["name"].startswith("[aggregate] sum")
    assert body["data"]["children"][0]["name"] == "[function] rate"
    status, body = rig.get("query_range_explain", query="1 + 1", start=T0, end=T0 + 60, step=1, engine="thanos")
    assert (status, body["data"]) == (200, {"name": "[number] 2.0"})
    assert rig.get("query_explain", query="sum(", engine="thanos")[0] == 400
    assert rig.get("query_range_explain", query="up", start=2, end=1, engine="thanos")[0] == 400
    assert rig.get("query_explain", query="up", engine="thanos")[0] == 200
    for engine in ("other", "prometheus"):
        assert rig.get("query_explain", query="up", engine=engine)[0] == 400


def test_a_limit_cuts_series_and_says_so():
    rig = QueryRig()
    for path, more in (("query", {}), ("query_range", {"start": T0 + 60, "end": T0 + 120, "step": 15})):
        status, body = rig.get(path, query="requests_total", limit=1, **more)
        assert status == 200
        assert len(body["data"]["result"]) == 1
        assert body["warnings"] == ["results truncated due to limit"]
        assert "warnings" not in rig.get(path, query="requests_total", limit=2, **more)[1]
        assert len(rig.get(path, query="requests_total", limit=0, **more)[1]["data"]["result"]) == 2
    status, body = rig.get("query", query="requests_total[1m]", limit=1)
    assert len(body["data"]["result"]) == 1
    assert rig.get("query", query="up", limit="-1")[0] == 400


@pytest.mark.parametrize("analyze", ["true", "1"])
@pytest.mark.parametrize("engine", [{}, {"engine": "thanos"}])
def test_queries_are_analyzed(analyze: str, engine: dict[str, str]):
    """QU-26: a tree of operators with times and samples."""
    body = QueryRig().range("sum(rate(requests_total[1m]))", analyze=analyze, **engine)[1]
    analysis = body["data"]["analysis"]
    assert analysis["name"].startswith("[aggregate] sum")
    assert {"executionTime", "peakSamples", "totalSamples", "children"} <= analysis.keys()
    assert QueryRig().range("up", analyze="yes", engine="thanos")[1]["data"]["analysis"] == {}


def test_the_other_engine_of_thanos_analyzes_and_explains_nothing():
    """QU-26, QU-27: asked for by name, it gives a warning instead of an analysis, an error instead of a plan."""
    rig, engine = QueryRig(), {"engine": "prometheus"}
    for status, body in (
        rig.get("query", query="requests_total", analyze="true", **engine),
        rig.range("requests_total", analyze="1", **engine),
    ):
        assert (status, body["data"]["analysis"]) == (200, {})
        assert body["warnings"] == ["Query not analyzable; change engine to 'thanos'."]
    assert "warnings" not in rig.get("query", query="requests_total", analyze="no", **engine)[1]
    for path, times in (("query_explain", {}), ("query_range_explain", {"start": T0, "end": T0 + 60, "step": 1})):
        status, body = rig.get(path, query="up", **times, **engine)
        assert (status, body["error"]) == (400, "engine type must be 'thanos'")


@pytest.mark.parametrize("engine", ["prometheus", "thanos"])
def test_plans_are_shown_where_no_engine_is_named(engine: str):
    """Whatever the setting says: there is one engine, and it has a plan."""
    rig = QueryRig(QuerySettings(engine=engine))
    assert rig.get("query_explain", query="up")[0] == 200
    assert rig.range("requests_total", analyze="true")[1]["data"]["analysis"] != {}
    assert rig.get("query_explain", query="up", engine="prometheus")[0] == 400
    status, body = rig.get("query", query="up", engine="mimir")
    assert (status, body["error"]) == (400, "'mimir' bad engine")
