"""A daemon under queries that are too large: they end with the name of the limit, and others are answered."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import Daemon, folder_bucket, running

from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.testing.block_builder import build_block, float_chunk
from pythanos.testing.buckets import EPOCH_MS, numbered_ulid

SERIES, MINUTES = 6000, 100
MIB = 1 << 20
BYTES_MAX = 48 * MIB
SAMPLES_MAX = 1_000_000
START, END = EPOCH_MS // 1000, EPOCH_MS // 1000 + MINUTES * 60
# 6000 series at 6001 steps are 288 MB of points.
HUGE = {"query": "rate(m_total[5m])", "start": START, "end": END, "step": 1}
# Small in memory: 40 sums of 36 million points, one after the other; many seconds.
SLOW = {**HUGE, "query": " + ".join(["sum(max_over_time(m_total[90m]))"] * 40)}
SMALL = {"query": 'count(m_total{pod=~"pod-00.."})', "time": END}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block of 6000 series."""
    folder: Path = tmp_path_factory.mktemp("limits")
    chunk = float_chunk([(EPOCH_MS + minute * 60_000, float(minute)) for minute in range(MINUTES)])
    series = [({"__name__": "m_total", "pod": f"pod-{number:04d}"}, [chunk]) for number in range(SERIES)]
    build_block(FilesystemBucket(str(folder / "bucket")), numbered_ulid(1), series, external={"cluster": "eu"})
    return folder / "bucket"


@contextmanager
def serving(home: Path, bucket: Path, **query: object) -> Iterator[Daemon]:
    """Everything in one process, over the block."""
    config = {"objstore": folder_bucket(bucket), "data_dir": str(home / "data"), "query": query}
    with running("pythanos", home, config) as started:
        yield started


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, bucket: Path) -> Iterator[Daemon]:
    with serving(
        tmp_path_factory.mktemp("bytes"), bucket, max_bytes=BYTES_MAX, max_concurrent=6, timeout="20s"
    ) as started:
        yield started


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, bucket: Path) -> Iterator[Daemon]:
    """Few samples, two queries at a time, and little time for them."""
    with serving(
        tmp_path_factory.mktemp("narrow"), bucket, max_samples=SAMPLES_MAX, max_concurrent=2, timeout="3s"
    ) as started:
        yield started


def get(daemon: Daemon, path: str, parameters: dict[str, object]) -> tuple[int, dict[str, object]]:
    """Status and envelope."""
    url = f"{daemon.http}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def resident_bytes(daemon: Daemon) -> int:
    return int(daemon.metrics()["process_resident_memory_bytes"])


def count(daemon: Daemon) -> float:
    status, envelope = get(daemon, "query", SMALL)
    assert status == 200, envelope
    return float(envelope["data"]["result"][0]["value"][1])  # type: ignore[index]


def test_a_query_over_its_bytes_says_what_to_do(daemon: Daemon) -> None:
    """422 execution with the limit's name, its value, and advice."""
    status, envelope = get(daemon, "query_range", HUGE)
    assert (status, envelope["errorType"]) == (422, "execution")
    assert envelope["error"] == (
        f"query needs more than {BYTES_MAX} bytes of memory"
        f" (query.max_bytes is {BYTES_MAX}; ask for fewer series, a shorter range or a larger step)"
    )


def test_a_grid_that_is_too_fine_is_refused_at_once(daemon: Daemon) -> None:
    """No store is read for a subquery that no memory holds."""
    began = time.monotonic()
    status, envelope = get(daemon, "query", {"query": "sum(max_over_time(m_total[10y:1s]))", "time": END})
    assert (status, envelope["errorType"]) == (422, "execution")
    assert time.monotonic() - began < 5


