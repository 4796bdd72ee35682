# Trimming a histogram: the observations above or below a value are estimated and taken out.
#
# Semantics: Prometheus 3.14, model/histogram/float_histogram.go (TrimBuckets).

from libc.math cimport fabs, isinf, sqrt
from libc.stdint cimport int64_t

from pythanos._histogram_buckets cimport Bucket, fraction_below, negative_bucket, positive_bucket
from pythanos._histogram_value cimport Value, View, compact_value, is_custom, view_of

cdef extern from "math.h" nogil:
    double INFINITY

# What is left, added up bucket by bucket.
cdef struct Remains:
    double count
    double sum
    bint trimmed
    bint positive           # whether there were observations on a side
    bint negative


cdef inline double finite(double x) noexcept nogil:
    return 0 if isinf(x) else x


cdef inline double middle(double lower, double upper, bint positive, bint linear) noexcept nogil:
    """What the observations between two limits are taken for."""
    cdef double mean
    if isinf(lower):
        if isinf(upper):
            return 0
        return upper / 2 if upper > 0 else upper
    if isinf(upper):
        return lower
    if linear:
        return (lower + upper) / 2
    mean = sqrt(fabs(lower * upper))
    return mean if positive else -mean


cdef inline double keep_unbounded(const Bucket* b, double at, bint upper, double* centre) noexcept nogil:
    """What is kept of a bucket that reaches to infinity: all, nothing, or a part if it can be taken to begin at 0."""
    if b.lower == -INFINITY:
        if upper:
            if at >= b.upper:
                centre[0] = 0
                return b.count
            if at > 0 and b.upper > 0 and b.upper != INFINITY:
                centre[0] = at / 2
                return b.count * at / b.upper
            if b.upper <= 0:
                centre[0] = at
                return b.count
        else:
            if at <= b.lower:
                centre[0] = 0
                return b.count
            if at >= 0 and b.upper > at and b.upper != INFINITY:
                centre[0] = (at + b.upper) / 2
                return b.count * (1 - at / b.upper)
        centre[0] = finite(b.upper)
        return 0
    if not upper and at >= b.lower:
        centre[0] = at
        return b.count
    centre[0] = finite(b.lower)
    return 0


cdef inline double keep_part(
    const Bucket* b, double at, bint upper, bint positive, bint custom, double* centre
) noexcept nogil:
    """What is kept of a bucket that `at` lies in, and where its centre then is."""
    cdef double below
    if b.lower == -INFINITY or b.upper == INFINITY:
        return keep_unbounded(b, at, upper, centre)
    if at <= b.lower:
        below = 0
    elif at >= b.upper:
        below = b.count
    else:
        below = b.count * fraction_below(b, at, custom)
    if upper:
        centre[0] = middle(b.lower, at, positive, custom)
        return below
    centre[0] = middle(at, b.upper, positive, custom)
    return b.count - below


cdef inline void trim_side(Value* h, double at, bint upper, bint positive, Remains* r) noexcept nogil:
    cdef View v = view_of(h)
    cdef bint custom = is_custom(h.schema)
    cdef Bucket b
    cdef double* count = h.positive.count if positive else h.negative.count
    cdef double kept, centre
    cdef int64_t i
    for i in range(h.positive.size if positive else h.negative.size):
        if count[i] == 0:
            continue
        if positive:
            r.positive = True
            b = positive_bucket(&v, i)
        else:
            r.negative = True
            b = negative_bucket(&v, i)
        if b.upper <= at if upper else b.lower >= at:
            r.count += b.count
            r.sum += middle(b.lower, b.upper, positive, custom) * b.count
        elif b.lower < at if upper else b.upper > at:
            kept = keep_part(&b, at, upper, positive, custom, &centre)
            r.count += kept
            r.sum += centre * kept
            if count[i] != kept:
                count[i] = kept
                r.trimmed = True
        else:
            count[i] = 0
            r.trimmed = True


cdef inline void trim_zero(Value* h, double at, bint upper, Remains* r) noexcept nogil:
    cdef double low = -h.zero_threshold, high = h.zero_threshold, kept, centre
    if r.negative and not r.positive:
        high = 0
    if r.positive and not r.negative:
        low = 0
    if at <= low if upper else at >= high:
        # The order of the two questions matters where low is high.
        kept, centre = 0, 0
        if not upper and at <= low:
            kept, centre = h.zero_count, (low + high) / 2
    elif at >= high if upper else at <= low:
        kept, centre = h.zero_count, (low + high) / 2
    elif upper:
        kept, centre = h.zero_count * ((at - low) / (high - low)), (low + at) / 2
    else:
        kept, centre = h.zero_count * ((high - at) / (high - low)), (at + high) / 2
    if h.zero_count != kept:
        h.zero_count = kept
        r.trimmed = True
    r.sum += centre * kept
    r.count += kept


cdef inline void trim_value(Value* h, double at, bint upper) noexcept nogil:
    """Keeps the observations below (`upper`) or above a value. What loses nothing keeps its count and sum."""
    cdef Remains r
    r.count = r.sum = 0
    r.trimmed = r.positive = r.negative = False
    trim_side(h, at, upper, True, &r)
    trim_side(h, at, upper, False, &r)
    if h.zero_count > 0:
        trim_zero(h, at, upper, &r)
    if r.trimmed:
        h.count, h.sum = r.count, r.sum
        compact_value(h)
