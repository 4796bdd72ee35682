"""A RemoteEngine in the same process: it evaluates what it is asked over a Queryable, and remembers the questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pythanos.context import RequestContext
from pythanos.promql.engine import Engine, InstantQuery, RangeQuery
from pythanos.promql.queryable import Queryable
from pythanos.promql.remote import RemoteAnswer, RemoteQuery, RemoteRows
from pythanos.promql.values import Matrix, Steps, Vector


@dataclass(frozen=True, slots=True)
class _Rows:
    rows: RemoteRows | None

    def decode(self) -> RemoteRows | None:
        return self.rows


@dataclass(slots=True)
class FakeEngine:
    """``asked``: (text, steps) of each question. Each answer has ``samples`` and a warning with the address."""

    address: str
    label_sets: tuple[Mapping[str, str], ...]
    engine: Engine
    queryable: Queryable
    mint: int = 0
    maxt: int = 1 << 60
    samples: int = 5
    asked: list[tuple[str, Steps]] = field(default_factory=list)

    @property
    def partition_sets(self) -> tuple[Mapping[str, str], ...]:
        return self.label_sets

    def query(self, ctx: RequestContext, query: RemoteQuery) -> RemoteAnswer:
        self.asked.append((query.text, query.steps))
        return RemoteAnswer(iter([_Rows(self._rows(ctx, query))]), [f"said by {self.address}"], self.samples)

    def _rows(self, ctx: RequestContext, query: RemoteQuery) -> RemoteRows | None:
        steps = query.steps
        if steps.count == 1:
            instant = InstantQuery(query.text, steps.start_ms, query.lookback_ms)
            value = self.engine.instant(ctx, self.queryable, instant).value
        else:
            times = steps.start_ms, steps.end_ms, steps.step_ms
            value = self.engine.range(ctx, self.queryable, RangeQuery(query.text, *times, query.lookback_ms)).value
        if isinstance(value, Vector):
            return RemoteRows(value.labels, value.values.reshape(-1, 1), value.histograms)
        assert isinstance(value, Matrix)
        return RemoteRows(value.labels, value.values, value.histograms)
