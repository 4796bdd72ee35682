"""Our store and Thanos' own, over the same bucket, give the same answers."""

import random

import pytest
from contracts.store_contract import sort_key
from gateway.store_helpers import synced_store
from real.conftest import thanos_binary
from real.realproc import RealProcess, answers, free_port

from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.series import SeriesBatch
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.rpc.client import RemoteStore
from pythanos.storeapi.requests import LabelNamesRequest, LabelValuesRequest, SeriesRequest, ShardInfo
from pythanos.testing.block_builder import aggregate_chunk, build_block, float_chunk
from pythanos.testing.buckets import numbered_ulid
from pythanos.testing.fake_store import series_of

HOUR_MS = 3_600_000
STEP_MS = 60_000
REQUESTS = 300


def series(count, hour, seed):
    """Series of one hour: two chunks each, labels of few and of many values, some series without some labels."""
    chooser = random.Random(seed)
    found = {}
    for i in range(count):
        labels = {"__name__": chooser.choice(["up", "http_requests_total", "cpu"]), "instance": f"host-{i % 40}"}
        if chooser.random() < 0.7:
            labels["job"] = chooser.choice(["api", "db", "web"])
        if chooser.random() < 0.4:
            labels["zone"] = chooser.choice(["a", "b", "ü"])
        if chooser.random() < 0.2:
            labels["replica"] = chooser.choice(["0", "1"])
        found[tuple(sorted(labels.items()))] = labels
    times = [hour * HOUR_MS + i * STEP_MS for i in range(60)]
    return [
        (labels, [float_chunk([(t, chooser.random()) for t in part]) for part in (times[:30], times[30:])])
        for labels in found.values()
    ]


def downsampled(count, hour, seed):
    return [
        (labels, [aggregate_chunk(dict.fromkeys(range(1, 6), chunks[0])), chunks[1]])
        for labels, chunks in series(count, hour, seed)
    ]


def fill(bucket):
    blocks = [
        (series(150, 0, 1), {"cluster": "eu", "replica": "a"}, 0, 0),
        (series(150, 0, 1), {"cluster": "eu", "replica": "b"}, 0, 0),
        (series(150, 1, 2), {"cluster": "eu", "replica": "a"}, 1, 0),
        (series(150, 0, 3), {"cluster": "us"}, 0, 0),
        (downsampled(150, 0, 4), {"cluster": "us"}, 0, 300_000),
        (series(80, 1, 5), {}, 1, 0),
    ]
    for number, (content, external, hour, resolution) in enumerate(blocks, 1):
        build_block(
            bucket,
            numbered_ulid(number),
            content,
            external=external,
            mint=hour * HOUR_MS,
            maxt=(hour + 1) * HOUR_MS,
            resolution_ms=resolution,
        )


@pytest.fixture(scope="module")
def bucket_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bucket")
    fill(FilesystemBucket(str(folder)))
    return folder


@pytest.fixture(scope="module")
def thanos(bucket_folder, tmp_path_factory):
    binary = thanos_binary()
    home = tmp_path_factory.mktemp("thanos")
    config = home / "bucket.yaml"
    config.write_text(f"type: FILESYSTEM\nconfig: {{directory: {bucket_folder}}}\n")
    http, rpc = free_port(), free_port()
    argv = [
        binary,
        "store",
        f"--objstore.config-file={config}",
        f"--data-dir={home}/data",
        f"--http-address=127.0.0.1:{http}",
        f"--grpc-address=127.0.0.1:{rpc}",
    ]
    with RealProcess(argv, answers(f"http://127.0.0.1:{http}/-/ready"), home, name="thanos-store"):
        store = RemoteStore(f"127.0.0.1:{rpc}")
        store.fetch_info(RequestContext(timeout_seconds=30))
        yield store
        store.close()


@pytest.fixture(scope="module")
def ours(bucket_folder, tmp_path_factory):
    store = synced_store(FilesystemBucket(str(bucket_folder)), tmp_path_factory.mktemp("data"))
    yield store
    store.close()


