"""Estimates from native histograms: quantiles, fractions, variances.

Exponential buckets are interpolated on a logarithmic scale, custom buckets and the zero bucket linearly. Semantics:
Prometheus 3.14, ``promql/quantile.go`` (HistogramQuantile, HistogramFraction) and ``promql/functions.go``
(histogramVariance), in their order of floating-point operations.
"""

import numpy as np

from libc.math cimport INFINITY, NAN, fabs, isinf, isnan, sqrt
from libc.stdint cimport int64_t, uint8_t

from pythanos._gomath cimport exp2, log2
from pythanos._histogram_buckets cimport Bucket, bucket_at, bucket_total, count_at, fraction_below
from pythanos._histogram_columns cimport HistogramReader, view_at
from pythanos._histogram_value cimport View, is_custom, kahan

cdef enum:
    # Flags of a row: observations of NaN made the result NaN, made it higher, were left out.
    _NAN_RESULT = 1
    _NAN_SKEW = 2
    _NAN_EXCLUDED = 4

NAN_RESULT, NAN_SKEW, NAN_EXCLUDED = _NAN_RESULT, _NAN_SKEW, _NAN_EXCLUDED


cdef void _one_sided(const View* h, Bucket* b) noexcept nogil:
    """The zero bucket of a histogram with buckets on one side only ends at zero on the other."""
    if h.negative.size == 0 and h.positive.size > 0:
        b.lower = 0
    elif h.positive.size == 0 and h.negative.size > 0:
        b.upper = 0


cdef double _inside(const View* h, const Bucket* b, double fraction) noexcept nogil:
    """The value at a fraction of a bucket."""
    cdef double lower, upper
    if is_custom(h.schema) or (b.lower <= 0 and b.upper >= 0):
        return b.lower + (b.upper - b.lower) * fraction
    lower, upper = log2(fabs(b.lower)), log2(fabs(b.upper))
    if b.lower > 0:
        return exp2(lower + (upper - lower) * fraction)
    return -exp2(upper + (lower - upper) * (1 - fraction))


cdef double _quantile(const View* h, double q, uint8_t* flags) noexcept nogil:
    cdef Bucket b
    cdef double rank, count = 0
    cdef int64_t k = 0, at = -1, total = bucket_total(h)
    cdef bint strange = isnan(h.sum), forward = strange or q < 0.5
    if q < 0:
        return -INFINITY
    if q > 1:
        return INFINITY
    if h.count == 0 or isnan(q):
        return NAN
    rank = (q if forward else 1 - q) * h.count
    while k < total:
        at = k if forward else total - 1 - k
        k += 1
        if count_at(h, at) == 0:
            continue
        count += count_at(h, at)
        if count >= rank:
            break
    b.lower = b.upper = b.count = 0
    if at >= 0:
        b = bucket_at(h, at)
    if is_custom(h.schema):
        if b.lower == -INFINITY:
            if b.upper <= 0:
                return b.upper
            b.lower = 0
        elif b.upper == INFINITY:
            return b.lower
    elif b.lower < 0 and b.upper > 0:
        _one_sided(h, &b)
    if count > h.count:
        count = h.count
    if count < rank:
        # Only observations of NaN, which are in no bucket, can do that; else it is a matter of precision.
        if strange:
            flags[0] |= _NAN_RESULT
            return NAN
        return b.upper
    rank = rank - (count - b.count) if forward else count - rank
    if strange:
        while k < total:
            # As in Prometheus, the last bucket takes the place of the one found.
            b = bucket_at(h, k)
            count += b.count
            k += 1
        if count < h.count:
            flags[0] |= _NAN_SKEW
    return _inside(h, &b, rank / b.count)


cdef double _rank_inside(const View* h, const Bucket* b, double rank, double v, bint zero_bucket) noexcept nogil:
    cdef bint linear = zero_bucket or is_custom(h.schema)
    if linear and b.lower == -INFINITY:
        return b.count
    return rank + b.count * fraction_below(b, v, linear)