def test_small_queries_are_answered_while_huge_ones_fail_and_the_process_stays_small(daemon: Daemon) -> None:
    """Four clients ask for too much, again and again; another one gets its answers; memory stays within the limits."""
    assert count(daemon) == 100
    before, stop = resident_bytes(daemon), threading.Event()
    outcomes: list[int] = []

    def ask_too_much() -> None:
        while not stop.is_set():
            outcomes.append(get(daemon, "query_range", HUGE)[0])

    clients = [threading.Thread(target=ask_too_much) for _ in range(4)]
    for client in clients:
        client.start()
    peaks, seconds = [], []
    try:
        while len(seconds) < 15 or len(outcomes) < 8:
            began = time.monotonic()
            assert count(daemon) == 100
            seconds.append(time.monotonic() - began)
            peaks.append(resident_bytes(daemon))
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert set(outcomes) == {422}
    assert max(seconds) < 5
    # Four at a time, each with its limit, half as much again for what is in work, and the allocator's slack.
    assert max(peaks) - before < 4 * BYTES_MAX * 1.5 + 64 * MIB
    assert count(daemon) == 100


def test_a_client_that_goes_away_ends_its_query(daemon: Daemon) -> None:
    """Its place at the gate is free long before the query could have ended."""
    host = daemon.http.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("GET", f"/api/v1/query_range?{urllib.parse.urlencode(SLOW)}")
    assert eventually(lambda: in_flight(daemon) == 1)
    connection.close()
    began = time.monotonic()
    assert eventually(lambda: in_flight(daemon) == 0)
    assert time.monotonic() - began < 2


def test_a_query_over_its_samples_says_what_to_do(narrow: Daemon) -> None:
    """422 execution, by several clients at a time, and one that asks for less is answered meanwhile."""
    outcomes: list[tuple[int, dict[str, object]]] = []
    clients = [threading.Thread(target=lambda: outcomes.append(get(narrow, "query_range", HUGE))) for _ in range(4)]
    for client in clients:
        client.start()
    assert count(narrow) == 100
    for client in clients:
        client.join()
    assert {(status, str(envelope["errorType"])) for status, envelope in outcomes} == {(422, "execution")}
    assert {str(envelope["error"]) for _, envelope in outcomes} == {
        "query processing would load too many samples into memory in query execution"
        f" (query.max_samples is {SAMPLES_MAX}; ask for fewer series, a shorter range or a larger step)"
    }


def test_a_query_over_its_time_ends(narrow: Daemon) -> None:
    """503 timeout, soon after the daemon's timeout or the shorter one of the request; a longer one does not count."""
    for asked, seconds in (("1s", 1.0), ("1h", 3.0)):
        began = time.monotonic()
        status, envelope = get(narrow, "query_range", {**SLOW, "timeout": asked})
        assert (status, envelope["errorType"]) == (503, "timeout")
        assert "timed out" in str(envelope["error"])
        assert seconds <= time.monotonic() - began < seconds + 2


def test_queries_beyond_the_number_wait_for_their_turn(narrow: Daemon) -> None:
    """QU-14: as long as their time lasts; what is no query is answered at once."""
    clients = [threading.Thread(target=get, args=(narrow, "query_range", SLOW)) for _ in range(2)]
    for client in clients:
        client.start()
    assert eventually(lambda: in_flight(narrow) == 2)
    began = time.monotonic()
    status, envelope = get(narrow, "query", {**SMALL, "timeout": "500ms"})
    assert (status, envelope["errorType"]) == (503, "timeout")
    assert time.monotonic() - began < 1.5
    assert get(narrow, "labels", {})[0] == 200
    # Its turn comes when the time of the others is over.
    assert eventually(lambda: get(narrow, "query", SMALL)[0] == 200)
    for client in clients:
        client.join()


def in_flight(daemon: Daemon) -> float:
    return next(
        value
        for sample, value in daemon.metrics().items()
        if sample.startswith("thanos_query_concurrent_gate_queries_in_flight")
    )


def eventually(holds: object, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():  # type: ignore[operator]
            return True
    return False
