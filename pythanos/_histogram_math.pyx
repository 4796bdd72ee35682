"""Arithmetic and comparison of rows of native histograms, columns in and columns out.

Rows are given by number (int64[k]) and may repeat. Result columns have ``start`` = [0, k], no times, and a row for each
row that was asked for. All loops run without the GIL. Semantics: Prometheus 3.14, ``model/histogram``.
"""

import numpy as np

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset

from pythanos._histogram_add cimport INCOMPATIBLE as _INCOMPATIBLE
from pythanos._histogram_add cimport NO_MEMORY, add_value
from pythanos._histogram_add cimport RECONCILED as _RECONCILED
from pythanos._histogram_add cimport RESET_COLLISION as _RESET_COLLISION
from pythanos._histogram_columns cimport (
    HistogramReader, Sink, columns_of, put_nothing, put_value, release_sink, view_at,
)
from pythanos._histogram_reset cimport is_equal, was_reset
from pythanos._histogram_trim cimport trim_value
from pythanos._histogram_value cimport divide as _divide
from pythanos._histogram_value cimport (
    GAUGE, Value, View, compact_value, multiply, reduce_value, release_value, set_value,
)

# Flags of a sum: exponential and custom buckets do not add, custom bounds differed, counter reset hints contradict.
INCOMPATIBLE = _INCOMPATIBLE
RECONCILED = _RECONCILED
RESET_COLLISION = _RESET_COLLISION

cdef enum:
    FINEST = 8


def add(a, const int64_t[::1] rows_a, b, const int64_t[::1] rows_b, *, bint subtract=False):
    """``a[rows_a] + b[rows_b]`` or their differences: (HistogramColumns of k compacted rows, flags uint8[k]).

    Schemas, zero buckets and custom bounds are reconciled. A difference is a gauge; a sum has the hint that both allow.
    Rows flagged INCOMPATIBLE are empty and mean nothing.
    """
    cdef HistogramReader left = HistogramReader(a), right = left if b is a else HistogramReader(b)
    cdef Value sum, spare
    cdef Sink sink
    cdef View v, w
    cdef int64_t i, k = rows_a.shape[0]
    cdef int found = 0
    cdef bint good = True
    if rows_b.shape[0] != k:
        raise ValueError("rows of different lengths")
    left.check(rows_a)
    right.check(rows_b)
    out = np.zeros(k, np.uint8)
    cdef uint8_t[::1] flags = out
    memset(&sum, 0, sizeof(sum))
    memset(&spare, 0, sizeof(spare))
    memset(&sink, 0, sizeof(sink))
    with nogil:
        for i in range(k):
            v = view_at(&left.rows, rows_a[i])
            w = view_at(&right.rows, rows_b[i])
            if not set_value(&sum, &v):
                good = False
                break
            found = add_value(&sum, &w, subtract, False, &spare)
            flags[i] = <uint8_t>found
            if subtract:
                sum.hint = GAUGE
            compact_value(&sum)
            good = found != NO_MEMORY and (put_nothing(&sink) if found == _INCOMPATIBLE else put_value(&sink, &sum))
            if not good:
                break
    release_value(&sum)
    release_value(&spare)
    return _finished(&sink, good), out


cdef object _finished(Sink* sink, bint good):
    if not good:
        release_sink(sink)
        raise MemoryError
    return columns_of(sink)


cdef enum Change:
    MULTIPLY
    DIVIDE
    TRIM_UPPER
    TRIM_LOWER


def scale(columns, const int64_t[::1] rows, const double[::1] factor, *, bint divide=False):
    """Each row times (or by) its number: HistogramColumns of k rows, not compacted.

    A negative factor makes a gauge. Division by zero leaves no buckets and infinite counts.
    """
    return _changed(columns, rows, factor, DIVIDE if divide else MULTIPLY)


def trim(columns, const int64_t[::1] rows, const double[::1] limit, *, bint upper):
    """Each row without what it observed above (``upper``) or below its limit: HistogramColumns of k compacted rows.

    Buckets that the limit lies in are interpolated, and the sum of what is left is estimated.
    """
    return _changed(columns, rows, limit, TRIM_UPPER if upper else TRIM_LOWER)


