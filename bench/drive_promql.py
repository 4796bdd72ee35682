"""PromQL over HTTP: the same queries against any server of the query API, over the block ``graph`` of bench.data.

    python -m bench.drive_promql --target host:port [--pid N ...] [--shape NAME] [--repeats N] [--json]

Prints for each shape the median wall time, in all and per point (series times steps before aggregation), the least of
it, median and least CPU time of the server per point, where --pid says which processes it is made of, their peak RSS,
and the size of the answer.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import time
import urllib.parse
from dataclasses import asdict, dataclass

from bench import data
from bench.usage import ServerUsage

STEP_S = data.GRAPH_STEP_MS // 1000


@dataclass(frozen=True, slots=True)
class Shape:
    """A range query whose last step is at the last sample; ``series`` are read."""

    query: str
    series: int
    samples: int
    steps: int


def _m(query: str) -> Shape:
    return Shape(query, data.GRAPH_SERIES, data.GRAPH_SAMPLES, 240)


SHAPES = {
    "sum by rate": _m("sum by (g) (rate(m[5m]))"),
    "sum": _m("sum(m)"),
    "max by pod": _m("max by (pod) (m)"),
    "sum by over time": _m("sum by (g) (sum_over_time(m[5m]))"),
    "topk rate": _m("topk(5, rate(m[5m]))"),
    "quantile rate": _m("quantile(0.9, rate(m[5m]))"),
    "count_values": _m('count_values("v", round(rate(m[5m]), 0.01))'),
    "subquery": _m("sum(max_over_time(rate(m[5m])[1h:1m]))"),
    "group_left": _m("m * on (pod) group_left () m"),
    "rate as json": Shape("rate(j[5m])", data.JSON_SERIES, data.JSON_SAMPLES, 1000),
    "samples as json": Shape("j", data.JSON_SERIES, data.JSON_SAMPLES, 1000),
    "one group": Shape('sum(rate(m{g="g7"}[5m]))', data.GRAPH_SERIES // data.GRAPH_GROUPS, data.GRAPH_SAMPLES, 240),
}


@dataclass(frozen=True, slots=True)
class Measurement:
    shape: str
    wall_ms: float
    wall_ns_per_point: float
    least_wall_ns_per_point: float
    cpu_ns_per_point: float | None
    least_cpu_ns_per_point: float | None
    answer_megabytes: float
    peak_rss_mib: float | None


class Driver:
    def __init__(self, target: str, pids: list[int]) -> None:
        self._connection = http.client.HTTPConnection(target, timeout=300)
        self._usages = [ServerUsage(pid) for pid in pids]

    def ask(self, shape: Shape) -> bytes:
        end = (data.START_MS + shape.samples * data.GRAPH_STEP_MS) // 1000
        parameters = {
            "query": shape.query,
            "start": str(end - (shape.steps - 1) * STEP_S),
            "end": str(end),
            "step": str(STEP_S),
        }
        self._connection.request("GET", f"/api/v1/query_range?{urllib.parse.urlencode(parameters)}")
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {body[:300]!r}")
        return body

    def measure(self, name: str, repeats: int) -> Measurement:
        """Of ``repeats`` queries, after one that is not counted."""
        shape = SHAPES[name]
        size = len(self.ask(shape))
        walls, cpus, points = [], [], shape.series * shape.steps
        for _ in range(repeats):
            before, begin = self._cpu_seconds(), time.perf_counter()
            self.ask(shape)
            walls.append(time.perf_counter() - begin)
            cpus.append(self._cpu_seconds() - before)
        wall = statistics.median(walls)
        peaks = [usage.peak_rss_mib() or 0.0 for usage in self._usages]
        return Measurement(
            name,
            round(wall * 1e3, 1),
            round(wall / points * 1e9, 1),
            round(min(walls) / points * 1e9, 1),
            round(statistics.median(cpus) / points * 1e9, 1) if self._usages else None,
            round(min(cpus) / points * 1e9, 1) if self._usages else None,
            round(size / 1e6, 2),
            round(sum(peaks), 1) if peaks else None,
        )

    def _cpu_seconds(self) -> float:
        return sum(usage.cpu_seconds() or 0.0 for usage in self._usages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, help="host:port of the query API")
    parser.add_argument("--pid", type=int, action="append", default=[], help="process of the server; may be repeated")
    parser.add_argument("--shape", action="append", choices=SHAPES, help="only these")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    driver = Driver(options.target, options.pid)
    for shape in options.shape or SHAPES:
        row = asdict(driver.measure(shape, options.repeats))
        print(json.dumps(row) if options.json else "  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
