"""Aggregation over series: rows of steps are added into rows of groups, or ranked within their group step by step.

Additions happen in the order of the calls and of the rows in a call, with Prometheus' operations
(``prometheus:promql/engine.go``, aggregation), so that a result does not depend on how series were batched. Absence
is the staleness marker's bit pattern, in inputs and results.
"""

# Design: `GroupTable` numbers groups by the bytes of their labels, exactly. `Accumulator` keeps up to four float rows
# per group (value, compensation or mean, count, incremental mean) and grows by doubling. Ranking kernels need all
# series at one step; they walk steps in tiles so that reading the matrix column by column stays in cache lines.

import numpy as np

from libc.math cimport NAN, isinf, isnan, sqrt
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from pythanos._arena cimport Growing, Interner, append, intern_bytes, release, release_interner, seal
from pythanos._hash cimport xxh64
from pythanos._labels cimport LabelRows, NameSet, Rows, select_labels

from pythanos.errors import CorruptData
from pythanos.model.series import ABSENT, STALE_NAN_BITS, LabelColumn

cdef extern from "_lanes.h" nogil:
    bint absent "pt_absent"(double) noexcept
    double absent_value "pt_absent_value"() noexcept
    void kahan "pt_kahan"(double x, double* sum, double* comp) noexcept
    void sum_row "pt_sum_row"(const double* x, double* sum, double* comp, int64_t steps) noexcept
    void count_row "pt_count_row"(const double* x, double* count, int64_t steps) noexcept
    void max_row "pt_max_row"(const double* x, double* best, int64_t steps) noexcept
    void min_row "pt_min_row"(const double* x, double* best, int64_t steps) noexcept
    bint has_inf "pt_has_inf"(const double* x, int64_t n) noexcept

cdef extern from "_order.h" nogil:
    double quantile "pt_quantile"(double q, double* values, int64_t n) noexcept

cpdef enum Kind:
    SUM
    AVG
    MIN
    MAX
    COUNT
    GROUP
    STDDEV
    STDVAR

cpdef enum Rank:
    TOP
    BOTTOM
    FIRST

cdef enum:
    TILE = 8


cdef class GroupTable:
    """Numbers the groups of label sets that arrive batch by batch."""

    cdef Interner groups
    cdef NameSet names
    cdef bint by

    def __cinit__(self, names, *, bint by):
        """Groups by the named labels, or by all but them (a caller adds ``__name__`` to those)."""
        memset(&self.groups, 0, sizeof(Interner))
        self.names = NameSet(names)
        self.by = by

    def __dealloc__(self):
        release_interner(&self.groups)

    def __len__(self):
        return self.groups.count

    def assign(self, column):
        """int64[n]: the group of each row; groups are numbered from 0 by first sight."""
        cdef LabelRows source = LabelRows(column)
        cdef Rows rows = source.rows
        cdef Py_ssize_t i = 0, size, longest = 0, bad = -1
        out = np.empty(rows.count, np.int64)
        cdef int64_t[::1] view = out
        for i in range(rows.count):
            if rows.length[i] > longest:
                longest = rows.length[i]
        cdef uint8_t* scratch = <uint8_t*>malloc(longest + 1)
        if scratch == NULL:
            raise MemoryError
        with nogil:
            for i in range(rows.count):
                size = select_labels(rows.arena + rows.offset[i], rows.length[i], &self.names.names, self.by, scratch)
                if size < 0:
                    bad = i
                    break
                view[i] = intern_bytes(&self.groups, scratch, size, xxh64(scratch, size, 0))
                if view[i] < 0:
                    break
        free(scratch)
        if bad >= 0:
            raise CorruptData("labels", int(rows.offset[bad]), "malformed label block")
        if rows.count and view[i] < 0:
            raise MemoryError
        return out

    def labels(self):
        """A LabelColumn with the labels of each group, in order of their numbers (a copy)."""
        cdef Py_ssize_t i, n = self.groups.count
        cdef Growing blocks
        offset, length, hashes = np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.uint64)
        memset(&blocks, 0, sizeof(Growing))
        if not append(&blocks, self.groups.bytes.data, self.groups.bytes.size):
            raise MemoryError
        for i in range(n):
            offset[i] = self.groups.offset[i]
            length[i] = self.groups.length[i]
            hashes[i] = self.groups.hash[i]
        return LabelColumn(seal(&blocks), offset, length, hashes)