cdef object _changed(columns, const int64_t[::1] rows, const double[::1] number, Change change):
    """Each row changed by its number."""
    cdef HistogramReader reader = HistogramReader(columns)
    cdef Value value
    cdef Sink sink
    cdef View v
    cdef int64_t i, k = rows.shape[0]
    cdef bint good = True
    if number.shape[0] != k:
        raise ValueError("rows and numbers of different lengths")
    reader.check(rows)
    memset(&value, 0, sizeof(value))
    memset(&sink, 0, sizeof(sink))
    with nogil:
        for i in range(k):
            v = view_at(&reader.rows, rows[i])
            good = set_value(&value, &v)
            if not good:
                break
            if change == MULTIPLY:
                multiply(&value, number[i])
            elif change == DIVIDE:
                _divide(&value, number[i])
            else:
                trim_value(&value, number[i], change == TRIM_UPPER)
            good = put_value(&sink, &value)
            if not good:
                break
    release_value(&value)
    return _finished(&sink, good)


def compact(columns):
    """The same rows without empty buckets; ``columns`` itself where there are none."""
    if len(columns.buckets) == 0 or columns.buckets.all():
        return columns
    return _rewritten(columns, FINEST, True, False)


def supported(columns):
    """The rows with the schemas that PromQL computes with: finer ones are reduced. ``columns`` itself where none is."""
    if len(columns.layouts) == 0 or columns.layouts.schema.max() <= FINEST:
        return columns
    return _rewritten(columns, FINEST, False, True)


cdef object _rewritten(columns, int schema, bint compacting, bint any_schema):
    cdef HistogramReader reader = HistogramReader(columns, any_schema=any_schema)
    cdef Value value
    cdef Sink sink
    cdef View v
    cdef int64_t i
    cdef bint good = True
    memset(&value, 0, sizeof(value))
    memset(&sink, 0, sizeof(sink))
    with nogil:
        for i in range(reader.rows.size):
            v = view_at(&reader.rows, i)
            good = set_value(&value, &v)
            if not good:
                break
            reduce_value(&value, schema, False)
            if compacting:
                compact_value(&value)
            good = put_value(&sink, &value)
            if not good:
                break
    release_value(&value)
    made = _finished(&sink, good)
    return type(columns)(
        columns.start, columns.chunk_reset, columns.timestamps, made.count, made.zero_count, made.sum, made.reset_hint,
        made.layout, made.layouts, made.bucket_start, made.buckets, columns.start_timestamps,
    )


def equals(a, const int64_t[::1] rows_a, b, const int64_t[::1] rows_b):
    """bool[k]: whether rows have the same buckets (empty ones, too) with the same bits; hints are not compared."""
    cdef HistogramReader left = HistogramReader(a), right = left if b is a else HistogramReader(b)
    cdef int64_t i, k = rows_a.shape[0]
    cdef View v, w
    if rows_b.shape[0] != k:
        raise ValueError("rows of different lengths")
    left.check(rows_a)
    right.check(rows_b)
    out = np.zeros(k, np.bool_)
    cdef uint8_t[::1] same = out.view(np.uint8)
    with nogil:
        for i in range(k):
            v = view_at(&left.rows, rows_a[i])
            w = view_at(&right.rows, rows_b[i])
            same[i] = is_equal(&v, &w)
    return out


def detect_resets(columns):
    """bool[h]: whether a counter started anew between the row before in the same series and this one.

    False for the first row of a series. ``columns`` are cut into series by ``start``; hints that promise or exclude a
    reset are believed.
    """
    cdef HistogramReader reader = HistogramReader(columns)
    cdef const int64_t[::1] start = columns.start
    cdef int64_t i, series
    cdef View v, w
    if start.shape[0] == 0 or start[0] < 0 or start[start.shape[0] - 1] > reader.rows.size or (np.diff(start) < 0).any():
        raise ValueError("start does not fit the rows")
    out = np.zeros(reader.rows.size, np.bool_)
    cdef uint8_t[::1] found = out.view(np.uint8)
    with nogil:
        for series in range(start.shape[0] - 1):
            for i in range(start[series] + 1, start[series + 1]):
                v = view_at(&reader.rows, i)
                w = view_at(&reader.rows, i - 1)
                found[i] = was_reset(&v, &w)
    return out
