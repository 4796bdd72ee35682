"""What other engines answered, as rows of this evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from pythanos import _labels
from pythanos.model.series import STALE_NAN_BITS
from pythanos.promql.histograms import rows as rows_of
from pythanos.promql.operators.operator import Block, Evaluation, Job, Names, empty_block, joined
from pythanos.promql.plan.nodes import Remote, RemoteUnion
from pythanos.promql.remote import EncodedRows, RemoteAnswer, RemoteQuery
from pythanos.promql.values import HistogramRows, Steps


class RemoteScan:
    """The union of the answers to one expression. All engines are asked at once, when the operator is made.

    A single answer is passed on as it comes, in its own order. Several are laid over each other, row by row and step by
    step, a later part winning; they are then held until the last one is there, in label order.
    """

    def __init__(self, evaluation: Evaluation, node: RemoteUnion, steps: Steps) -> None:
        self.evaluation = evaluation
        self.steps = steps
        self.names = Names.MANY
        self.parts = node.parts
        self.answers = [self._asked(part) for part in node.parts]

    def jobs(self) -> Iterator[Job]:
        if len(self.parts) == 1:
            part, answer = self.parts[0], self.answers[0]
            for encoded in answer.batches:
                yield partial(self._decoded, part, answer, encoded)
            yield partial(self._looked_at, answer)
        elif self.parts:
            account = self.evaluation.account
            mark = account.mark()
            block = self._merged()
            account.settle(mark)
            yield partial(_same, block)

    def finished(self) -> None:
        """Each engine gives a label set once."""

    def _asked(self, part: Remote) -> RemoteAnswer:
        evaluation = self.evaluation
        query = RemoteQuery(part.text, part.steps, evaluation.options.lookback_ms)
        answer = part.engine.query(evaluation.ctx, query)
        evaluation.selections.append(answer)
        return answer

    def _decoded(self, part: Remote, answer: RemoteAnswer, encoded: EncodedRows) -> Block:
        rows = encoded.decode()
        if rows is None:
            return empty_block(self.steps.count)
        answer.sizes.append(len(rows.labels))
        return _on_grid(Block(rows.labels, rows.values, histograms=rows.histograms), part.steps, self.steps)

    def _looked_at(self, answer: RemoteAnswer) -> Block:
        """No rows, but how many samples they were made of."""
        block = empty_block(self.steps.count)
        block.scanned = answer.samples
        return block

    def _merged(self) -> Block:
        blocks = []
        samples = 0
        for part, answer in zip(self.parts, self.answers, strict=True):
            found = [self._held(part, answer, encoded) for encoded in answer.batches]
            blocks.append(joined([block for block in found if len(block)], self.steps.count))
            samples += answer.samples
        block = laid_over(blocks, self.steps.count)
        block.scanned = samples
        return block

    def _held(self, part: Remote, answer: RemoteAnswer, encoded: EncodedRows) -> Block:
        self.evaluation.ctx.check()
        block = self._decoded(part, answer, encoded)
        points, nbytes = block.size()
        self.evaluation.account.hold(points, nbytes + len(block.labels.arena))
        return block


def laid_over(blocks: list[Block], steps: int) -> Block:
    """One row for each label set, in label order; a sample of a later block stands in place of those before it."""
    sizes = [len(block) for block in blocks]
    # Before the rows are joined, which empties the blocks.
    present = [block.present() for block in blocks]
    whole = joined([block for block in blocks if len(block)], steps)
    ids, first = _labels.distinct(whole.labels)
    if len(first) < len(whole):
        whole = _overlaid(whole, ids, first, sizes, present)
    order = _labels.sort_order(whole.labels)
    return whole if (order[1:] > order[:-1]).all() else whole.take(order)


def _overlaid(whole: Block, ids: np.ndarray, first: np.ndarray, sizes: list[int], present: list[np.ndarray]) -> Block:
    values = np.full((len(first), whole.values.shape[1]), STALE_NAN_BITS, np.int64).view(np.float64)
    row = None if whole.histograms is None else np.full(values.shape, -1, np.int64)
    at = 0
    for size, there in zip(sizes, present, strict=True):
        part = slice(at, at + size)
        to = ids[part]
        values[to] = np.where(there, whole.values[part], values[to])
        if row is not None and whole.histograms is not None:
            row[to] = np.where(there, whole.histograms.row[part], row[to])
        at += size
    histograms = None
    if row is not None and whole.histograms is not None:
        histograms = rows_of.referred(row, whole.histograms.columns)
    return Block(whole.labels.take(first), values, histograms=histograms)


def _on_grid(block: Block, own: Steps, steps: Steps) -> Block:
    """Rows at some of the steps as rows at all of them."""
    if own.count == steps.count:
        return block
    before = (own.start_ms - steps.start_ms) // steps.step_ms
    inside = slice(before, before + own.count)
    values = np.full((len(block), steps.count), STALE_NAN_BITS, np.int64).view(np.float64)
    values[:, inside] = block.values
    histograms = block.histograms
    if histograms is not None:
        row = np.full(values.shape, -1, np.int64)
        row[:, inside] = histograms.row
        histograms = HistogramRows(row, histograms.columns)
    return Block(block.labels, values, histograms=histograms)


def _same(block: Block) -> Block:
    return block