cdef void _avg_row_carefully(
    const double* x, double* sum, double* comp, double* count, double* mean, uint8_t* incremental, int64_t steps
) noexcept nogil:
    """One row into a mean whose sum may overflow: an incremental mean is kept from there on."""
    cdef int64_t k
    cdef double s, c, q
    for k in range(steps):
        if absent(x[k]):
            continue
        if absent(sum[k]):
            sum[k] = x[k]
            count[k] = 1
            continue
        count[k] += 1
        if not incremental[k]:
            s = sum[k]
            c = comp[k]
            kahan(x[k], &s, &c)
            if not isinf(s):
                sum[k] = s
                comp[k] = c
                continue
            incremental[k] = 1
            mean[k] = sum[k] / (count[k] - 1)
            comp[k] /= count[k] - 1
        q = (count[k] - 1) / count[k]
        mean[k] *= q
        comp[k] *= q
        kahan(x[k] / count[k], &mean[k], &comp[k])


cdef void _variance_row(const double* x, double* aux, double* mean, double* count, int64_t steps) noexcept nogil:
    cdef int64_t k
    cdef double delta
    for k in range(steps):
        if absent(x[k]):
            continue
        if absent(aux[k]):
            aux[k] = NAN if isnan(x[k]) or isinf(x[k]) else 0
            mean[k] = x[k]
            count[k] = 1
            continue
        count[k] += 1
        delta = x[k] - mean[k]
        mean[k] += delta / count[k]
        aux[k] += delta * (x[k] - mean[k])


cdef void _group_row(const double* x, double* value, int64_t steps) noexcept nogil:
    cdef int64_t k
    for k in range(steps):
        if not absent(x[k]):
            value[k] = 1


