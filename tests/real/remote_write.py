"""Samples into a running Prometheus, oldest first, by its remote write API (version 1)."""

import urllib.request
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import cramjam
from generated import generate
from prompb import SERIES
from real.plant import PlantSeries
from real.plant_histograms import HistogramSeries, PlantHistogram

PROTO = (
    """
syntax = "proto3";
package prometheus;
message WriteRequest { repeated TimeSeries timeseries = 1; }
"""
    + SERIES
)
WINDOW_MS = 30 * 60_000
GAUGE = 3

AnySeries = PlantSeries | HistogramSeries


def write_all(url: str, series: Sequence[AnySeries], folder: Path) -> None:
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


def _request(messages: ModuleType, series: Iterable[AnySeries], start: int) -> Any:
    request = messages.WriteRequest()
    for one in series:
        samples = [pair for pair in one.samples if start <= pair[0] < start + WINDOW_MS]
        if not samples:
            continue
        target = request.timeseries.add()
        for name, value in sorted(one.labels.items()):
            target.labels.add(name=name, value=value)
        for at, value in samples:
            if isinstance(value, PlantHistogram):
                _put(target.histograms.add(timestamp=at), value)
            else:
                target.samples.add(value=value, timestamp=at)
    return request


def _put(message: Any, histogram: PlantHistogram) -> None:
    kind = "float" if histogram.floats else "int"
    setattr(message, f"count_{kind}", histogram.count)
    setattr(message, f"zero_count_{kind}", histogram.zero_count)
    message.sum, message.schema = histogram.sum, histogram.schema
    message.zero_threshold = histogram.zero_threshold
    message.reset_hint = GAUGE if histogram.gauge else 0
    message.custom_values.extend(histogram.bounds)
    for side, buckets in (("positive", histogram.positive), ("negative", histogram.negative)):
        numbers = sorted(buckets)
        for offset, length in _spans(numbers):
            getattr(message, f"{side}_spans").add(offset=offset, length=length)
        counts = [buckets[number] for number in numbers]
        if histogram.floats:
            getattr(message, f"{side}_counts").extend(counts)
        else:
            getattr(message, f"{side}_deltas").extend(after - before for before, after in pairwise([0, *counts]))


def _spans(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """(offset, length) of runs of bucket numbers."""
    spans: list[tuple[int, int]] = []
    end = 0
    for number in numbers:
        if spans and number == end:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((number - end, 1))
        end = number + 1
    return spans
