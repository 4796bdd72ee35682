"""Sums and means of native histograms by group and step, with compensated summation.

Additions happen in the order of the calls and of the rows in a call, with Prometheus' operations (``promql/engine.go``,
aggregation; ``FloatHistogram.KahanAdd``), so that a result does not depend on how series were batched.
"""

# Design: a cell for each group and step, made when its first histogram comes; its buckets grow as others join.

import numpy as np

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from pythanos._histogram_accumulate cimport (
    Running, add_mean, add_sum, finish_running, release_running, result_flags,
)
from pythanos._histogram_add cimport INCOMPATIBLE as _INCOMPATIBLE
from pythanos._histogram_add cimport RECONCILED as _RECONCILED
from pythanos._histogram_add cimport RESET_COLLISION as _RESET_COLLISION
from pythanos._histogram_columns cimport HistogramReader, Sink, columns_of, put_value, release_sink, view_at
from pythanos._histogram_value cimport Value, View, compact_value, release_value

# Flags of a group at a step.
INCOMPATIBLE, RECONCILED, RESET_COLLISION = _INCOMPATIBLE, _RECONCILED, _RESET_COLLISION


cdef class HistogramSums:
    """Adds histograms up; with ``mean`` their means are wanted."""

    cdef Running** cells        # [group * steps + step], NULL where no histogram has come
    cdef int64_t groups, steps
    cdef bint mean
    cdef Value spare, trial
    cdef int64_t held

    def __cinit__(self, int64_t steps, *, bint mean=False):
        memset(&self.spare, 0, sizeof(Value))
        memset(&self.trial, 0, sizeof(Value))
        self.cells = NULL
        self.groups, self.steps, self.mean, self.held = 0, steps, mean, 0

    def __dealloc__(self):
        cdef int64_t i
        if self.cells != NULL:
            for i in range(self.groups * self.steps):
                if self.cells[i] != NULL:
                    release_running(self.cells[i])
                    free(self.cells[i])
        free(self.cells)
        release_value(&self.spare)
        release_value(&self.trial)

    @property
    def nbytes(self):
        """Bytes of the cells, about."""
        return self.groups * self.steps * 8 + self.held

    cdef int _grow(self, int64_t groups) except -1:
        cdef void* grown
        if groups <= self.groups or self.steps == 0:
            return 0
        grown = realloc(self.cells, groups * self.steps * sizeof(Running*))
        if grown == NULL:
            raise MemoryError
        self.cells = <Running**>grown
        memset(
            self.cells + self.groups * self.steps, 0, (groups - self.groups) * self.steps * sizeof(Running*)
        )
        self.groups = groups
        return 0

    def add(self, columns, const int64_t[:, ::1] row, const int64_t[::1] group):
        """Adds rows of references (``row`` int64[n, steps], -1 for none) to their groups (int64[n]).

        Raises CorruptData for columns that contradict themselves.
        """
        cdef HistogramReader reader = HistogramReader(columns)
        cdef int64_t i, k, n = row.shape[0], most = -1
        cdef View v
        cdef bint good = True
        if row.shape[1] != self.steps or group.shape[0] != n:
            raise ValueError("rows and groups do not fit")
        for i in range(n):
            if group[i] < 0:
                raise IndexError("group out of range")
            most = max(most, group[i])
            for k in range(self.steps):
                good &= row[i, k] < reader.rows.size
        if not good:
            raise IndexError("row out of range")
        self._grow(most + 1)
        with nogil:
            for i in range(n):
                for k in range(self.steps):
                    if row[i, k] >= 0:
                        v = view_at(&reader.rows, row[i, k])
                        good = self._add_one(group[i] * self.steps + k, &v)
                        if not good:
                            break
                if not good:
                    break
        if not good:
            raise MemoryError

    cdef bint _add_one(self, int64_t at, const View* v) noexcept nogil:
        cdef Running* cell = self.cells[at]
        if cell == NULL:
            cell = <Running*>calloc(1, sizeof(Running))
            if cell == NULL:
                return False
            self.cells[at] = cell
            self.held += <int64_t>sizeof(Running) + 40 * (v.positive.size + v.negative.size)
        if self.mean:
            return add_mean(cell, v, &self.spare, &self.trial)
        return add_sum(cell, v, &self.spare)

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
                    cell = self.cells[i]
                    if cell == NULL:
                        continue
                    flags[g, k] = result_flags(cell)
                    if not cell.flags & _INCOMPATIBLE:
                        finish_running(cell, self.mean)
                        compact_value(&cell.value)
                        row[g, k] = sink.size
                        good = put_value(&sink, &cell.value)
                    release_running(cell)
                    free(cell)
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
