"""Label kernels: ns per series over label sets of a Kubernetes fleet (10 labels, about 200 bytes).

fleet: n pods of one metric in label order; shuffled: the same in random order. CPU time: a busy machine does not count.
"""

import argparse
import random
import time

import numpy as np

from pythanos import _labels
from pythanos.model.series import LabelColumn


def fleet(n: int) -> LabelColumn:
    sets = [
        {
            "__name__": "http_requests_total",
            "cluster": f"eu-west-{i % 3}",
            "container": "server",
            "endpoint": "metrics",
            "instance": f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}:9090",
            "job": f"team/service-{i % 40}",
            "namespace": f"namespace-{i % 200}",
            "pod": f"service-{i % 40}-7d9f8b6c5-{i:05x}",
            "prometheus": "monitoring/k8s",
            "replica": f"prometheus-k8s-{i & 1}",
        }
        for i in range(n)
    ]
    column = _labels.labels_from_dicts(sets)
    return in_order(column, _labels.sort_order(column))


def in_order(column: LabelColumn, rows: np.ndarray) -> LabelColumn:
    """Rows laid out in memory in their order, as they come from a wire."""
    return _labels.concat([column.take(rows), column.take(slice(0, 0))])


def measure(name: str, n: int, job, repeat: int = 5) -> None:
    best = min(_timed(job) for _ in range(repeat))
    print(f"{name:36s} {best / n * 1e9:8.1f} ns/series")


def _timed(job) -> float:
    start = time.thread_time()
    job()
    return time.thread_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=100_000)
    n = parser.parse_args().series
    column = fleet(n)
    rows = np.array(random.Random(1).sample(range(n), n), np.int64)
    shuffled = in_order(column, rows)
    print(f"{n} series, {column.length.mean():.0f} bytes a block")
    measure("sort_order, sorted", n, lambda: _labels.sort_order(column))
    measure("sort_order, shuffled", n, lambda: _labels.sort_order(shuffled))
    measure("is_sorted", n, lambda: _labels.is_sorted(column))
    measure("drop_labels (replica)", n, lambda: _labels.drop_labels(column, ("replica",)))
    measure("drop_labels (cluster)", n, lambda: _labels.drop_labels(column, ("cluster",)))
    measure("concat", n, lambda: _labels.concat([column, column.take(slice(0, 0))]))
    measure("group_by (job)", n, lambda: _labels.group_by(column, ("job",), by=True))
    measure("group_by without (pod, instance)", n, lambda: _labels.group_by(column, ("pod", "instance"), by=False))
    measure("group_by without (replica)", n, lambda: _labels.group_by(column, ("replica",), by=False))
    measure("group_by shuffled, without (replica)", n, lambda: _labels.group_by(shuffled, ("replica",), by=False))
    measure("signatures on (instance, job)", n, lambda: _labels.signatures(column, ("instance", "job"), on=True))
    measure("signatures ignoring (replica)", n, lambda: _labels.signatures(column, ("replica",), on=False))
    measure("distinct", n, lambda: _labels.distinct(column))
    measure("value_index (pod)", n, lambda: _labels.value_index(column, "pod"))
    measure("set_label (one value)", n, lambda: _labels.set_label(column, "job", "x"))
    measure("shard_mask by (pod)", n, lambda: _labels.shard_mask(column, ("pod",), by=True, total=4, index=1))


if __name__ == "__main__":
    main()
