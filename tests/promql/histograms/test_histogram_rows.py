"""References to native histograms move with their rows, and stand for the same histograms afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos import _labels
from pythanos._histogram_take import take_rows
from pythanos.errors import QueryFailed
from pythanos.model.histogram import HistogramColumns, concat_histograms
from pythanos.model.series import ABSENT
from pythanos.promql.histograms import rows as rows_of
from pythanos.promql.operators.operator import Block, joined, merged_duplicates
from pythanos.promql.values import HistogramRows
from pythanos.testing.promqltest.histogram_columns import from_columns, to_columns
from pythanos.testing.promqltest.histograms import Histogram

Grid = list[list[Histogram | float | None]]

HISTOGRAMS = st.builds(
    lambda schema, first, counts: Histogram(
        schema=schema,
        count=float(sum(counts)),
        sum=float(len(counts)),
        positive=dict(enumerate(map(float, counts), first)),
        negative={-3: 1.0} if first % 2 else {},
    ),
    st.integers(-4, 8),
    st.integers(-5, 5),
    st.lists(st.integers(1, 9), max_size=4),
)
CELLS = st.one_of(st.none(), st.floats(-5, 5), HISTOGRAMS)
STEPS = 3
GRIDS = st.lists(st.lists(CELLS, min_size=STEPS, max_size=STEPS), max_size=4)


def columns_of(histograms: list[Histogram]) -> HistogramColumns:
    return to_columns([[(0, histogram, histogram.hint, 0) for histogram in histograms]])


def block_of(grid: Grid, first: int = 0) -> Block:
    """Series ``n="<first>"`` and so on; every histogram twice in the columns, of which the second is referred to."""
    found = [cell for row in grid for cell in row if isinstance(cell, Histogram)]
    columns = columns_of(found + found)
    place = iter(range(len(found), 2 * len(found)))
    row = [[next(place) if isinstance(cell, Histogram) else -1 for cell in line] for line in grid]
    values = [[cell if isinstance(cell, float) else ABSENT for cell in line] for line in grid]
    labels = _labels.labels_from_dicts([{"n": str(first + number)} for number in range(len(grid))])
    referred = rows_of.referred(np.array(row, np.int64).reshape(-1, STEPS), columns)
    return Block(labels, np.array(values, np.float64).reshape(-1, STEPS), histograms=referred)


def grid_of(block: Block) -> Grid:
    there = rows_of.present(block.values, None)
    grid: Grid = [
        [float(value) if present else None for value, present in zip(values, row, strict=True)]
        for values, row in zip(block.values, there, strict=True)
    ]
    if block.histograms is not None:
        for number, step in zip(*np.nonzero(block.histograms.row >= 0), strict=True):
            assert grid[number][step] is None
            row = int(block.histograms.row[number, step])
            grid[number][step] = from_columns(block.histograms.columns, row)
    return grid


@given(GRIDS, GRIDS)
def test_joined_blocks_keep_their_samples(above: Grid, below: Grid) -> None:
    """Rows of both, in order, whatever columns and layouts they refer to."""
    assert grid_of(joined([block_of(above), block_of(below, 4)], STEPS)) == above + below


@given(GRIDS, st.data())
def test_taken_rows_keep_their_samples(grid: Grid, data: st.DataObject) -> None:
    """In the order asked for; columns may be made smaller then."""
    rows = data.draw(st.lists(st.integers(0, len(grid) - 1), max_size=6)) if grid else []
    block = block_of(grid).take(np.array(rows, np.int64))
    block.histograms = rows_of.compacted(block.histograms)
    assert grid_of(block) == [grid[row] for row in rows]


@given(GRIDS)
def test_compacted_columns_hold_what_is_referred_to(grid: Grid) -> None:
    """Half of the columns of a block_of are referred to by nobody."""
    compacted = rows_of.compacted(block_of(grid).histograms)
    cells = sum(isinstance(cell, Histogram) for row in grid for cell in row)
    assert (0 if compacted is None else len(compacted.columns)) == cells


@given(GRIDS)
def test_rows_without_any_sample_go(grid: Grid) -> None:
    """A row of histograms alone stays."""
    kept = [row for row in grid if any(cell is not None for cell in row)]
    assert grid_of(block_of(grid).without_empty()) == kept


def test_equal_label_sets_are_laid_over_each_other() -> None:
    """Floats and histograms complement each other; two samples at one step are refused, of whatever kind."""
    one, other = Histogram(count=1.0, positive={0: 1.0}), Histogram(count=2.0, positive={1: 2.0})
    block = block_of([[one, None, None], [None, 3.0, other]])
    block.labels = _labels.labels_from_dicts([{"a": "b"}] * 2)
    assert grid_of(merged_duplicates(block)) == [[one, 3.0, other]]
    clash = block_of([[one, None, None], [1.0, None, None]])
    clash.labels = _labels.labels_from_dicts([{"a": "b"}] * 2)
    with pytest.raises(QueryFailed, match="same labelset"):
        merged_duplicates(clash)


def test_columns_that_share_layouts_go_on_sharing_them() -> None:
    """Parts of one decode have one table; joining them does not repeat it."""
    columns = columns_of([Histogram(count=1.0, positive={0: 1.0}), Histogram(count=2.0, positive={4: 2.0})])
    again = concat_histograms([take_rows(columns, np.array([1])), take_rows(columns, np.array([0, 0]))])
    assert again.layouts is columns.layouts
    assert [from_columns(again, row).count for row in range(3)] == [2.0, 1.0, 1.0]


def test_a_histogram_counts_as_several_samples() -> None:
    """As Prometheus: 168 bytes, 8 for the time, 8 for each span, bucket and custom bound, in samples of 16."""
    exponential = Histogram(count=3.0, positive={0: 1.0, 1: 1.0, 5: 1.0})
    custom = Histogram(schema=-53, count=1.0, bounds=(1.0, 2.0, 3.0), positive={0: 1.0})
    columns = columns_of([exponential, custom])
    assert rows_of.sample_sizes(columns).tolist() == [(176 + 8 * (2 + 3)) // 16, (176 + 8 * (1 + 1 + 3)) // 16]
    assert rows_of.points(HistogramRows(np.array([[0, 0, -1]]), columns)) == 2 * 13
