"""Probes, metrics and debug pages."""

from __future__ import annotations

import threading

from prometheus_client import CollectorRegistry, Counter
from twisted.internet.testing import MemoryReactorClock
from web_fixtures import Served

from pythanos.runtime.platform import process_registry
from pythanos.runtime.probe import Probe
from pythanos.web.debug import debug_routes, sample_stacks, thread_stacks
from pythanos.web.metrics import MetricsPage
from pythanos.web.probes import probe_routes
from pythanos.web.router import Route


class Part:
    def __init__(self, reason: str | None) -> None:
        self.reason = reason

    def unready(self) -> str | None:
        return self.reason


def test_probes():
    """Thanos' paths and codes; the reason of a 503 is in the body."""
    part = Part("block sync: not done")
    probe = Probe("store", [part], MemoryReactorClock(), CollectorRegistry())
    served = Served(probe_routes(probe))
    assert served.ask("/-/healthy").status == 503
    probe.startService()
    assert served.ask("/-/healthy").status == 200
    got = served.ask("/-/ready")
    assert (got.status, got.text) == (503, "NOT OK: block sync: not done\n")
    part.reason = None
    assert (served.ask("/-/ready").status, served.ask("/-/ready").text) == (200, "OK")


def test_metrics_negotiate_their_format():
    """Prometheus asks for OpenMetrics; people get text; name[] restricts."""
    registry = CollectorRegistry()
    Counter("jobs", "Jobs.", registry=registry).inc()
    Counter("other", "Other.", registry=registry)
    served = Served([Route("/metrics", MetricsPage(registry))])
    plain = served.ask("/metrics")
    assert plain.headers["content-type"].startswith("text/plain") and "jobs_total 1.0" in plain.text
    openmetrics = served.ask("/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")
    restricted = served.ask("/metrics?name[]=jobs_total").text
    assert "jobs_total" in restricted and "other" not in restricted


def test_the_process_registry_names_the_build():
    """thanos_build_info and the collectors of process and Python, without _created series."""
    names = {sample.name for family in process_registry().collect() for sample in family.samples}
    assert {"thanos_build_info", "process_resident_memory_bytes", "python_info"} <= names
    assert not any(name.endswith("_created") for name in names)


def test_thread_stacks_show_every_thread():
    """By name, with their frames."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="waiting-thread")
    thread.start()
    try:
        text = thread_stacks()
    finally:
        release.set()
        thread.join()
    assert "thread waiting-thread" in text and "test_thread_stacks_show_every_thread" in text


def test_a_profile_is_collapsed_stacks():
    """thread;outer;inner, counted; the sampling thread is left out; an end is checked for."""
    release, times, checks = threading.Event(), iter([0.0, 0.0, 1.0, 0.5, 1.0, 9.0]), []
    thread = threading.Thread(target=release.wait, name="busy")
    thread.start()
    try:
        stacks = sample_stacks(2.0, lambda: next(times), lambda: checks.append(1))
    finally:
        release.set()
        thread.join()
    found = [stack for stack in stacks if stack.startswith("busy;threading.")]
    assert found and stacks[found[0]] == len(checks) == 2
    assert not any("sample_stacks" in stack for stack in stacks)


def test_the_seconds_of_a_profile_are_checked():
    """A number up to five minutes."""
    served = Served(debug_routes(lambda: 0.0))
    for seconds in ("x", "0", "-1", "301", "nan"):
        assert served.ask(f"/debug/profile?seconds={seconds}").status == 400
    assert served.ask("/debug/threads").status == 200
