"""A store that hangs costs a query no more than its timeout, and a client that goes away stops the stores' work."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from running import Daemon, folder_bucket, running_query, running_store

from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.testing.block_builder import build_block, float_chunk
from pythanos.testing.buckets import EPOCH_MS, numbered_ulid

START = EPOCH_MS // 1000
CHUNKS, CHUNK_SAMPLES, SERIES = 6, 120, 6000
END = START + CHUNKS * CHUNK_SAMPLES * 15
SERIES_CALLS = 'grpc_method="Series",grpc_service="thanos.Store",grpc_type="server_stream"'


@dataclass(frozen=True)
class Fleet:
    """A querier over two stores with a block each; ``quick`` waits a second at most for each message of a store."""

    querier: Daemon
    quick: Daemon
    steady: Daemon
    hanging: Daemon


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    home = tmp_path_factory.mktemp("fleet")
    with ExitStack() as stack:
        stores = [stack.enter_context(store(home, number, name)) for number, name in enumerate(("eu", "us"), 1)]
        addresses = [one.grpc for one in stores]
        # An endpoint that does not answer its Info is not asked any more; here that takes longer than the tests.
        patience: dict[str, Any] = {"endpoint": {"addresses": addresses, "info_timeout": "60s"}}
        queriers = []
        for name, section in (("slow", {}), ("quick", {"store": {"response_timeout": "1s"}})):
            (home / name).mkdir()
            queriers.append(stack.enter_context(running_query(home / name, [], **{**patience, **section})))
        yield Fleet(queriers[0], queriers[1], *stores)


@contextmanager
def store(home: Path, number: int, region: str) -> Iterator[Daemon]:
    """A store of ``SERIES`` series, too many bytes to fit between a store and a querier that does not read."""
    chance = random.Random(number)
    chunks = []
    for first in range(CHUNKS):
        times = range(
            EPOCH_MS + first * CHUNK_SAMPLES * 15_000, EPOCH_MS + (first + 1) * CHUNK_SAMPLES * 15_000, 15_000
        )
        chunks.append(float_chunk([(t, chance.random()) for t in times]))
    series = [({"__name__": "m", "pod": f"p{pod:05d}"}, chunks) for pod in range(SERIES)]
    folder = home / region
    build_block(FilesystemBucket(str(folder)), numbered_ulid(number), series, external={"region": region})
    (home / f"store-{region}").mkdir()
    with running_store(home / f"store-{region}", folder_bucket(folder)) as daemon:
        yield daemon


@contextmanager
def stopped(daemon: Daemon) -> Iterator[None]:
    """Its sockets stay open, and nothing is answered."""
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)


def get(daemon: Daemon, path: str, **parameters: object) -> tuple[int, dict[str, Any], float]:
    """Status, envelope, seconds."""
    url = f"{daemon.http}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    began = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.load(answer), time.monotonic() - began
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), time.monotonic() - began


QUESTIONS = [
    ("query", {"query": 'count by (region) (m{pod="p00001"})', "time": END}),
    ("query_range", {"query": 'count by (region) (m{pod="p00001"})', "start": START, "end": END, "step": 600}),
    ("series", {"match[]": 'm{pod="p00001"}'}),
    ("labels", {}),
    ("label/region/values", {}),
]


@pytest.mark.parametrize(("path", "parameters"), QUESTIONS[:2])
def test_an_answer_comes_within_the_timeout_and_names_the_store(
    fleet: Fleet, path: str, parameters: dict[str, object]
) -> None:
    """QU-10: what the other store has, and a warning."""
    with stopped(fleet.hanging):
        status, envelope, seconds = get(fleet.querier, path, **parameters, timeout="3s", partial_response="true")
    assert (status, seconds < 3.5) == (200, True), envelope
    assert [one["metric"] for one in envelope["data"]["result"]] == [{"region": "eu"}]
    [warning] = envelope["warnings"]
    assert fleet.hanging.grpc in warning
    assert fleet.steady.grpc not in warning


@pytest.mark.parametrize(("path", "parameters"), QUESTIONS)
def test_every_question_waits_as_long_as_a_message_may_take(
    fleet: Fleet, path: str, parameters: dict[str, object]
) -> None:
    """QU-10: store.response-timeout, in queries and in questions for labels and series."""
    with stopped(fleet.hanging):
        status, envelope, seconds = get(fleet.quick, path, **parameters, partial_response="true")
    assert (status, seconds < 3) == (200, True), envelope
    assert fleet.hanging.grpc in " ".join(envelope["warnings"])


def test_without_partial_response_the_error_names_the_store(fleet: Fleet) -> None:
    path, parameters = QUESTIONS[0]
    with stopped(fleet.hanging):
        status, envelope, seconds = get(fleet.quick, path, **parameters, partial_response="false")
    assert (status, envelope["status"], seconds < 3) == (422, "error", True)
    assert fleet.hanging.grpc in envelope["error"]


def test_who_does_not_ask_the_hanging_store_does_not_wait(fleet: Fleet) -> None:
    """QU-8: while others wait for it."""
    path, parameters = QUESTIONS[0]
    with stopped(fleet.hanging), asked(fleet.querier, path, {**parameters, "timeout": "20s"}):
        matching = {"storeMatch[]": f'{{__address__="{fleet.steady.grpc}"}}'}
        status, envelope, seconds = get(fleet.querier, path, **parameters, **matching)
    assert (status, seconds < 2) == (200, True)
    assert "warnings" not in envelope


def test_a_store_is_whole_again_when_it_goes_on(fleet: Fleet) -> None:
    path, parameters = QUESTIONS[0]
    _, envelope, _ = get(fleet.querier, path, **parameters)
    assert [one["metric"]["region"] for one in envelope["data"]["result"]] == ["eu", "us"]
    assert "warnings" not in envelope


def test_a_client_that_goes_away_stops_the_work_of_the_stores(fleet: Fleet) -> None:
    """The streams end in the middle, as canceled, long before the evaluation could have had all series."""
    slow = {"query": "sum(quantile_over_time(0.5, m[90m]))", "start": START, "end": END, "step": 1}
    before = [fleet.steady.metrics(), fleet.hanging.metrics()]
    with asked(fleet.querier, "query_range", slow):
        assert eventually(lambda: started(fleet.steady) > started_in(before[0]))
        assert running(fleet.steady) == 1
    assert eventually(lambda: running(fleet.steady) == running(fleet.hanging) == 0, 3)
    canceled = f'grpc_server_handled_total{{grpc_code="Canceled",{SERIES_CALLS}}}'
    for store_daemon, earlier in zip((fleet.steady, fleet.hanging), before, strict=True):
        now = store_daemon.metrics()
        assert now[canceled] == earlier.get(canceled, 0) + 1
    assert eventually(lambda: in_flight(fleet.querier) == 0, 3)


@contextmanager
def asked(daemon: Daemon, path: str, parameters: dict[str, object]) -> Iterator[None]:
    """A query in flight, whose client goes away in the end."""
    connection = http.client.HTTPConnection(daemon.http.removeprefix("http://"), timeout=30)
    connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
    try:
        assert eventually(lambda: in_flight(daemon) == 1)
        yield
    finally:
        connection.close()


def started_in(metrics: dict[str, float]) -> float:
    return metrics.get(f"grpc_server_started_total{{{SERIES_CALLS}}}", 0)


def started(daemon: Daemon) -> float:
    return started_in(daemon.metrics())


def running(daemon: Daemon) -> float:
    """Series calls that a store is at work on."""
    metrics = daemon.metrics()
    handled = (value for name, value in metrics.items() if name.startswith("grpc_server_handled_total{"))
    names = (name for name in metrics if name.startswith("grpc_server_handled_total{"))
    return started_in(metrics) - sum(value for name, value in zip(names, handled, strict=True) if SERIES_CALLS in name)


def in_flight(daemon: Daemon) -> float:
    gate = "thanos_query_concurrent_gate_queries_in_flight"
    return next(value for name, value in daemon.metrics().items() if name.startswith(gate))


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
    return False
