"""Quantiles and fractions of classic histograms: rows of cumulative bucket counts in, one row per histogram out.

Semantics: ``prometheus:promql/quantile.go`` (BucketQuantile, BucketFraction), operation by operation.
"""

# Design: the caller orders rows by histogram and upper bound. Quantiles of histograms whose buckets are all there are
# taken several steps at a time (_lanes_buckets.h). For what remains, per step, the buckets present are copied into
# scratch memory, equal bounds are added up, counts are made monotonic, and the rank is looked up.

import numpy as np

from libc.math cimport INFINITY, NAN, fabs, fmin
from libc.stdint cimport int64_t, uint8_t
from libc.float cimport DBL_MAX, DBL_MIN

from pythanos._row_parts cimport RowParts

cdef extern from "_lanes.h" nogil:
    # What monotonicity took: how many steps, the bounds touched, the largest decrease, the first and the last step.
    ctypedef struct Forced "pt_forced":
        double samples
        double bound_min
        double bound_max
        double difference_max
        double first
        double last
    int force_width "pt_force_width"
    void tell_bound "pt_tell_bound"(Forced*, double bound) noexcept
    void tell_step "pt_tell_step"(Forced*, double difference, int64_t step) noexcept
    int64_t plain_quantiles "pt_bucket_quantiles"(
        const double** rows, const double* bound, int64_t size, const double* q, int64_t k, int64_t steps, double* room,
        uint8_t* touched, double* out, Forced* told) noexcept
    bint absent "pt_absent"(double) noexcept
    double absent_value "pt_absent_value"() noexcept

cdef double TOLERANCE = 1e-12

cdef enum:
    LANES = 8           # the most steps that are taken at a time

cdef struct Buckets:
    double* bound
    double* count
    int64_t size


cdef struct Histogram:
    # The rows of its buckets by rising bound, and memory for `size` buckets.
    const double** row
    double* bound
    int64_t size
    bint orderly            # no bound occurs twice, and the last is infinite
    Buckets scratch
    double* room
    uint8_t* touched


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
    cdef double difference_max = 0
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
            tell_bound(forced, b.bound[i])
            difference_max = max(difference_max, before - now)
            continue
        before = now
    if changed:
        tell_step(forced, difference_max, step)


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


cdef void _take(
    Histogram* h, const double** row, const double[::1] bound, const int64_t[::1] order, int64_t begin, int64_t end
) noexcept nogil:
    """Makes `h` the histogram whose rows are order[begin:end]."""
    cdef int64_t i
    h.size = end - begin
    h.orderly = h.size > 1 and bound[order[end - 1]] == INFINITY
    for i in range(h.size):
        h.row[i] = row[order[begin + i]]
        h.bound[i] = bound[order[begin + i]]
        if i > 0 and not h.bound[i] > h.bound[i - 1]:
            h.orderly = False


cdef bint _gather(Histogram* h, int64_t step) noexcept nogil:
    """Copies the buckets that are there at a step to `scratch`; whether there are any."""
    cdef int64_t i
    cdef Buckets* b = &h.scratch
    b.size = 0
    for i in range(h.size):
        if not absent(h.row[i][step]):
            b.bound[b.size] = h.bound[i]
            b.count[b.size] = h.row[i][step]
            b.size += 1
    return b.size > 0


cdef void _quantile_row(Histogram* h, const double* q, int64_t steps, double* out, Forced* forced) noexcept nogil:
    cdef int64_t k = 0, stop
    while k < steps:
        stop = steps
        if h.orderly:
            k = plain_quantiles(h.row, h.bound, h.size, q, k, steps, h.room, h.touched, out, forced)
            stop = min(k + LANES, steps)
        for k in range(k, stop):
            out[k] = _quantile(q[k], &h.scratch, k, forced) if _gather(h, k) else absent_value()
        k = stop


cdef void _fraction_row(
    Histogram* h, const double* lower, const double* upper, int64_t steps, double* out
) noexcept nogil:
    cdef int64_t k
    for k in range(steps):
        out[k] = _fraction(lower[k], upper[k], &h.scratch) if _gather(h, k) else absent_value()


def limit_lanes(int lanes):
    """Uses vectors of at most 8, 4 or 2 lanes from now on (0: what the CPU has), so that tests can compare them."""
    global force_width
    force_width = lanes


def bucket_rows(
    RowParts values not None,
    const double[::1] bound,
    const int64_t[::1] order,
    const int64_t[::1] start,
    const double[::1] first,
    const double[::1] second=None,
):
    """One row for each of h histograms: (float64[h, steps], forced float64[h, 6]).

    values: n rows of steps, cumulative counts of buckets; bound: float64[n], their upper bounds; order: int64, the
    rows of histogram i by rising bound in ``order[start[i] : start[i + 1]]``. ``first`` float64[steps] is the
    quantile; with ``second``, the two are the limits of the fraction instead. A histogram without a bucket at a step
    is absent there. ``forced`` says where counts had to be made monotonic: steps touched, lowest and highest bound,
    largest decrease, first and last step.
    """
    cdef Py_ssize_t i, h = start.shape[0] - 1, steps = values.steps, longest = 1
    cdef Histogram histogram
    if first.shape[0] < steps or (second is not None and second.shape[0] < steps):
        raise ValueError("a parameter row is missing")
    if h < 0 or start[0] < 0 or start[h] > order.shape[0] or bound.shape[0] != values.count:
        raise ValueError("columns of different lengths")
    for i in range(h):
        if start[i] > start[i + 1]:
            raise ValueError("columns of different lengths")
        longest = max(longest, start[i + 1] - start[i])
    for i in range(order.shape[0]):
        if not 0 <= order[i] < values.count:
            raise ValueError("row out of range")
    result, forced = np.empty((h, steps)), np.zeros((h, 6))
    forced[:, 1], forced[:, 2] = np.inf, -np.inf
    cdef double[:, ::1] out = result, reports = forced
    cdef double[:, ::1] scratch = np.empty((4 + LANES, longest + LANES))
    cdef int64_t[::1] rows = np.empty(longest, np.int64)
    cdef uint8_t[::1] touched = np.empty(longest, np.uint8)
    if h == 0 or steps == 0:
        return result, forced
    histogram.row = <const double**>&rows[0]
    histogram.bound = &scratch[0, 0]
    histogram.scratch.bound = &scratch[1, 0]
    histogram.scratch.count = &scratch[2, 0]
    # Vectors that lie in one cache line.
    histogram.room = <double*>((<size_t>&scratch[3, 0] + 63) & ~<size_t>63)
    histogram.touched = &touched[0]
    with nogil:
        for i in range(h):
            _take(&histogram, values.row, bound, order, start[i], start[i + 1])
            if second is not None:
                _fraction_row(&histogram, &first[0], &second[0], steps, &out[i, 0])
            else:
                _quantile_row(&histogram, &first[0], steps, &out[i, 0], <Forced*>&reports[i, 0])
    return result, forced
