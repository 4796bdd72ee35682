# Sums of windows of native histograms that count whole numbers, as differences of running totals.
#
# Sums of whole numbers are exact in any order as long as none of them can exceed 2^53, and compensation then adds
# nothing: a window takes as long as its buckets are many, whatever its samples. Only the sums of observations, one
# number a sample, are added in order. Semantics: Prometheus 3.14, promql/functions.go (sum_over_time, avg_over_time).

from libc.math cimport fabs, isfinite, isinf, rint
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc

from pythanos._histogram_accumulate cimport SEEN_NO_RESET, SEEN_RESET, Running, clear_running
from pythanos._histogram_add cimport NO_MEMORY, add_value
from pythanos._histogram_columns cimport has_layout_of
from pythanos._histogram_rate cimport Train, member
from pythanos._histogram_value cimport (
    COUNTER_RESET, GAUGE, NOT_COUNTER_RESET, UNKNOWN_RESET, Side, Value, View, is_custom, kahan, same_bounds, set_value,
)

cdef extern from *:
    """
    static inline int pythanos_is_minus_zero(double x) { return x == 0 && __builtin_signbit(x); }
    """
    bint is_minus_zero "pythanos_is_minus_zero"(double x) noexcept nogil

# Of one series; sample j is that of the Train. Zeroed, it is empty.
cdef struct Totals:
    int64_t rows            # how many there is room for, and buckets
    int64_t room
    int64_t size            # for how many samples the rest holds; 0 where it was not asked for
    int64_t* first          # where the samples of one layout begin that j belongs to
    int64_t* whole          # from where on up to j all can be added up here, behind j for none
    int64_t* at             # where the totals of j begin
    double* count           # up to j, from first[j] on
    double* zero_count
    double* buckets
    double* row             # scratch: the buckets of one sample


cdef inline void release_totals(Totals* t) noexcept nogil:
    free(t.first)
    free(t.count)
    t.first, t.count = NULL, NULL
    t.rows = t.room = t.size = 0


cdef inline bint reserve_totals(Totals* t, int64_t rows, int64_t buckets) noexcept nogil:
    if rows <= t.rows and buckets <= t.room:
        return True
    release_totals(t)
    t.first = <int64_t*>malloc((3 * rows + 1) * sizeof(int64_t))
    t.count = <double*>malloc((2 * rows + 2 * buckets + 1) * sizeof(double))
    if t.first == NULL or t.count == NULL:
        release_totals(t)
        return False
    t.whole, t.at = t.first + rows, t.first + 2 * rows
    t.zero_count, t.buckets = t.count + rows, t.count + 2 * rows
    t.row = t.buckets + buckets
    t.rows, t.room = rows, buckets
    return True


cdef inline bint is_whole(double x, double most) noexcept nogil:
    return x == rint(x) and fabs(x) <= most and not is_minus_zero(x)


cdef inline bint are_whole(const double* x, int64_t n, double most) noexcept nogil:
    cdef int64_t i
    cdef bint bad = False
    for i in range(n):
        bad |= (x[i] != rint(x[i])) | (not fabs(x[i]) <= most) | is_minus_zero(x[i])
    return not bad


cdef inline bint fits(const Train* h, const View* v, double most) noexcept nogil:
    """Whether a sample counts whole numbers and has no bucket that ends in the zero bucket, nor an infinite bound."""
    cdef int64_t i
    for i in range(v.bound_count):
        if isinf(v.bounds[i]):
            return False
    if is_custom(v.schema) and v.zero_count != 0:
        return False
    return (
        is_whole(v.count, most) and is_whole(v.zero_count, most)
        and are_whole(v.positive.count, v.positive.size, most) and are_whole(v.negative.count, v.negative.size, most)
    )


