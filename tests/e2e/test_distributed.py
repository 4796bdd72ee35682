"""A querier over two queriers gives what one over all stores gives; one that is gone is a warning."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from real.answers import Answer, ask, differences
from regions import BLOCK_MS, END_MS, HOUR_MS, QUERIES, REGIONS, REPLICA, START_MS, fill_regions
from running import Daemon, folder_bucket, running_query, running_store

# Sums of sums are added in another order.
RELATIVE = 1e-9
SPAN = {"start": str((START_MS + HOUR_MS // 2) // 1000), "end": str(END_MS // 1000 - 60), "step": "60"}
TIME = {"time": str((END_MS - HOUR_MS) // 1000)}


@dataclass(frozen=True)
class Rig:
    """``root`` is over the leaves and has queries evaluated there, ``whole`` is over the stores of both."""

    whole: Daemon
    root: Daemon
    leaves: list[Daemon]
    # Over ``whole``, and a querier that has the later half of the time only.
    late_root: Daemon
    # Ends the second leaf.
    last: ExitStack


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    home = tmp_path_factory.mktemp("distributed")
    replicas = {"replica_label": [REPLICA]}
    with ExitStack() as stack, ExitStack() as last:
        folders = fill_regions(home)
        stores = [
            stack.enter_context(running_store(home / f"store{number}", folder_bucket(folder)))
            for number, folder in enumerate(folders)
        ]
        leaves = [
            owner.enter_context(running_query(home / f"leaf{number}", [store.grpc], query=replicas))
            for number, (owner, store) in enumerate(zip((stack, last), stores, strict=True))
        ]
        whole = stack.enter_context(running_query(home / "whole", [store.grpc for store in stores], query=replicas))
        late_store = stack.enter_context(running_store(home / "late", folder_bucket(late_blocks(home, folders))))
        late = stack.enter_context(running_query(home / "late-leaf", [late_store.grpc], query=replicas))
        distributed = {**replicas, "mode": "distributed"}
        late_root = running_query(home / "late-root", [whole.grpc, late.grpc], query=distributed)
        strict = {"endpoint_strict": [leaf.grpc for leaf in leaves]}
        root = running_query(home / "root", [], **strict, query=distributed)
        yield Rig(whole, stack.enter_context(root), leaves, stack.enter_context(late_root), last)


def late_blocks(home: Path, folders: Sequence[str]) -> Path:
    """A bucket with the second blocks of all replicas."""
    bucket = home / "bucket-late"
    for meta in (path for folder in folders for path in Path(folder).glob("*/meta.json")):
        if json.loads(meta.read_text())["minTime"] > START_MS:
            shutil.copytree(meta.parent, bucket / meta.parent.name)
    return bucket


def asked(daemon: Daemon, text: str, *, instant: bool, **parameters: str) -> Answer:
    if instant:
        return ask(daemon.http, "query", {"query": text, **TIME, **parameters})
    return ask(daemon.http, "query_range", {"query": text, **SPAN, **parameters})


@pytest.mark.parametrize("instant", [False, True], ids=["range", "instant"])
@pytest.mark.parametrize("text", QUERIES)
def test_a_distributed_answer_is_that_of_one_querier(rig: Rig, text: str, instant: bool) -> None:
    """QU-29."""
    whole, root = asked(rig.whole, text, instant=instant), asked(rig.root, text, instant=instant)
    assert root.status == 200
    assert differences(whole, root, relative=RELATIVE) == []


@pytest.mark.parametrize("text", QUERIES[::3])
def test_queriers_with_the_same_series_each_give_their_time(rig: Rig, text: str) -> None:
    """The later one joins when it can look back far enough; where both answer they agree."""
    whole, root = asked(rig.whole, text, instant=False), asked(rig.late_root, text, instant=False)
    assert differences(whole, root, relative=RELATIVE) == []


def test_the_later_querier_begins_later(rig: Rig) -> None:
    explained = ask(rig.late_root.http, "query_range_explain", {"query": "rate(requests_total[5m])", **SPAN})
    parts = [part["name"] for part in explained.body["data"]["children"]]
    starts = sorted(float(part.rpartition(" @ ")[2].split()[0]) for part in parts)
    assert starts[0] == float(SPAN["start"])
    assert 0 <= starts[1] - (START_MS + BLOCK_MS + 5 * 60_000) / 1000 < 60


@pytest.mark.parametrize("text", ["count(gauge)", "sum by (region, replica) (gauge)", "rate(requests_total[5m])"])
def test_replicas_stay_apart_without_deduplication(rig: Rig, text: str) -> None:
    whole = asked(rig.whole, text, instant=False, dedup="false")
    root = asked(rig.root, text, instant=False, dedup="false")
    assert differences(whole, root, relative=RELATIVE) == []


@pytest.mark.parametrize(
    "parameters",
    [{"storeMatch[]": '{region="eu"}'}, {"replicaLabels[]": "pod"}, {"max_source_resolution": "1h"}],
    ids=["storeMatch", "replicaLabels", "resolution"],
)
def test_parameters_mean_the_same(rig: Rig, parameters: dict[str, str]) -> None:
    whole, root = (
        asked(daemon, "sum by (region) (gauge)", instant=False, **parameters) for daemon in (rig.whole, rig.root)
    )
    assert differences(whole, root, relative=RELATIVE) == []


def test_samples_are_counted_where_they_are_read(rig: Rig) -> None:
    """The statistics of a distributed query are those of its parts."""
    samples = []
    for daemon in (rig.whole, rig.root):
        answer = asked(daemon, "sum(gauge)", instant=False, stats="all")
        samples.append(answer.body["data"]["stats"]["samples"]["totalQueryableSamples"])
    assert samples[0] == samples[1] > 0


def test_the_analysis_shows_what_was_sent(rig: Rig) -> None:
    analysis = json.dumps(asked(rig.root, "sum(gauge)", instant=False, analyze="true").body["data"]["analysis"])
    assert "[remote]" in analysis


def test_calls_are_counted_on_both_sides(rig: Rig) -> None:
    """Where they go out and where they come in; a query that is sent away waits at both gates."""

    def count(daemon: Daemon, side: str) -> float:
        metrics = daemon.metrics().items()
        return sum(n for name, n in metrics if name.startswith(f"grpc_{side}_handled_total") and '"QueryRange"' in name)

    before = [count(rig.root, "client"), *(count(leaf, "server") for leaf in rig.leaves)]
    admitted = rig.leaves[0].metrics()["thanos_query_concurrent_gate_queries_total"]
    asked(rig.root, "sum(gauge)", instant=False)
    after = [count(rig.root, "client"), *(count(leaf, "server") for leaf in rig.leaves)]
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1, 1]
    assert rig.leaves[0].metrics()["thanos_query_concurrent_gate_queries_total"] == admitted + 1


def test_a_mistake_is_the_same_mistake(rig: Rig) -> None:
    """Refused where the query was asked, or evaluated there and failed: the answer says so."""
    for text in ("sum(gauge", "gauge + on () group_left gauge"):
        whole, root = (
            asked(rig.whole, text, instant=False),
            asked(rig.root, text, instant=False, partial_response="false"),
        )
        assert (root.status, root.body["errorType"]) == (whole.status, whole.body["errorType"])


@pytest.mark.parametrize("hung", [0, 1])
def test_a_querier_that_hangs_costs_no_more_than_its_share(rig: Rig, hung: int) -> None:
    """With partial response what the other one has is there before the query's time is over."""
    pid = rig.leaves[hung].process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        answer = asked(rig.root, "sum by (region) (gauge)", instant=False, partial_response="true", timeout="4s")
        seconds = time.monotonic() - began
    finally:
        os.kill(pid, signal.SIGCONT)
    assert [one["metric"] for one in answer.body["data"]["result"]] == [{"region": REGIONS[1 - hung]}]
    assert answer.body["warnings"][0].startswith(f"remote query error ({rig.leaves[hung].grpc}): ")
    assert seconds < 5


def test_a_querier_that_is_gone_is_a_warning(rig: Rig) -> None:
    """The last test: what the other one has is still there, and without partial response nothing is."""
    rig.last.close()
    answer = asked(rig.root, "sum by (region) (gauge)", instant=False, partial_response="true")
    assert [one["metric"] for one in answer.body["data"]["result"]] == [{"region": "eu"}]
    (warning,) = answer.body["warnings"]
    assert warning.startswith(f"remote query error ({rig.leaves[1].grpc}): ")
    assert asked(rig.root, "sum(gauge)", instant=False, partial_response="false").status == 422
