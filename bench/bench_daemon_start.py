"""Start of each daemon with nothing to serve: seconds until it says that it is ready, and its memory when it idles.

    python -m bench.bench_daemon_start [--runs 5]

The package's bytecode is written first, as an installation does: a Python that may not write it
(PYTHONDONTWRITEBYTECODE) would compile every module at every start. Budget: 1.0 s and 90 MB.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pythanos
from bench.compare_peers import free_port
from bench.usage import ServerUsage

PACKAGE = Path(pythanos.__file__).parent
DAEMONS = ("pythanos-store", "pythanos-query", "pythanos")
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile="]
SETTLE_SECONDS = 3


def config(daemon: str, home: Path, port: int) -> Path:
    """The least that a daemon wants, as JSON, which is YAML."""
    own = {"http_address": f"127.0.0.1:{port}"}
    if daemon != "pythanos":
        own["grpc_address"] = f"127.0.0.1:{free_port()}"
    if daemon != "pythanos-query":
        bucket = {"type": "FILESYSTEM", "config": {"directory": str(home / "bucket")}}
        own |= {"data_dir": str(home / "data"), "objstore": {"config": bucket}}
        (home / "bucket").mkdir()
    path = home / "config.yaml"
    path.write_text(json.dumps(own))
    return path


def start(daemon: str) -> tuple[float, float, float]:
    """Seconds to ready, wall and CPU, and resident MiB a little later."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = [*TWISTD, daemon, "-c", str(config(daemon, Path(folder), port))]
        environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
        begin = time.perf_counter()
        with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as process:
            try:
                seconds = until_ready(process, port) - begin
                cpu = ServerUsage(process.pid).cpu_seconds() or 0.0
                time.sleep(SETTLE_SECONDS)
                status = Path(f"/proc/{process.pid}/status").read_text()
            finally:
                process.terminate()
    (resident,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return seconds, cpu, int(resident) / 1024


def until_ready(process: subprocess.Popen[bytes], port: int) -> float:
    """When the readiness probe answers 200; raises RuntimeError if the process ends before."""
    while process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready"):
            return time.perf_counter()
        time.sleep(0.005)
    raise RuntimeError(f"the daemon ended with {process.returncode}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    compileall.compile_dir(str(PACKAGE), quiet=1)
    for daemon in DAEMONS:
        start(daemon)
        seconds, cpu, mib = zip(*(start(daemon) for _ in range(runs)), strict=True)
        print(
            f"{daemon}: ready in {statistics.median(seconds):.2f} s (least {min(seconds):.2f}), "
            f"CPU {statistics.median(cpu):.2f} s (least {min(cpu):.2f}), "
            f"RSS {statistics.median(mib):.0f} MiB"
        )


if __name__ == "__main__":
    main()
