"""The same queries of a Prometheus and of ``twistd pythanos`` over the block ``graph`` of bench.data, taking turns.

    python -m bench.compare_peers --prometheus BINARY [--shape NAME ...] [--repeats N] [--instant] [--json]

Both run at one time and are asked in turn, so that what else the machine does meets both. Prints medians of the CPU
seconds of a query and their ratio; with ``--instant`` also those of bench.drive_instant.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench import data, drive_instant
from bench.drive_promql import SHAPES, Driver
from bench.usage import ServerUsage

CONFIG = Path(__file__).parent.parent / "etc" / "pythanos.yaml"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(arguments: list[str], target: str, home: str) -> Iterator[int]:
    """The pid of a server that answers its readiness probe."""
    with Path(home, "log").open("wb") as log:
        process = subprocess.Popen(arguments, cwd=home, stdout=log, stderr=log)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{target}/-/ready"):
                break
            time.sleep(0.1)
        else:
            raise TimeoutError(f"{arguments[0]} is not ready: {Path(home, 'log').read_text()[-500:]}")
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def prometheus(binary: str) -> Iterator[tuple[str, int]]:
    """(target, pid) of a Prometheus over a copy of the block."""
    with tempfile.TemporaryDirectory() as home:
        shutil.copytree(data.graph().folder, Path(home, "data"))
        Path(home, "prometheus.yml").write_text("scrape_configs: []\n")
        target = f"127.0.0.1:{free_port()}"
        flags = ("--storage.tsdb.retention.time=100y", "--log.level=error", f"--web.listen-address={target}")
        binary = str(Path(binary).resolve())
        with running([binary, "--config.file=prometheus.yml", "--storage.tsdb.path=data", *flags], target, home) as pid:
            yield target, pid


@contextlib.contextmanager
def pythanos() -> Iterator[tuple[str, int]]:
    """(target, pid) of the all-in-one daemon over the block."""
    with tempfile.TemporaryDirectory() as home:
        target = f"127.0.0.1:{free_port()}"
        settings = {
            "http_address": target,
            "objstore.config.config.directory": str(data.graph().folder.resolve()),
            "data_dir": str(Path(home, "data")),
        }
        twistd = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "pythanos", "-c", str(CONFIG)]
        for key, value in settings.items():
            twistd += ["--set", f"{key}={value}"]
        with running(twistd, target, home) as pid:
            yield target, pid


def compare(ours: tuple[str, int], theirs: tuple[str, int], shape: str, repeats: int) -> tuple[float, float]:
    """Median CPU seconds of a query: (ours, theirs)."""
    sides = [(Driver(target, [pid]), ServerUsage(pid)) for target, pid in (ours, theirs)]
    found: list[list[float]] = [[], []]
    for driver, _ in sides:
        driver.ask(SHAPES[shape])
    for _ in range(repeats):
        for (driver, usage), spent in zip(sides, found, strict=True):
            before = usage.cpu_seconds() or 0.0
            driver.ask(SHAPES[shape])
            spent.append((usage.cpu_seconds() or 0.0) - before)
    return statistics.median(found[0]), statistics.median(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", required=True, metavar="BINARY")
    parser.add_argument("--shape", action="append", choices=SHAPES, help="only these")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--instant", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with prometheus(options.prometheus) as theirs, pythanos() as ours:
        for shape in options.shape or SHAPES:
            own, other = compare(ours, theirs, shape, options.repeats)
            points = SHAPES[shape].series * SHAPES[shape].steps / 1e9
            row: dict[str, object] = {
                "shape": shape,
                "ours_cpu_ns": round(own / points, 1),
                "theirs_cpu_ns": round(other / points, 1),
                "ratio": round(other / own, 1),
            }
            print(json.dumps(row) if options.json else row, flush=True)
        if options.instant:
            chosen = argparse.Namespace(connections=8, queries=500, rounds=options.repeats)
            for name, (target, pid) in {"ours": ours, "theirs": theirs}.items():
                for shape in drive_instant.SHAPES:
                    measured = drive_instant.measure(target, [pid], shape, chosen)
                    print({"instant": name, "shape": shape, "cpu_us": measured.cpu_us_per_query}, flush=True)


if __name__ == "__main__":
    main()
