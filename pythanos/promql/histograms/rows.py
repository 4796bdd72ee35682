"""References to histograms, row by row and step by step: taken, joined, masked, laid over each other.

A reference is cheap to copy, so rows move without their buckets; columns are gathered anew only where most of their
histograms are no longer referred to. None stands for "no histogram at all" and costs a comparison.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pythanos import _histogram_rows
from pythanos._histogram_take import take_rows
from pythanos.model.histogram import HistogramColumns, concat_histograms
from pythanos.model.series import STALE_NAN_BITS
from pythanos.promql.values import Growth, HistogramRows


def referred(row: NDArray[np.int64], columns: HistogramColumns, growth: Growth | None = None) -> HistogramRows | None:
    """The references ``row`` (int64[n, steps], taken over); None where there are none."""
    return HistogramRows(row, columns, growth) if row.size and row.max() >= 0 else None


def taken(histograms: HistogramRows | None, rows: NDArray[np.intp]) -> HistogramRows | None:
    """The references of some rows, copied."""
    if histograms is None:
        return None
    growth = histograms.growth
    if growth is not None:
        growth = Growth(growth.base[rows], growth.factor[rows])
    return referred(histograms.row[rows], histograms.columns, growth)


def compacted(histograms: HistogramRows | None) -> HistogramRows | None:
    """The same histograms, in columns without the others where those are the most."""
    if histograms is None:
        return None
    row, columns = histograms.row, histograms.columns
    used = np.zeros(len(columns) + 1, np.bool_)
    used[row] = True
    kept = np.nonzero(used[:-1])[0]
    if 2 * len(kept) > len(columns):
        return histograms
    number = np.full(len(columns) + 1, -1, np.int64)
    number[kept] = np.arange(len(kept))
    return referred(number[row], take_rows(columns, kept))


def joined(parts: Sequence[tuple[HistogramRows | None, int]], steps: int) -> HistogramRows | None:
    """The references of several blocks after one another; each part with its number of rows."""
    tables: list[HistogramColumns] = []
    known: dict[int, int] = {}
    row = None
    at = 0
    for histograms, count in parts:
        if histograms is not None:
            if row is None:
                row = np.full((sum(size for _, size in parts), steps), -1, np.int64)
            columns = histograms.columns
            if id(columns) not in known:
                known[id(columns)] = sum(map(len, tables))
                tables.append(columns)
            shift = known[id(columns)]
            row[at : at + count] = np.where(histograms.row >= 0, histograms.row + shift, -1)
        at += count
    if row is None:
        return None
    return HistogramRows(row, tables[0] if len(tables) == 1 else concat_histograms(tables))


def merged(histograms: HistogramRows | None, key: NDArray[np.int64], keys: int) -> HistogramRows | None:
    """Rows with one key laid over each other; no two of them refer to a histogram at the same step."""
    if histograms is None:
        return None
    row = np.full((keys, histograms.row.shape[1]), -1, np.int64)
    np.maximum.at(row, key, histograms.row)
    return HistogramRows(row, histograms.columns)


def masked(histograms: HistogramRows | None, keep: NDArray[np.bool_]) -> HistogramRows | None:
    """The histograms where ``keep`` (bool[n, steps]) holds."""
    return None if histograms is None else referred(np.where(keep, histograms.row, -1), histograms.columns)


def present(values: NDArray[np.float64], histograms: HistogramRows | None) -> NDArray[np.bool_]:
    """bool[n, steps]: where a float or a histogram stands."""
    there = values.view(np.int64) != STALE_NAN_BITS
    return there if histograms is None else there | (histograms.row >= 0)


def samples(values: NDArray[np.float64], histograms: HistogramRows | None) -> NDArray[np.float64]:
    """float64[n, steps] for kernels that ask only where samples are: the values, and a number for each histogram."""
    return values if histograms is None else np.where(histograms.row >= 0, 0.0, values)


def sample_sizes(columns: HistogramColumns) -> NDArray[np.int64]:
    """int64[h]: as how many float samples each histogram counts."""
    return _histogram_rows.sample_sizes(columns)


def points(histograms: HistogramRows) -> int:
    """As how many float samples the histograms of a block count."""
    return _histogram_rows.points(histograms.row, histograms.columns)


def nbytes(histograms: HistogramRows) -> int:
    """The bytes of the references and of the columns (layout tables, which many share, left out)."""
    columns = histograms.columns
    arrays = (columns.timestamps, columns.count, columns.zero_count, columns.sum, columns.buckets, columns.bucket_start)
    growth = histograms.growth
    references = histograms.row.nbytes + (0 if growth is None else growth.base.nbytes + growth.factor.nbytes)
    return references + columns.layout.nbytes + sum(array.nbytes for array in arrays)