cdef inline bint find_totals(const Train* h, Totals* t) noexcept nogil:
    """Fills in the totals of a series; False where memory is short."""
    cdef int64_t i, j, width, buckets = 0
    cdef double most
    cdef View v, before
    cdef double* to
    cdef double* last = NULL
    cdef bint good, alike
    for j in range(h.size):
        buckets += h.rows.bucket_start[h.row[j] + 1] - h.rows.bucket_start[h.row[j]]
    if not reserve_totals(t, h.size, buckets):
        return False
    if h.size == 0:
        return True
    t.size, buckets = h.size, 0
    before = member(h, 0)
    most = <double>(1LL << 52) / h.size
    for j in range(h.size):
        v = member(h, j)
        width = v.positive.size + v.negative.size
        good = h.rows.clear[h.rows.layout[h.row[j]]] and fits(h, &v, most)
        alike = j > 0 and has_layout_of(h.rows, h.row[j], h.row[j - 1])
        t.first[j] = t.first[j - 1] if alike and good and t.whole[j - 1] < j else j
        if not good:
            t.whole[j] = j + 1
        elif j == 0 or t.whole[j - 1] == j or not (
            alike or v.schema == before.schema and v.zero_threshold == before.zero_threshold
            and same_bounds(v.bound_count, v.bounds, before.bound_count, before.bounds)
        ):
            t.whole[j] = t.first[j] = j
        else:
            t.whole[j] = t.whole[j - 1]
        to = t.buckets + buckets
        t.at[j] = buckets
        t.count[j], t.zero_count[j] = v.count, v.zero_count
        if t.first[j] < j:
            t.count[j] += t.count[j - 1]
            t.zero_count[j] += t.zero_count[j - 1]
            for i in range(v.positive.size):
                to[i] = last[i] + v.positive.count[i]
            for i in range(v.positive.size, width):
                to[i] = last[i] + v.negative.count[i - v.positive.size]
        else:
            for i in range(v.positive.size):
                to[i] = v.positive.count[i]
            for i in range(v.positive.size, width):
                to[i] = v.negative.count[i - v.positive.size]
        buckets += width
        last, before = to, v
    return True


cdef inline bint has_totals(const Totals* t, int64_t lo, int64_t hi) noexcept nogil:
    return t.size > 0 and hi - lo > 1 and t.whole[hi - 1] <= lo


cdef inline View total_of(const Train* h, const Totals* t, int64_t lo, int64_t hi) noexcept nogil:
    """The sum of [lo, hi), all of one layout, but for the sum of observations; the buckets are scratch."""
    cdef View v = member(h, lo)
    cdef int64_t i, width = v.positive.size + v.negative.size
    cdef double* last = t.buckets + t.at[hi - 1]
    cdef const double* before
    v.count, v.zero_count, v.sum = t.count[hi - 1], t.zero_count[hi - 1], 0
    if lo > t.first[lo]:
        before = t.buckets + t.at[lo - 1]
        v.count -= t.count[lo - 1]
        v.zero_count -= t.zero_count[lo - 1]
        for i in range(width):
            t.row[i] = last[i] - before[i]
        last = t.row
    v.positive.count, v.negative.count = last, last + v.positive.size
    return v


cdef inline void divide_side(Side* s, double by) noexcept nogil:
    cdef int64_t i
    for i in range(s.size):
        s.count[i] /= by


cdef inline int add_totals(
    const Train* h, const Totals* t, int64_t lo, int64_t hi, bint mean, Running* r, Value* spare
) noexcept nogil:
    """The finished sum or mean of a window that has totals into r.

    1; 0 where only ``add_mean`` tells the mean, as a sum may have overflowed; -1 where memory is short.
    """
    cdef int64_t j, behind = hi
    cdef double sum = h.rows.sum[h.row[lo]], lost = 0, number = <double>(hi - lo)
    cdef int hints = 1 << (h.rows.hint[h.row[lo]] & 15)
    cdef View v
    cdef Value* h_sum = &r.value
    for j in range(lo + 1, hi):
        kahan(h.rows.sum[h.row[j]], &sum, &lost)
        hints |= 1 << (h.rows.hint[h.row[j]] & 15)
    if mean and not isfinite(sum):
        return 0
    while behind > lo:
        j = max(lo, t.first[behind - 1])
        v = total_of(h, t, j, behind)
        if behind == hi:
            if not set_value(h_sum, &v):
                return -1
        elif add_value(h_sum, &v, False, False, spare) & NO_MEMORY:
            return -1
        behind = j
    clear_running(r)
    r.count = number
    r.seen = SEEN_RESET * (hints >> COUNTER_RESET & 1) | SEEN_NO_RESET * (hints >> NOT_COUNTER_RESET & 1)
    h_sum.hint = UNKNOWN_RESET
    if hints >> GAUGE & 1:
        h_sum.hint = GAUGE
    elif hints & (hints - 1) == 0:
        h_sum.hint = h.rows.hint[h.row[lo]]
    if mean:
        h_sum.count /= number
        h_sum.zero_count /= number
        divide_side(&h_sum.positive, number)
        divide_side(&h_sum.negative, number)
        sum, lost = sum / number, lost / number
    h_sum.sum = sum + lost
    return 1
