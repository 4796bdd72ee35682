"""Rows of histogram columns, gathered into new columns.

Rows that follow each other are copied at once, so what is cut out of series costs little more than copying memory.
"""

import numpy as np

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy

from pythanos._histogram_value cimport NOT_COUNTER_RESET, UNKNOWN_RESET

from pythanos.errors import CorruptData
from pythanos.model.histogram import HistogramColumns

# The columns of model.histogram that have an element a row, their buckets, and where they are copied to.
cdef struct Copy:
    const int64_t* bucket_start
    const uint8_t* column[7]
    uint8_t* to[7]
    int64_t width[7]            # bytes of an element
    int64_t columns
    const double* buckets
    double* buckets_to


cdef int64_t _run(const int64_t[::1] rows, int64_t i) noexcept nogil:
    """How many rows from `i` on follow each other."""
    cdef int64_t end = i + 1
    while end < rows.shape[0] and rows[end] == rows[end - 1] + 1:
        end += 1
    return end - i


cdef void _copy(const Copy* c, const int64_t[::1] rows, const int64_t[::1] bucket_start) noexcept nogil:
    cdef int64_t i = 0, n, column, row, first
    while i < rows.shape[0]:
        n, row = _run(rows, i), rows[i]
        for column in range(c.columns):
            memcpy(
                c.to[column] + i * c.width[column], c.column[column] + row * c.width[column], n * c.width[column]
            )
        first = c.bucket_start[row]
        if c.bucket_start[row + n] > first:
            memcpy(
                c.buckets_to + bucket_start[i], c.buckets + first, (c.bucket_start[row + n] - first) * sizeof(double)
            )
        i += n


cdef int _place(
    const int64_t[::1] rows, const int64_t[::1] from_start, int64_t buckets, int64_t[::1] to_start
) except -1:
    """Fills to_start. Raises IndexError for a row out of range, CorruptData for buckets that are not there."""
    cdef int64_t i, row, length, h = from_start.shape[0] - 1
    cdef bint bad = False, corrupt = False
    with nogil:
        to_start[0] = 0
        for i in range(rows.shape[0]):
            row, length = rows[i], 0
            if not 0 <= row < h:
                bad = True
            else:
                length = from_start[row + 1] - from_start[row]
                corrupt |= from_start[row] < 0 or length < 0 or from_start[row + 1] > buckets
            to_start[i + 1] = to_start[i] + length
    if bad:
        raise IndexError("row out of range")
    if corrupt:
        raise CorruptData("native histogram", 0, "rows and buckets do not fit")
    return 0


cdef uint8_t* _bytes(array) except? NULL:
    return <uint8_t*><size_t>array.ctypes.data


def take_rows(columns, const int64_t[::1] rows):
    """Some rows (int64[k], in any order, also several times) as one series, copied; hints and layouts as they are.

    Without exact counts. Raises IndexError for a row out of range, CorruptData for columns that contradict themselves.
    """
    cdef Copy c
    cdef int64_t k = rows.shape[0], h = len(columns), column
    cdef const int64_t[::1] from_start = np.ascontiguousarray(columns.bucket_start, np.int64)
    cdef int64_t[::1] to_start
    given = (
        (columns.timestamps, np.int64), (columns.count, np.float64), (columns.zero_count, np.float64),
        (columns.sum, np.float64), (columns.reset_hint, np.uint8), (columns.layout, np.int32),
    )
    if columns.start_timestamps is not None:
        given += ((columns.start_timestamps, np.int64),)
    source = [np.ascontiguousarray(array, dtype) for array, dtype in given]
    buckets = np.ascontiguousarray(columns.buckets, np.float64)
    if from_start.shape[0] != h + 1 or any(len(array) != h for array in source):
        raise ValueError("columns of different lengths")
    bucket_start = np.empty(k + 1, np.int64)
    to_start = bucket_start
    _place(rows, from_start, len(buckets), to_start)
    taken = [np.empty(k, array.dtype) for array in source]
    taken_buckets = np.empty(int(bucket_start[k]))
    c.bucket_start, c.columns = &from_start[0], len(source)
    for column in range(c.columns):
        c.column[column], c.to[column] = _bytes(source[column]), _bytes(taken[column])
        c.width[column] = source[column].itemsize
    c.buckets, c.buckets_to = <const double*>_bytes(buckets), <double*>_bytes(taken_buckets)
    with nogil:
        _copy(&c, rows, to_start)
    timestamps, count, zero_count, total, hint, layout = taken[:6]
    return HistogramColumns(
        np.array([0, k], np.int64), np.zeros(1, np.uint8), timestamps, count, zero_count, total, hint, layout,
        columns.layouts, bucket_start, taken_buckets, taken[6] if len(taken) > 6 else None,
    )


