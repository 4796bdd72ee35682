# Counter resets between two histograms, and their equality.
#
# Semantics: Prometheus 3.14, model/histogram/float_histogram.go (DetectReset, Equals).

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcmp

from pythanos._histogram_add cimport grown_zero_count
from pythanos._histogram_value cimport (
    COUNTER_RESET, NOT_COUNTER_RESET, Buckets, View, exponential_bound, is_custom, same_bounds,
)

cdef extern from "math.h" nogil:
    double INFINITY


cdef inline bint side_fell(
    const Buckets* now, int32_t schema, const Buckets* before, int32_t finer, double threshold
) noexcept nogil:
    """Whether a bucket of `before`, merged to `schema`, is missing or lower now; those in the zero bucket aside."""
    cdef int64_t i = 0, j = 0, shift = min(<int64_t>finer - schema, 40)
    cdef int32_t number
    cdef double count
    while j < before.size:
        number = <int32_t>(((<int64_t>before.index[j] - 1) >> shift) + 1)
        count = before.count[j]
        j += 1
        while shift and j < before.size and ((<int64_t>before.index[j] - 1) >> shift) + 1 == number:
            count += before.count[j]
            j += 1
        if threshold > 0 and not is_custom(schema) and exponential_bound(number, schema) <= threshold:
            continue
        while i < now.size and now.index[i] < number:
            i += 1
        if i < now.size and now.index[i] == number:
            if now.count[i] < count:
                return True
        elif count != 0:
            return True
    return False


cdef inline double rolled_up(const View* h, int64_t* at, double bound) noexcept nogil:
    """The sum of the custom buckets up to a bound that were not summed yet."""
    cdef double sum = 0, upper
    cdef const Buckets* b = &h.positive
    while at[0] < b.size:
        upper = h.bounds[b.index[at[0]]] if 0 <= b.index[at[0]] < h.bound_count else INFINITY
        if not upper <= bound:
            break
        sum += b.count[at[0]]
        at[0] += 1
    return sum


cdef inline bint custom_fell(const View* now, const View* before) noexcept nogil:
    """Whether there is less between two bounds that both have, where custom bounds differ."""
    cdef int64_t i = 0, j = 0, at = 0, behind = 0
    cdef double a, b, sum
    while i <= now.bound_count and j <= before.bound_count:
        a = now.bounds[i] if i < now.bound_count else INFINITY
        b = before.bounds[j] if j < before.bound_count else INFINITY
        if a == b:
            sum = rolled_up(now, &at, a)
            if sum < rolled_up(before, &behind, b):
                return True
            i += 1
            j += 1
        elif a < b:
            i += 1
        else:
            j += 1
    return False


cdef inline bint same_layout(const View* a, const View* b) noexcept nogil:
    """Whether two histograms refer to the same buckets of one table; a layout without buckets has no place of its own."""
    return (
        a.schema == b.schema
        and a.bound_count == b.bound_count
        and a.positive.index == b.positive.index and a.positive.size == b.positive.size
        and a.negative.size == b.negative.size and a.bounds == b.bounds
    )


cdef inline bint any_lower(const double* now, const double* before, int64_t n) noexcept nogil:
    cdef int64_t i
    cdef bint found = False
    for i in range(n):
        found |= now[i] < before[i]
    return found


cdef inline bint was_reset(const View* now, const View* before) noexcept nogil:
    """Whether a counter started anew between two samples."""
    cdef double threshold, zero_count, lost = 0
    if now.hint == COUNTER_RESET:
        return True
    if now.hint == NOT_COUNTER_RESET:
        return False
    if now.count < before.count:
        return True
    if same_layout(now, before) and now.zero_threshold == before.zero_threshold:
        # The usual case, and the same answer: no schema, threshold or bound has changed. Buckets inside the zero
        # bucket, which do not count, are looked at below.
        if now.zero_count < before.zero_count:
            return True
        if not (
            any_lower(now.positive.count, before.positive.count, now.positive.size)
            or any_lower(now.negative.count, before.negative.count, now.negative.size)
        ):
            return False
    if is_custom(now.schema):
        if not is_custom(before.schema):
            return True
        if not same_bounds(now.bound_count, now.bounds, before.bound_count, before.bounds):
            return custom_fell(now, before)
    if now.schema > before.schema or now.zero_threshold < before.zero_threshold:
        return True
    threshold = now.zero_threshold
    grown_zero_count(before, NULL, NULL, &threshold, &zero_count, &lost)
    if threshold != now.zero_threshold or now.zero_count < zero_count:
        return True
    return (
        side_fell(&now.positive, now.schema, &before.positive, before.schema, now.zero_threshold)
        or side_fell(&now.negative, now.schema, &before.negative, before.schema, now.zero_threshold)
    )


cdef inline bint same_side(const Buckets* a, const Buckets* b) noexcept nogil:
    return a.size == b.size and (
        a.size == 0
        or memcmp(a.index, b.index, a.size * sizeof(int32_t)) == 0
        and memcmp(a.count, b.count, a.size * sizeof(double)) == 0
    )


cdef inline bint same_bits(const double* a, const double* b) noexcept nogil:
    return memcmp(a, b, sizeof(double)) == 0


cdef inline bint is_equal(const View* a, const View* b) noexcept nogil:
    """Whether two histograms have the same buckets and the same bits in them; hints aside."""
    return (
        a.schema == b.schema
        and same_bits(&a.count, &b.count)
        and same_bits(&a.sum, &b.sum)
        and same_bits(&a.zero_count, &b.zero_count)
        and a.zero_threshold == b.zero_threshold
        and (not is_custom(a.schema) or same_bounds(a.bound_count, a.bounds, b.bound_count, b.bounds))
        and same_side(&a.negative, &b.negative)
        and same_side(&a.positive, &b.positive)
    )
