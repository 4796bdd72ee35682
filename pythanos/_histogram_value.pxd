# One native histogram in a kernel: `View` is read only and points into columns, `Value` owns its buckets and grows.
#
# Buckets are kept by number, rising, and not by spans: two sides are then merged by walking two sorted lists. A bucket
# that is present with a count of zero stays present until a histogram is compacted.

from libc.stdint cimport int32_t, int64_t, uint8_t

cdef enum:
    CUSTOM = -53

# Counter reset hints, as in model.histogram.
cdef enum:
    UNKNOWN_RESET = 0
    COUNTER_RESET = 1
    NOT_COUNTER_RESET = 2
    GAUGE = 3

cdef extern from "_bounds.h" nogil:
    double exponential_bound "pythanos_exponential_bound"(int32_t index, int32_t schema) noexcept

cdef extern from "_lanes.h" nogil:
    void kahan "pt_kahan"(double x, double* sum, double* comp) noexcept

cdef struct Buckets:
    int64_t size
    const int32_t* index
    const double* count

cdef struct View:
    int32_t schema
    uint8_t hint
    double zero_threshold
    double zero_count
    double count
    double sum
    int64_t bound_count
    const double* bounds
    Buckets positive
    Buckets negative

cdef struct Side:
    int64_t size
    int64_t room
    int32_t* index
    double* count
    double* lost            # what compensated summation has still to add to each count

cdef struct Value:
    int32_t schema
    uint8_t hint
    double zero_threshold
    double zero_count
    double count
    double sum
    double zero_lost
    double count_lost
    double sum_lost
    int64_t bound_count
    int64_t bound_room
    double* bounds
    Side positive
    Side negative

cdef inline View view_of(const Value* h) noexcept nogil:
    cdef View v
    v.schema, v.hint = h.schema, h.hint
    v.zero_threshold, v.zero_count, v.count, v.sum = h.zero_threshold, h.zero_count, h.count, h.sum
    v.bound_count, v.bounds = h.bound_count, h.bounds
    v.positive.size, v.positive.index, v.positive.count = h.positive.size, h.positive.index, h.positive.count
    v.negative.size, v.negative.index, v.negative.count = h.negative.size, h.negative.index, h.negative.count
    return v

cdef inline bint is_custom(int32_t schema) noexcept nogil:
    return schema == CUSTOM

cdef bint reserve_side(Side* s, int64_t room) noexcept nogil
cdef bint set_bounds(Value* h, const double* bounds, int64_t count) noexcept nogil
cdef void release_value(Value* h) noexcept nogil
cdef bint set_value(Value* h, const View* v) noexcept nogil
cdef bint set_empty(Value* h, const View* like) noexcept nogil
cdef bint copy_value(Value* h, const Value* other) noexcept nogil
cdef void settle(Value* h) noexcept nogil
cdef void reduce_value(Value* h, int32_t schema, bint compensated) noexcept nogil
cdef void compact_value(Value* h) noexcept nogil
cdef void multiply(Value* h, double factor) noexcept nogil
cdef void divide(Value* h, double divisor) noexcept nogil
cdef bint overflows(const Value* h) noexcept nogil
cdef bint is_finite(const Value* h) noexcept nogil
cdef bint same_bounds(int64_t n, const double* a, int64_t m, const double* b) noexcept nogil
