"""Keeps a block's series in label order when external labels come in and replica labels go out (XC-40).

A block holds its series sorted by their own labels. Adding labels to all of them keeps that order but for one case: a
label set that begins another one, ``{a="1"}`` and ``{a="1", b="2"}``, changes places with it when ``c="3"`` is added.
Such a series can only move behind those that it begins, so a batch of look-ahead and the few series that wait for
their turn are all that is held (``in_label_order``). Taking a label out of the series themselves, or overwriting one,
can move a series anywhere; then the labels alone are read first, sorted, and the series read in that order
(``sorted_refs``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels
from pythanos.model.entries import SeriesEntries
from pythanos.model.series import LabelColumn

METRIC_NAME = "__name__"


def may_reorder(has_label: Callable[[str], bool], external: Iterable[str], drop: Iterable[str]) -> bool:
    """Whether taking out ``drop`` or putting in ``external`` touches a label that the series themselves may have."""
    return any(map(has_label, {*external, *drop}))


def in_label_order(batches: Iterable[SeriesEntries]) -> Iterator[SeriesEntries]:
    """The same series in label order; the batches are in the order of the series before external labels were added."""
    held: SeriesEntries | None = None
    for batch in batches:
        if not len(batch):
            continue
        if held is None:
            held = batch
            continue
        if _sorted_in_itself(held) and _labels.compare(held.labels, len(held) - 1, batch.labels, 0) <= 0:
            yield held
            held = batch
            continue
        ready, held = _settled(concat_entries([held, batch]))
        if len(ready):
            yield ready
    if held is not None:
        yield held if _sorted_in_itself(held) else held.take(_labels.sort_order(held.labels))


def _sorted_in_itself(entries: SeriesEntries) -> bool:
    return entries.rising or _labels.is_sorted(entries.labels)


def _settled(entries: SeriesEntries) -> tuple[SeriesEntries, SeriesEntries]:
    """(sorted series that nothing to come can precede, those that have to wait).

    What comes has all of the last series' predecessors before it, save those that begin it; those sort after the
    last series by now, and wait with it. They keep it as their last one, so that this holds next time too.
    """
    order = _labels.sort_order(entries.labels)
    last = int(np.flatnonzero(order == len(entries) - 1)[0])
    waiting = np.concatenate((order[last + 1 :], order[last : last + 1]))
    return entries.take(order[:last]), entries.take(waiting)


def concat_entries(parts: Sequence[SeriesEntries]) -> SeriesEntries:
    """All series of the parts, one after another; the label arena is new."""
    chunks = np.cumsum([0] + [part.chunk_count for part in parts])
    starts = [part.chunk_start[:-1] + before for part, before in zip(parts, chunks[:-1], strict=True)]
    return SeriesEntries(
        np.concatenate([part.rows for part in parts]),
        _labels.concat([part.labels for part in parts]),
        np.concatenate([*starts, chunks[-1:]]).astype(np.int64),
        np.concatenate([part.chunk_mint for part in parts]),
        np.concatenate([part.chunk_maxt for part in parts]),
        np.concatenate([part.chunk_ref for part in parts]),
        np.empty(0, np.int64),
        np.empty(0, np.int64),
    )


def sorted_refs(
    batches: Iterable[tuple[NDArray[np.uint32], LabelColumn]], *, by_metric: bool, check: Callable[[], None]
) -> Iterator[NDArray[np.uint32]]:
    """References in the order of their label sets, in runs.

    ``batches``: references, rising, and the label sets that the series will have. Held are the label sets of one run:
    of all series, or with ``by_metric`` of one metric, where each series has a metric name as its first label.
    """
    refs: list[NDArray[np.uint32]] = []
    labels: list[LabelColumn] = []
    metric: str | None = None
    for batch_refs, batch_labels in batches:
        check()
        for start, end, name in _metrics(batch_labels) if by_metric else ((0, len(batch_labels), ""),):
            if metric is not None and name != metric and refs:
                yield _sorted(refs, labels)
                refs, labels = [], []
            metric = name
            refs.append(batch_refs[start:end])
            labels.append(batch_labels.take(slice(start, end)))
    if refs:
        yield _sorted(refs, labels)


def _metrics(labels: LabelColumn) -> Iterator[tuple[int, int, str]]:
    """(first row, end, metric name) of the runs of one metric."""
    index, names = _labels.value_index(labels, METRIC_NAME)
    edges = [0, *(np.flatnonzero(np.diff(index)) + 1).tolist(), len(index)]
    for start, end in pairwise(edges):
        if start < end:
            yield start, end, names[index[start]]


def _sorted(refs: list[NDArray[np.uint32]], labels: list[LabelColumn]) -> NDArray[np.uint32]:
    return np.concatenate(refs)[_labels.sort_order(_labels.concat(labels))]
