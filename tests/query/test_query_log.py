"""Which queries run is known after a crash, and which were slow is in the log (QU-35)."""

import json
import logging

import pytest

from pythanos.context import RequestContext
from pythanos.errors import ConfigError, QueryTimeout
from pythanos.query.active_queries import FILE_NAME, SLOT_BYTES, ActiveQueries
from pythanos.query.query_log import QueryLog, QueryRun

NOW_MS = 1_700_000_000_999


def entries(path):
    """The queries in the file as Prometheus reads it after a crash."""
    left = path.read_bytes().replace(b"\x00", b"")
    return json.loads(left[:-1] + b"]") if len(left) > 1 else []


@pytest.fixture
def active(tmp_path):
    tracker = ActiveQueries(str(tmp_path / "made" / "here"), 2, lambda: NOW_MS)
    tracker.open()
    yield tracker
    tracker.close()


def file_of(tmp_path):
    return tmp_path / "made" / "here" / FILE_NAME


def test_a_query_stands_in_the_file_while_it_runs(active, tmp_path):
    path = file_of(tmp_path)
    assert path.stat().st_size == 1 + 2 * SLOT_BYTES
    with active.running("up"):
        assert entries(path) == [{"query": "up", "timestamp_sec": 1_700_000_000}]
        with active.running("down"), active.running("no room for a third"):
            assert [one["query"] for one in entries(path)] == ["up", "down"]
        with active.running("again"):
            assert [one["query"] for one in entries(path)] == ["up", "again"]
    assert entries(path) == []


@pytest.mark.parametrize("text", ["x" * 5000, "ü" * 5000, "<" * 5000, "\n" * 5000, "\ud800" * 2000])
def test_a_long_query_is_cut_to_its_slot(active, tmp_path, text):
    with active.running(text), active.running("after"):
        first, second = entries(file_of(tmp_path))
    assert text.startswith(first["query"].replace("\ufffd", "\ud800"))
    assert len(first["query"]) > 100
    assert second["query"] == "after"


def test_what_the_last_run_left_is_logged(active, tmp_path, caplog):
    """A process that dies leaves its queries; the next start logs them once and begins anew."""
    running = active.running("rate(up[5m])")
    running.__enter__()
    for expected in (['[{"query":"rate(up[5m])","timestamp_sec":1700000000}]'], []):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            again = ActiveQueries(str(tmp_path / "made" / "here"), 2, lambda: NOW_MS)
            again.open()
            again.close()
        assert [record.queries for record in caplog.records] == expected
        assert all("didn't finish" in record.message for record in caplog.records)
    running.__exit__(None, None, None)


def test_a_folder_that_cannot_be_made_is_an_error_of_the_configuration(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"query\.active_query_path"):
        ActiveQueries(str(tmp_path / "file"), 2, lambda: 0).open()


def test_a_closed_file_tracks_nothing(tmp_path):
    with ActiveQueries(str(tmp_path), 2, lambda: 0).running("up"):
        assert list(tmp_path.iterdir()) == []


class Seconds:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def run_for(seconds, log, clock, run, error=None):
    ctx = RequestContext(tenant="team-a", request_id="r1")
    with log.running(ctx, run):
        clock.now += seconds
        run.samples = 7
        if error is not None:
            raise error


def test_slow_queries_are_logged_with_what_they_took(caplog):
    clock = Seconds()
    log = QueryLog(clock, slow_ms=1000)
    with caplog.at_level(logging.WARNING):
        run_for(0.9, log, clock, QueryRun("fast", 1, 1))
        run_for(1.5, log, clock, QueryRun("slow", 1000, 9000, 100))
    (record,) = caplog.records
    assert (record.levelname, record.query, record.time_taken_seconds) == ("WARNING", "slow", 1.5)
    assert (record.start_ms, record.end_ms, record.step_ms, record.samples) == (1000, 9000, 100, 7)
    assert (record.tenant, record.request_id) == ("team-a", "r1")


def test_slow_queries_that_fail_are_logged_too(caplog):
    clock = Seconds()
    with caplog.at_level(logging.WARNING), pytest.raises(QueryTimeout):
        run_for(2, QueryLog(clock, slow_ms=1000), clock, QueryRun("slow", 1, 5), QueryTimeout("query timed out"))
    assert (caplog.records[0].err, caplog.records[0].time_ms) == ("query timed out", 5)
    assert not hasattr(caplog.records[0], "samples")


def test_without_a_threshold_nothing_is_slow(caplog):
    clock = Seconds()
    run_for(1e6, QueryLog(clock), clock, QueryRun("slow", 1, 1))
    assert caplog.records == []