def answer(store, request):
    """(labels, chunks) of all series; chunks in a fixed order, as Thanos leaves that of equal times open."""
    frames = store.series(RequestContext(timeout_seconds=60), request)
    found = [entry for frame in frames if isinstance(frame, SeriesBatch) for entry in series_of(frame)]
    return [(labels, sorted(rows)) for labels, rows in found]


def random_matchers(chooser):
    values = {
        "__name__": ["up", "cpu", "http_.*", ".+", "up|cpu"],
        "job": ["api", "", "db|web", ".*", "a.i", "missing"],
        "zone": ["a", "", "ü", "a|", ".+"],
        "instance": ["host-1", "host-1.*", "host-(1|2|3)", ""],
        "replica": ["0", "a", "", "0|a"],
        "cluster": ["eu", "us", "eu|us", ""],
        "missing": ["", "x"],
    }
    names = chooser.sample(sorted(values), chooser.randint(1, 3))
    found = [Matcher(chooser.choice(list(MatchType)), name, chooser.choice(values[name])) for name in names]
    # At least one matcher is never on an external label: our store refuses what Thanos' answers with nothing.
    return (*found, Matcher(MatchType.RE, "nowhere", ".*"))


def random_request(chooser):
    mint = chooser.choice([0, 10 * STEP_MS, HOUR_MS - STEP_MS, HOUR_MS, HOUR_MS + 29 * STEP_MS])
    return SeriesRequest(
        mint,
        mint + chooser.choice([0, 5 * STEP_MS, HOUR_MS, 3 * HOUR_MS]),
        random_matchers(chooser),
        max_resolution_ms=chooser.choice([0, 0, 300_000, HOUR_MS]),
        aggregates=chooser.choice([(), (1, 2), (5,), (0, 3, 4)]),
        skip_chunks=chooser.random() < 0.2,
        shard=ShardInfo(chooser.randint(0, 2), 3, chooser.random() < 0.5, ("job", "instance"))
        if chooser.random() < 0.3
        else None,
        without_replica_labels=chooser.choice([(), (), ("replica",), ("replica", "zone"), ("cluster",)]),
    )


@pytest.mark.parametrize("seed", range(6))
def test_series_are_those_of_thanos(thanos, ours, seed):
    chooser, some = random.Random(seed), 0
    for _ in range(REQUESTS // 6):
        request = random_request(chooser)
        expected, found = answer(thanos, request), answer(ours, request)
        assert found == expected, request
        assert [labels for labels, _ in found] == sorted((labels for labels, _ in found), key=sort_key)
        some += bool(found)
    assert some > REQUESTS // 6 // 3


@pytest.mark.parametrize("seed", range(3))
def test_label_calls_are_those_of_thanos(thanos, ours, seed):
    chooser = random.Random(seed)
    for _ in range(REQUESTS // 6):
        mint = chooser.choice([0, HOUR_MS, 5 * HOUR_MS])
        matchers = chooser.choice([(), random_matchers(chooser)[:-1]])
        ctx = RequestContext(timeout_seconds=60)
        values = LabelValuesRequest(
            chooser.choice(["job", "instance", "zone", "cluster"]), mint, mint + HOUR_MS, matchers
        )
        assert ours.label_values(ctx, values).values == thanos.label_values(ctx, values).values, values
        names = LabelNamesRequest(mint, mint + HOUR_MS, matchers)
        assert ours.label_names(ctx, names).values == thanos.label_names(ctx, names).values, names


def test_the_info_is_that_of_thanos(thanos, ours):
    theirs, own = thanos.info(), ours.info()
    assert (own.mint, own.maxt) == (theirs.mint, theirs.maxt)
    assert sorted(map(sort_key, own.label_sets)) == sorted(map(sort_key, theirs.label_sets))

    def by_labels(info):
        return sorted((sort_key(one.labels), one.mint, one.maxt) for one in info.tsdb_infos)

    assert by_labels(own) == by_labels(theirs)
    assert (own.supports_sharding, own.supports_without_replica_labels) == (
        theirs.supports_sharding,
        theirs.supports_without_replica_labels,
    )