cdef double _fraction(const View* h, double lower, double upper, uint8_t* flags) noexcept nogil:
    cdef Bucket b
    cdef double count = 0, rank = 0, lower_rank = 0, upper_rank = 0
    cdef bint lower_set = False, upper_set = False, zero_bucket
    cdef int64_t k = 0, total = bucket_total(h)
    if h.count == 0 or isnan(lower) or isnan(upper):
        return NAN
    if lower >= upper:
        return 0
    while k < total and not (lower_set and upper_set):
        b = bucket_at(h, k)
        k += 1
        count += b.count
        zero_bucket = b.lower <= 0 and b.upper >= 0
        if zero_bucket:
            _one_sided(h, &b)
        if not lower_set and b.lower >= lower:
            lower_rank, lower_set = rank, True
        if not upper_set and b.lower >= upper:
            upper_rank, upper_set = rank, True
        if not lower_set and b.lower < lower < b.upper:
            lower_rank, lower_set = _rank_inside(h, &b, rank, lower, zero_bucket), True
        if not upper_set and b.lower < upper < b.upper:
            upper_rank, upper_set = _rank_inside(h, &b, rank, upper, zero_bucket), True
        rank += b.count
    if isnan(h.sum):
        while k < total:
            count += count_at(h, k)
            k += 1
        if count < h.count:
            flags[0] |= _NAN_EXCLUDED
    else:
        count = h.count
    if not lower_set or lower_rank > count:
        lower_rank = count
    if not upper_set or upper_rank > count:
        upper_rank = count
    return (upper_rank - lower_rank) / h.count


cdef double _variance(const View* h) noexcept nogil:
    cdef Bucket b
    cdef double middle, delta, mean = h.sum / h.count, variance = 0, lost = 0
    cdef int64_t k
    for k in range(bucket_total(h)):
        b = bucket_at(h, k)
        if b.count == 0:
            continue
        if is_custom(h.schema):
            middle = (b.upper + b.lower) / 2
        elif b.lower <= 0 and b.upper >= 0:
            middle = 0
        else:
            middle = sqrt(b.upper * b.lower)
            if b.upper < 0:
                middle = -middle
        delta = middle - mean
        kahan(b.count * delta * delta, &variance, &lost)
    return (variance + lost) / h.count


def quantile(columns, const int64_t[::1] rows, const double[::1] q):
    """(float64[k], flags uint8[k]): the q[i]-quantile of row i; flags NAN_RESULT and NAN_SKEW.

    NaN without observations and for a q of NaN, infinite outside [0, 1].
    """
    cdef HistogramReader reader = HistogramReader(columns)
    cdef int64_t i, k = rows.shape[0]
    cdef View h
    if q.shape[0] != k:
        raise ValueError("columns of different lengths")
    reader.check(rows)
    out, marks = np.empty(k), np.zeros(k, np.uint8)
    cdef double[::1] values = out
    cdef uint8_t[::1] flags = marks
    with nogil:
        for i in range(k):
            h = view_at(&reader.rows, rows[i])
            values[i] = _quantile(&h, q[i], &flags[i])
    return out, marks


def fraction(columns, const int64_t[::1] rows, const double[::1] lower, const double[::1] upper):
    """(float64[k], flags uint8[k]): what part of the observations lies between two limits; flag NAN_EXCLUDED."""
    cdef HistogramReader reader = HistogramReader(columns)
    cdef int64_t i, k = rows.shape[0]
    cdef View h
    if lower.shape[0] != k or upper.shape[0] != k:
        raise ValueError("columns of different lengths")
    reader.check(rows)
    out, marks = np.empty(k), np.zeros(k, np.uint8)
    cdef double[::1] values = out
    cdef uint8_t[::1] flags = marks
    with nogil:
        for i in range(k):
            h = view_at(&reader.rows, rows[i])
            values[i] = _fraction(&h, lower[i], upper[i], &flags[i])
    return out, marks


def spread(columns, const int64_t[::1] rows):
    """float64[k]: the estimated variance of the observations of each row."""
    cdef HistogramReader reader = HistogramReader(columns)
    cdef int64_t i, k = rows.shape[0]
    cdef View h
    reader.check(rows)
    out = np.empty(k)
    cdef double[::1] values = out
    with nogil:
        for i in range(k):
            h = view_at(&reader.rows, rows[i])
            values[i] = _variance(&h)
    return out
