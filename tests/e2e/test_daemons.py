"""Real twistd processes on loopback: start, ready, query, stop; and what a broken configuration does."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = ROOT / "tests" / "golden" / "blocks" / "prometheus-2.42"
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
START_SECONDS_MAX = 30.0
SELECTOR = '{__name__=~".+"}'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """One daemon in a folder of its own."""

    def __init__(self, folder: Path, name: str, config: dict, *flags: str) -> None:
        self.folder, self.name, self.flags = folder, name, flags
        folder.mkdir(parents=True, exist_ok=True)
        self.http_port = free_port()
        config = {"http_address": f"127.0.0.1:{self.http_port}"} | config
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        self.process: subprocess.Popen[str] | None = None

    def command(self, *more: str) -> list[str]:
        return [*TWISTD, *self.flags, self.name, "-c", "config.yaml", *more]

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Runs to the end."""
        return subprocess.run(
            self.command(*more), cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=60
        )

    def start(self) -> None:
        """Returns when it is ready."""
        self.process = subprocess.Popen(
            self.command(),
            cwd=self.folder,
            env=environment(),
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.wait_ready()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            assert self.process is None or self.process.poll() is None, self.process.stderr.read()
            with contextlib.suppress(OSError):
                if self.get("/-/ready")[0] == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{self.name} is not ready")

    def get(self, path: str, **args: str) -> tuple[int, bytes]:
        query = f"?{urllib.parse.urlencode(args)}" if args else ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}{query}", timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def api(self, path: str, **args: str) -> dict:
        return json.loads(self.get(f"/api/v1/{path}", **args)[1])

    def stop(self) -> tuple[int, str]:
        """Exit code and log of a stop by SIGTERM."""
        assert self.process is not None
        self.process.terminate()
        _, log = self.process.communicate(timeout=30)
        return self.process.returncode, log

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[list[Daemon]]:
    started: list[Daemon] = []
    yield started
    for daemon in started:
        daemon.kill()


def bucket_config(folder: Path) -> dict:
    bucket = folder / "bucket"
    if not bucket.exists():
        shutil.copytree(BLOCKS, bucket)
    return {
        "objstore": {"config": {"type": "FILESYSTEM", "config": {"directory": str(bucket)}}},
        "data_dir": str(folder / "data"),
    }


def block_times(folder: Path) -> tuple[int, int]:
    meta = json.loads(next((folder / "bucket").glob("*/meta.json")).read_text())
    return meta["minTime"], meta["maxTime"]


def test_everything_in_one_process(tmp_path: Path, daemons: list[Daemon]):
    """Start, ready, query, metrics; SIGTERM ends it with 0."""
    daemon = Daemon(tmp_path / "one", "pythanos", bucket_config(tmp_path), "-n", "--pidfile=")
    daemons.append(daemon)
    daemon.start()
    mint, maxt = block_times(tmp_path)
    answer = daemon.api("query", query=f"count({SELECTOR})", time=str((mint + maxt) / 2000))
    assert answer["status"] == "success" and int(answer["data"]["result"][0]["value"][1]) > 0
    matrix = daemon.api(
        "query_range", query=SELECTOR, start=str(mint / 1000), end=str(maxt / 1000), step="60", dedup="true"
    )
    assert len(matrix["data"]["result"]) == int(answer["data"]["result"][0]["value"][1])
    assert daemon.api("label/__name__/values")["data"]
    assert len(daemon.api("blocks", view="loaded")["data"]["blocks"]) == 1
    metrics = daemon.get("/metrics")[1].decode()
    assert 'thanos_status{check="ready",component="all-in-one"} 1.0' in metrics
    assert 'http_requests_total{code="200",handler="query",method="get",tenant="default-tenant"} 1.0' in metrics
    assert daemon.get("/graph")[0] == daemon.get("/loaded")[0] == 200
    code, log = daemon.stop()
    assert code == 0 and "level=error" not in log and "msg=stopping" in log


def test_store_and_query_over_grpc(tmp_path: Path, daemons: list[Daemon]):
    """The querier gives what the store has; without the store it answers with a warning, or an error if told so."""
    grpc_port = free_port()
    store = Daemon(
        tmp_path / "store",
        "pythanos-store",
        bucket_config(tmp_path) | {"grpc_address": f"127.0.0.1:{grpc_port}"},
        "-n", "--pidfile=",
    )  # fmt: skip
    query = Daemon(
        tmp_path / "query",
        "pythanos-query",
        {"grpc_address": f"127.0.0.1:{free_port()}", "endpoint": [f"127.0.0.1:{grpc_port}"]},
        "-n", "--pidfile=",
    )  # fmt: skip
    daemons += [store, query]
    store.start()
    query.start()
    mint, maxt = block_times(tmp_path)
    middle = str((mint + maxt) / 2000)
    assert [one["name"] for one in query.api("stores")["data"]["store"]] == [f"127.0.0.1:{grpc_port}"]
    answer = query.api("query", query=SELECTOR, time=middle)
    assert answer["status"] == "success" and "warnings" not in answer and answer["data"]["result"]
    assert store.stop()[0] == 0
    partial = query.api("query", query=SELECTOR, time=middle)
    assert partial["data"]["result"] == [] and f"127.0.0.1:{grpc_port}" in partial["warnings"][0]
    status, body = query.get("/api/v1/query", query=SELECTOR, time=middle, partial_response="false")
    failed = json.loads(body)
    assert (status, failed["errorType"]) == (422, "execution")
    assert failed["error"].startswith("expanding series: proxy Series(): ")
    assert query.stop()[0] == 0


