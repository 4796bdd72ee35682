"""Distributed queries of our querier over real Thanos queriers, and of a real Thanos over ours.

Both have to give what one querier over all stores gives.
"""

import json
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from real.answers import Answer, ask, differences
from real.conftest import thanos_binary
from real.realproc import RealProcess, answers, free_port
from regions import END_MS, HOUR_MS, QUERIES, REPLICA, START_MS, fill_regions
from running import running_query

# Sums of sums are added in another order.
RELATIVE = 1e-9
SPAN = {"start": str((START_MS + HOUR_MS // 2) // 1000), "end": str(END_MS // 1000 - 60), "step": "60"}


@dataclass(frozen=True)
class Rig:
    """URLs: one querier over all stores, of each kind; the two distributed ones, over queriers of the other kind."""

    ours: str
    our_grpc: str
    theirs: str
    our_root: str
    their_root: str
    their_leaves: list[str]


def thanos_store(stack: ExitStack, folder: str, home: Path, name: str) -> str:
    config = home / f"{name}.yaml"
    config.write_text(f"type: FILESYSTEM\nconfig: {{directory: {folder}}}\n")
    http, rpc = free_port(), free_port()
    argv = [thanos_binary(), "store", f"--objstore.config-file={config}", f"--data-dir={home}/{name}"]
    argv += [f"--http-address=127.0.0.1:{http}", f"--grpc-address=127.0.0.1:{rpc}"]
    stack.enter_context(RealProcess(argv, answers(f"http://127.0.0.1:{http}/-/ready"), home, name=name))
    return f"127.0.0.1:{rpc}"


def thanos_query(stack: ExitStack, endpoints: list[str], home: Path, name: str, *flags: str) -> tuple[str, str]:
    """(URL, gRPC address) of a real querier."""
    http, rpc = free_port(), free_port()
    argv = [thanos_binary(), "query", f"--http-address=127.0.0.1:{http}", f"--grpc-address=127.0.0.1:{rpc}"]
    argv += [f"--query.replica-label={REPLICA}", *flags, *(f"--endpoint={address}" for address in endpoints)]
    url = f"http://127.0.0.1:{http}"
    stack.enter_context(RealProcess(argv, answers(f"{url}/-/ready"), home, name=name))
    return url, f"127.0.0.1:{rpc}"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    thanos_binary()
    home = tmp_path_factory.mktemp("distributed")
    section = {"replica_label": [REPLICA]}
    with ExitStack() as stack:
        stores = [
            thanos_store(stack, folder, home, f"store{number}") for number, folder in enumerate(fill_regions(home))
        ]

        def our_query(name: str, endpoints: list[str], **query: object):
            (home / name).mkdir()
            return stack.enter_context(running_query(home / name, endpoints, query={**section, **query}))

        their_leaves = [thanos_query(stack, [store], home, f"leaf{n}") for n, store in enumerate(stores)]
        our_leaves = [our_query(f"our-leaf{n}", [store]).grpc for n, store in enumerate(stores)]
        whole = our_query("whole", stores)
        yield Rig(
            ours=whole.http,
            our_grpc=whole.grpc,
            theirs=thanos_query(stack, stores, home, "whole-thanos")[0],
            our_root=our_query("root", [rpc for _, rpc in their_leaves], mode="distributed").http,
            their_root=thanos_query(stack, our_leaves, home, "root-thanos", "--query.mode=distributed")[0],
            their_leaves=[url for url, _ in their_leaves],
        )


def asked(url: str, text: str, *, instant: bool) -> Answer:
    if instant:
        return ask(url, "query", {"query": text, "time": str((END_MS - HOUR_MS) // 1000)})
    return ask(url, "query_range", {"query": text, **SPAN})


def series_of(answer: Answer) -> list[dict]:
    return answer.body["data"]["result"]


@pytest.mark.parametrize("instant", [False, True], ids=["range", "instant"])
@pytest.mark.parametrize("text", QUERIES)
def test_our_root_over_thanos_queriers(rig, text, instant):
    """QU-29, QU-37: what the leaves computed, put together, is what one querier computes from all samples."""
    whole, root = asked(rig.ours, text, instant=instant), asked(rig.our_root, text, instant=instant)
    assert differences(whole, root, relative=RELATIVE) == []
    assert root.body["status"] == "success"
    assert series_of(root) or "absent(gauge" in text


@pytest.mark.parametrize("instant", [False, True], ids=["range", "instant"])
@pytest.mark.parametrize("text", QUERIES)
def test_a_thanos_root_over_our_queriers(rig, text, instant):
    """Our QueryAPI speaks to Thanos' distributed engine: the answer is that of a Thanos querier over all stores."""
    whole, root = asked(rig.theirs, text, instant=instant), asked(rig.their_root, text, instant=instant)
    assert differences(whole, root, relative=RELATIVE) == []
    assert root.body["status"] == "success"


def test_the_plan_names_what_is_sent(rig):
    explained = ask(rig.our_root, "query_range_explain", {"query": "sum(rate(requests_total[5m]))", **SPAN})
    text = json.dumps(explained.body)
    assert text.count("sum by (region) (rate(requests_total[5m]))") == 2
    whole = ask(rig.ours, "query_range_explain", {"query": "sum(rate(requests_total[5m]))", "engine": "thanos", **SPAN})
    assert "[query]" not in json.dumps(whole.body)


RULES = """
groups:
  - name: group
    interval: 1s
    rules:
      - {{alert: Nothing, expr: "absent(nothing) > 0"}}
      - {{alert: Mistaken, expr: "gauge @ {0} + on () gauge @ {0}"}}
"""


def test_a_thanos_ruler_asks_our_querier(rig, tmp_path):
    """Over gRPC: an alert fires, and one whose expression cannot be evaluated says why."""
    (tmp_path / "rules.yaml").write_text(RULES.format(END_MS // 1000 - 60))
    http = free_port()
    argv = [thanos_binary(), "rule", f"--grpc-query-endpoint={rig.our_grpc}", f"--data-dir={tmp_path}/data"]
    argv += [f"--rule-file={tmp_path}/rules.yaml", '--label=rule="r"', f"--http-address=127.0.0.1:{http}"]
    argv += [f"--grpc-address=127.0.0.1:{free_port()}", "--eval-interval=1s"]
    url = f"http://127.0.0.1:{http}"
    with RealProcess(argv, answers(f"{url}/-/ready"), tmp_path, name="rule") as ruler:
        deadline = time.monotonic() + 30
        rules = {}
        while time.monotonic() < deadline and {rule["health"] for rule in rules.values()} != {"ok", "err"}:
            time.sleep(0.2)
            with urllib.request.urlopen(f"{url}/api/v1/rules", timeout=10) as answer:
                groups = json.load(answer)["data"]["groups"]
            rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert (rules["Nothing"]["health"], rules["Nothing"]["state"]) == ("ok", "firing")
    assert rules["Mistaken"]["health"] == "err"
    # Its API says only that nobody answered.
    assert "code = Aborted desc = found duplicate series for the match group" in ruler.output


def calls(url: str, method: str) -> float:
    """How many calls of a method a Thanos has served."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    served = [line for line in lines if line.startswith("grpc_server_handled_total") and f'"{method}"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in served)


def test_the_leaves_are_asked_for_results_and_not_for_series(rig):
    before = [(calls(leaf, "QueryRange"), calls(leaf, "Series")) for leaf in rig.their_leaves]
    asked(rig.our_root, "sum(gauge)", instant=False)
    after = [(calls(leaf, "QueryRange"), calls(leaf, "Series")) for leaf in rig.their_leaves]
    assert after == [(queries + 1, series) for queries, series in before]
