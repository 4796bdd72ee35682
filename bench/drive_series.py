"""StoreAPI over gRPC: the same selects against any implementation of it, over the block ``fleet`` of bench.data.

    python -m bench.drive_series --target host:port [--pid N] [--shape NAME] [--repeats N] [--json]

Prints for each shape and batch size the median and the least wall time of a call, the least per series, and for the
server, where --pid says which process it is, median and least CPU time of a call and its peak RSS. Messages are
counted, not decoded, so that the client does not hold the server up; the series are counted once, before.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import grpc

from bench import data
from bench.usage import ServerUsage
from pythanos.rpc.pb import store_pb2, types_pb2

BATCH_SIZES = (64, 1024)
NAME = types_pb2.LabelMatcher(name="__name__", value="http_requests_total")


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked for: matchers besides the name, and fields of the request."""

    matchers: tuple[types_pb2.LabelMatcher, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)


SHAPES = {
    "all": Shape(),
    "labels only": Shape(fields={"skip_chunks": True}),
    "one in 40": Shape((types_pb2.LabelMatcher(name="handler", value="/api/v1/handler/7"),)),
    "one series": Shape((types_pb2.LabelMatcher(name="pod", value="frontend-0012345"),)),
    "without replica": Shape(fields={"without_replica_labels": ["replica"]}),
}


@dataclass(frozen=True, slots=True)
class Measurement:
    shape: str
    batch_size: int
    series: int
    megabytes: float
    wall_ms: float
    least_wall_ms: float
    least_us_per_series: float
    cpu_ms: float | None
    least_cpu_ms: float | None
    peak_rss_mib: float | None


class Driver:
    def __init__(self, target: str, pid: int | None) -> None:
        self._channel = grpc.insecure_channel(target, options=[("grpc.max_receive_message_length", -1)])
        self._series = self._channel.unary_stream(
            "/thanos.Store/Series", request_serializer=store_pb2.SeriesRequest.SerializeToString
        )
        self._usage = ServerUsage(pid)
        self._span = data.fleet()

    def request(self, shape: Shape, batch_size: int) -> store_pb2.SeriesRequest:
        return store_pb2.SeriesRequest(
            min_time=self._span.mint,
            max_time=self._span.maxt,
            matchers=[NAME, *shape.matchers],
            response_batch_size=batch_size,
            **shape.fields,
        )

    def measure(self, name: str, batch_size: int, repeats: int) -> Measurement:
        """Of ``repeats`` calls, after one that is not counted."""
        request = self.request(SHAPES[name], batch_size)
        messages = [store_pb2.SeriesResponse.FromString(message) for message in self._series(request)]
        count = sum(len(one.batch.series) + one.HasField("series") for one in messages)
        del messages
        walls, cpus, size = [], [], 0
        for _ in range(repeats):
            before, begin = self._usage.cpu_seconds(), time.perf_counter()
            size = sum(map(len, self._series(request)))
            walls.append(time.perf_counter() - begin)
            after = self._usage.cpu_seconds()
            if before is not None and after is not None:
                cpus.append(after - before)
        return Measurement(
            name,
            batch_size,
            count,
            round(size / 1e6, 1),
            round(statistics.median(walls) * 1e3, 2),
            round(min(walls) * 1e3, 2),
            round(min(walls) / max(count, 1) * 1e6, 2),
            round(statistics.median(cpus) * 1e3, 2) if cpus else None,
            round(min(cpus) * 1e3, 2) if cpus else None,
            self._usage.peak_rss_mib(),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, help="host:port of the StoreAPI")
    parser.add_argument("--pid", type=int, help="process of the server")
    parser.add_argument("--shape", action="append", choices=SHAPES, help="only these")
    parser.add_argument("--batch", type=int, action="append", help="only batches of so many series")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    driver = Driver(options.target, options.pid)
    for shape in options.shape or SHAPES:
        for batch_size in options.batch or BATCH_SIZES:
            row = asdict(driver.measure(shape, batch_size, options.repeats))
            print(json.dumps(row) if options.json else "  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
