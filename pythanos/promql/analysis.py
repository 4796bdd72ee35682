"""What each operator of one evaluation took, and each store that it read: measured only where it is asked for.

A builder of its own wraps every operator that it makes, and the Queryable whose series it reads; an evaluation
without analysis meets none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher
from pythanos.model.series import LabelColumn, SampleBatch
from pythanos.model.usage import StoreUsage
from pythanos.promql.operators.build import OperatorBuilder
from pythanos.promql.operators.operator import Block, Evaluation, Job, ScalarOperator, VectorOperator
from pythanos.promql.operators.vectors.remote import RemoteScan
from pythanos.promql.plan.explain import node_name
from pythanos.promql.plan.nodes import Node, RangeCall, RemoteUnion, Select, Subquery
from pythanos.promql.queryable import EncodedSeries, Queryable, SelectHints, Selection
from pythanos.promql.remote import EncodedRows, RemoteAnswer
from pythanos.promql.values import Steps
from pythanos.units import format_go_duration


@dataclass(slots=True)
class SelectionUsage:
    """What one select of an operator read.

    ``seconds`` waited for batches and spent on decoding them; ``samples`` and ``nbytes`` as decoded. ``selection``
    holds what each store gave, where the Queryable knows.
    """

    clock: Callable[[], float]
    selection: Selection
    wait_seconds: float = 0.0
    batches: int = 0
    series: int = 0
    # One entry per decoded batch, added by the thread that decoded it: seconds, samples, bytes.
    decoded: list[tuple[float, int, int]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.wait_seconds + sum(seconds for seconds, _, _ in self.decoded)

    @property
    def samples(self) -> int:
        return sum(samples for _, samples, _ in self.decoded)

    @property
    def nbytes(self) -> int:
        return sum(nbytes for _, _, nbytes in self.decoded)

    def stores(self) -> list[StoreUsage]:
        """What each store gave; where that is not known, all of it as one store without an address."""
        whole = StoreUsage("", self.seconds, self.nbytes, self.batches, self.series, 0, self.samples)
        return list(self.selection.usage) or [whole]


class RemoteUsage:
    """What one remote engine gave: its batches, and how long they were waited for."""

    def __init__(self, clock: Callable[[], float], address: str, answer: RemoteAnswer) -> None:
        self._clock, self._address, self._answer = clock, address, answer
        self._batches = answer.batches
        self._seconds, self._count = 0.0, 0
        answer.batches = self

    def __iter__(self) -> Iterator[EncodedRows]:
        return self

    def __next__(self) -> EncodedRows:
        began = self._clock()
        try:
            batch = next(self._batches)
        finally:
            self._seconds += self._clock() - began
        self._count += 1
        return batch

    def close(self) -> None:
        close = getattr(self._batches, "close", None)
        if close is not None:
            close()

    def usage(self) -> StoreUsage:
        return StoreUsage(self._address, self._seconds, responses=self._count, samples=self._answer.samples)


@dataclass(slots=True)
class OperatorUsage:
    """What one operator took. Its times include the operators below it, waiting included, on all threads together."""

    name: str
    children: list[OperatorUsage] = field(default_factory=list)
    selections: list[SelectionUsage] = field(default_factory=list)
    remotes: list[RemoteUsage] = field(default_factory=list)
    scans: bool = False
    reads_subquery: bool = False
    pull_seconds: float = 0.0
    # One entry per block, added by the thread that made it: seconds, series, points, bytes, samples looked at.
    blocks: list[tuple[float, int, int, int, int]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.pull_seconds + sum(block[0] for block in self.blocks)

    @property
    def series(self) -> int:
        """Rows that it gave."""
        return sum(block[1] for block in self.blocks)

    @property
    def peak_samples(self) -> int:
        """The points of its largest block, or of the largest below it."""
        own = max((block[2] for block in self.blocks), default=0)
        return max([own, *(child.peak_samples for child in self.children)])

    @property
    def peak_bytes(self) -> int:
        own = max((block[3] for block in self.blocks), default=0)
        return max([own, *(child.peak_bytes for child in self.children)])

    @property
    def total_samples(self) -> int:
        """Samples looked at, a sample once for each step whose window holds it; inside subqueries they are not counted
        again.
        """
        own = 0
        if self.scans or self.selections:
            own = sum(block[4] for block in self.blocks)
        if self.selections and not own:
            own = sum(selection.samples for selection in self.selections)
        below = [] if self.reads_subquery else self.children
        return own + sum(child.total_samples for child in below)

    def _fanout(self) -> list[StoreUsage]:
        stores = [usage for selection in self.selections for usage in selection.stores()]
        return stores + [remote.usage() for remote in self.remotes]

    def to_json(self) -> dict[str, Any]:
        """The tree in the fields of Thanos' query telemetry, with series and bytes beside them; zeros left out."""
        found = {
            "name": self.name,
            "executionTime": format_go_duration(round(self.seconds * 1e9)),
            "peakSamples": self.peak_samples,
            "totalSamples": self.total_samples,
            "series": self.series,
            "peakBytes": self.peak_bytes,
            "fanout": [_fanout_json(usage) for usage in self._fanout()],
            "children": [child.to_json() for child in self.children],
        }
        return {key: value for key, value in found.items() if value}


def _fanout_json(usage: StoreUsage) -> dict[str, Any]:
    found = {
        "endpointAddr": usage.address,
        "duration": format_go_duration(round(usage.seconds * 1e9)),
        "bytesProcessed": usage.nbytes,
        "numResponses": usage.responses,
        "series": usage.series,
        "chunks": usage.chunks,
        "samples": usage.samples,
    }
    return {key: value for key, value in found.items() if value}


