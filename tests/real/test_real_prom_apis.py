"""Rules, alerts, targets, metadata, exemplars and TSDB statistics of real Prometheus servers through Thanos sidecars.

Our querier and a Thanos querier are asked the same things of the same two replicas.
"""

import http.server
import json
import threading
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager

import pytest
from real.conftest import prometheus_binaries, thanos_binary
from real.prometheus import running_prometheus
from real.realproc import RealProcess, answers, free_port
from running import running_query

EXPOSITION = """# TYPE shop_orders counter
# HELP shop_orders Orders of the shop.
shop_orders_total{kind="web"} 5 # {trace_id="abc"} 1.5
# TYPE shop_load_ratio gauge
# HELP shop_load_ratio Load < 1 & "fine".
# UNIT shop_load_ratio ratio
shop_load_ratio 0.5
# EOF
"""
CONFIG = """
global: {scrape_interval: 1s, evaluation_interval: 1s, external_labels: {cluster: one, replica: @REPLICA@}}
rule_files: ["@RULES@"]
scrape_configs:
  - {job_name: shop, static_configs: [{targets: ["@SHOP@"]}]}
  - job_name: dropped
    static_configs: [{targets: ["127.0.0.1:1"]}]
    relabel_configs: [{action: drop, source_labels: [__address__]}]
"""
RULES = """
groups:
  - name: shop
    rules:
      - {record: "shop:orders", expr: sum(shop_orders_total), labels: {team: a}}
      - {alert: Busy, expr: shop_load_ratio > 0.1, labels: {severity: page}, annotations: {text: "{{ $value }}"}}
      - {alert: Waiting, expr: shop_load_ratio > 0.1, for: 1h, keep_firing_for: 5m}
      - {alert: Idle, expr: shop_load_ratio > 5}
  - {name: late, interval: 1h, rules: [{record: "shop:load", expr: shop_load_ratio}]}
"""
# What differs between two questions to the same server, or between replicas of it.
MOVING = {"evaluationTime", "lastEvaluation", "lastScrape", "lastScrapeDuration", "activeAt", "timestamp"}


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = EXPOSITION.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Says nothing."""


@contextmanager
def shop():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def sidecar(stack, home, prometheus, name):
    grpc, http_port = free_port(), free_port()
    argv = [thanos_binary(), "sidecar", f"--prometheus.url={prometheus.url}", f"--tsdb.path={prometheus.data}"]
    argv += [f"--grpc-address=127.0.0.1:{grpc}", f"--http-address=127.0.0.1:{http_port}"]
    stack.enter_context(RealProcess(argv, answers(f"http://127.0.0.1:{http_port}/-/ready"), home, name=name))
    return f"127.0.0.1:{grpc}"


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    """(our querier, a Thanos querier, one of the two Prometheus servers)."""
    thanos = thanos_binary()
    binary, _ = prometheus_binaries("new")
    with ExitStack() as stack:
        target = stack.enter_context(shop())
        servers, endpoints = [], []
        # Groups of one file are one group, so the replicas share it.
        rules = tmp_path_factory.mktemp("rules") / "rules.yml"
        rules.write_text(RULES)
        for replica in ("a", "b"):
            home = tmp_path_factory.mktemp(f"prometheus-{replica}")
            config = CONFIG.replace("@REPLICA@", replica).replace("@SHOP@", target).replace("@RULES@", str(rules))
            servers.append(stack.enter_context(running_prometheus(binary, home, config=config)))
            endpoints.append(sidecar(stack, home, servers[-1], "sidecar"))
        home = tmp_path_factory.mktemp("queriers")
        port = free_port()
        argv = [thanos, "query", f"--http-address=127.0.0.1:{port}", f"--grpc-address=127.0.0.1:{free_port()}"]
        argv += ["--query.replica-label=replica", *(f"--endpoint={address}" for address in endpoints)]
        theirs = f"http://127.0.0.1:{port}"
        stack.enter_context(RealProcess(argv, answers(f"{theirs}/-/ready"), home, name="thanos-query"))
        ours = stack.enter_context(running_query(home, endpoints, query={"replica_label": ["replica"]})).http
        for server in servers:
            server.wait_for('ALERTS{alertname="Busy", alertstate="firing"}')
            server.wait_for("shop:orders")
        wait_until(lambda: len(get(ours, "stores")["data"].get("sidecar", ())) == 2)
        wait_until(lambda: len(get(theirs, "stores")["data"].get("sidecar", ())) == 2)
        yield ours, theirs, servers[0].url


def wait_until(holds, seconds=20):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.1)


def get(url, path, **parameters):
    query = urllib.parse.urlencode(parameters, doseq=True)
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{query}", timeout=30) as answer:
        return json.load(answer)


def still(value):
    """The same without the members that move."""
    if isinstance(value, dict):
        return {name: still(one) for name, one in value.items() if name not in MOVING}
    return [still(one) for one in value] if isinstance(value, list) else value


QUESTIONS = [
    ("rules", {}),
    ("rules", {"type": "alert"}),
    ("rules", {"type": "record"}),
    ("rules", {"rule_name[]": ["Busy", "shop:load"]}),
    ("rules", {"rule_group[]": "late"}),
    ("rules", {"file[]": "nowhere.yml"}),
    ("rules", {"match[]": '{severity="page"}'}),
    ("alerts", {}),
    ("targets", {}),
    ("targets", {"state": "dropped"}),
    ("targets", {"state": "active"}),
    ("metadata", {"metric": "shop_orders"}),
    ("metadata", {"metric": "shop_load_ratio"}),
    ("metadata", {"metric": "nothing"}),
    ("metadata", {"limit": "0"}),
    ("query_exemplars", {"query": "shop_orders_total"}),
    ("query_exemplars", {"query": 'rate(shop_orders_total{cluster="one"}[5m])'}),
    ("query_exemplars", {"query": 'shop_orders_total{cluster="two"}'}),
    ("status/tsdb", {"match[]": '{cluster="two"}'}),
]


@pytest.mark.parametrize("path, parameters", QUESTIONS, ids=lambda value: str(value))
def test_answers_are_those_of_a_thanos_querier(urls, path, parameters):
    """QU-32, QU-33: two replicas are one; labels, states and order are Thanos'."""
    ours, theirs, _ = urls
    mine, his = still(get(ours, path, **parameters)), still(get(theirs, path, **parameters))
    for answer in (mine, his):
        if path == "query_exemplars":
            for series in answer["data"]:
                # A replica scrapes at its own times.
                series["exemplars"] = series["exemplars"][:1]
    assert mine == his


