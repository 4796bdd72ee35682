"""One native histogram in a kernel: its memory, scaling, compaction and resolution.

Semantics: Prometheus 3.14, ``model/histogram/float_histogram.go`` (Mul, Div, Compact, CopyToSchema, HasOverflow).
"""

from libc.math cimport INFINITY, fabs, isfinite, isinf
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset


cdef bint reserve_side(Side* s, int64_t room) noexcept nogil:
    """Room for so many buckets; what is there stays. False where memory is short."""
    cdef void* grown
    if room <= s.room:
        return True
    room = room * 2 if s.room else room + 8
    grown = realloc(s.index, room * sizeof(int32_t))
    if grown == NULL:
        return False
    s.index = <int32_t*>grown
    grown = realloc(s.count, room * sizeof(double))
    if grown == NULL:
        return False
    s.count = <double*>grown
    grown = realloc(s.lost, room * sizeof(double))
    if grown == NULL:
        return False
    s.lost = <double*>grown
    s.room = room
    return True


cdef bint _set_side(Side* s, const Buckets* b) noexcept nogil:
    if not reserve_side(s, b.size):
        return False
    s.size = b.size
    if b.size:
        memcpy(s.index, b.index, b.size * sizeof(int32_t))
        memcpy(s.count, b.count, b.size * sizeof(double))
        memset(s.lost, 0, b.size * sizeof(double))
    return True


cdef bint set_bounds(Value* h, const double* bounds, int64_t count) noexcept nogil:
    cdef void* grown
    if count > h.bound_room:
        grown = realloc(h.bounds, count * sizeof(double))
        if grown == NULL:
            return False
        h.bounds = <double*>grown
        h.bound_room = count
    h.bound_count = count
    if count:
        memcpy(h.bounds, bounds, count * sizeof(double))
    return True


cdef void release_value(Value* h) noexcept nogil:
    """Frees what a value owns and leaves it empty; an all-zero struct is a valid empty value."""
    free(h.positive.index)
    free(h.positive.count)
    free(h.positive.lost)
    free(h.negative.index)
    free(h.negative.count)
    free(h.negative.lost)
    free(h.bounds)
    memset(h, 0, sizeof(Value))


cdef bint set_value(Value* h, const View* v) noexcept nogil:
    """Makes h a copy of v, without any compensation; False where memory is short."""
    h.schema, h.hint = v.schema, v.hint
    h.zero_threshold, h.zero_count, h.count, h.sum = v.zero_threshold, v.zero_count, v.count, v.sum
    h.zero_lost = h.count_lost = h.sum_lost = 0
    return (
        _set_side(&h.positive, &v.positive)
        and _set_side(&h.negative, &v.negative)
        and set_bounds(h, v.bounds, v.bound_count)
    )


cdef bint set_empty(Value* h, const View* like) noexcept nogil:
    """Makes h a histogram without observations, with the schema and the custom bounds of another."""
    h.schema, h.hint = like.schema, UNKNOWN_RESET
    h.zero_threshold = h.zero_count = h.count = h.sum = h.zero_lost = h.count_lost = h.sum_lost = 0
    h.positive.size = h.negative.size = 0
    return set_bounds(h, like.bounds, like.bound_count)


cdef bint copy_value(Value* h, const Value* other) noexcept nogil:
    """Makes h a copy of another value, compensation included; False where memory is short."""
    cdef View v = view_of(other)
    if not set_value(h, &v):
        return False
    h.zero_lost, h.count_lost, h.sum_lost = other.zero_lost, other.count_lost, other.sum_lost
    if other.positive.size:
        memcpy(h.positive.lost, other.positive.lost, other.positive.size * sizeof(double))
    if other.negative.size:
        memcpy(h.negative.lost, other.negative.lost, other.negative.size * sizeof(double))
    return True


cdef bint same_bounds(int64_t n, const double* a, int64_t m, const double* b) noexcept nogil:
    cdef int64_t i
    if n != m:
        return False
    for i in range(n):
        if a[i] != b[i]:
            return False
    return True


cdef void _compact_side(Side* s) noexcept nogil:
    cdef int64_t i, kept = 0
    for i in range(s.size):
        if s.count[i] != 0 or s.lost[i] != 0:
            s.index[kept] = s.index[i]
            s.count[kept] = s.count[i]
            s.lost[kept] = s.lost[i]
            kept += 1
    s.size = kept


cdef void compact_value(Value* h) noexcept nogil:
    """Takes the empty buckets out."""
    _compact_side(&h.positive)
    _compact_side(&h.negative)


