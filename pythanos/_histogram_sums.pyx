"""Sums and means of native histograms by group and step, with compensated summation.

Additions happen in the order of the calls and of the rows in a call, with Prometheus' operations (``promql/engine.go``,
aggregation; ``FloatHistogram.KahanAdd``), so that a result does not depend on how series were batched.
"""

# Design: a cell for each group and step, made when its first histogram comes; its buckets grow as others join. A cell
# knows the layout of the call that its buckets have; rows of that layout are added bucket by bucket, with no look at
# what buckets they are.

import numpy as np

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from pythanos._histogram_accumulate cimport (
    Running, add_mean, add_sum, finish_running, release_running, result_flags, see_hint,
)
from pythanos._histogram_add cimport INCOMPATIBLE as _INCOMPATIBLE
from pythanos._histogram_add cimport RECONCILED as _RECONCILED
from pythanos._histogram_add cimport RESET_COLLISION as _RESET_COLLISION
from pythanos._histogram_add cimport add_alike, has_buckets_of
from pythanos._histogram_columns cimport (
    HistogramReader, Rows, Sink, columns_of, has_layout_of, put_value, release_sink, view_at,
)
from pythanos._histogram_value cimport (
    GAUGE, Value, View, compact_value, is_custom, kahan, release_value, set_value, view_of,
)

cdef extern from "_growth.h" nogil:
    void sum_growth "pt_sum_growth"(
        const double* last, const double* first, double factor, double* sum, double* comp, int64_t n
    ) noexcept

# Flags of a group at a step.
INCOMPATIBLE, RECONCILED, RESET_COLLISION = _INCOMPATIBLE, _RECONCILED, _RESET_COLLISION


# A group at a step.
cdef struct Cell:
    Running running
    int64_t layout          # the one that the buckets have, of all tables after one another; 0 for none


cdef void add_growth(Value* h, const Rows* rows, int64_t last, int64_t first, double factor) noexcept nogil:
    """h += (last - first) * factor, compensated; h and both rows have the same buckets, none ends in the zero bucket."""
    cdef const double* more = rows.buckets + rows.bucket_start[last]
    cdef const double* less = rows.buckets + rows.bucket_start[first]
    cdef int64_t ups = h.positive.size, downs = h.negative.size
    h.hint = GAUGE
    if not is_custom(h.schema):
        kahan((rows.zero_count[last] - rows.zero_count[first]) * factor, &h.zero_count, &h.zero_lost)
    kahan((rows.count[last] - rows.count[first]) * factor, &h.count, &h.count_lost)
    kahan((rows.sum[last] - rows.sum[first]) * factor, &h.sum, &h.sum_lost)
    sum_growth(more, less, factor, h.positive.count, h.positive.lost, ups)
    if downs:
        sum_growth(more + ups, less + ups, factor, h.negative.count, h.negative.lost, downs)


cdef inline bint has_width_of(const Value* h, const Rows* rows, int64_t row) noexcept nogil:
    """Whether a row has as many buckets."""
    return h.positive.size + h.negative.size == rows.bucket_start[row + 1] - rows.bucket_start[row]


cdef bint set_growth(Value* h, const Rows* rows, int64_t last, int64_t first, double factor) noexcept nogil:
    """h = (last - first) * factor, of two rows of one layout; False where memory is short."""
    cdef View more = view_at(rows, last), less = view_at(rows, first)
    cdef int64_t i
    if not set_value(h, &more):
        return False
    h.hint = GAUGE
    h.zero_count, h.count = (more.zero_count - less.zero_count) * factor, (more.count - less.count) * factor
    h.sum = (more.sum - less.sum) * factor
    for i in range(more.positive.size):
        h.positive.count[i] = (more.positive.count[i] - less.positive.count[i]) * factor
    for i in range(more.negative.size):
        h.negative.count[i] = (more.negative.count[i] - less.negative.count[i]) * factor
    return True


