"""What operators are: makers of jobs that give blocks of rows, or of one row of numbers.

A vector operator gives its series block by block: ``jobs()`` is pulled by the thread that evaluates the query and may
wait for stores or reduce its operands; a job itself is a leaf for the compute pool (decode, window, arithmetic: one
call, no waiting). An operator that works row by row wraps the jobs of its operand, so that a chain of such operators
runs fused, in one job per batch. Jobs run ahead on several threads, blocks arrive in the order of the jobs; so a
reduction adds in the order of the series, whatever the number of threads.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels, _rows
from pythanos.context import RequestContext
from pythanos.errors import QueryFailed
from pythanos.model.series import STALE_NAN_BITS, LabelColumn
from pythanos.promql.accounting import Account
from pythanos.promql.annotations import Annotation, Annotations
from pythanos.promql.histograms import rows as rows_of
from pythanos.promql.queryable import Queryable, Selection
from pythanos.promql.remote import RemoteAnswer
from pythanos.promql.sample_counts import Counted, Place
from pythanos.promql.shared_reads import SharedReads
from pythanos.promql.values import HistogramRows, Steps
from pythanos.workers import Pool

METADATA_LABELS = ("__name__", "__type__", "__unit__")
DUPLICATES = "vector cannot contain metrics with the same labelset"
# What a step of a row takes, and a decoded sample.
_POINT_BYTES, _SAMPLE_BYTES = 8, 16
# No block has fewer rows than it is worth to make a job of, if there are as many; so steps may be too many.
_ROWS_MIN, _MANY_STEPS = 8, 20_000
_EMPTY = LabelColumn(b"", np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.uint64))


@dataclass(slots=True)
class Block:
    """Some series of a vector at all steps.

    labels: LabelColumn of n; values: float64[n, steps], absent where there is no float, owned by whoever holds the
    block. histograms: the native histograms, None where there are none, which is the common case; a sample is a float
    or a histogram, never both. drop_name: bool[n] or None (no row): rows whose name, type and unit labels go at the end
    of the query (delayed name removal; otherwise they have gone already). scanned, read: samples looked at for the
    block, per step and once; counted: what they count for in the query where that is something else.
    """

    labels: LabelColumn
    values: NDArray[np.float64]
    drop_name: NDArray[np.bool_] | None = None
    scanned: int = 0
    read: int = 0
    annotations: list[Annotation] = field(default_factory=list)
    histograms: HistogramRows | None = None
    counted: Counted | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Block:
        """Some of the rows, copied; the counters stay with the block."""
        chosen = np.nonzero(rows)[0] if rows.dtype == np.bool_ else rows.astype(np.intp, copy=False)
        drop = None if self.drop_name is None else self.drop_name[chosen]
        values = self.values[chosen]
        histograms = rows_of.taken(self.histograms, chosen)
        labels = self.labels.take(chosen)
        return Block(labels, values, drop, self.scanned, self.read, self.annotations, histograms, self.counted)

    def present(self) -> NDArray[np.bool_]:
        """bool[n, steps]: where samples are."""
        return rows_of.present(self.values, self.histograms)

    def samples(self) -> NDArray[np.float64]:
        """float64[n, steps] whose absences are those of the samples; not to be written."""
        return rows_of.samples(self.values, self.histograms)

    def size(self) -> tuple[int, int]:
        """(points, bytes) as they are accounted for; a histogram is several points."""
        if self.histograms is None:
            return self.values.size, self.values.nbytes
        size = self.values.size + rows_of.points(self.histograms)
        return size, self.values.nbytes + rows_of.nbytes(self.histograms)

    def without_empty(self) -> Block:
        """The rows that have a sample."""
        present = _rows.present_rows(self.values)
        if self.histograms is not None:
            present |= (self.histograms.row >= 0).any(axis=1)
        return self if present.all() else self.take(present)


Job = Callable[[], Block]


class Names(enum.Enum):
    """Whether the rows of an operator stay distinct when their name labels are taken away."""

    GONE = "gone"
    SINGLE = "single"
    MANY = "many"


class VectorOperator(Protocol):
    """An operator that gives rows. ``steps`` is its grid; ``names`` says what its label sets hold of metric names."""

    steps: Steps
    names: Names

    def jobs(self) -> Iterator[Job]: ...

    def finished(self) -> None:
        """Called when all blocks were taken. Raises QueryFailed where label sets of different blocks collide."""


class ScalarOperator(Protocol):
    """An operator that gives one number for each step."""

    steps: Steps

    def row(self) -> NDArray[np.float64]:
        """float64[steps.count]; not to be written."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """``delayed_names``: metric names are removed at the end of a query and not by each operator."""

    lookback_ms: int
    delayed_names: bool = False
    type_and_unit_labels: bool = False
    use_start_timestamps: bool = False


@dataclass(slots=True)
class Evaluation:
    """One evaluation of one query: what all its operators share."""

    ctx: RequestContext
    queryable: Queryable
    compute: Pool
    options: EvaluationOptions
    account: Account
    # That of the operator that is being made.
    place: Place
    annotations: Annotations = field(default_factory=Annotations)
    selections: list[Selection | RemoteAnswer] = field(default_factory=list)
    reads: SharedReads = field(init=False)

    def __post_init__(self) -> None:
        self.reads = SharedReads(self.ctx, self.queryable, self.account)

    def blocks(self, operator: VectorOperator) -> Iterator[Block]:
        """The blocks of an operator, in the order of its jobs.

        Raises QueryTimeout, QueryCanceled, LimitExceeded, QueryFailed and what jobs raise. A single job runs in the
        calling thread: a small query is over before another could be woken.
        """
        self.require_room(operator.steps)
        jobs = operator.jobs()
        head = list(itertools.islice(jobs, 2))
        if len(head) == 2:
            yield from map(self._seen, self.compute.map(_run, itertools.chain(head, jobs)))
        elif head:
            yield self._seen(head[0]())
        operator.finished()

    def require_room(self, steps: Steps, *, arrays: int = 1) -> None:
        """Raises LimitExceeded where not even the smallest blocks of so many steps could be in work at once."""
        if steps.count > _MANY_STEPS:
            rows = _ROWS_MIN * (2 * self.compute.threads + 1)
            self.account.room(arrays * rows * steps.count * _POINT_BYTES)

    def close(self) -> None:
        """Ends the selections that were not read to their end."""
        for selection in self.selections:
            close = getattr(selection.batches, "close", None)
            if close is not None:
                close()

    def _seen(self, block: Block) -> Block:
        self.ctx.check()
        account = self.account
        if block.counted is not None:
            account.count(block.counted)
        else:
            account.scanned += block.scanned
            account.read += block.read
        points, nbytes = block.size()
        nbytes += _SAMPLE_BYTES * block.read
        account.hold(points, nbytes)
        account.release(points, nbytes)
        self.annotations.extend(block.annotations)
        # Counted now; the block may be part of another one later.
        block.scanned = block.read = 0
        block.counted = None
        block.annotations = []
        return block

    def collect(self, operator: VectorOperator) -> Block:
        """All rows of an operator that have a sample, as one block; its points and labels are counted as held.

        What the operator held is gone with it.
        """
        account, mark = self.account, self.account.mark()
        parts = self.collect_parts(operator)
        samples = account.samples - mark[0]
        whole = joined(parts, operator.steps.count)
        if len(parts) > 1:
            account.settle(mark, samples, whole.size()[1] + len(whole.labels.arena))
        return whole

    def collect_parts(self, operator: VectorOperator) -> list[Block]:
        """As ``collect``, in as many blocks as there are, each with a row."""
        account, mark = self.account, self.account.mark()
        samples = nbytes = 0
        arena: object = None
        parts = []
        for block in self.blocks(operator):
            kept = block.without_empty()
            if len(kept):
                kept.histograms = rows_of.compacted(kept.histograms)
                points, size = kept.size()
                # Blocks may have their labels in one buffer.
                size += 0 if kept.labels.arena is arena else len(kept.labels.arena)
                arena = kept.labels.arena
                account.hold(points, size)
                samples, nbytes = samples + points, nbytes + size
                parts.append(kept)
        account.settle(mark, samples, nbytes)
        return parts


def _run(job: Job) -> Block:
    return job()


def empty_block(steps: int) -> Block:
    return Block(_EMPTY, np.empty((0, steps)))


def joined(blocks: list[Block], steps: int) -> Block:
    """One block with the rows of all, which are emptied as it grows."""
    if not blocks:
        return empty_block(steps)
    if len(blocks) == 1:
        return blocks[0]
    labels = _labels.concat([block.labels for block in blocks])
    drop = None
    if any(block.drop_name is not None for block in blocks):
        drop = np.concatenate([drop_mask(block) for block in blocks])
    histograms = rows_of.joined([(block.histograms, len(block)) for block in blocks], steps)
    values = np.empty((len(labels), steps))
    at = 0
    for block in blocks:
        values[at : at + len(block)] = block.values
        at += len(block)
        block.values, block.histograms = block.values[:0], None
    return Block(labels, values, drop, histograms=histograms)


def drop_mask(block: Block) -> NDArray[np.bool_]:
    """bool[n]: the rows whose name is to go."""
    return np.zeros(len(block), np.bool_) if block.drop_name is None else block.drop_name


def without_names(evaluation: Evaluation, block: Block, names: tuple[str, ...] = METADATA_LABELS) -> Block:
    """The block without name, type and unit, which a function that changes the meaning drops: now or at the end.

    ``names``: what goes now where it goes now.
    """
    if evaluation.options.delayed_names:
        block.drop_name = np.ones(len(block), np.bool_)
    else:
        block.labels = _labels.drop_labels(block.labels, names)
    return block


def merged_duplicates(block: Block) -> Block:
    """Rows with equal label sets laid over each other. Raises QueryFailed where two have a sample at one step."""
    ids, first = _labels.distinct(block.labels)
    if len(first) == len(block):
        return block
    values, clash = _rows.merge_rows(block.values, ids, len(first))
    if block.histograms is not None:
        clash = _rows.merge_rows(block.samples(), ids, len(first))[1]
    if clash:
        raise QueryFailed(DUPLICATES)
    drop = None if block.drop_name is None else block.drop_name[first]
    histograms = rows_of.merged(block.histograms, ids, len(first))
    labels = block.labels.take(first)
    return Block(labels, values, drop, block.scanned, block.read, block.annotations, histograms, block.counted)


def is_present(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which elements are samples."""
    return values.view(np.int64) != STALE_NAN_BITS


def require_distinct(hashes: list[NDArray[np.uint64]]) -> None:
    """Raises QueryFailed if a label hash occurs twice among the rows of one vector."""
    found = np.concatenate(hashes) if hashes else np.zeros(0, np.uint64)
    found.sort()
    if len(found) > 1 and (found[1:] == found[:-1]).any():
        raise QueryFailed(DUPLICATES)
