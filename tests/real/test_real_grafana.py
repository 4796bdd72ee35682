"""What Grafana's Prometheus data source asks, of a real Prometheus and of us: status, headers and values are alike.

The calls are those of Grafana 10 to 12: health and version by buildinfo; queries as POST forms, ``step`` in seconds,
times with a fraction; variables and the query builder by labels, label values and series with ``match[]``; hints by
metadata.
"""

import gzip
import json
import urllib.error
import urllib.parse
import urllib.request

import pytest
from real.plant import END_MS, START_MS

START, END = START_MS / 1000, END_MS / 1000
WINDOW = {"start": f"{START:.0f}", "end": f"{END:.0f}"}
RATE = "sum by (job) (rate(requests_total[5m]))"
RANGE = {"query": RATE, "start": f"{START + 600:.3f}", "end": f"{END:.3f}", "step": "60"}
ISO = {"start": "2023-11-15T00:00:00.000Z", "end": "2023-11-15T05:00:00Z"}
CALLS = [
    ("POST", "query_range", RANGE),
    ("POST", "query_range", {**RANGE, "step": "15", "end": f"{START + 1200:.3f}"}),
    ("GET", "query_range", {**RANGE, "timeout": "60s"}),
    ("POST", "query_range", {**RANGE, "query": "native_seconds", "step": "300"}),
    ("POST", "query", {"query": RATE, "time": f"{END - 60:.3f}"}),
    ("POST", "query", {"query": RATE, "time": "2023-11-15T03:00:00.000Z"}),
    ("POST", "query", {"query": "requests_total[1m]", "time": f"{END - 60:.3f}"}),
    ("POST", "query", {"query": "1+1", "time": f"{END:.3f}"}),
    ("POST", "query", {"query": '"text"', "time": f"{END:.3f}"}),
    ("POST", "query", {"query": "requests_total", "time": f"{END - 60:.3f}", "limit": "2"}),
    ("POST", "query", {"query": "sum(", "time": "1"}),
    ("POST", "query", {"query": "limit * on () group_left () limit", "time": f"{END - 60:.3f}"}),
    ("POST", "query_range", {**RANGE, "step": "0"}),
    ("POST", "query_range", {**RANGE, "step": "1"}),
    ("POST", "query_range", {**RANGE, "end": f"{START:.3f}"}),
    ("POST", "query_range", {"query": RATE}),
    ("GET", "labels", WINDOW),
    ("POST", "labels", WINDOW),
    ("GET", "labels", {**WINDOW, "match[]": 'requests_total{job="api"}'}),
    ("GET", "labels", {**WINDOW, "limit": "2"}),
    ("GET", "label/__name__/values", WINDOW),
    ("GET", "label/job/values", {**WINDOW, "match[]": "requests_total"}),
    ("GET", "label/job/values", {**ISO, "match[]": "requests_total"}),
    ("GET", "label/nothing/values", WINDOW),
    ("GET", "series", {**WINDOW, "match[]": 'requests_total{job="db"}'}),
    ("POST", "series", {**WINDOW, "match[]": ["odd", "limit"]}),
    ("GET", "series", WINDOW),
    ("POST", "format_query", {"query": "sum(rate(requests_total[5m]))by(job)"}),
    ("GET", "format_query", {"query": "sum("}),
    ("POST", "parse_query", {"query": 'sum by (job) (rate(requests_total{job=~"a.*"}[5m] offset 1m)) > bool 1'}),
    ("GET", "parse_query", {"query": "sum("}),
    ("GET", "metadata", {}),
    ("GET", "metadata", {"limit": "1"}),
    ("GET", "rules", {}),
    ("GET", "alerts", {}),
    ("GET", "query_exemplars", {"query": RATE, **WINDOW}),
    ("POST", "query_exemplars", {"query": RATE, **WINDOW}),
    ("GET", "no_such_thing", {}),
]


def call(url, method, path, parameters):
    """(status, content type, body)."""
    form = urllib.parse.urlencode(parameters, doseq=True)
    address = f"{url}/api/v1/{path}"
    headers = {"Accept-Encoding": "gzip", "User-Agent": "Grafana/12.0.0"}
    if method == "POST":
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        request = urllib.request.Request(address, data=form.encode(), headers=headers)
    else:
        request = urllib.request.Request(f"{address}?{form}", headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        body = answer.read()
        if answer.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return answer.status, answer.headers.get_content_type(), body


@pytest.mark.parametrize("method, path, parameters", CALLS, ids=lambda value: str(value)[:60])
def test_a_call_is_answered_as_prometheus_answers_it(both, method, path, parameters):
    theirs, ours = (call(url, method, path, parameters) for url in (both.theirs, both.ours))
    assert ours[0] == theirs[0]
    if path == "no_such_thing":
        return
    assert ours[1] == theirs[1] == "application/json"
    mine, his = json.loads(ours[2]), json.loads(theirs[2])
    if isinstance(mine.get("data"), dict):
        # Thanos' answers to queries have it, an empty one too; Grafana ignores it.
        assert mine["data"].pop("analysis", {}) == {}
    if path == "parse_query" and mine["status"] == "success":
        # Prometheus 3.5 knows less of the language.
        assert_contains(mine["data"], his["data"])
        return
    if his.get("status") == "error":
        assert (mine["status"], mine["errorType"]) == ("error", his["errorType"])
        assert mine["error"]
        return
    assert shape(mine) == shape(his)
    if path == "labels" and "replica" in mine["data"] and "limit" not in parameters:
        # The label of the whole block, which a Prometheus adds to what it sends and does not show itself.
        mine["data"].remove("replica")
    if path.startswith(("query", "label", "series", "format")):
        assert rounded(mine["data"]) == rounded(his["data"])


def shape(value):
    """Names and types, of lists the first item's."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items() if name not in ("warnings", "infos")}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


def rounded(value):
    """Values of samples to 12 digits: the order of additions differs between versions."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    try:
        return f"{float(value):.12g}" if isinstance(value, str) else value
    except ValueError:
        return value


def assert_contains(mine, his):
    if isinstance(his, dict):
        for name, value in his.items():
            assert_contains(mine[name], value)
    elif isinstance(his, list):
        assert len(mine) == len(his)
        for one, other in zip(mine, his, strict=True):
            assert_contains(one, other)
    else:
        assert mine == his


def test_buildinfo_says_what_grafana_looks_for(both):
    """Grafana tells the flavour by ``features`` (absent: Prometheus or Thanos) and reads ``version``."""
    theirs, ours = (json.loads(call(url, "GET", "status/buildinfo", {})[2])["data"] for url in (both.theirs, both.ours))
    assert ours.keys() == theirs.keys()
    assert ours["version"]


def test_preflight_and_other_methods(both):
    """OPTIONS is answered for any path with the headers that a browser asks for; other methods are refused."""
    request = urllib.request.Request(f"{both.ours}/api/v1/query", method="OPTIONS")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    request = urllib.request.Request(f"{both.ours}/api/v1/query", method="DELETE")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 405


def test_large_answers_come_compressed(both):
    request = urllib.request.Request(
        f"{both.ours}/api/v1/series?match[]=requests_total", headers={"Accept-Encoding": "gzip"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert json.loads(gzip.decompress(answer.read()))["status"] == "success"