cdef void _reduce_side(Side* s, int64_t shift, bint compensated) noexcept nogil:
    cdef int64_t i, kept = 0
    cdef int32_t target
    for i in range(s.size):
        target = <int32_t>(((<int64_t>s.index[i] - 1) >> shift) + 1)
        if kept and s.index[kept - 1] == target:
            if compensated:
                kahan(s.count[i], &s.count[kept - 1], &s.lost[kept - 1])
                kahan(s.lost[i], &s.count[kept - 1], &s.lost[kept - 1])
            else:
                s.count[kept - 1] += s.count[i]
            continue
        s.index[kept] = target
        s.count[kept] = s.count[i]
        s.lost[kept] = s.lost[i]
        kept += 1
    s.size = kept


cdef void reduce_value(Value* h, int32_t schema, bint compensated) noexcept nogil:
    """Merges buckets until they have a lower schema; nothing for schemas that are not lower."""
    if is_custom(h.schema) or schema >= h.schema:
        return
    _reduce_side(&h.positive, min(h.schema - schema, 40), compensated)
    _reduce_side(&h.negative, min(h.schema - schema, 40), compensated)
    h.schema = schema


cdef void _scale_side(Side* s, double factor, bint dividing) noexcept nogil:
    cdef int64_t i
    if dividing:
        for i in range(s.size):
            s.count[i] /= factor
        for i in range(s.size):
            s.lost[i] /= factor
    else:
        for i in range(s.size):
            s.count[i] *= factor
        for i in range(s.size):
            s.lost[i] *= factor


cdef void multiply(Value* h, double factor) noexcept nogil:
    """Scales all counts and the sum; a negative factor makes a gauge."""
    h.zero_count *= factor
    h.count *= factor
    h.sum *= factor
    h.zero_lost *= factor
    h.count_lost *= factor
    h.sum_lost *= factor
    _scale_side(&h.positive, factor, False)
    _scale_side(&h.negative, factor, False)
    if factor < 0:
        h.hint = GAUGE


cdef void divide(Value* h, double divisor) noexcept nogil:
    """As ``multiply``; by zero, no bucket is left."""
    h.zero_count /= divisor
    h.count /= divisor
    h.sum /= divisor
    h.zero_lost /= divisor
    h.count_lost /= divisor
    h.sum_lost /= divisor
    if divisor == 0:
        h.positive.size = h.negative.size = 0
        return
    _scale_side(&h.positive, divisor, True)
    _scale_side(&h.negative, divisor, True)
    if divisor < 0:
        h.hint = GAUGE


cdef bint _has_inf(const double* x, int64_t n) noexcept nogil:
    cdef int64_t i
    cdef bint found = False
    for i in range(n):
        found |= fabs(x[i]) == INFINITY
    return found


cdef bint overflows(const Value* h) noexcept nogil:
    """Whether a count, the sum or a bound is infinite."""
    if isinf(h.zero_count) or isinf(h.count) or isinf(h.sum):
        return True
    return (
        _has_inf(h.positive.count, h.positive.size)
        or _has_inf(h.negative.count, h.negative.size)
        or _has_inf(h.bounds, h.bound_count)
    )


cdef bint _all_finite(const double* x, int64_t n) noexcept nogil:
    cdef int64_t i
    cdef bint bad = False
    for i in range(n):
        bad |= not fabs(x[i]) < INFINITY
    return not bad


cdef bint is_finite(const Value* h) noexcept nogil:
    """Whether no count, nor the sum, nor a bound is infinite or no number."""
    return (
        isfinite(h.zero_count) and isfinite(h.count) and isfinite(h.sum)
        and _all_finite(h.positive.count, h.positive.size)
        and _all_finite(h.negative.count, h.negative.size)
        and _all_finite(h.bounds, h.bound_count)
    )


cdef void _settle_side(Side* s, int32_t schema, double threshold) noexcept nogil:
    cdef int64_t i
    cdef bint below = threshold > 0 and not is_custom(schema)
    for i in range(s.size):
        below = below and exponential_bound(s.index[i], schema) <= threshold
        if not below:
            s.count[i] += s.lost[i]
        s.lost[i] = 0


cdef void settle(Value* h) noexcept nogil:
    """Ends compensated summation: adds the remainders."""
    h.zero_count += 0 if is_custom(h.schema) else h.zero_lost
    h.count += h.count_lost
    h.sum += h.sum_lost
    h.zero_lost = h.count_lost = h.sum_lost = 0
    _settle_side(&h.positive, h.schema, h.zero_threshold)
    _settle_side(&h.negative, h.schema, h.zero_threshold)
