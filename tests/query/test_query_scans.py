"""Queries whose chunks are scanned in one pass answer as those whose samples are decoded first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pythanos._chunks import encode_floats
from pythanos._labels import to_dicts
from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher
from pythanos.model.series import ABSENT, LabelColumn, SampleBatch
from pythanos.promql.engine import Engine, EngineOptions, QueryResult, RangeQuery
from pythanos.promql.queryable import EncodedSeries, SelectHints, Selection
from pythanos.promql.syntax.cursor import EVERYTHING
from pythanos.query.queryable import SelectOptions, StoreQueryable
from pythanos.storeapi.proxy import Endpoint, ProxyMetrics, ProxyStore
from pythanos.testing.fake_store import ChunkRow, FakeStore
from pythanos.workers import Workers

MINUTE = 60_000
QUERIES = (
    "m",
    "m offset 3m",
    "timestamp(m)",
    "rate(m[5m])",
    "rate(m[5m] @ 1200)",
    "sum by (g) (increase(m[90s]))",
    "quantile_over_time(0.3, m[7m] offset 2m)",
    "double_exponential_smoothing(m[10m], 0.4, 0.2)",
    "max_over_time(rate(m[5m])[10m:1m])",
    "m * on (n) group_left () rate(m[5m])",
    "m == bool on (n) m offset 1m",
)


@dataclass(frozen=True, slots=True)
class DecodedFirst:
    """A batch that hides its decoder."""

    batch: EncodedSeries

    @property
    def labels(self) -> LabelColumn:
        return self.batch.labels

    def decode(self) -> SampleBatch:
        return self.batch.decode()

    def decoder(self) -> None:
        return None

    def part(self, start: int, stop: int) -> DecodedFirst:
        return DecodedFirst(self.batch.part(start, stop))

    def take(self, rows: NDArray[np.intp]) -> DecodedFirst:
        return DecodedFirst(self.batch.take(rows))


@dataclass(frozen=True, slots=True)
class WithoutDecoders:
    queryable: StoreQueryable
    hidden_labels: frozenset[str] = frozenset()

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        selection = self.queryable.select(ctx, matchers, hints)
        return replace(selection, batches=self._hidden(selection.batches))

    def _hidden(self, batches: Iterator[EncodedSeries]) -> Iterator[EncodedSeries]:
        for batch in batches:
            yield DecodedFirst(batch)


def store() -> ProxyStore:
    """Two replicas of counters with resets, gaps, staleness markers and scrapes off their time."""
    rng, rows = np.random.default_rng(3), []
    for number in range(20):
        values = np.cumsum(rng.integers(0, 20, 160)).astype(np.float64)
        values[rng.integers(0, 160) :] -= values[rng.integers(0, 160)] * (number % 3 == 0)
        values[rng.random(160) < 0.02] = ABSENT
        times = np.arange(160) * 15_000 + rng.integers(0, 15_000) + rng.integers(-5, 6, 160)
        for replica in "ab":
            kept = rng.random(160) > (0.1 if number % 2 else 0)
            chunks = []
            for first in range(0, 160, 60):
                t, v = times[first : first + 60][kept[first : first + 60]], values[first : first + 60]
                v = v[kept[first : first + 60]]
                data, _, length = encode_floats(t, v, np.array([0, len(t)]))
                chunks.append(ChunkRow(int(t[0]), int(t[-1]), bytes(data[: length[0]])))
            labels = {"__name__": "m", "g": str(number % 3), "n": f"{number:02}", "replica": replica}
            rows.append((labels, chunks))
    fake = FakeStore(rows)
    return ProxyStore(lambda: [Endpoint("one:1", fake, fake.info())], None, ProxyMetrics())


def asked(text: str, *, scanned: bool, per_step: bool) -> QueryResult:
    queryable = StoreQueryable(store(), SelectOptions(replica_labels=("replica",)))
    query = RangeQuery(text, 5 * MINUTE, 42 * MINUTE, 20_000, per_step=per_step)
    engine = Engine(EngineOptions(parser=EVERYTHING), Workers.inline())
    return engine.range(RequestContext(), queryable if scanned else WithoutDecoders(queryable), query)


@pytest.mark.parametrize("per_step", [False, True], ids=["totals", "per step"])
@pytest.mark.parametrize("text", QUERIES)
def test_a_query_answers_the_same_however_its_chunks_are_read(text: str, per_step: bool) -> None:
    """Values to the last bit, labels, and the samples that are counted, in all and at each step."""
    one, other = (asked(text, scanned=scanned, per_step=per_step) for scanned in (True, False))
    assert to_dicts(one.value.labels) == to_dicts(other.value.labels)
    assert len(one.value.labels)
    assert one.value.values.tobytes() == other.value.values.tobytes()
    assert (one.stats.total_queryable_samples, one.stats.samples_read) == (
        other.stats.total_queryable_samples,
        other.stats.samples_read,
    )
