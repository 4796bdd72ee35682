"""Samples into a running Prometheus, oldest first, by its remote write API (version 1)."""

import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

import cramjam
from generated import generate
from real.plant import PlantSeries

PROTO = """
syntax = "proto3";
package prometheus;
message WriteRequest { repeated TimeSeries timeseries = 1; }
message Label { string name = 1; string value = 2; }
message Sample { double value = 1; int64 timestamp = 2; }
message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
"""
WINDOW_MS = 30 * 60_000


def write_all(url: str, series: Sequence[PlantSeries], folder: Path) -> None:
    """Every sample, one request per half hour. Raises HTTPError where it is refused."""
    messages, _ = generate("remote_write", PROTO, folder)
    first = min(one.samples[0][0] for one in series)
    last = max(one.samples[-1][0] for one in series)
    for start in range(first, last + 1, WINDOW_MS):
        body = _request(messages, series, start).SerializeToString()
        request = urllib.request.Request(
            f"{url}/api/v1/write",
            data=bytes(cramjam.snappy.compress_raw(body)),
            headers={
                "Content-Encoding": "snappy",
                "Content-Type": "application/x-protobuf",
                "X-Prometheus-Remote-Write-Version": "0.1.0",
            },
        )
        urllib.request.urlopen(request, timeout=30).close()


def _request(messages: ModuleType, series: Iterable[PlantSeries], start: int) -> object:
    request = messages.WriteRequest()
    for one in series:
        samples = [pair for pair in one.samples if start <= pair[0] < start + WINDOW_MS]
        if not samples:
            continue
        target = request.timeseries.add()
        for name, value in sorted(one.labels.items()):
            target.labels.add(name=name, value=value)
        for at, value in samples:
            target.samples.add(value=value, timestamp=at)
    return request
