"""``pythanos demo``: a week of made-up metrics on the local disk, and everything in one process on top of them."""

from __future__ import annotations

import contextlib
import json
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

import click
import yaml
from rich.console import Console
from rich.progress import Progress

from pythanos.errors import ConfigError
from pythanos.runtime.clock import SystemClock
from pythanos.testing.shop import INSTANCES, latency_quantile, request_rates
from pythanos.tools.demo_bucket import write_missing
from pythanos.workers import ThreadPool

READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0
POLL_SECONDS = 0.1
RANGE_MS = 300_000
# Scrapes are 30 s apart and counters are whole numbers: a rate over 5 minutes is that near to the truth.
TOLERANCE = 0.04
QUERIES = (
    "sum(up)",
    "sum by (path) (rate(demo_http_requests_total[5m]))",
    "histogram_quantile(0.9, sum by (le) (rate(demo_http_request_duration_seconds_bucket[5m])))",
)
# -c and not -m: twistd is the console script of the twisted that is installed beside this interpreter.
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")


@click.command()
@click.option("--dir", "folder", type=click.Path(file_okay=False, path_type=Path), default=".demo", show_default=True)
@click.option("--http-port", type=click.IntRange(1, 65535), default=10904, show_default=True)
@click.option("--check", is_flag=True, help="Ask three queries, compare the answers with the truth, and end.")
def demo(folder: Path, http_port: int, check: bool) -> None:
    """Write a week of demo metrics and serve them on 127.0.0.1 until Ctrl-C."""
    check_free(http_port)
    console = Console()
    folder = folder.resolve()
    prepare(folder, console)
    address = f"http://127.0.0.1:{http_port}"
    with serving(folder, http_port, address) as process:
        if check:
            sys.exit(0 if all_right(address, console) else 1)
        console.print(f"\n[bold]{address}/graph[/bold] shows the page. Three queries to try:")
        for query in QUERIES:
            console.print(
                f"  {address}/graph?{urllib.parse.urlencode({'g0.expr': query, 'g0.tab': 0})}", soft_wrap=True
            )
        console.print("Ctrl-C stops it.")
        sys.exit(process.wait())


def check_free(http_port: int) -> None:
    """Raises ConfigError where something listens already: its answers would be taken for the demo's."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", http_port))
        except OSError as error:
            hint = f"127.0.0.1:{http_port}: {error.strerror}; DEMO_HTTP_PORT says another one"
            raise ConfigError("demo", "--http-port", hint) from error


def prepare(folder: Path, console: Console) -> None:
    """The demo's bucket up to the present."""
    pool = ThreadPool("demo", 2)
    try:
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("writing blocks of demo metrics", total=None)
            written = write_missing(
                folder / "bucket",
                SystemClock().now_ms(),
                pool,
                lambda done, planned: progress.update(bar, completed=done, total=planned),
            )
    finally:
        pool.stop()
    console.print(f"{written} blocks written to {folder / 'bucket'}" if written else f"using {folder / 'bucket'}")


def configuration(folder: Path, http_port: int) -> dict[str, object]:
    """The YAML of the all-in-one daemon over the demo's bucket."""
    return {
        "objstore": {"config": {"type": "FILESYSTEM", "config": {"directory": str(folder / "bucket")}}},
        "data_dir": str(folder / "data"),
        "http_address": f"127.0.0.1:{http_port}",
        "query": {"replica_label": ["replica"]},
        "log": {"level": "warn"},
    }


@contextlib.contextmanager
def serving(folder: Path, http_port: int, address: str) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon, ready; stopped at the end. Exits where it does not start."""
    config = folder / "pythanos.yaml"
    config.write_text(yaml.safe_dump(configuration(folder, http_port)))
    process = subprocess.Popen([*TWISTD, "-n", "--pidfile=", "pythanos", "-c", str(config)], cwd=folder)
    with contextlib.ExitStack() as restored:
        # Ctrl-C reaches the daemon too, from the terminal; here it only must not cut the waiting short.
        for number, handler in ((signal.SIGINT, signal.SIG_IGN), (signal.SIGTERM, _leave)):
            restored.callback(signal.signal, number, signal.signal(number, handler))
        try:
            wait_ready(process, address)
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()


def _leave(number: int, _frame: object) -> None:
    """By an exception, so that the daemon is stopped on the way out."""
    sys.exit(128 + number)


def wait_ready(process: subprocess.Popen[bytes], address: str) -> None:
    """Returns once the daemon is ready. Exits with its code where it ended, with 1 after READY_SECONDS_MAX."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            code = process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        if code is not None:
            sys.exit(code or 1)
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{address}/-/ready", timeout=2)
            return
    click.echo(f"pythanos: the daemon was not ready within {READY_SECONDS_MAX:.0f} s", err=True)
    sys.exit(1)


def ask(address: str, query: str, at_ms: int) -> dict[str, float]:
    """The instant vector of a query: value by ``path`` label, or by nothing."""
    parameters = urllib.parse.urlencode({"query": query, "time": at_ms / 1000})
    with urllib.request.urlopen(f"{address}/api/v1/query?{parameters}", timeout=30) as answer:
        result = json.load(answer)["data"]["result"]
    return {each["metric"].get("path", ""): float(each["value"][1]) for each in result}


def all_right(address: str, console: Console) -> bool:
    """Whether the demo's three queries give what the shop's formulas say; prints both."""
    at_ms = SystemClock().now_ms() // 60_000 * 60_000
    truths = (
        {"": float(INSTANCES)},
        request_rates(at_ms, RANGE_MS),
        {"": latency_quantile(0.9, at_ms, RANGE_MS)},
    )
    right = True
    for query, truth in zip(QUERIES, truths, strict=True):
        answer = ask(address, query, at_ms)
        agrees = answer.keys() == truth.keys() and all(
            abs(answer[key] - truth[key]) <= TOLERANCE * truth[key] for key in truth
        )
        right = right and agrees
        console.print(f"{'right' if agrees else 'WRONG'}  {query}", soft_wrap=True, highlight=False)
        for key in sorted(truth.keys() | answer.keys()):
            console.print(
                f"       {key or 'value'}: {answer.get(key)} (expected about {truth.get(key)})", highlight=False
            )
    return right
