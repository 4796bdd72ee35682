"""Results on their way between queriers: CPU ns per point of writing a matrix as QueryAPI messages and of reading them.

A matrix of 10,000 series with five labels x 240 steps, 64 series in a message, least and median of many. Shapes: full
mantissa (rates), sparse (every third point absent), and one step (an instant query: ns per series).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from pythanos._labels import labels_from_dicts
from pythanos._query_results import decode_results
from pythanos.model.series import ABSENT
from pythanos.promql.values import Matrix, Steps
from pythanos.query.distributed.requests import RESPONSE_BATCH_SIZE
from pythanos.rpc.queryapi.client import GATHER_BYTES
from pythanos.rpc.queryapi.results import series_messages

SERIES, STEPS, START_MS, STEP_MS = 10_000, 240, 1_700_000_000_000, 60_000


def shapes(rng: np.random.Generator) -> dict[str, np.ndarray]:
    full = rng.random((SERIES, STEPS)) * 1000
    sparse = full.copy()
    sparse[:, ::3] = ABSENT
    return {"full mantissa": full, "sparse": sparse, "one step": np.ascontiguousarray(full[:, :1])}


def matrix(values: np.ndarray) -> Matrix:
    labels = [
        {"__name__": "requests", "instance": f"host-{row:05d}", "job": "node", "region": "eu", "zone": f"z{row % 7}"}
        for row in range(len(values))
    ]
    return Matrix(Steps(START_MS, STEP_MS, values.shape[1]), labels_from_dicts(labels), values)


def written(value: Matrix) -> list[bytes]:
    return list(series_messages(value, RESPONSE_BATCH_SIZE))


def read(messages: list[bytes], steps: int) -> int:
    """Rows, read as the client does: several small messages at once."""
    rows, waiting, size = 0, [], 0
    for message in [*messages, b""]:
        waiting.append(message)
        size += len(message)
        if size >= GATHER_BYTES or not message:
            found, _ = decode_results(b"".join(waiting), START_MS, STEP_MS, steps, source="bench")
            rows += 0 if found is None else len(found[1])
            waiting, size = [], 0
    return rows


def cpu_seconds(run: Callable[[], object], repeats: int) -> list[float]:
    """The CPU time of each of ``repeats`` rounds in this thread."""
    times = []
    for _ in range(repeats):
        started = time.thread_time()
        run()
        times.append(time.thread_time() - started)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    for name, values in shapes(np.random.default_rng(1)).items():
        value = matrix(values)
        messages = written(value)
        assert read(messages, values.shape[1]) == len(values)
        result: dict[str, object] = {"shape": name, "bytes_per_point": round(sum(map(len, messages)) / values.size, 1)}
        runs = {"write": partial(written, value), "read": partial(read, messages, values.shape[1])}
        for what, run in runs.items():
            times = [seconds / values.size * 1e9 for seconds in cpu_seconds(run, repeats)]
            result[f"{what}_ns_least"] = round(min(times), 1)
            result[f"{what}_ns_median"] = round(statistics.median(times), 1)
        print(json.dumps(result))


if __name__ == "__main__":
    main()
