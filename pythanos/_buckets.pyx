"""Quantiles and fractions of classic histograms: rows of cumulative bucket counts in, one row per histogram out.

Semantics: ``prometheus:promql/quantile.go`` (BucketQuantile, BucketFraction), operation by operation.
"""

# Design: the caller orders rows by histogram and upper bound; per step the buckets present are copied into scratch
# memory, equal bounds are added up, counts are made monotonic, and the rank is looked up.

import numpy as np

from libc.math cimport INFINITY, NAN, fabs, fmin, isinf
from libc.stdint cimport int64_t
from libc.float cimport DBL_MAX, DBL_MIN

cdef extern from "_lanes.h" nogil:
    bint absent "pt_absent"(double) noexcept
    double absent_value "pt_absent_value"() noexcept

cdef double TOLERANCE = 1e-12

cdef struct Buckets:
    double* bound
    double* count
    int64_t size

cdef struct Forced:
    # What monotonicity took: how many steps, the bounds touched, the largest decrease, the first and the last step.
    double samples
    double bound_min
    double bound_max
    double difference_max
    double first
    double last


cdef bint _almost_equal(double a, double b) noexcept nogil:
    cdef double total = fabs(a) + fabs(b), difference = fabs(a - b)
    if a == b or (a != a and b != b):
        return True
    if a == 0 or b == 0 or total < DBL_MIN:
        return difference < TOLERANCE * DBL_MIN
    return difference / fmin(total, DBL_MAX) < TOLERANCE


cdef void _coalesce(Buckets* b) noexcept nogil:
    """Buckets with one bound become one."""
    cdef int64_t i, last = 0
    for i in range(1, b.size):
        if b.bound[i] == b.bound[last]:
            b.count[last] += b.count[i]
        else:
            last += 1
            b.bound[last] = b.bound[i]
            b.count[last] = b.count[i]
    b.size = last + 1


cdef void _make_monotonic(Buckets* b, int64_t step, Forced* forced) noexcept nogil:
    cdef int64_t i
    cdef double before = b.count[0], now
    cdef bint changed = False
    for i in range(1, b.size):
        now = b.count[i]
        if now == before:
            continue
        if _almost_equal(before, now):
            b.count[i] = before
            continue
        if now < before:
            b.count[i] = before
            changed = True
            forced.bound_min = min(forced.bound_min, b.bound[i])
            forced.bound_max = max(forced.bound_max, b.bound[i])
            forced.difference_max = max(forced.difference_max, before - now)
            continue
        before = now
    if changed:
        forced.first = step if forced.samples == 0 else forced.first
        forced.last = step
        forced.samples += 1


cdef double _quantile(double q, Buckets* b, int64_t step, Forced* forced) noexcept nogil:
    cdef int64_t low = 0, high, middle
    cdef double rank, start = 0, count
    if q != q:
        return NAN
    if q < 0 or q > 1:
        return -INFINITY if q < 0 else INFINITY
    if b.bound[b.size - 1] != INFINITY:
        return NAN
    _coalesce(b)
    _make_monotonic(b, step, forced)
    if b.size < 2 or b.count[b.size - 1] == 0:
        return NAN
    rank = q * b.count[b.size - 1]
    high = b.size - 1
    while low < high:
        middle = (low + high) // 2
        if b.count[middle] >= rank:
            high = middle
        else:
            low = middle + 1
    if low == b.size - 1:
        return b.bound[b.size - 2]
    if low == 0 and b.bound[0] <= 0:
        return b.bound[0]
    count = b.count[low]
    if low > 0:
        start = b.bound[low - 1]
        count -= b.count[low - 1]
        rank -= b.count[low - 1]
    return start + (b.bound[low] - start) * (rank / count)


cdef double _rank_at(double value, double lower, double upper, double count, double rank) noexcept nogil:
    if lower == -INFINITY:
        return count
    return rank + (count - rank) * (value - lower) / (upper - lower)


cdef double _fraction(double lower, double upper, Buckets* b) noexcept nogil:
    """The share of observations between two values."""
    cdef double count, rank = 0, lower_rank = -1, upper_rank = -1, begin, end
    cdef bint lower_set = False, upper_set = False
    cdef int64_t i
    if b.bound[b.size - 1] != INFINITY:
        return NAN
    _coalesce(b)
    count = b.count[b.size - 1]
    if count == 0 or lower != lower or upper != upper:
        return NAN
    if lower >= upper:
        return 0
    begin = -INFINITY if b.bound[0] <= 0 else 0
    for i in range(b.size):
        if i > 0:
            begin = b.bound[i - 1]
        end = b.bound[i]
        if not lower_set and (begin >= lower or end > lower):
            lower_rank = rank if begin >= lower else _rank_at(lower, begin, end, b.count[i], rank)
            lower_set = True
        if not upper_set and (begin >= upper or end > upper):
            upper_rank = rank if begin >= upper else _rank_at(upper, begin, end, b.count[i], rank)
            upper_set = True
        if lower_set and upper_set:
            break
        rank = b.count[i]
    if not lower_set or lower_rank > count:
        lower_rank = count
    if not upper_set or upper_rank > count:
        upper_rank = count
    return (upper_rank - lower_rank) / count


def bucket_rows(
    const double[:, ::1] values,
    const double[::1] bound,
    const int64_t[::1] order,
    const int64_t[::1] start,
    const double[::1] first,
    const double[::1] second=None,
):
    """One row for each of h histograms: (float64[h, steps], forced float64[h, 6]).

    values: float64[n, steps], cumulative counts of buckets; bound: float64[n], their upper bounds; order: int64, the
    rows of histogram i by rising bound in ``order[start[i] : start[i + 1]]``. ``first`` float64[steps] is the
    quantile; with ``second``, the two are the limits of the fraction instead. A histogram without a bucket at a step
    is absent there. ``forced`` says where counts had to be made monotonic: steps touched, lowest and highest bound,
    largest decrease, first and last step.
    """
    cdef Py_ssize_t i, k, row, h = start.shape[0] - 1, steps = values.shape[1], longest = 1
    cdef Buckets b
    cdef Forced* report
    if first.shape[0] < steps or (second is not None and second.shape[0] < steps):
        raise ValueError("a parameter row is missing")
    if start[0] < 0 or start[h] > order.shape[0] or bound.shape[0] != values.shape[0]:
        raise ValueError("columns of different lengths")
    for i in range(h):
        longest = max(longest, start[i + 1] - start[i])
    for i in range(order.shape[0]):
        if not 0 <= order[i] < values.shape[0]:
            raise ValueError("row out of range")
    result, forced = np.empty((h, steps)), np.zeros((h, 6))
    forced[:, 1], forced[:, 2] = np.inf, -np.inf
    cdef double[:, ::1] out = result, reports = forced
    cdef double[:, ::1] scratch = np.empty((2, longest))
    cdef bint fractions = second is not None
    if h == 0 or steps == 0:
        return result, forced
    b.bound = &scratch[0, 0]
    b.count = &scratch[1, 0]
    with nogil:
        for i in range(h):
            report = <Forced*>&reports[i, 0]
            for k in range(steps):
                b.size = 0
                for row in range(start[i], start[i + 1]):
                    if not absent(values[order[row], k]):
                        b.bound[b.size] = bound[order[row]]
                        b.count[b.size] = values[order[row], k]
                        b.size += 1
                if b.size == 0:
                    out[i, k] = absent_value()
                elif fractions:
                    out[i, k] = _fraction(first[k], second[k], &b)
                else:
                    out[i, k] = _quantile(first[k], &b, k, report)
    return result, forced