@pytest.mark.parametrize("name", ["pythanos", "pythanos-store"])
def test_a_daemonized_process(tmp_path: Path, daemons: list[Daemon], name: str):
    """twistd without -n: the parent ends with 0, the pidfile names the daemon, SIGTERM ends it, all is in its log."""
    config = bucket_config(tmp_path)
    if name == "pythanos-store":
        config["grpc_address"] = f"127.0.0.1:{free_port()}"
    daemon = Daemon(tmp_path / "one", name, config, "--pidfile=d.pid", "--logfile=d.log")
    assert daemon.run().returncode == 0
    pid = int((daemon.folder / "d.pid").read_text())
    try:
        daemon.wait_ready()
    finally:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while (daemon.folder / "d.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not (daemon.folder / "d.pid").exists()
    log = (daemon.folder / "d.log").read_text()
    assert "msg=started" in log and "msg=stopping" in log and "level=error" not in log


def test_a_taken_port_is_one_line_and_exit_code_1(tmp_path: Path, daemons: list[Daemon]):
    """In the foreground, and for twistd's parent process."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = bucket_config(tmp_path) | {"http_address": f"127.0.0.1:{taken.getsockname()[1]}"}
        foreground = Daemon(tmp_path / "a", "pythanos", config, "-n", "--pidfile=a.pid").run()
        errors = [line for line in foreground.stderr.splitlines() if "level=error" in line]
        assert foreground.returncode == 1 and len(errors) == 1 and "Address already in use" in errors[0]
        assert "Traceback" not in foreground.stderr and not (tmp_path / "a" / "a.pid").exists()
        detached = Daemon(tmp_path / "b", "pythanos", config, "--pidfile=b.pid", "--logfile=b.log").run()
        assert detached.returncode == 1 and "starting http" in detached.stderr + detached.stdout


def test_a_taken_grpc_port_ends_the_start(tmp_path: Path, daemons: list[Daemon]):
    """Found out after the block sync, and still one line and exit code 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = bucket_config(tmp_path) | {"grpc_address": f"127.0.0.1:{taken.getsockname()[1]}"}
        got = Daemon(tmp_path / "a", "pythanos-store", config, "-n", "--pidfile=").run()
    errors = [line for line in got.stderr.splitlines() if "level=error" in line]
    assert got.returncode == 1 and len(errors) == 1 and "grpc_address" in errors[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"http_adress": "x"}, "config.yaml: http_adress: unknown key; did you mean http_address?"),
        ({"sync_block_duration": 5}, "config.yaml: sync_block_duration: expected a duration such as 5m, got int 5"),
        ({"objstore": {}}, "config.yaml: objstore: the bucket is missing: give config_file or config"),
        ({"objstore": {"config": {"type": "S4"}}}, "config.yaml: objstore: type: S4 is no type of bucket"),
        ({"http_address": "nowhere"}, "config.yaml: http_address: expected host:port, got 'nowhere'"),
        ({"min_time": "2030-01-01T00:00:00Z", "max_time": "2020-01-01T00:00:00Z"}, "can't be greater than max_time"),
    ],
)
def test_a_broken_configuration_is_one_line_and_exit_code_1(tmp_path: Path, change: dict, message: str):
    """File, dotted path and what to do, without a traceback or a page of usage."""
    got = Daemon(tmp_path / "a", "pythanos", bucket_config(tmp_path) | change, "-n", "--pidfile=").run()
    assert got.returncode == 1 and got.stdout == "" and len(got.stderr.splitlines()) == 1
    assert message in got.stderr


def test_an_unreachable_bucket_ends_the_start(tmp_path: Path):
    """ST-2: after half a minute without a first sync, one line and exit code 1; here by a folder that is a file."""
    config = bucket_config(tmp_path)
    (tmp_path / "file").write_text("")
    config["objstore"]["config"]["config"]["directory"] = str(tmp_path / "file" / "below")
    got = Daemon(tmp_path / "a", "pythanos", config, "-n", "--pidfile=").run()
    errors = [line for line in got.stderr.splitlines() if "level=error" in line]
    assert got.returncode == 1 and "start failed" in errors[-1] and "block sync" in errors[-1]


def test_check_prints_the_configuration(tmp_path: Path):
    """--check shows every key with its value, secrets hidden, overrides applied, and starts nothing."""
    s3 = {"type": "S3", "config": {"bucket": "b", "endpoint": "e:1", "access_key": "a", "secret_key": "hush"}}
    daemon = Daemon(tmp_path / "a", "pythanos", {"objstore": {"config": s3}}, "-n")
    got = daemon.run("--check", "--set", "query.timeout=30s")
    shown = yaml.safe_load(got.stdout)
    assert got.returncode == 0 and "hush" not in got.stdout and got.stderr == ""
    assert shown["query"]["timeout"] == "30s" and shown["sync_block_duration"] == "15m"


def test_other_plugins_are_untouched_and_help_is_quick(tmp_path: Path):
    """twistd --help names our commands without importing what they need."""
    code = (
        "import sys; sys.argv = ['twistd', '--help']\n"
        "from twisted.scripts.twistd import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('numpy', 'grpc', 'pythanos', 'yaml') if name in sys.modules])"
    )
    got = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60
    )
    for command in ("pythanos-store", "pythanos-query", "pythanos "):
        assert command in got.stdout
    assert got.stdout.rstrip().endswith("[]")


def test_version(tmp_path: Path):
    """--version names the release and the Thanos that it is compatible with."""
    got = Daemon(tmp_path / "a", "pythanos", {}, "-n").run("--version")
    assert got.returncode == 0 and got.stdout.startswith("pythanos ") and "Thanos 0.43" in got.stdout