cdef class Accumulator:
    """The running rows of one aggregation: ``add`` batches in order, then ``finish`` once."""

    cdef int kind
    cdef Py_ssize_t steps, capacity
    cdef object value, second, count, mean, incremental, careful

    def __cinit__(self, int kind, Py_ssize_t steps):
        self.kind = kind
        self.steps = steps
        self.capacity = 0

    @property
    def nbytes(self):
        """Bytes held."""
        parts = (self.value, self.second, self.count, self.mean, self.incremental)
        return sum(part.nbytes for part in parts if part is not None)

    def _grow(self, Py_ssize_t groups):
        cdef Py_ssize_t old = self.capacity, capacity = max(groups, 2 * old)
        self.value = _grown(self.value, old, capacity, self.steps, ABSENT)
        if self.kind in (SUM, AVG, STDDEV, STDVAR):
            self.second = _grown(self.second, old, capacity, self.steps, 0.0)
        if self.kind in (AVG, STDDEV, STDVAR):
            self.count = _grown(self.count, old, capacity, self.steps, ABSENT)
        if self.kind == AVG:
            careful = np.zeros(capacity, np.uint8)
            careful[:old] = self.careful if old else 0
            self.careful = careful
            if self.mean is not None:
                self._keep_means(old, capacity)
        self.capacity = capacity

    def _keep_means(self, Py_ssize_t old, Py_ssize_t capacity):
        self.mean = _grown(self.mean, old, capacity, self.steps, 0.0)
        incremental = np.zeros((capacity, self.steps), np.uint8)
        if self.incremental is not None:
            incremental[:old] = self.incremental
        self.incremental = incremental

    def add(self, const double[:, ::1] values, const int64_t[::1] group, Py_ssize_t groups):
        """Adds rows float64[n, steps]; row i belongs to ``group[i]`` < ``groups``, the number of groups so far."""
        cdef Py_ssize_t i, n = values.shape[0]
        if values.shape[1] != self.steps or group.shape[0] != n:
            raise ValueError("columns of different lengths")
        for i in range(n):
            if not 0 <= group[i] < groups:
                raise ValueError("group out of range")
        if groups > self.capacity:
            self._grow(groups)
        if n == 0 or self.steps == 0:
            return
        if self.kind == AVG:
            self._add_means(values, group)
        else:
            self._add_rows(values, group)

    cdef _add_rows(self, const double[:, ::1] values, const int64_t[::1] group):
        cdef Py_ssize_t i, n = values.shape[0], steps = self.steps
        cdef int kind = self.kind
        cdef double[:, ::1] value = self.value
        cdef double* second = NULL
        cdef double* count = NULL
        cdef double[:, ::1] view
        if self.second is not None:
            view = self.second
            second = &view[0, 0]
        if self.count is not None:
            view = self.count
            count = &view[0, 0]
        with nogil:
            for i in range(n):
                if kind == SUM:
                    sum_row(&values[i, 0], &value[group[i], 0], second + group[i] * steps, steps)
                elif kind == MAX:
                    max_row(&values[i, 0], &value[group[i], 0], steps)
                elif kind == MIN:
                    min_row(&values[i, 0], &value[group[i], 0], steps)
                elif kind == COUNT:
                    count_row(&values[i, 0], &value[group[i], 0], steps)
                elif kind == GROUP:
                    _group_row(&values[i, 0], &value[group[i], 0], steps)
                else:
                    _variance_row(
                        &values[i, 0], &value[group[i], 0], second + group[i] * steps, count + group[i] * steps, steps
                    )

    cdef _add_means(self, const double[:, ::1] values, const int64_t[::1] group):
        """The fast way into copies; where a sum overflows there, the row is done again, and from then on carefully."""
        cdef Py_ssize_t i = 0, g = 0, n = values.shape[0], steps = self.steps
        cdef double[:, ::1] value = self.value, second = self.second, count = self.count, mean
        cdef uint8_t[::1] careful = self.careful
        cdef uint8_t[:, ::1] incremental
        cdef double[::1] trial = np.empty(2 * steps)
        while i < n:
            with nogil:
                while i < n:
                    g = group[i]
                    if careful[g]:
                        break
                    memcpy(&trial[0], &value[g, 0], steps * sizeof(double))
                    memcpy(&trial[steps], &second[g, 0], steps * sizeof(double))
                    sum_row(&values[i, 0], &trial[0], &trial[steps], steps)
                    if has_inf(&trial[0], steps):
                        careful[g] = 1
                        break
                    memcpy(&value[g, 0], &trial[0], steps * sizeof(double))
                    memcpy(&second[g, 0], &trial[steps], steps * sizeof(double))
                    count_row(&values[i, 0], &count[g, 0], steps)
                    i += 1
            if i == n:
                break
            if self.mean is None:
                self._keep_means(0, self.capacity)
            mean, incremental = self.mean, self.incremental
            _avg_row_carefully(
                &values[i, 0], &value[g, 0], &second[g, 0], &count[g, 0], &mean[g, 0], &incremental[g, 0], steps
            )
            i += 1

    def present(self, Py_ssize_t groups):
        """bool[groups, steps]: where anything has been added."""
        out = np.zeros((groups, self.steps), np.bool_)
        cdef Py_ssize_t known = min(groups, self.capacity)
        if known:
            out[:known] = self.value[:known].view(np.int64) != STALE_NAN_BITS
        return out

    def finish(self, Py_ssize_t groups):
        """float64[groups, steps]: the results; the accumulator's memory goes into it."""
        cdef Py_ssize_t g, k, steps = self.steps
        cdef int kind = self.kind
        if groups > self.capacity:
            self._grow(groups)
        cdef double[:, ::1] value = self.value if groups else np.empty((0, steps)), second, count, mean
        cdef uint8_t[:, ::1] incremental
        cdef bint means = self.mean is not None
        if groups == 0 or kind in (MIN, MAX, COUNT, GROUP):
            return np.asarray(value)[:groups]
        second = self.second
        if kind != SUM:
            count = self.count
        if means:
            mean, incremental = self.mean, self.incremental
        with nogil:
            for g in range(groups):
                for k in range(steps):
                    if absent(value[g, k]):
                        continue
                    if kind == SUM:
                        value[g, k] += second[g, k]
                    elif kind == STDVAR:
                        value[g, k] /= count[g, k]
                    elif kind == STDDEV:
                        value[g, k] = sqrt(value[g, k] / count[g, k])
                    elif means and incremental[g, k]:
                        value[g, k] = mean[g, k] + second[g, k]
                    else:
                        value[g, k] = value[g, k] / count[g, k] + second[g, k] / count[g, k]
        return np.asarray(value)[:groups]


def _grown(old, Py_ssize_t rows, Py_ssize_t capacity, Py_ssize_t steps, double fill):
    new = np.empty((capacity, steps))
    if rows:
        new[:rows] = old[:rows]
    new[rows:] = fill
    return new


# Ranking: a heap of rows per group, as Go's container/heap moves its elements, so that ties fall as in Prometheus.


cdef inline bint _less(const double* value, bint bottom, int64_t a, int64_t b) noexcept nogil:
    if value[a] != value[a]:
        return True
    return value[a] > value[b] if bottom else value[a] < value[b]


cdef void _sift_up(int64_t* heap, int64_t at, const double* value, bint bottom) noexcept nogil:
    cdef int64_t parent
    while at > 0:
        parent = (at - 1) // 2
        if not _less(value, bottom, heap[at], heap[parent]):
            return
        heap[at], heap[parent] = heap[parent], heap[at]
        at = parent