cdef class HistogramSums:
    """Adds histograms up; with ``mean`` their means are wanted."""

    cdef Cell** cells           # [group * steps + step], NULL where no histogram has come
    cdef int64_t groups, steps
    cdef bint mean
    cdef Value spare, trial, grown
    cdef int64_t held
    cdef int64_t layouts        # how many the tables of the calls have had, and one

    def __cinit__(self, int64_t steps, *, bint mean=False):
        memset(&self.spare, 0, sizeof(Value))
        memset(&self.trial, 0, sizeof(Value))
        memset(&self.grown, 0, sizeof(Value))
        self.cells = NULL
        self.groups, self.steps, self.mean, self.held, self.layouts = 0, steps, mean, 0, 1

    def __dealloc__(self):
        cdef int64_t i
        if self.cells != NULL:
            for i in range(self.groups * self.steps):
                if self.cells[i] != NULL:
                    release_running(&self.cells[i].running)
                    free(self.cells[i])
        free(self.cells)
        release_value(&self.spare)
        release_value(&self.trial)
        release_value(&self.grown)

    @property
    def nbytes(self):
        """Bytes of the cells, about."""
        return self.groups * self.steps * 8 + self.held

    cdef int _grow(self, int64_t groups) except -1:
        cdef void* grown
        if groups <= self.groups or self.steps == 0:
            return 0
        grown = realloc(self.cells, groups * self.steps * sizeof(Cell*))
        if grown == NULL:
            raise MemoryError
        self.cells = <Cell**>grown
        memset(self.cells + self.groups * self.steps, 0, (groups - self.groups) * self.steps * sizeof(Cell*))
        self.groups = groups
        return 0

    def add(
        self, columns, const int64_t[:, ::1] row, const int64_t[::1] group, const int64_t[:, ::1] base=None,
        const double[:, ::1] factor=None,
    ):
        """Adds rows of references (``row`` int64[n, steps], -1 for none) to their groups (int64[n]).

        With ``base`` and ``factor`` (int64 and float64[n, steps]) a reference may stand for a growth, as in HistogramRows.
        Raises CorruptData for columns that contradict themselves.
        """
        cdef HistogramReader reader = HistogramReader(columns)
        cdef const Rows* rows = &reader.rows
        cdef int64_t i, k, n = row.shape[0], most = -1
        cdef bint good = True, growing = base is not None
        if row.shape[1] != self.steps or group.shape[0] != n:
            raise ValueError("rows and groups do not fit")
        if growing and (
            base.shape[0] != n or factor.shape[0] != n or base.shape[1] != self.steps or factor.shape[1] != self.steps
        ):
            raise ValueError("rows and bases do not fit")
        for i in range(n):
            if group[i] < 0:
                raise IndexError("group out of range")
            most = max(most, group[i])
            for k in range(self.steps):
                good &= row[i, k] < rows.size
                if growing and row[i, k] >= 0 and base[i, k] >= 0:
                    good &= base[i, k] < rows.size and has_layout_of(rows, row[i, k], base[i, k])
        if not good:
            raise IndexError("row out of range")
        self._grow(most + 1)
        with nogil:
            for i in range(n):
                for k in range(self.steps):
                    if row[i, k] < 0:
                        continue
                    if growing and base[i, k] >= 0:
                        good = self._add_one(group[i] * self.steps + k, rows, row[i, k], base[i, k], factor[i, k])
                    else:
                        good = self._add_one(group[i] * self.steps + k, rows, row[i, k], -1, 1)
                    if not good:
                        break
                if not good:
                    break
        self.layouts += len(columns.layouts)
        if not good:
            raise MemoryError

    cdef bint _add_one(self, int64_t at, const Rows* rows, int64_t row, int64_t base, double factor) noexcept nogil:
        """Adds a row to a cell, or what it has grown by since `base`, unless that is negative, times the factor."""
        cdef Cell* cell = self.cells[at]
        cdef int64_t layout = self.layouts + rows.layout[row]
        cdef View v
        if cell == NULL:
            cell = <Cell*>calloc(1, sizeof(Cell))
            if cell == NULL:
                return False
            self.cells[at] = cell
        elif cell.layout == layout and has_width_of(&cell.running.value, rows, row):
            cell.running.count += 1
            if base >= 0:
                add_growth(&cell.running.value, rows, row, base, factor)
            else:
                v = view_at(rows, row)
                see_hint(&cell.running, v.hint)
                add_alike(&cell.running.value, &v)
            return True
        v = view_at(rows, row)
        if base >= 0:
            if not set_growth(&self.grown, rows, row, base, factor):
                return False
            v = view_of(&self.grown)
        if cell.running.count == 0:
            self.held += <int64_t>sizeof(Cell) + 40 * (v.positive.size + v.negative.size)
        cell.layout = 0
        if self.mean:
            return add_mean(&cell.running, &v, &self.spare, &self.trial)
        if not add_sum(&cell.running, &v, &self.spare):
            return False
        if rows.clear[rows.layout[row]] and not cell.running.flags and has_buckets_of(&cell.running.value, &v):
            cell.layout = layout
        return True

    def finish(self, int64_t groups):
        """(row int64[groups, steps], HistogramColumns, flags uint8[groups, steps]); -1 where there is no histogram.

        Rows are compacted. A group that met exponential and custom buckets is flagged INCOMPATIBLE and has no row. The
        cells are empty afterwards.
        """
        cdef Sink sink
        cdef int64_t i, g, k
        cdef Running* cell
        cdef bint good = True
        rows, marks = np.full((groups, self.steps), -1, np.int64), np.zeros((groups, self.steps), np.uint8)
        cdef int64_t[:, ::1] row = rows
        cdef uint8_t[:, ::1] flags = marks
        memset(&sink, 0, sizeof(sink))
        with nogil:
            for g in range(min(groups, self.groups)):
                for k in range(self.steps):
                    i = g * self.steps + k
                    if self.cells[i] == NULL:
                        continue
                    cell = &self.cells[i].running
                    flags[g, k] = result_flags(cell)
                    if not cell.flags & _INCOMPATIBLE:
                        finish_running(cell, self.mean)
                        compact_value(&cell.value)
                        row[g, k] = sink.size
                        good = put_value(&sink, &cell.value)
                    release_running(cell)
                    free(self.cells[i])
                    self.cells[i] = NULL
                    if not good:
                        break
                if not good:
                    break
        if not good:
            release_sink(&sink)
            raise MemoryError
        self.held = 0
        return rows, columns_of(&sink), marks
