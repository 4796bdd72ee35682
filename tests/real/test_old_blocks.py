"""Blocks of Prometheus 2.42, which still have the old label index: served, with every sample as it was written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from real.answers import Answer, ask, differences
from real.conftest import prometheus_binaries
from real.plant import END_MS, START_MS, openmetrics, plant
from real.prometheus import make_blocks, running_prometheus
from real.remote_write import write_all
from real.served import serving, upload_blocks

START, END = START_MS // 1000, END_MS // 1000
# The range begins between scrapes: 2.42 has the sample at the very begin of a range, later ones do not.
SELECTORS = ('{__name__=~".+"}[8h1ms]', 'requests_total{code!="200"}[1h]', "odd[17m]", "imported_total[6h]")
EXPRESSIONS = (
    "sum by (job) (rate(cpu_seconds_total[5m1ms]))",
    "histogram_quantile(0.9, latency_seconds_bucket)",
    "odd",
)


@pytest.fixture(scope="module")
def old_and_ours(tmp_path_factory) -> Iterator[tuple[str, str]]:
    """The URLs of a Prometheus 2.42 and of a querier over the blocks of its snapshot."""
    home: Path = tmp_path_factory.mktemp("old")
    binary, promtool = prometheus_binaries("old")
    imported = make_blocks(promtool, openmetrics(), home / "data")
    with running_prometheus(binary, home, data=home / "data") as prometheus:
        write_all(prometheus.url, plant(), home)
        prometheus.wait_for_blocks(len(imported) + 1)
        (home / "bucket").mkdir()
        bucket = {"type": "FILESYSTEM", "config": {"directory": str(home / "bucket")}}
        upload_blocks(prometheus.snapshot(), bucket)
        with serving(home, bucket) as querier:
            yield prometheus.url, querier.http


def both(urls: tuple[str, str], path: str, parameters: dict[str, str]) -> tuple[Answer, Answer]:
    theirs, ours = (ask(url, path, parameters) for url in urls)
    assert theirs.status == 200
    return theirs, ours


@pytest.mark.parametrize("selector", SELECTORS)
def test_the_samples_are_the_same(old_and_ours, selector):
    theirs, ours = both(old_and_ours, "query", {"query": selector, "time": f"{END - 0.5}"})
    assert theirs.size > 100
    assert differences(theirs, ours) == []


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_graphs_are_the_same(old_and_ours, expression):
    window = {"start": f"{START + 600.25}", "end": str(END), "step": "60"}
    theirs, ours = both(old_and_ours, "query_range", {"query": expression, **window})
    assert theirs.size > 100
    # 2.42 adds up without compensation.
    assert differences(theirs, ours, relative=1e-12 if "sum" in expression else 0.0) == []
