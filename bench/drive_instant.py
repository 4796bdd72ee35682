"""Instant queries of one series each over HTTP, by several connections at once, over the block ``graph`` of bench.data.

    python -m bench.drive_instant --target host:port [--pid N ...] [--connections N] [--queries N] [--rounds N] [--json]

Each connection is kept alive and asks the next query when it has its answer; the series change from query to query.
Prints medians over the rounds: CPU time of the server per query and so the queries that one core can answer in a
second, where --pid says which processes the server is made of; the rate that was reached and the latency of a query on
this machine, which the client and everything else here share.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import statistics
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import asdict, dataclass

from bench import data
from bench.usage import ServerUsage

SHAPES: dict[str, Callable[[str], str]] = {
    "sample": lambda pod: f'm{{pod="{pod}"}}',
    "rate": lambda pod: f'rate(m{{pod="{pod}"}}[5m])',
}
ROUND_ROBIN = 400


@dataclass(frozen=True, slots=True)
class Measurement:
    shape: str
    cpu_us_per_query: float | None
    queries_per_core_second: int | None
    queries_per_second: int
    latency_ms: float
    latency_p99_ms: float


@dataclass(slots=True)
class _Connection:
    """One keep-alive connection with at most one query under way."""

    socket: socket.socket
    held: bytes = b""
    asked: float = 0.0

    def ask(self, request: bytes) -> None:
        self.held, self.asked = b"", time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> bool:
        """Reads what is there; whether the answer is whole. Raises RuntimeError for any but one series."""
        piece = self.socket.recv(65536)
        if not piece:
            raise RuntimeError("the server closed a connection")
        self.held += piece
        head, blank, body = self.held.partition(b"\r\n\r\n")
        if not blank:
            return False
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) < int(fields[b"content-length"]):
            return False
        if not head.startswith(b"HTTP/1.1 200") or body.count(b'"value":') != 1:
            raise RuntimeError(self.held[:500])
        return True


def requests(target: str, shape: str) -> list[bytes]:
    """A request for each of some series, a second apart."""
    end = (data.START_MS + data.GRAPH_SAMPLES * data.GRAPH_STEP_MS) // 1000
    made = []
    for number in range(ROUND_ROBIN):
        query = SHAPES[shape](f"pod-{number * (data.GRAPH_SERIES // ROUND_ROBIN):06d}")
        parameters = urllib.parse.urlencode({"query": query, "time": str(end - number)})
        made.append(f"GET /api/v1/query?{parameters} HTTP/1.1\r\nHost: {target}\r\nAccept: */*\r\n\r\n".encode())
    return made


def run_round(connections: list[_Connection], made: list[bytes], queries: int) -> list[float]:
    """Latencies in seconds of so many queries."""
    latencies: list[float] = []
    begun = 0
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.ask(made[begun % len(made)])
            begun += 1
        while len(latencies) < begun:
            for key, _ in selector.select():
                connection = key.data
                if connection.answered():
                    latencies.append(time.perf_counter() - connection.asked)
                    if begun < queries:
                        connection.ask(made[begun % len(made)])
                        begun += 1
    return latencies


def measure(target: str, pids: list[int], shape: str, options: argparse.Namespace) -> Measurement:
    host, _, port = target.rpartition(":")
    connections = [_Connection(socket.create_connection((host, int(port)))) for _ in range(options.connections)]
    for connection in connections:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made, usages = requests(target, shape), [ServerUsage(pid) for pid in pids]

    def cpu_seconds() -> float:
        return sum(usage.cpu_seconds() or 0.0 for usage in usages)

    run_round(connections, made, options.queries // 4)
    cpus, rates, latencies = [], [], []
    for _ in range(options.rounds):
        before, begin = cpu_seconds(), time.perf_counter()
        latencies += run_round(connections, made, options.queries)
        rates.append(options.queries / (time.perf_counter() - begin))
        cpus.append((cpu_seconds() - before) / options.queries)
    for connection in connections:
        connection.socket.close()
    cpu = statistics.median(cpus)
    latencies.sort()
    return Measurement(
        shape,
        round(cpu * 1e6, 1) if pids else None,
        round(1 / cpu) if pids else None,
        round(statistics.median(rates)),
        round(statistics.median(latencies) * 1e3, 2),
        round(latencies[len(latencies) * 99 // 100] * 1e3, 2),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, help="host:port of the query API")
    parser.add_argument("--pid", type=int, action="append", default=[], help="process of the server; may be repeated")
    parser.add_argument("--shape", action="append", choices=SHAPES, help="only these")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--queries", type=int, default=2000, help="queries of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for shape in options.shape or SHAPES:
        row = asdict(measure(options.target, options.pid, shape, options))
        print(json.dumps(row) if options.json else "  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
