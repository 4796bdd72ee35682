"""A Prometheus server with blocks of two hours, its admin API and remote write on."""

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real.realproc import POLL_SECONDS, RealProcess, answers, free_port


@dataclass(frozen=True)
class Prometheus:
    """``url`` of its API, ``data`` its storage folder."""

    url: str
    data: Path
    process: RealProcess

    def api(self, path: str, *, method: str = "GET", **parameters: str) -> Any:
        """The ``data`` of an answer of ``/api/v1/<path>``."""
        query = urllib.parse.urlencode(parameters)
        request = urllib.request.Request(f"{self.url}/api/v1/{path}?{query}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    def version(self) -> tuple[int, int]:
        """(major, minor); zeros for a build that does not say."""
        found = re.match(r"(\d+)\.(\d+)", self.api("status/buildinfo")["version"])
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def wait_for(self, expression: str, *, timeout: float = 20) -> None:
        """Returns when an instant query of the expression has a result. Raises TimeoutError."""
        end = time.monotonic() + timeout
        while not self.api("query", query=expression)["result"]:
            if time.monotonic() > end:
                raise TimeoutError(f"{expression} has no result after {timeout} s")
            time.sleep(POLL_SECONDS)

    def wait_for_blocks(self, count: int, *, timeout: float = 60) -> None:
        """Returns when it has cut so many blocks. Raises TimeoutError."""
        end = time.monotonic() + timeout
        while len(list(self.data.glob("*/meta.json"))) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"no {count} blocks after {timeout} s")
            time.sleep(POLL_SECONDS)

    def snapshot(self) -> Path:
        """Blocks of everything it holds, the head included; the folder that they are in."""
        return self.data / "snapshots" / self.api("admin/tsdb/snapshot", method="POST")["name"]


@contextmanager
def running_prometheus(
    binary: str,
    home: Path,
    *,
    config: str = "scrape_configs: []\n",
    flags: Sequence[str] = (),
    data: Path | None = None,
) -> Iterator[Prometheus]:
    """A server over ``data`` (a new folder unless given). ``@SELF@`` in the config becomes its own address."""
    port = free_port()
    address, data = f"127.0.0.1:{port}", data or home / "data"
    (home / "prometheus.yml").write_text(config.replace("@SELF@", address))
    argv = [
        binary,
        f"--config.file={home}/prometheus.yml",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address={address}",
        "--storage.tsdb.min-block-duration=2h",
        "--storage.tsdb.max-block-duration=2h",
        "--storage.tsdb.retention.time=100y",
        "--web.enable-lifecycle",
        "--web.enable-admin-api",
        "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms,exemplar-storage",
        *flags,
    ]
    process = RealProcess(argv, answers(f"http://{address}/-/ready"), home, name="prometheus")
    with process:
        yield Prometheus(f"http://{address}", data, process)


def make_blocks(promtool: str, openmetrics: str, folder: Path) -> list[Path]:
    """Blocks of an OpenMetrics text with timestamps, made by promtool; their folders, oldest name first."""
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "input.om"
    text.write_text(openmetrics)
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder)], check=True, capture_output=True
    )
    text.unlink()
    # promtool leaves the lock and head folders of a storage.
    for rest in ("wal", "chunks_head", "lock"):
        shutil.rmtree(folder / rest, ignore_errors=True)
    return sorted(path for path in folder.iterdir() if (path / "meta.json").exists())
