"""The plant's samples in a Prometheus, and in blocks of that Prometheus behind our store and querier."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real.answers import Answer, ask
from real.plant import openmetrics, plant
from real.plant_histograms import plant_histograms
from real.prometheus import make_blocks, running_prometheus
from real.remote_write import write_all
from real.served import EXPERIMENTAL, serving, upload_blocks


@dataclass(frozen=True)
class Both:
    """``theirs`` and ``ours``: base URLs of a Prometheus of ``version`` and of our querier over the same samples."""

    theirs: str
    ours: str
    version: tuple[int, int]
    pool: ThreadPoolExecutor

    def ask(self, path: str, parameters: dict[str, str], *, post: bool = False) -> tuple[Answer, Answer]:
        answers = [self.pool.submit(ask, url, path, parameters, post=post) for url in (self.theirs, self.ours)]
        return answers[0].result(), answers[1].result()


@contextmanager
def serving_both(
    binary: str, promtool: str, bucket: Mapping[str, Any], home: Path, *, features: Sequence[str] = (EXPERIMENTAL,)
) -> Iterator[Both]:
    """Blocks of promtool, then five hours of remote write: a block that the server cut, and its head by a snapshot.

    ``bucket``: an empty one, as ``objstore`` names it. ``features``: feature flags of Prometheus, for both.
    """
    imported = make_blocks(promtool, openmetrics(), home / "data")
    flags = [f"--enable-feature={','.join(features)}"]
    with running_prometheus(binary, home, data=home / "data", flags=flags) as prometheus:
        write_all(prometheus.url, [*plant(), *plant_histograms()], home)
        prometheus.wait_for_blocks(len(imported) + 1)
        assert len(upload_blocks(prometheus.snapshot(), bucket)) >= len(imported) + 2
        with serving(home, bucket, features=features) as querier, ThreadPoolExecutor(2) as pool:
            yield Both(prometheus.url, querier.http, prometheus.version(), pool)
