# Histogram columns for kernels that write them out: what `model.histogram` describes, as pointers, spans and all.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

cdef struct Table:
    const double* count
    const double* zero_count
    const double* sum
    const uint8_t* hint
    const int32_t* layout
    const int64_t* bucket_start
    const double* buckets
    # Of the layouts; layout l has the custom bounds [bound_start[l], bound_start[l + 1]).
    const int32_t* schema
    const double* zero_threshold
    const int64_t* span_start
    const int64_t* negative_start
    const int32_t* span_offset
    const uint32_t* span_length
    const int64_t* bound_start
    const double* bounds
    const int64_t* positive_buckets


cdef class HistogramTable:
    """Borrows the arrays of columns; keep it alive while ``table`` is in use."""

    cdef Table table
    cdef readonly Py_ssize_t rows
    cdef list kept

    cdef const void* keep(self, values, dtype, Py_ssize_t size) except? NULL
    cdef const int64_t* keep_start(self, values, Py_ssize_t rows, Py_ssize_t items) except? NULL