class AnalyzingBuilder(OperatorBuilder):
    """Makes the same operators, each wrapped by one that measures it. ``roots`` are the trees of what was made."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.clock = evaluation.ctx.monotonic
        self.watched = WatchedQueryable(evaluation.queryable, self.clock)
        evaluation.queryable = evaluation.reads.queryable = self.watched
        super().__init__(evaluation)
        self.roots: list[OperatorUsage] = []
        self._path: list[OperatorUsage] = []

    def vector(self, node: Node, steps: Steps) -> VectorOperator:
        usage = self._enter(node)
        try:
            operator = super().vector(node, steps)
            if isinstance(operator, RemoteScan):
                asked = zip(operator.parts, operator.answers, strict=True)
                usage.remotes = [RemoteUsage(self.clock, part.engine.address, answer) for part, answer in asked]
            return _MeasuredVector(operator, usage, self.clock)
        finally:
            self._leave(usage)

    def scalar(self, node: Node, steps: Steps) -> ScalarOperator:
        usage = self._enter(node)
        try:
            return _MeasuredScalar(super().scalar(node, steps), usage, self.clock)
        finally:
            self._leave(usage)

    def usage(self, plan: Node) -> OperatorUsage:
        """The tree of what was evaluated; a plan that needed no operator is one node."""
        if len(self.roots) == 1 and not self.watched.selects:
            return self.roots[0]
        return OperatorUsage(node_name(plan), list(self.roots), self.watched.selects)

    def _enter(self, node: Node) -> OperatorUsage:
        usage = OperatorUsage(node_name(node), scans=isinstance(node, RangeCall | RemoteUnion | Select))
        usage.reads_subquery = isinstance(node, RangeCall) and isinstance(node.source, Subquery)
        if self._path:
            self._claim(self._path[-1])
            self._path[-1].children.append(usage)
        else:
            self.roots.append(usage)
        self._path.append(usage)
        return usage

    def _leave(self, usage: OperatorUsage) -> None:
        self._path.pop()
        self._claim(usage)

    def _claim(self, usage: OperatorUsage) -> None:
        """Selects that no operator below has claimed are the operator's own."""
        usage.selections += self.watched.selects
        self.watched.selects = []


class WatchedQueryable:
    """A Queryable that measures what is read; ``selects`` are those that no operator has claimed yet."""

    def __init__(self, queryable: Queryable, clock: Callable[[], float]) -> None:
        self.queryable = queryable
        self.clock = clock
        self.selects: list[SelectionUsage] = []
        self.hidden_labels = queryable.hidden_labels

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        began = self.clock()
        selection = self.queryable.select(ctx, matchers, structs.replace(hints, usage=True))
        usage = SelectionUsage(self.clock, selection, self.clock() - began)
        self.selects.append(usage)
        selection.batches = _watched_batches(selection.batches, usage)
        return selection


def _watched_batches(batches: Iterator[EncodedSeries], usage: SelectionUsage) -> Iterator[EncodedSeries]:
    try:
        while True:
            began = usage.clock()
            batch = next(batches, None)
            usage.wait_seconds += usage.clock() - began
            if batch is None:
                return
            usage.batches += 1
            usage.series += len(batch.labels)
            yield _WatchedSeries(batch, usage)
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()


@dataclass(frozen=True, slots=True)
class _WatchedSeries:
    """A batch whose decoding is measured."""

    batch: EncodedSeries
    usage: SelectionUsage

    @property
    def labels(self) -> LabelColumn:
        return self.batch.labels

    def decode(self) -> SampleBatch:
        clock = self.usage.clock
        began = clock()
        samples = self.batch.decode()
        seconds, count = clock() - began, len(samples.timestamps)
        histograms = samples.histograms
        if histograms is not None:
            count += len(histograms.timestamps)
        self.usage.decoded.append((seconds, count, samples.timestamps.nbytes + samples.values.nbytes))
        return samples

    def decoder(self) -> None:
        """None: decoding alone is measured."""

    def part(self, start: int, stop: int) -> _WatchedSeries:
        return _WatchedSeries(self.batch.part(start, stop), self.usage)

    def take(self, rows: NDArray[np.intp]) -> _WatchedSeries:
        return _WatchedSeries(self.batch.take(rows), self.usage)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.batch, name)


class _MeasuredVector:
    """A vector operator that measures its jobs and the time they take to come."""

    def __init__(self, operator: VectorOperator, usage: OperatorUsage, clock: Callable[[], float]) -> None:
        self.operator = operator
        self.usage = usage
        self.clock = clock
        self.steps = operator.steps
        self.names = operator.names

    def jobs(self) -> Iterator[Job]:
        jobs = self.operator.jobs()
        while True:
            began = self.clock()
            job = next(jobs, None)
            self.usage.pull_seconds += self.clock() - began
            if job is None:
                return
            yield partial(self._run, job)

    def finished(self) -> None:
        self.operator.finished()

    def _run(self, job: Job) -> Block:
        began = self.clock()
        block = job()
        values = block.values
        self.usage.blocks.append((self.clock() - began, len(block), values.size, values.nbytes, block.scanned))
        return block

    def __getattr__(self, name: str) -> Any:
        return getattr(self.operator, name)


class _MeasuredScalar:
    """A scalar operator that measures its evaluation."""

    def __init__(self, operator: ScalarOperator, usage: OperatorUsage, clock: Callable[[], float]) -> None:
        self.operator = operator
        self.usage = usage
        self.clock = clock
        self.steps = operator.steps

    def row(self) -> NDArray[np.float64]:
        began = self.clock()
        row = self.operator.row()
        self.usage.blocks.append((self.clock() - began, 1, row.size, row.nbytes, 0))
        return row
