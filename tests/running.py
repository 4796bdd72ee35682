"""Our own daemons as processes of a test: configured by a file, awaited by their readiness, stopped with the test."""

import json
import os
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real.realproc import RealProcess, answers, free_port

ROOT = Path(__file__).parent.parent
TWISTD = Path(sys.executable).parent / "twistd"
PYTHANOS = Path(sys.executable).parent / "pythanos"


@dataclass(frozen=True)
class Daemon:
    """``http`` is the base URL, ``grpc`` is host:port of its StoreAPI."""

    http: str
    grpc: str
    process: RealProcess

    def metrics(self) -> dict[str, float]:
        """Its metrics now: samples by their text up to the value."""
        with urllib.request.urlopen(f"{self.http}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {sample: float(value) for sample, value in pairs}


def bucket_section(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """``objstore`` of a daemon."""
    return {"config": {"type": kind, "config": dict(config)}}


def folder_bucket(folder: Path) -> dict[str, Any]:
    return bucket_section("FILESYSTEM", {"directory": str(folder)})


@contextmanager
def running(
    plugin: str, home: Path, config: Mapping[str, Any], *, timeout: float = 30, expect_ready: bool = True
) -> Iterator[Daemon]:
    """``twistd -n <plugin>`` with ``config`` and free ports, its folder under ``home``."""
    folder = home / plugin
    folder.mkdir(parents=True, exist_ok=True)
    http, grpc = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    addresses = {"http_address": http} if plugin == "pythanos" else {"http_address": http, "grpc_address": grpc}
    # JSON is YAML.
    (folder / "config.yaml").write_text(json.dumps({**addresses, **config}))
    argv = [str(TWISTD), "-n", "--pidfile=", plugin, "-c", "config.yaml"]
    ready = answers(f"http://{http}/-/{'ready' if expect_ready else 'healthy'}")
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = RealProcess(argv, ready, folder, name=plugin, timeout=timeout, environment={"PYTHONPATH": path})
    with process:
        yield Daemon(f"http://{http}", grpc, process)


@contextmanager
def running_store(home: Path, objstore: Mapping[str, Any], **config: Any) -> Iterator[Daemon]:
    """A store gateway over a bucket."""
    data = str(home / "store-data")
    with running("pythanos-store", home, {"objstore": objstore, "data_dir": data, **config}) as daemon:
        yield daemon


@contextmanager
def running_query(home: Path, endpoints: list[str], **config: Any) -> Iterator[Daemon]:
    """A querier over StoreAPIs, ready when all of them have answered once."""
    with running("pythanos-query", home, {"endpoint": endpoints, **config}) as daemon:
        yield daemon
