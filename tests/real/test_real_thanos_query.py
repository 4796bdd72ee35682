"""Our querier's path and Thanos' own, over the same two Thanos stores, give the same answers."""

import json
import math
import random
import urllib.parse
import urllib.request
from contextlib import ExitStack

import pytest
from real.conftest import thanos_binary
from real.realproc import RealProcess, answers, free_port

from pythanos.context import RequestContext
from pythanos.model.resolution import COUNT, COUNTER, MAX, MIN, SUM
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.promql.engine import Engine, EngineOptions, RangeQuery
from pythanos.query.endpoint_metrics import EndpointMetrics
from pythanos.query.endpoints import EndpointSet, EndpointSpec
from pythanos.query.queryable import SelectOptions, StoreQueryable
from pythanos.rpc.client import connect
from pythanos.storeapi.proxy import ProxyMetrics, ProxyStore
from pythanos.testing.block_builder import aggregate_chunk, build_block, float_chunk
from pythanos.testing.buckets import numbered_ulid
from pythanos.web.api.results import print_value
from pythanos.workers import ThreadPool, Workers

HOUR_MS = 3_600_000
SCRAPE_MS = 15_000
FIVE_MINUTES_MS = 300_000
CHUNK_SAMPLES = 120


def chunked(samples):
    return [float_chunk(samples[i : i + CHUNK_SAMPLES]) for i in range(0, len(samples), CHUNK_SAMPLES)]


def replica(offset_ms, seed, gap=(0, 0)):
    """Two hours of counters with resets and of gauges, scraped with an offset, some of it missing.

    Resets do not go near zero: Thanos sums resets away before rate() sees them, so that rate() no longer knows where a
    counter began and extrapolates differently than Prometheus and we do.
    """
    chooser = random.Random(seed)
    found = []
    for pod in range(6):
        reset = 1_000 + 700 * pod
        times = [t + chooser.randint(0, 5) for t in range(offset_ms, 2 * HOUR_MS, SCRAPE_MS)]
        times = [t for t in times if not gap[0] <= t < gap[1]]
        labels = {"pod": f"p{pod}", "group": f"g{pod % 2}"}
        counter = [(t, (5_000 + t / 1000 % reset) * (pod + 1)) for t in times]
        gauge = [(t, math.sin(t / 100_000 + pod)) for t in times]
        found += [({"__name__": "c_total", **labels}, chunked(counter)), ({"__name__": "g", **labels}, chunked(gauge))]
    return found


def downsampled(hours):
    """Five-minute aggregates of a counter that is reset in the middle of a window and at the start of a chunk."""
    windows = []
    total = 0.0
    for start in range(0, hours * HOUR_MS, FIVE_MINUTES_MS):
        values = []
        for t in range(start, start + FIVE_MINUTES_MS, SCRAPE_MS):
            total = 0.0 if t in (1_200_000 + 4 * SCRAPE_MS, HOUR_MS) else total + 2.0
            values.append((t, total))
        windows.append(values)
    chunks = []
    for first in range(0, len(windows), 12):
        part = windows[first : first + 12]
        ends = [values[-1][0] for values in part]
        columns = {
            COUNT: [len(values) for values in part],
            SUM: [sum(v for _, v in values) for values in part],
            MIN: [min(v for _, v in values) for values in part],
            MAX: [max(v for _, v in values) for values in part],
        }
        parts = {
            kind: float_chunk(list(zip(ends, map(float, column), strict=True))) for kind, column in columns.items()
        }
        parts[COUNTER] = float_chunk(counter_samples(part))
        chunks.append(aggregate_chunk(dict(sorted(parts.items()))))
    return [({"__name__": "d_total"}, chunks)]


def counter_samples(windows):
    """The first raw sample, the total at each window's end, and the last raw value again at the last timestamp."""
    raw = [sample for values in windows for sample in values]
    ends = {values[-1][0] for values in windows}
    total, last, out = raw[0][1], raw[0][1], [raw[0]]
    for t, v in raw[1:]:
        total += v - last if v >= last else v
        last = v
        if t in ends:
            out.append((t, total))
    return [*out, (out[-1][0], last)]


def fill(bucket):
    eu, us = {"region": "eu"}, {"region": "us"}
    late = [({"__name__": "d_total"}, chunked([(t, t / 7_500) for t in range(2 * HOUR_MS, 4 * HOUR_MS, SCRAPE_MS)]))]
    blocks = [
        # The first replica comes first in every window: where it does not, Thanos lifts the other's first value to it.
        (replica(20, 1, (1_800_000, 3_000_000)), {**eu, "replica": "a"}, 0, 2, 0),
        (replica(4_000, 2), {**eu, "replica": "b"}, 0, 2, 0),
        (replica(2_000, 3), {**us, "replica": "a"}, 0, 2, 0),
        # The same replica in two blocks, as before a compaction.
        (replica(2_000, 3), {**us, "replica": "a"}, 0, 2, 0),
        (downsampled(2), eu, 0, 2, FIVE_MINUTES_MS),
        (late, eu, 2, 4, 0),
    ]
    for number, (series, external, start, end, resolution) in enumerate(blocks, 1):
        build_block(
            bucket,
            numbered_ulid(number),
            series,
            external=external,
            mint=start * HOUR_MS,
            maxt=end * HOUR_MS,
            resolution_ms=resolution,
        )


