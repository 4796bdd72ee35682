"""Blocks that a real Thanos downsampled: our querier over our store answers as Thanos' querier over Thanos' store."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from real.answers import ask, differences
from real.conftest import thanos_binary
from real.realproc import RealProcess, answers, free_port
from running import folder_bucket, running_query, running_store

from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.testing.block_builder import build_block, float_chunk
from pythanos.testing.buckets import EPOCH_MS, numbered_ulid

DAY_S = 86_400
DAYS = 11
SCRAPE_MS = 60_000
START = EPOCH_MS // 1000
HOURLY = 3_600_000
REPLICAS = ("a", "b")

# Thanos knows no resets in raw counters, so none are in this one.
EXPRESSIONS = [
    "g",
    "c_total",
    "rate(c_total[2h])",
    "rate(c_total[5m])",
    "increase(c_total[6h])",
    "irate(c_total[3h])",
    "sum_over_time(g[2h])",
    "count_over_time(g[2h])",
    "avg_over_time(g[2h])",
    "min_over_time(g[2h])",
    "max_over_time(g[3h])",
    "quantile_over_time(0.5, g[2h])",
    "last_over_time(g[2h])",
    "deriv(g[4h])",
    "delta(g[2h])",
    "changes(g[2h])",
    "sum(g)",
    "min(g)",
    "max(g)",
    "count(g)",
    "avg by (pod) (g)",
    "topk(1, g)",
    "max_over_time(g[1d:1h])",
    "g offset 1h",
    "timestamp(g)",
]
RESOLUTIONS = ("", "0s", "5m", "10m", "1h", "3600", "auto")
QUESTIONS: list[tuple[str, dict[str, str]]] = [
    ("query", {"time": str(START + 10 * DAY_S + 1234)}),
    ("query_range", {"start": str(START + 2 * DAY_S), "end": str(START + 10 * DAY_S), "step": "21600"}),
    ("query_range", {"start": str(START + 2 * DAY_S), "end": str(START + 2 * DAY_S + 7200), "step": "120"}),
]


@dataclass(frozen=True)
class Queriers:
    """Base URLs: ``plain`` with default flags; ``auto`` downsampling by itself, with a fixed lookback."""

    plain: tuple[str, str]
    auto: tuple[str, str]


def fill(folder: Path) -> None:
    """Eleven days of two replicas, long enough for both resolutions.

    The first replica comes first in every window, and the other soon after it: nothing there makes a deduplication
    change over, where Thanos lifts values and we interpolate.
    """
    for number, replica in enumerate(REPLICAS, 1):
        series = []
        for pod in range(2):
            first = EPOCH_MS + 4000 * (number - 1) + 1000 * (pod + 1)
            times = range(first, EPOCH_MS + DAYS * DAY_S * 1000, SCRAPE_MS)
            counter = [(t, float((pod + 1) * i + 3 * (i // 7))) for i, t in enumerate(times)]
            gauge = [(t, math.sin(t / 5e6 + pod) * 10) for t in times]
            series += [
                ({"__name__": name, "pod": f"p{pod}"}, samples)
                for name, samples in (("c_total", counter), ("g", gauge))
            ]
        build_block(
            FilesystemBucket(str(folder)),
            numbered_ulid(number),
            [
                (labels, [float_chunk(samples[i : i + 120]) for i in range(0, len(samples), 120)])
                for labels, samples in series
            ],
            external={"replica": replica},
            mint=EPOCH_MS,
            maxt=EPOCH_MS + DAYS * DAY_S * 1000,
        )


def downsample(binary: str, folder: Path, home: Path) -> None:
    """``thanos tools bucket downsample``, which goes on until it is stopped: stopped when both replicas are hourly."""
    config = home / "bucket.yaml"
    config.write_text(f"type: FILESYSTEM\nconfig: {{directory: {folder}}}\n")
    argv = [binary, "tools", "bucket", "downsample", f"--objstore.config-file={config}", f"--data-dir={home}/work"]
    argv.append(f"--http-address=127.0.0.1:{free_port()}")

    def done() -> bool:
        metas = [path.read_text() for path in folder.glob("*/meta.json")]
        return sum(f'"resolution": {HOURLY}' in meta for meta in metas) == len(REPLICAS)

    with RealProcess(argv, done, home, name="downsample"):
        pass


@pytest.fixture(scope="module")
def queriers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queriers]:
    binary = thanos_binary()
    folder, home = tmp_path_factory.mktemp("bucket"), tmp_path_factory.mktemp("downsampled")
    fill(folder)
    downsample(binary, folder, home)
    with ExitStack() as stack:

        def thanos(name: str, *flags: str) -> str:
            http = f"127.0.0.1:{free_port()}"
            argv = [binary, *flags, f"--http-address={http}"]
            stack.enter_context(RealProcess(argv, answers(f"http://{http}/-/ready"), home, name=name))
            return f"http://{http}"

        rpc = f"127.0.0.1:{free_port()}"
        thanos(
            "store", "store", f"--objstore.config-file={home}/bucket.yaml", f"--data-dir={home}/s",
            f"--grpc-address={rpc}",
        )  # fmt: skip
        store = stack.enter_context(running_store(home, folder_bucket(folder)))

        def pair(name: str, flags: list[str], query: dict[str, object]) -> tuple[str, str]:
            own = home / name
            own.mkdir()
            theirs = thanos(
                name, "query", f"--endpoint={rpc}", "--query.replica-label=replica",
                f"--grpc-address=127.0.0.1:{free_port()}", *flags,
            )  # fmt: skip
            section = {"replica_label": ["replica"], **query}
            return theirs, stack.enter_context(running_query(own, [store.grpc], query=section)).http

        auto_flags = ["--query.auto-downsampling", "--no-query.dynamic-lookback-delta"]
        yield Queriers(
            pair("plain", [], {}),
            pair(
                "auto",
                [*auto_flags, "--query.instant.default.max_source_resolution=1h"],
                {
                    "auto_downsampling": True,
                    "dynamic_lookback_delta": False,
                    "instant": {"default": {"max_source_resolution": "1h"}},
                },
            ),
        )


def compared(pair: tuple[str, str], expression: str, resolutions: tuple[str, ...]) -> list[str]:
    found, samples = [], 0
    for path, times in QUESTIONS:
        for resolution in resolutions:
            given = {"max_source_resolution": resolution} if resolution else {}
            theirs, ours = (ask(url, path, {"query": expression, **times, **given}) for url in pair)
            found += [f"{path} {resolution or 'default'}: {one}" for one in differences(theirs, ours, relative=1e-9)]
            samples += theirs.size
    assert samples
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_resolution_gives_what_thanos_gives(queriers, expression):
    """QU-20 to QU-23: resolutions by parameter, bounded by the range of functions; aggregates; longer lookback."""
    assert compared(queriers.plain, expression, RESOLUTIONS) == []


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_downsampling_by_itself_gives_what_thanos_gives(queriers, expression):
    """QU-20, QU-23: the flags for range queries and instant queries, and without the dynamic lookback."""
    assert compared(queriers.auto, expression, ("", "0s", "auto")) == []


def test_lookback_reaches_over_an_hour_where_hourly_data_is_read(queriers):
    """QU-23: points at every step with the dynamic lookback, holes without; a given lookback overrides both."""
    (path, times), parameters = QUESTIONS[2], {"query": 'g{pod="p0"}', "max_source_resolution": "1h"}
    dynamic = ask(queriers.plain[1], path, {**times, **parameters})
    fixed = ask(queriers.auto[1], path, {**times, **parameters})
    given = ask(queriers.auto[1], path, {**times, **parameters, "lookback_delta": "1h"})
    short = ask(queriers.plain[1], path, {**times, **parameters, "lookback_delta": "5m"})
    assert dynamic.size == given.size == 61
    assert 0 < fixed.size == short.size < 20


def test_an_answer_says_where_a_function_is_not_exact(queriers):
    """A warning where averages were read in place of samples; none over raw data, nor for functions that are exact."""
    path, times = QUESTIONS[1]

    def warnings(expression: str, resolution: str) -> list[str]:
        parameters = {"query": expression, "max_source_resolution": resolution, **times}
        return ask(queriers.plain[1], path, parameters).body.get("warnings", [])

    assert warnings("deriv(g[4h])", "1h") == [
        "PromQL info: deriv is not exact on downsampled data, of which it reads averages;"
        " max_source_resolution=0s reads raw data"
    ]
    assert warnings("deriv(g[4h])", "0s") == []
    assert warnings("sum_over_time(g[4h])", "1h") == []
    # Half of the range is less than five minutes: raw data is read.
    assert warnings("deriv(g[8m])", "1h") == []