cdef void _sift_down(int64_t* heap, int64_t n, const double* value, bint bottom) noexcept nogil:
    cdef int64_t at = 0, child
    while True:
        child = 2 * at + 1
        if child >= n:
            return
        if child + 1 < n and _less(value, bottom, heap[child + 1], heap[child]):
            child += 1
        if not _less(value, bottom, heap[child], heap[at]):
            return
        heap[at], heap[child] = heap[child], heap[at]
        at = child


cdef int64_t _rank_group(
    int rank, const double* value, const int64_t* rows, int64_t n, int64_t k, int64_t* heap
) noexcept nogil:
    """The rows of one group that stay, in heap order; returns how many."""
    cdef int64_t i, row, size = 0
    cdef bint bottom = rank == BOTTOM
    for i in range(n):
        row = rows[i]
        if absent(value[row]):
            continue
        if size < k:
            heap[size] = row
            size += 1
            if rank != FIRST:
                _sift_up(heap, size - 1, value, bottom)
        elif rank == FIRST:
            break
        elif (value[heap[0]] > value[row] if bottom else value[heap[0]] < value[row]) or (
            value[heap[0]] != value[heap[0]] and value[row] == value[row]
        ):
            heap[0] = row
            _sift_down(heap, size, value, bottom)
    return size


cdef _by_group(group, Py_ssize_t groups):
    """(rows in order of their groups, bounds int64[groups + 1])."""
    order = np.argsort(group, kind="stable").astype(np.int64, copy=False)
    bounds = np.zeros(groups + 1, np.int64)
    np.cumsum(np.bincount(group, minlength=groups), out=bounds[1:])
    return order, bounds


def keep_ranked(int rank, double[:, ::1] values, group, Py_ssize_t groups, const double[::1] limit):
    """Keeps ``limit[k]`` rows a group and step of ``values`` (float64[n, steps], in place) and makes the others absent.

    TOP, BOTTOM: the largest or smallest, NaN last; FIRST: the first in row order. Returns int64[m]: the rows that
    stay at the last step, group by group, in heap order. A limit below 1 keeps nothing.
    """
    cdef Py_ssize_t n = values.shape[0], steps = values.shape[1], tile, k, i, g, width, j
    cdef int64_t kept = 0, wanted
    order, bounds = _by_group(group, groups)
    cdef int64_t[::1] rows = order, bound = bounds, heap = np.empty(n + 1, np.int64), last = np.empty(n + 1, np.int64)
    cdef double[::1] column = np.empty(TILE * n + 1)
    cdef uint8_t[::1] stays = np.empty(n + 1, np.uint8)
    with nogil:
        for tile in range((steps + TILE - 1) // TILE):
            k = tile * TILE
            width = min(TILE, steps - k)
            for i in range(n):
                for j in range(width):
                    column[j * n + i] = values[i, k + j]
            for j in range(width):
                memset(&stays[0], 0, n)
                kept = 0
                wanted = <int64_t>limit[k + j] if limit[k + j] < n else n
                for g in range(groups if wanted >= 1 else 0):
                    i = _rank_group(rank, &column[j * n], &rows[bound[g]], bound[g + 1] - bound[g], wanted, &heap[0])
                    memcpy(&last[kept], &heap[0], i * sizeof(int64_t))
                    kept += i
                for i in range(kept):
                    stays[last[i]] = 1
                for i in range(n):
                    if not stays[i]:
                        values[i, k + j] = absent_value()
    return np.asarray(last)[:kept].copy()


def quantile_rows(const double[:, ::1] values, group, Py_ssize_t groups, const double[::1] q):
    """float64[groups, steps]: the ``q[k]``-quantile over the rows of each group present at step k."""
    cdef Py_ssize_t n = values.shape[0], steps = values.shape[1], tile, k, i, g, width, j
    order, bounds = _by_group(group, groups)
    out = np.empty((groups, steps))
    cdef double[:, ::1] result = out
    cdef int64_t[::1] rows = order, bound = bounds
    cdef double[::1] column = np.empty(TILE * n + 1)
    cdef int64_t size[TILE]
    cdef double value
    with nogil:
        for tile in range((steps + TILE - 1) // TILE):
            k = tile * TILE
            width = min(TILE, steps - k)
            for g in range(groups):
                for j in range(width):
                    size[j] = 0
                for i in range(bound[g], bound[g + 1]):
                    for j in range(width):
                        value = values[rows[i], k + j]
                        column[j * n + size[j]] = value
                        size[j] += not absent(value)
                for j in range(width):
                    result[g, k + j] = quantile(q[k + j], &column[j * n], size[j]) if size[j] else absent_value()
    return out
