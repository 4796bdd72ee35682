"""Blocks of a real Prometheus on their way into a real bucket and back."""

import hashlib

import pytest
from real.prometheus import make_blocks

from pythanos.block.fetcher import MetaFetcher
from pythanos.block.filters import DeletionMarkFilter, DuplicateFilter
from pythanos.block.index_health import check_index
from pythanos.block.markers import mark_for_deletion
from pythanos.block.shipper import Shipper, ShipperOptions
from pythanos.block.transfer import delete_block, download_block
from pythanos.block.verify import VerifyInput, verify_blocks
from pythanos.context import RequestContext
from pythanos.objstore.opening import BucketConfig, open_bucket
from pythanos.tsdb.index_reader import IndexReader
from pythanos.tsdb.meta import decode_meta, encode_meta
from pythanos.workers import Workers

START_S = 1_700_006_400
HOURS = 6
SERIES = 20
NOW_S = 1_800_000_000


def openmetrics() -> str:
    lines = ["# TYPE requests counter"]
    for series in range(SERIES):
        lines += [
            f'requests_total{{instance="i{series:02d}",path="/<a>&b"}} {step * (series + 1)} {START_S + step * 30}'
            for step in range(HOURS * 120)
        ]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture
def blocks(prometheus, tmp_path):
    """Folders of the blocks that promtool made: three of two hours."""
    return make_blocks(prometheus.promtool, openmetrics(), tmp_path / "data")


@pytest.fixture
def workers():
    found = Workers.threaded(8)
    yield found
    found.stop()


@pytest.fixture
def bucket(seaweed, tmp_path):
    section = seaweed.section(seaweed.make_bucket("blocks"))
    found = open_bucket(BucketConfig(type="S3", config=section, prefix=str(tmp_path).strip("/")), None, "test")
    yield found
    found.close()


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_meta_of_prometheus_is_written_again_byte_for_byte(blocks):
    assert len(blocks) == HOURS // 2
    for folder in blocks:
        data = (folder / "meta.json").read_bytes()
        assert encode_meta(decode_meta(data, "meta.json")) == data


def test_its_indexes_are_healthy(blocks):
    for folder in blocks:
        meta = decode_meta((folder / "meta.json").read_bytes(), "meta.json")
        health = check_index(IndexReader.open(folder / "index"), meta.range)
        assert health.problems() == []
        assert (health.series, health.chunks) == (meta.stats.num_series, meta.stats.num_chunks)


def test_ship_find_download_and_delete(blocks, bucket, workers, tmp_path):
    """Six steps of a block's life, through S3."""
    data = blocks[0].parent
    labels = {"cluster": "a<b>&c", "replica": "0"}
    options = ShipperOptions(hash_function="SHA256", concurrency=4)
    shipper = Shipper(str(data), bucket, lambda: labels, options, fetch=workers.fetch, clock=lambda: NOW_S)
    ulids = {folder.name for folder in blocks}
    assert set(shipper.sync().uploaded) == ulids
    assert shipper.sync().uploaded == ()

    for discovery in ("concurrent", "recursive"):
        fetcher = MetaFetcher(bucket, [DuplicateFilter()], None, fetch=workers.fetch, discovery=discovery)
        found = fetcher.fetch()
        assert set(found.metas) == ulids
        assert all(meta.labels == labels and meta.source == "bucket.upload" for meta in found.metas.values())

    given = VerifyInput(bucket, found.metas, str(tmp_path), workers.fetch, RequestContext())
    assert list(verify_blocks(given)) == []

    for folder in blocks:
        download_block(bucket, folder.name, str(tmp_path / "back" / folder.name), fetch=workers.fetch)
        here, back = digests(folder), digests(tmp_path / "back" / folder.name)
        for path in ("meta.json", "tombstones"):
            here.pop(path, None)
            back.pop(path, None)
        assert back == here

    gone = blocks[0].name
    mark_for_deletion(bucket, gone, now_ms=NOW_S * 1000)
    marks = DeletionMarkFilter(bucket, 0, clock=lambda: NOW_S + 60)
    found = MetaFetcher(bucket, [marks], None, fetch=workers.fetch).fetch()
    assert found.excluded == {gone: "marked-for-deletion"}
    delete_block(bucket, gone)
    assert list(bucket.iter(gone, recursive=True)) == []
    assert set(MetaFetcher(bucket, [], None, fetch=workers.fetch).fetch().metas) == ulids - {gone}


def test_the_snapshot_of_a_running_server(prometheus, tmp_path):
    """It scrapes itself, so the newer one brings native histograms."""
    config = (
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms, external_labels: {cluster: real}}\n"
        "scrape_configs: [{job_name: self, static_configs: [{targets: ['@SELF@']}]}]\n"
    )
    server = prometheus.start(config=config)
    server.wait_for("count_over_time(up[1m]) >= 3")
    snapshot = server.snapshot()
    folders = [path for path in snapshot.iterdir() if (path / "meta.json").exists()]
    assert folders
    for folder in folders:
        data = (folder / "meta.json").read_bytes()
        meta = decode_meta(data, "meta.json")
        assert encode_meta(meta) == data
        health = check_index(IndexReader.open(folder / "index"), meta.range)
        assert health.problems() == []
        assert health.series == meta.stats.num_series > 100