def thanos_store(stack, binary, folder, home, name):
    config = home / f"{name}.yaml"
    config.write_text(f"type: FILESYSTEM\nconfig: {{directory: {folder}}}\n")
    http, rpc = free_port(), free_port()
    argv = [binary, "store", f"--objstore.config-file={config}", f"--data-dir={home}/{name}"]
    argv += [f"--http-address=127.0.0.1:{http}", f"--grpc-address=127.0.0.1:{rpc}"]
    stack.enter_context(RealProcess(argv, answers(f"http://127.0.0.1:{http}/-/ready"), home, name=name))
    return f"127.0.0.1:{rpc}"


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    """Two Thanos stores over one bucket and a Thanos querier over both: (store addresses, querier URL)."""
    binary = thanos_binary()
    folder, home = tmp_path_factory.mktemp("bucket"), tmp_path_factory.mktemp("thanos")
    fill(FilesystemBucket(str(folder)))
    with ExitStack() as stack:
        stores = [thanos_store(stack, binary, folder, home, name) for name in ("one", "two")]
        http = free_port()
        argv = [binary, "query", f"--http-address=127.0.0.1:{http}", f"--grpc-address=127.0.0.1:{free_port()}"]
        argv += ["--query.replica-label=replica", *(f"--endpoint={address}" for address in stores)]
        url = f"http://127.0.0.1:{http}"
        stack.enter_context(RealProcess(argv, answers(f"{url}/-/ready"), home, name="query"))
        yield stores, url


@pytest.fixture(scope="module")
def endpoint_set(peers):
    addresses, _ = peers
    pool = ThreadPool("streams", 8)
    endpoints = EndpointSet(
        lambda: [EndpointSpec(address) for address in addresses], connect, pool, EndpointMetrics(), now_ms=lambda: 0
    )
    endpoints.update(RequestContext(timeout_seconds=30))
    yield endpoints, pool
    endpoints.close()
    pool.stop()


def thanos_answer(url, text, start, end, step, **params):
    fields = {"query": text, "start": start / 1000, "end": end / 1000, "step": step / 1000, **params}
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{urllib.parse.urlencode(fields)}", timeout=60) as answer:
        return keyed(json.load(answer)["data"]["result"])


def our_answer(endpoint_set, text, start, end, step, **options):
    endpoints, pool = endpoint_set
    proxy = ProxyStore(endpoints.endpoints, pool, ProxyMetrics())
    queryable = StoreQueryable(proxy, SelectOptions(replica_labels=("replica",), **options))
    engine = Engine(EngineOptions(), Workers.inline())
    result = engine.range(RequestContext(timeout_seconds=60), queryable, RangeQuery(text, start, end, step))
    assert [text for text in result.store_warnings if "is not exact on downsampled data" not in text] == []
    return keyed(json.loads(b"".join(print_value(result.value)[1])))


def keyed(result):
    """{labels: {time: value}}."""
    return {tuple(sorted(one["metric"].items())): {t: float(v) for t, v in one["values"]} for one in result}


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert theirs
    for labels, points in theirs.items():
        assert ours[labels].keys() == points.keys(), labels
        for t, value in points.items():
            assert ours[labels][t] == pytest.approx(value, rel=1e-9, abs=1e-9), (labels, t)


QUERIES = [
    "g",
    "c_total",
    'g{region="us"}',
    "rate(c_total[2m])",
    "increase(c_total[10m])",
    "irate(c_total[2m])",
    "sum by (group) (rate(c_total[5m]))",
    "max_over_time(g[5m])",
    "count_over_time(g[5m])",
    "avg by (region) (g)",
]


@pytest.mark.parametrize("text", QUERIES)
@pytest.mark.parametrize("dedup", [True, False])
def test_deduplicated_and_raw_queries(peers, endpoint_set, text, dedup):
    """QU-11, QU-15 to QU-19: replicas, overlapping blocks and equal chunks of two stores."""
    span = (600_000, 7_100_000, 30_000)
    theirs = thanos_answer(peers[1], text, *span, dedup=str(dedup).lower(), max_source_resolution="0s")
    assert_same(our_answer(endpoint_set, text, *span, dedup=dedup), theirs)


@pytest.mark.parametrize(
    "text",
    [
        "d_total",
        "rate(d_total[20m])",
        "increase(d_total[1h])",
        "min_over_time(d_total[20m])",
        "max_over_time(d_total[20m])",
        "sum_over_time(d_total[20m])",
        "avg_over_time(d_total[20m])",
    ],
)
def test_downsampled_data_beside_raw(peers, endpoint_set, text):
    """QU-20 to QU-22: the aggregate that fits the function, resets in and between chunks, raw data after."""
    span = (1_800_000, 4 * HOUR_MS - 60_000, 60_000)
    theirs = thanos_answer(peers[1], text, *span, max_source_resolution="5m")
    assert_same(our_answer(endpoint_set, text, *span, max_resolution_ms=FIVE_MINUTES_MS), theirs)


def test_stores_announce_themselves(endpoint_set):
    """QU-1, QU-8: Info of real stores: component, label sets, time range."""
    statuses = endpoint_set[0].statuses()
    assert [status.component for status in statuses] == ["store", "store"]
    regions = {(labels["region"], labels.get("replica")) for labels in statuses[0].label_sets}
    assert regions == {("eu", "a"), ("eu", "b"), ("us", "a"), ("eu", None)}
    assert statuses[0].maxt == 4 * HOUR_MS
