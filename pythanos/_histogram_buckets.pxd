# The buckets of a native histogram from the lowest to the highest: negative, zero, positive, with their limits.

from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t

from pythanos._gomath cimport log2
from pythanos._histogram_value cimport View, exponential_bound, is_custom

cdef extern from "math.h" nogil:
    double INFINITY

cdef struct Bucket:
    double lower
    double upper
    double count


cdef inline double bound_of(const View* h, int64_t index) noexcept nogil:
    """Where a bucket ends, as an absolute value."""
    if not is_custom(h.schema):
        return exponential_bound(<int32_t>index, h.schema)
    if index < 0:
        return -INFINITY
    return h.bounds[index] if index < h.bound_count else INFINITY


cdef inline Bucket positive_bucket(const View* h, int64_t i) noexcept nogil:
    cdef Bucket b
    cdef int64_t index = h.positive.index[i]
    b.lower, b.upper, b.count = bound_of(h, index - 1), bound_of(h, index), h.positive.count[i]
    return b


cdef inline Bucket negative_bucket(const View* h, int64_t i) noexcept nogil:
    cdef Bucket b
    cdef int64_t index = h.negative.index[i]
    b.lower, b.upper, b.count = -bound_of(h, index), -bound_of(h, index - 1), h.negative.count[i]
    return b


cdef inline int64_t bucket_total(const View* h) noexcept nogil:
    """How many buckets there are; the zero bucket is one if it counts anything."""
    return h.negative.size + (h.zero_count > 0) + h.positive.size


cdef inline double count_at(const View* h, int64_t k) noexcept nogil:
    """What bucket k counts."""
    if k < h.negative.size:
        return h.negative.count[h.negative.size - 1 - k]
    k -= h.negative.size
    if h.zero_count > 0:
        if k == 0:
            return h.zero_count
        k -= 1
    return h.positive.count[k]


cdef inline Bucket bucket_at(const View* h, int64_t k) noexcept nogil:
    """Bucket k; the limits of buckets that overlap with the zero bucket are drawn back to it."""
    cdef Bucket b
    if k < h.negative.size:
        b = negative_bucket(h, h.negative.size - 1 - k)
    else:
        k -= h.negative.size
        if h.zero_count > 0:
            if k == 0:
                b.lower, b.upper, b.count = -h.zero_threshold, h.zero_threshold, h.zero_count
                return b
            k -= 1
        b = positive_bucket(h, k)
    if b.upper < 0 and b.upper > -h.zero_threshold:
        b.upper = -h.zero_threshold
    elif b.lower > 0 and b.lower < h.zero_threshold:
        b.lower = h.zero_threshold
    return b


cdef inline double fraction_below(const Bucket* b, double v, bint linear) noexcept nogil:
    """How much of a bucket of finite limits lies below v, which is inside: on a linear or a logarithmic scale."""
    cdef double lower, upper, at
    if linear:
        return (v - b.lower) / (b.upper - b.lower)
    lower, upper, at = log2(fabs(b.lower)), log2(fabs(b.upper)), log2(fabs(v))
    if v > 0:
        return (at - lower) / (upper - lower)
    return 1 - ((at - upper) / (lower - upper))