cdef void _forget(const int64_t[::1] rows, const int64_t[::1] start, uint8_t[::1] hint) noexcept nogil:
    """Rows that do not follow the row before them in their series know no longer that there was no reset."""
    cdef int64_t i, series
    for i in range(rows.shape[0]):
        if hint[i] == NOT_COUNTER_RESET and (i == 0 or rows[i] != rows[i - 1] + 1):
            hint[i] = UNKNOWN_RESET
    for series in range(start.shape[0] - 1):
        i = start[series]
        if start[series + 1] > i and hint[i] == NOT_COUNTER_RESET:
            hint[i] = UNKNOWN_RESET


cdef bint _divides(const double[::1] divisor) noexcept:
    cdef int64_t i
    if divisor is not None:
        for i in range(divisor.shape[0]):
            if divisor[i] != 1:
                return True
    return False


cdef void _divide(
    const double[::1] divisor, double[::1] count, double[::1] zero_count, double[::1] sum,
    const int64_t[::1] bucket_start, double[::1] buckets,
) noexcept nogil:
    cdef int64_t i, j
    for i in range(divisor.shape[0]):
        if divisor[i] != 1:
            count[i] /= divisor[i]
            zero_count[i] /= divisor[i]
            sum[i] /= divisor[i]
            for j in range(bucket_start[i], bucket_start[i + 1]):
                buckets[j] /= divisor[i]


def take_histograms(columns, const int64_t[::1] rows, start, const double[::1] divisor=None):
    """Some rows of HistogramColumns (int64[k], in any order), cut into series by ``start`` (int64[n + 1]).

    divisor: float64[k] by which counts and sums are divided. A row that does not follow its predecessor's row no longer
    knows that there was no counter reset in between. Of all rows in their order the arrays are those of ``columns``, but
    for the hints. Raises as ``take_rows``, and ValueError for a ``start`` that does not fit.
    """
    series_start = np.ascontiguousarray(start, np.int64)
    cdef const int64_t[::1] starts = series_start
    cdef int64_t i, k = rows.shape[0], n = starts.shape[0] - 1
    if n < 0 or starts[0] != 0 or starts[n] != k or (divisor is not None and divisor.shape[0] != k):
        raise ValueError("start does not fit the rows")
    for i in range(n):
        if starts[i + 1] < starts[i]:
            raise ValueError("start does not fit the rows")
    dividing = _divides(divisor)
    taken = columns
    if dividing or k != len(columns) or (k and (rows[0] != 0 or _run(rows, 0) != k)):
        taken = take_rows(columns, rows)
    hint = np.array(taken.reset_hint, np.uint8)
    if len(hint) != k:
        raise ValueError("columns of different lengths")
    _forget(rows, starts, hint)
    if dividing:
        _divide(divisor, taken.count, taken.zero_count, taken.sum, taken.bucket_start, taken.buckets)
    return HistogramColumns(
        series_start, np.zeros(n, np.uint8), taken.timestamps, taken.count, taken.zero_count, taken.sum, hint,
        taken.layout, taken.layouts, taken.bucket_start, taken.buckets, taken.start_timestamps,
    )
