# JSON of native histograms for kernels: count, sum and the buckets that are not empty, from the lowest up.
#
# What a table refers to was checked by who made it.

from libc.stdint cimport int32_t, int64_t, uint32_t

from pythanos._histogram_table cimport Table
from pythanos._json_text cimport put, write_quoted

cdef extern from "_bounds.h" nogil:
    double pythanos_exponential_bound(int32_t index, int32_t schema) noexcept

cdef extern from "math.h" nogil:
    double INFINITY


cdef inline char* write_bucket(
    char* out, bint* first, bint lower_closed, bint upper_closed, double lower, double upper, double count
) noexcept nogil:
    """`[boundaries,"lower","upper","count"]`, the first one with the key before it; nothing for an empty bucket."""
    if count == 0:
        return out
    out = put(out, b',"buckets":[' if first[0] else b",", 12 if first[0] else 1)
    first[0] = False
    out = put(out, b"[", 1)
    # 0: open left, 1: open right, 2: open, 3: closed.
    out[0] = <char>(c"0" + ((3 if upper_closed else 1) if lower_closed else (0 if upper_closed else 2)))
    out[1] = c","
    out = write_quoted(out + 2, lower)
    out[0] = c","
    out = write_quoted(out + 1, upper)
    out[0] = c","
    out = write_quoted(out + 1, count)
    out[0] = c"]"
    return out + 1


cdef inline double bound_of(const Table* t, int32_t layout, int32_t index, bint custom) noexcept nogil:
    cdef int64_t count
    if not custom:
        return pythanos_exponential_bound(index, t.schema[layout])
    count = t.bound_start[layout + 1] - t.bound_start[layout]
    if index < 0:
        return -INFINITY
    return INFINITY if index >= count else t.bounds[t.bound_start[layout] + index]


cdef inline char* write_side(
    char* out, bint* first, const Table* t, int32_t layout, const double* buckets, int64_t count, bint negative
) noexcept nogil:
    """The positive buckets rising, or the negative ones falling in absolute value."""
    cdef bint custom = t.schema[layout] == -53
    cdef double threshold = t.zero_threshold[layout]
    cdef double lower, upper
    cdef int64_t span, end, at, number
    cdef int32_t index = 0
    cdef uint32_t left
    if negative:
        span, end = t.negative_start[layout], t.span_start[layout + 1]
    else:
        span, end = t.span_start[layout], t.negative_start[layout]
    # Walked forwards to place the last bucket, then bucket by bucket in the order of printing.
    if negative:
        at = count - 1
        for number in range(span, end):
            index += t.span_offset[number] + <int32_t>t.span_length[number]
        number = end
        while number > span and at >= 0:
            number -= 1
            left = t.span_length[number]
            while left and at >= 0:
                left -= 1
                index -= 1
                lower = -bound_of(t, layout, index, custom)
                upper = -bound_of(t, layout, index - 1, custom)
                if upper > -threshold:
                    upper = -threshold
                out = write_bucket(out, first, lower < 0, upper > 0, lower, upper, buckets[at])
                at -= 1
            index -= t.span_offset[number]
        return out
    at = 0
    for number in range(span, end):
        index += t.span_offset[number]
        left = t.span_length[number]
        while left and at < count:
            left -= 1
            upper = bound_of(t, layout, index, custom)
            lower = bound_of(t, layout, index - 1, custom)
            if not custom and lower < threshold:
                lower = threshold
            if custom:
                out = write_bucket(out, first, index == 0, True, lower, upper, buckets[at])
            else:
                out = write_bucket(out, first, lower < 0, upper > 0, lower, upper, buckets[at])
            index += 1
            at += 1
    return out


cdef inline char* write_histogram(char* out, const Table* t, int64_t row) noexcept nogil:
    """`{"count":"...","sum":"...","buckets":[...]}` of one row; room for it was made."""
    cdef int32_t layout = t.layout[row]
    cdef int64_t begin = t.bucket_start[row]
    cdef int64_t total = t.bucket_start[row + 1] - begin
    cdef int64_t positive = t.positive_buckets[layout]
    cdef double threshold = t.zero_threshold[layout]
    cdef bint first = True
    if positive > total:
        positive = total
    out = put(out, b'{"count":', 9)
    out = write_quoted(out, t.count[row])
    out = put(out, b',"sum":', 7)
    out = write_quoted(out, t.sum[row])
    out = write_side(out, &first, t, layout, t.buckets + begin + positive, total - positive, True)
    if t.zero_count[row] > 0:
        out = write_bucket(out, &first, True, True, -threshold, threshold, t.zero_count[row])
    out = write_side(out, &first, t, layout, t.buckets + begin, positive, False)
    if not first:
        out[0] = c"]"
        out += 1
    out[0] = c"}"
    return out + 1