def test_the_questions_have_answers(urls):
    """Nothing above is equal because it is empty."""
    ours, _, prometheus = urls
    groups = get(ours, "rules")["data"]["groups"]
    assert [(group["name"], len(group["rules"])) for group in groups] == [("late", 1), ("shop", 4)]
    assert [alert["labels"]["alertname"] for alert in get(ours, "alerts")["data"]["alerts"]] == ["Busy", "Waiting"]
    targets = get(ours, "targets")["data"]
    assert [target["health"] for target in targets["activeTargets"]] == ["up"]
    assert len(targets["droppedTargets"]) == 1
    assert (
        get(ours, "metadata", metric="shop_orders")["data"] == get(prometheus, "metadata", metric="shop_orders")["data"]
    )
    assert get(ours, "query_exemplars", query="shop_orders_total")["data"][0]["exemplars"][0]["value"] == "1.5"


def test_head_statistics_are_summed_over_the_replicas(urls):
    ours, theirs, prometheus = urls
    mine, his = get(ours, "status/tsdb", limit=3)["data"], get(theirs, "status/tsdb", limit=3)["data"]
    assert mine.keys() == his.keys()
    assert mine["headStats"]["numSeries"] == 2 * get(prometheus, "status/tsdb")["data"]["headStats"]["numSeries"]
    assert mine["headStats"]["numSeries"] == his["headStats"]["numSeries"]
    assert [one["name"] for one in mine["labelValueCountByLabelName"]] == [
        one["name"] for one in his["labelValueCountByLabelName"]
    ]
    assert len(mine["seriesCountByMetricName"]) == 3
