# Histogram columns for kernels: rows of them as Views, and a writer that makes new columns of Views.

from libc.stdint cimport int32_t, int64_t, uint8_t

from pythanos._arena cimport Growing, Interner
from pythanos._histogram_value cimport Value, View

# The columns of model.histogram as pointers, with the bucket numbers of the layouts in place of their spans.
cdef struct Rows:
    int64_t size
    const double* count
    const double* zero_count
    const double* sum
    const uint8_t* hint
    const int32_t* layout
    const int64_t* bucket_start
    const double* buckets
    const int32_t* schema
    const double* zero_threshold
    const int64_t* bound_start
    const double* bounds
    const int64_t* positive
    const int64_t* index_start      # of a layout; its positive buckets, then its negative ones
    const int32_t* index
    const uint8_t* clear            # whether no bucket of a layout ends in the zero bucket


cdef inline View view_at(const Rows* r, int64_t row) noexcept nogil:
    """Row `row`, whose number was checked."""
    cdef View v
    cdef int32_t layout = r.layout[row]
    cdef int64_t total = r.bucket_start[row + 1] - r.bucket_start[row]
    cdef int64_t positive = min(r.positive[layout], total)
    cdef const int32_t* index = r.index + r.index_start[layout]
    cdef const double* buckets = r.buckets + r.bucket_start[row]
    v.schema, v.hint, v.zero_threshold = r.schema[layout], r.hint[row], r.zero_threshold[layout]
    v.zero_count, v.count, v.sum = r.zero_count[row], r.count[row], r.sum[row]
    v.bound_count = r.bound_start[layout + 1] - r.bound_start[layout]
    v.bounds = r.bounds + r.bound_start[layout]
    v.positive.size, v.positive.index, v.positive.count = positive, index, buckets
    v.negative.size, v.negative.index, v.negative.count = (
        total - positive, index + r.positive[layout], buckets + positive
    )
    return v


cdef inline bint has_layout_of(const Rows* r, int64_t row, int64_t other) noexcept nogil:
    """Whether two rows have the very same layout and as many of its buckets."""
    return r.layout[row] == r.layout[other] and (
        r.bucket_start[row + 1] - r.bucket_start[row] == r.bucket_start[other + 1] - r.bucket_start[other]
    )


cdef class HistogramReader:
    """Holds columns while a kernel reads them by ``rows``."""

    cdef Rows rows
    cdef list held

    cdef int check(self, const int64_t[::1] rows) except -1
    cdef void _point(self, int64_t size) except *


# Rows that are being written; layouts are kept once each.
cdef struct Sink:
    int64_t size
    Growing count
    Growing zero_count
    Growing sum
    Growing hint
    Growing layout
    Growing bucket_start
    Growing buckets
    Growing key
    Growing numbers
    Interner layouts
    int64_t last        # the layout of the row before


cdef bint put_view(Sink* sink, const View* v) noexcept nogil
cdef bint put_growth(Sink* sink, const View* last, const View* first, double factor) noexcept nogil
cdef bint put_value(Sink* sink, const Value* h) noexcept nogil
cdef bint put_nothing(Sink* sink) noexcept nogil
cdef object columns_of(Sink* sink)
cdef void release_sink(Sink* sink) noexcept nogil
