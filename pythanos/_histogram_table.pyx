"""Histogram columns as pointers, checked once for the kernels that write them as JSON, as messages or as chunks."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t


cdef class HistogramTable:
    def __init__(self, columns):
        """Raises ValueError for HistogramColumns whose numbers reach outside their columns."""
        cdef Table* t = &self.table
        layouts = columns.layouts
        rows, kinds, spans = len(columns.count), len(layouts), len(layouts.span_offset)
        self.rows, self.kept = rows, []
        t.count = <const double*>self.keep(columns.count, np.float64, rows)
        t.zero_count = <const double*>self.keep(columns.zero_count, np.float64, rows)
        t.sum = <const double*>self.keep(columns.sum, np.float64, rows)
        t.hint = <const uint8_t*>self.keep(columns.reset_hint, np.uint8, rows)
        t.layout = <const int32_t*>self.keep(columns.layout, np.int32, rows)
        t.bucket_start = self.keep_start(columns.bucket_start, rows, len(columns.buckets))
        t.buckets = <const double*>self.keep(columns.buckets, np.float64, 0)
        t.schema = <const int32_t*>self.keep(layouts.schema, np.int32, kinds)
        t.zero_threshold = <const double*>self.keep(layouts.zero_threshold, np.float64, kinds)
        t.span_start = self.keep_start(layouts.span_start, kinds, spans)
        t.negative_start = <const int64_t*>self.keep(layouts.negative_start, np.int64, kinds)
        t.span_offset = <const int32_t*>self.keep(layouts.span_offset, np.int32, spans)
        t.span_length = <const uint32_t*>self.keep(layouts.span_length, np.uint32, spans)
        t.bound_start = self.keep_start(layouts.bound_start, kinds, len(layouts.bounds))
        t.bounds = <const double*>self.keep(layouts.bounds, np.float64, 0)
        t.positive_buckets = <const int64_t*>self.keep(layouts.positive_buckets, np.int64, kinds)
        _check(t, rows, kinds)

    cdef const void* keep(self, values, dtype, Py_ssize_t size) except? NULL:
        """Where the values are, as an array that is kept as long as this; ValueError unless there are `size` of them."""
        array = np.ascontiguousarray(values, dtype)
        if len(array) < size:
            raise ValueError("a column of histograms is too short")
        self.kept.append(array)
        return <const void*><size_t>array.ctypes.data

    cdef const int64_t* keep_start(self, values, Py_ssize_t rows, Py_ssize_t items) except? NULL:
        """As ``keep``, where parts of a column begin: rising, inside."""
        cdef const int64_t* start = <const int64_t*>self.keep(values, np.int64, rows + 1)
        cdef int64_t before = 0
        cdef Py_ssize_t i
        for i in range(rows + 1):
            if not before <= start[i] <= items:
                raise ValueError("a start of histograms lies outside its column")
            before = start[i]
        return start


cdef int _check(const Table* t, Py_ssize_t rows, Py_ssize_t kinds) except -1:
    cdef Py_ssize_t i
    for i in range(rows):
        if not 0 <= t.layout[i] < kinds:
            raise ValueError("a histogram has no layout")
    for i in range(kinds):
        if not t.span_start[i] <= t.negative_start[i] <= t.span_start[i + 1] or t.positive_buckets[i] < 0:
            raise ValueError("a layout's negative spans lie outside its spans")
    return 0
