"""Every daemon is built from the file in etc/ and started with parts in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import yaml
from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.testing import MemoryReactorClock

from pythanos import config
from pythanos.daemons import all_in_one, query, store
from pythanos.errors import ConfigError
from pythanos.runtime.clock import ManualClock
from pythanos.runtime.exits import ExitCode
from pythanos.runtime.platform import Platform, process_registry
from pythanos.runtime.stack import Stack

ETC = Path(__file__).resolve().parents[2] / "etc"
DAEMONS = {"store.yaml": store, "query.yaml": query, "pythanos.yaml": all_in_one}
MEMORY = "objstore.config={type: MEMORY}"


class HandReactor(MemoryReactorClock):
    """What threads hand over waits for ``perform``; the reactor's own pool runs in the caller."""

    def __init__(self) -> None:
        super().__init__()
        self.handed: list[tuple[Any, tuple[Any, ...]]] = []
        self._lock = threading.Lock()

    def callFromThread(self, function: Any, *args: Any) -> None:
        with self._lock:
            self.handed.append((function, args))

    def perform(self) -> None:
        with self._lock:
            handed, self.handed = self.handed, []
        for function, args in handed:
            function(*args)

    def getThreadPool(self) -> HandReactor:
        return self

    def callInThreadWithCallback(self, done: Any, function: Any, *args: Any) -> None:
        done(True, function(*args))


class NoGRPC(Service):
    """Stands for the gRPC server: unit tests open no socket."""

    def __init__(self) -> None:
        self.setName("grpc")


@pytest.fixture
def reactor() -> HandReactor:
    return HandReactor()


def build(module: ModuleType, name: str, reactor: HandReactor, tmp_path: Path) -> Any:
    overrides = [] if module is query else [MEMORY, f"data_dir={tmp_path}"]
    read = config.load(str(ETC / name), module.Options.schema, environment={}, overrides=overrides)
    platform = Platform(reactor=reactor, registry=process_registry(), clock=ManualClock(1_700_000_000_000))
    return module.build(read, platform)


def leaves(tree: Any, path: str = "") -> Iterator[str]:
    """The dotted paths of a tree's keys, but for what stands below ``objstore.config``."""
    if isinstance(tree, dict) and path != "objstore.config":
        for key, value in tree.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path


@pytest.mark.parametrize("name", DAEMONS)
def test_the_file_holds_every_key_with_its_default(name: str):
    """A new key, or a new default, has to be written down."""
    schema = DAEMONS[name].Options.schema
    sections = {field.name: field.type() for field in msgspec.structs.fields(schema)}
    defaults = config.to_tree(schema(**sections))
    given = config.to_tree(config.load(str(ETC / name), schema, environment={}))
    for tree in (defaults, given):
        tree.pop("objstore", None)
    assert given == defaults
    written = yaml.safe_load((ETC / name).read_text())
    missing = set(leaves(defaults)) - set(leaves(written))
    assert missing == set()


@pytest.mark.parametrize("name", DAEMONS)
def test_every_key_is_explained(name: str):
    """No line of the file is over-long, and each section starts with a comment or speaks for itself."""
    text = (ETC / name).read_text()
    assert text.startswith("# ") and all(len(line) <= 120 for line in text.splitlines())
    assert text.count("#") >= 10


@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_starts_becomes_ready_and_stops(name: str, reactor: HandReactor, tmp_path: Path):
    """Start order, computed readiness, and nothing left behind."""
    parts = build(DAEMONS[name], name, reactor, tmp_path)
    services = [NoGRPC() if child.name == "grpc" else child for child in parts.services()]
    exit_code = ExitCode(lambda _: None)
    stack = Stack(name, services, reactor=reactor, exit_code=exit_code, settled=lambda: None)
    probe = parts.http.probe
    assert probe.unready() == "not running"
    stack.startService()
    assert probe.healthy()
    pump(reactor, lambda: probe.unready() is None)
    (listening,) = reactor.tcpServers
    assert listening[0] == {"store.yaml": 10906}.get(name, 10904)
    stopped = defer.ensureDeferred(_wait(stack.stopService()))
    pump(reactor, lambda: stopped.called)
    assert probe.unready() == "not running" and exit_code.code == 0
    assert reactor.getDelayedCalls() == []


def pump(reactor: HandReactor, done: Any) -> None:
    """Lets threads and reactor work until something holds."""
    for _ in range(20_000):
        reactor.perform()
        if done():
            return
        threading.Event().wait(0.0005)
    raise AssertionError("it never came to that")


async def _wait(deferred: defer.Deferred[None]) -> None:
    await deferred


def test_metric_names_of_the_daemons_do_not_clash(reactor: HandReactor, tmp_path: Path):
    """The families that dashboards read are there, each registered once."""
    expected = {
        "store.yaml": {"thanos_bucket_store_series_gate_queries_max", "thanos_bucket_store_blocks_loaded"},
        "query.yaml": {"thanos_query_concurrent_gate_queries_max", "thanos_proxy_store_empty_stream_responses_total"},
        "pythanos.yaml": {"thanos_query_concurrent_gate_queries_max", "thanos_bucket_store_blocks_loaded"},
    }
    for name, module in DAEMONS.items():
        read = config.load(
            str(ETC / name), module.Options.schema, environment={}, overrides=[] if module is query else [MEMORY]
        )
        registry = process_registry()
        module.build(read, Platform(reactor=reactor, registry=registry, clock=ManualClock()))
        names = {sample.name for family in registry.collect() for sample in family.samples}
        assert expected[name] | {"thanos_status", "thanos_build_info"} <= names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("query: {default_tenant_id: a/b}", "query.yaml: query: default_tenant_id must not have a slash"),
        ("query: {tenant_header: a b}", "query.yaml: query: tenant_header is not the name of a header: 'a b'"),
        ("http: {max_body_size: 0}", "query.yaml: http: max_body_size must be at least 1024 bytes"),
        ("http: {max_header_size: 1}", "query.yaml: http: max_header_size must be at least 1024 bytes"),
        ("grpc_server_tls_key: a", "query.yaml: grpc_server_tls_cert and grpc_server_tls_key: give both or neither"),
        ("grpc_client_tls_key: a", "query.yaml: grpc_client_tls_cert and grpc_client_tls_key: both"),
        ("query: {timeout: -1s}", "query.yaml: query.timeout: expected a duration of 0 or more, got -1s"),
    ],
)
def test_values_that_no_request_would_survive_are_refused(text: str, expected: str) -> None:
    """One line with the file and the keys, before anything is started."""
    with pytest.raises(ConfigError) as caught:
        config.loads(text, query.QueryDaemonConfig, path="query.yaml")
    assert str(caught.value).startswith(expected)


def test_a_mistake_without_a_file_starts_with_its_key() -> None:
    assert str(ConfigError("", "query.active_query_path", "no")) == "query.active_query_path: no"
