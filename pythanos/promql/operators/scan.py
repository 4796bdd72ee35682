"""Selectors: where series come in. An instant selector gives the last sample of each series at each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from msgspec import structs

from pythanos import _scan, _windows
from pythanos._dedup import SeriesDecoder
from pythanos._histogram_math import supported
from pythanos.model.histogram import HistogramColumns
from pythanos.model.matchers import MatchType
from pythanos.model.series import LabelColumn, SampleBatch
from pythanos.promql.histograms.instant import last_samples, last_times
from pythanos.promql.histograms.rows import compacted, sample_sizes
from pythanos.promql.histograms.statistics import without_buckets
from pythanos.promql.operators.operator import Block, Evaluation, Job, Names, is_present, without_names
from pythanos.promql.plan.nodes import Select
from pythanos.promql.queryable import EncodedSeries, SelectHints, Selection
from pythanos.promql.sample_counts import Counted, Counts, Place, column_counts
from pythanos.promql.values import HistogramRows, Steps

# A job's rows and samples: 2 MiB of results, 8 MiB of samples, which come every 15 s as far as one can guess. Blocks
# that fit into a core's second-level cache, an eighth of that, lose more by cutting batches than they gain.
# Long windows make jobs long, and a query that has ended ends with its jobs: so much is looked at within a second.
_BLOCK_POINTS = 256 * 1024
_BLOCK_SAMPLES = 512 * 1024
_BLOCK_LOOKS = 64 * 1024 * 1024
_INTERVAL_GUESS_MS = 15_000
_ROWS_MIN, _ROWS_MAX = 8, 2048


class InstantSelector:
    """A selector with one row per series, whose columns are the times that it looks at: ``data``.

    What a row holds is said by ``_look``. ``after_ms``: how far behind the last step its series are read as well.
    """

    def __init__(self, evaluation: Evaluation, node: Select, steps: Steps, *, after_ms: int = 0) -> None:
        self.evaluation = evaluation
        self.steps = steps
        self.node = node
        self.data = data_steps(node, steps)
        self.names = Names.SINGLE if metric_name(node) else Names.MANY
        self.lookback_ms = evaluation.options.lookback_ms
        self._place = evaluation.place
        hints = select_hints(node, self.data, self.lookback_ms, 0)
        self.mint = hints.mint
        self._selection = open_selection(evaluation, node, beyond(hints, after_ms))
        self._rows = block_rows(hints, max(steps.count, self.data.count))

    def jobs(self) -> Iterator[Job]:
        yield from batch_jobs(self._selection, self._rows, self._answer)

    def finished(self) -> None:
        """Selected label sets are distinct."""

    def _look(self, batch: EncodedSeries) -> Block:
        """A row for each series of the batch, at the times of ``data``."""
        raise NotImplementedError

    def _answer(self, batch: EncodedSeries) -> Block:
        block = self._look(batch)
        block.counted = _counted_columns(self._place, block, self.steps)
        return repeated_block(block.without_empty(), self.steps)


class InstantScan(InstantSelector):
    """``metric{...} offset d @ t``; with ``times``, the samples' times in seconds in place of their values."""

    def __init__(self, evaluation: Evaluation, node: Select, steps: Steps, *, times: bool = False) -> None:
        super().__init__(evaluation, node, steps)
        self.times = times

    def _look(self, batch: EncodedSeries) -> Block:
        decoder = None if self.times else float_decoder(batch)
        if decoder is not None:
            return self._look_at_floats(batch.labels, decoder)
        samples = decode(batch, self.node, self.mint)
        if samples.histograms is not None:
            return self._look_at_both(samples, samples.histograms)
        values = np.empty((len(samples), self.data.count))
        found = _windows.instant_rows(
            samples.start,
            samples.timestamps,
            samples.values,
            values,
            first_end=self.data.start_ms,
            end_step=self.data.step_ms,
            lookback_ms=self.lookback_ms,
            times=self.times,
        )
        return Block(samples.labels, values, scanned=found, read=found)

    def _look_at_floats(self, labels: LabelColumn, decoder: SeriesDecoder) -> Block:
        values = np.empty((len(labels), self.data.count))
        found = _scan.scan_instants(
            decoder, values, first_end=self.data.start_ms, end_step=self.data.step_ms, lookback_ms=self.lookback_ms
        )
        return Block(labels, values, scanned=found, read=found)

    def _look_at_both(self, samples: SampleBatch, histograms: HistogramColumns) -> Block:
        rows = None
        if self.times:
            values, found = last_times(samples, histograms, self.data, self.lookback_ms)
        else:
            values, rows, found = last_samples(samples, histograms, self.data, self.lookback_ms)
        return Block(samples.labels, values, scanned=found, read=found, histograms=compacted(rows))


class Timestamps:
    """``timestamp(selector)``: a scan for times, which loses the metric names."""

    def __init__(self, scan: InstantScan) -> None:
        self.scan = scan
        self.steps = scan.steps
        self.names = Names.GONE

    def jobs(self) -> Iterator[Job]:
        for job in self.scan.jobs():
            yield partial(self._apply, job)

    def finished(self) -> None:
        pass

    def _apply(self, job: Job) -> Block:
        return without_names(self.scan.evaluation, job())


