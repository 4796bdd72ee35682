"""mTLS between real peers: Thanos' querier asks our store, ours asks Thanos' store; tenants by client certificate."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from certificates import Authority, Pair
from real.answers import ask
from real.conftest import thanos_binary
from real.realproc import RealProcess, answers, free_port
from running import ROOT, TWISTD, Daemon, folder_bucket, running_query, running_store

from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.testing.block_builder import build_block, float_chunk
from pythanos.testing.buckets import EPOCH_MS, numbered_ulid

START = EPOCH_MS // 1000
TENANTS = ("team-a", "team-b")
LOGGED = {
    "options": {"level": "DEBUG", "decision": {"log_start": True, "log_end": True}},
    "grpc": {"config": [{"service": "thanos.Store", "method": "Series"}]},
    "http": {"config": [{"path": "/api/v1/query", "port": 0}]},
}


@dataclass(frozen=True)
class Peers:
    """A store of each kind behind mTLS, over the same blocks; ``client`` is what they let in."""

    home: Path
    authority: Authority
    client: Pair
    ours: Daemon
    theirs: str


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    binary = thanos_binary()
    home = tmp_path_factory.mktemp("tls")
    authority = Authority(home)
    server, client = authority.issue("server", "127.0.0.1"), authority.issue("client", "client")
    for number, tenant in enumerate(TENANTS, 1):
        chunk = float_chunk([(EPOCH_MS + i * 15_000, float(i * number)) for i in range(100)])
        series = [({"__name__": "up", "pod": f"p{number}"}, [chunk])]
        build_block(FilesystemBucket(str(home / "b")), numbered_ulid(number), series, external={"tenant_id": tenant})
    (home / "bucket.yaml").write_text(f"type: FILESYSTEM\nconfig: {{directory: {home}/b}}\n")
    http, rpc = (f"127.0.0.1:{free_port()}" for _ in range(2))
    argv = [binary, "store", f"--objstore.config-file={home}/bucket.yaml", f"--data-dir={home}/data"]
    argv += [f"--http-address={http}", f"--grpc-address={rpc}", f"--grpc-server-tls-cert={server.cert}"]
    argv += [f"--grpc-server-tls-key={server.key}", f"--grpc-server-tls-client-ca={authority.ca}"]
    tls = {
        "grpc_server_tls_cert": str(server.cert),
        "grpc_server_tls_key": str(server.key),
        "grpc_server_tls_client_ca": str(authority.ca),
    }
    with (
        RealProcess(argv, answers(f"http://{http}/-/ready"), home, name="thanos-store"),
        running_store(
            home, folder_bucket(home / "b"), request={"logging_config": LOGGED}, log={"level": "debug"}, **tls
        ) as ours,
    ):
        yield Peers(home, authority, client, ours, rpc)


def sums(answer: Any) -> dict[str, str]:
    assert answer.status == 200, answer
    assert "warnings" not in answer.body, answer
    return {one["metric"].get("pod", ""): one["value"][1] for one in answer.body["data"]["result"]}


QUERY = {"query": "sum by (pod) (sum_over_time(up[10m]))", "time": str(START + 1000)}
# Forty samples of 27 to 66, and twice as much.
SUMS = {"p1": "1860", "p2": "3720"}


def thanos_query(peers: Peers, stack: ExitStack, *flags: str) -> str:
    """The URL of a Thanos querier over our store."""
    http = f"127.0.0.1:{free_port()}"
    argv = [thanos_binary(), "query", f"--http-address={http}", f"--grpc-address=127.0.0.1:{free_port()}", *flags]
    stack.enter_context(RealProcess(argv, answers(f"http://{http}/-/ready"), peers.home, name=f"query-{len(flags)}"))
    return f"http://{http}"


def test_thanos_asks_our_store_over_mtls(peers: Peers) -> None:
    """XC-30: with a certificate it gets its answer; without one it has no store."""
    secure = [f"--endpoint={peers.ours.grpc}", "--grpc-client-tls-secure", f"--grpc-client-tls-ca={peers.authority.ca}"]
    certificate = [f"--grpc-client-tls-cert={peers.client.cert}", f"--grpc-client-tls-key={peers.client.key}"]
    with ExitStack() as stack:
        known = thanos_query(peers, stack, *secure, *certificate)
        nobody = thanos_query(peers, stack, *secure)
        assert sums(ask(known, "query", QUERY)) == SUMS
        assert sums(ask(nobody, "query", QUERY)) == {}
        assert ask(nobody, "stores", {}).body["data"] == {}


def client_config(peers: Peers, certificate: Pair | None) -> dict[str, Any]:
    """``client_config`` of an endpoint."""
    tls = {"ca_file": str(peers.authority.ca)}
    if certificate is not None:
        tls |= {"cert_file": str(certificate.cert), "key_file": str(certificate.key)}
    return {"tls_config": tls}


@pytest.mark.parametrize("store", ["theirs", "ours"])
def test_our_querier_asks_stores_over_mtls(peers: Peers, store: str, tmp_path: Path) -> None:
    """XC-31, QU-6: by the flags for all endpoints, and by the configuration of one."""
    address = peers.theirs if store == "theirs" else peers.ours.grpc
    of_all = {
        "grpc_client_tls_secure": True,
        "grpc_client_tls_ca": str(peers.authority.ca),
        "grpc_client_tls_cert": str(peers.client.cert),
        "grpc_client_tls_key": str(peers.client.key),
    }
    listed = [{"address": address, "client_config": client_config(peers, peers.client)}]
    nobody = [{"address": address, "client_config": client_config(peers, None)}]
    configs = [
        ({"endpoint": [address], **of_all}, SUMS),
        ({"endpoint": {"sd_config": {"endpoints": listed}}}, SUMS),
        ({"endpoint": {"sd_config": {"endpoints": nobody}}}, {}),
        # Cleartext where TLS is spoken.
        ({"endpoint": [address]}, {}),
    ]
    for number, (config, wanted) in enumerate(configs):
        home = tmp_path / str(number)
        home.mkdir()
        with running_query(home, [], **config) as querier:
            assert sums(ask(querier.http, "query", QUERY)) == wanted, config


def test_calls_of_peers_are_logged(peers: Peers) -> None:
    """XC-26 to XC-28: start and end of the methods in the list, and no others."""
    with ExitStack() as stack:
        flags = [f"--endpoint={peers.ours.grpc}", "--grpc-client-tls-secure"]
        flags += [f"--grpc-client-tls-ca={peers.authority.ca}", "--query.promql-engine=thanos"]
        flags += [f"--grpc-client-tls-cert={peers.client.cert}", f"--grpc-client-tls-key={peers.client.key}"]
        known = thanos_query(peers, stack, *flags)
        before = len(call_lines(peers.ours))
        assert sums(ask(known, "query", QUERY)) == SUMS
        ask(known, "labels", {})
        lines = call_lines(peers.ours)[before:]
    assert [line.split('msg="')[1].split('"')[0] for line in lines] == ["started call", "finished call"]
    assert all("Series" in line and "Info" not in line for line in lines)


def call_lines(daemon: Daemon) -> list[str]:
    return [line for line in daemon.process.output.splitlines() if "ed call" in line]


def test_a_certificate_is_a_tenant(peers: Peers, tmp_path: Path) -> None:
    """QU-34, XC-33: each sees its own series, whatever the header says; without a certificate nobody sees any."""
    server = peers.authority.issue("web", "127.0.0.1")
    web = {
        "tls_server_config": {
            "cert_file": str(server.cert),
            "key_file": str(server.key),
            "client_auth_type": "VerifyClientCertIfGiven",
            "client_ca_file": str(peers.authority.ca),
        }
    }
    (tmp_path / "web.yaml").write_text(yaml.safe_dump(web))
    port = free_port()
    config = {
        "http_address": f"127.0.0.1:{port}",
        "grpc_address": f"127.0.0.1:{free_port()}",
        "http": {"config": str(tmp_path / "web.yaml")},
        "query": {"tenant_certificate_field": "organization", "enforce_tenancy": True},
        "endpoint": {"sd_config": {"endpoints": [
            {"address": peers.theirs, "client_config": client_config(peers, peers.client)}
        ]}},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    context = {None: peers.authority.client_context()}
    for tenant in TENANTS:
        context[tenant] = peers.authority.client_context(peers.authority.issue(tenant, tenant, organization=tenant))

    def get(tenant: str | None, path: str, parameters: Mapping[str, str], header: str = "") -> tuple[int, Any]:
        url = f"https://127.0.0.1:{port}{path}?{urllib.parse.urlencode(parameters)}"
        request = urllib.request.Request(url, headers={"THANOS-TENANT": header} if header else {})
        try:
            with urllib.request.urlopen(request, timeout=20, context=context[tenant]) as answer:
                return answer.status, json.loads(answer.read() or b"null") if "api" in path else None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def ready() -> bool:
        try:
            return get(None, "/-/ready", {})[0] == 200
        except OSError:
            return False

    argv = [str(TWISTD), "-n", "--pidfile=", "pythanos-query", "-c", "config.yaml"]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with RealProcess(argv, ready, tmp_path, name="query", timeout=30, environment={"PYTHONPATH": path}):
        for number, tenant in enumerate(TENANTS, 1):
            status, body = get(tenant, "/api/v1/query", QUERY, header=TENANTS[2 - number])
            assert status == 200, body
            assert [one["metric"] for one in body["data"]["result"]] == [{"pod": f"p{number}"}]
            assert get(tenant, "/api/v1/label/pod/values", {})[1]["data"] == [f"p{number}"]
        # A matcher of one's own on the tenant is replaced, as in Thanos.
        status, body = get(TENANTS[0], "/api/v1/query", {**QUERY, "query": 'up{tenant_id="team-b"}'})
        assert (status, [one["metric"]["tenant_id"] for one in body["data"]["result"]]) == (200, ["team-a"])
        status, body = get(None, "/api/v1/query", QUERY)
        assert (status, json.loads(body)["error"]) == (400, "could not get required certificate field from client cert")