def _counted_columns(place: Place, block: Block, steps: Steps) -> Counted | None:
    """What the samples of an instant selector's block, from before it is repeated at ``steps``, count for."""

    def counts() -> tuple[Counts, Counts]:
        found = is_present(block.values).sum(axis=0)
        histograms = block.histograms
        if histograms is not None:
            sizes = np.append(sample_sizes(histograms.columns), 0)
            found = found + sizes[histograms.row].sum(axis=0)
        return column_counts(found, steps.count)

    return place.counted(block.scanned, block.read, counts)


def float_decoder(batch: EncodedSeries) -> SeriesDecoder | None:
    """What kernels that read chunks need of a batch; None where it has none, or has histograms."""
    decoder = batch.decoder()
    return decoder if decoder is not None and decoder.floats_only else None


def decode(batch: EncodedSeries, node: Select, mint: int) -> SampleBatch:
    """The samples of a batch as a selector wants them: its ``histograms`` are None, or some, that can be computed with.

    ``mint`` ms: where the hints of the selector begin.
    """
    samples = batch.decode()
    histograms = samples.histograms
    if histograms is None:
        return samples
    if not len(histograms):
        return replace(samples, histograms=None)
    histograms = supported(histograms)
    if node.statistics:
        histograms = without_buckets(histograms, mint)
    return replace(samples, histograms=histograms)


def data_steps(node: Select, steps: Steps) -> Steps:
    """The times at which a selector looks: one where ``@`` fixes it, the steps moved by the offset else."""
    if node.at_ms is not None:
        return Steps(node.at_ms - node.offset_ms, 1, 1)
    return Steps(steps.start_ms - node.offset_ms, steps.step_ms, steps.count)


def repeated_block(block: Block, steps: Steps) -> Block:
    """A block of one step at every step; one that already has all steps as it is."""
    if block.values.shape[1] != steps.count:
        block.values = np.repeat(block.values, steps.count, axis=1)
    histograms = block.histograms
    if histograms is not None and histograms.row.shape[1] != steps.count:
        block.histograms = HistogramRows(np.repeat(histograms.row, steps.count, axis=1), histograms.columns)
    return block


def metric_name(node: Select) -> str:
    """The one metric name that a selector can give, "" where that is not known."""
    for matcher in node.matchers:
        if matcher.name == "__name__" and matcher.type is MatchType.EQ:
            return matcher.value
    return ""


def select_hints(node: Select, data: Steps, window_ms: int, range_ms: int) -> SelectHints:
    """What a store may leave out: samples outside ``(first step - window, last step]``."""
    mint = data.start_ms - window_ms + 1
    return SelectHints(
        mint=mint,
        maxt=data.end_ms if data.count else mint - 1,
        step_ms=data.step_ms if data.count > 1 else 0,
        range_ms=range_ms,
        func=node.func,
        grouping=node.grouping,
        grouping_by=node.grouping_by,
        projection=node.projection,
    )


def beyond(hints: SelectHints, after_ms: int) -> SelectHints:
    """The hints, with as much behind the last step; those that ask for nothing stay so."""
    if not after_ms or hints.maxt < hints.mint:
        return hints
    return structs.replace(hints, maxt=hints.maxt + after_ms)


def open_selection(evaluation: Evaluation, node: Select, hints: SelectHints) -> Selection:
    """Asks for the series; their batches are pulled later. The selection's warnings become the query's.

    Where there is no step to look at (a subquery shorter than its step) nothing is asked.
    """
    if hints.maxt < hints.mint:
        return Selection(iter(()))
    if node.shared:
        selection = evaluation.reads.select(node.matchers, node.filters, hints)
    else:
        selection = evaluation.queryable.select(evaluation.ctx, node.matchers + node.filters, hints)
    evaluation.selections.append(selection)
    return selection


def expected_samples(ends: Steps, range_ms: int) -> int:
    """How many samples a series may have in windows, as far as one can guess."""
    return ((ends.count - 1) * ends.step_ms + range_ms) // _INTERVAL_GUESS_MS + 1


def block_rows(hints: SelectHints, steps: int, range_ms: int = 0) -> int:
    """How many series a job should take whose steps look back for ``range_ms``."""
    samples = (hints.maxt - hints.mint) // _INTERVAL_GUESS_MS + 1
    looks = steps * (range_ms // _INTERVAL_GUESS_MS + 1)
    most = min(_BLOCK_POINTS // max(1, steps), _BLOCK_SAMPLES // max(1, samples), _BLOCK_LOOKS // max(1, looks))
    return max(_ROWS_MIN, min(_ROWS_MAX, most))


def batch_jobs(selection: Selection, rows: int, work: Callable[[EncodedSeries], Block]) -> Iterator[Job]:
    """One job for each batch, or for parts of it where it is much larger than ``rows``."""
    for batch in selection.batches:
        count = len(batch.labels)
        if count <= rows + rows // 2:
            if count:
                yield partial(work, batch)
            continue
        parts = -(-count // rows)
        for part in range(parts):
            yield partial(_work_on_part, work, batch, count * part // parts, count * (part + 1) // parts)


def _work_on_part(work: Callable[[EncodedSeries], Block], batch: EncodedSeries, start: int, stop: int) -> Block:
    return work(batch.part(start, stop))
