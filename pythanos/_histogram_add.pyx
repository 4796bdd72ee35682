"""Addition and subtraction of native histograms, plain or with compensation.

Semantics: Prometheus 3.14, ``model/histogram/float_histogram.go`` (Add, Sub, KahanAdd and the reconciliation of zero
buckets and custom bounds), in its order of floating-point operations.
"""

from libc.math cimport signbit
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memset

from pythanos._histogram_value cimport (
    GAUGE, UNKNOWN_RESET, Buckets, Side, Value, View, compact_value, exponential_bound, is_custom, kahan, reduce_value,
    reserve_side, same_bounds, set_bounds, set_value, view_of,
)

cdef extern from "_lanes.h" nogil:
    void sum_row "pt_sum_row"(const double* x, double* sum, double* comp, int64_t steps) noexcept


cdef void grown_zero_count(
    const View* h, const double* positive_lost, const double* negative_lost, double* threshold, double* count,
    double* lost,
) noexcept nogil:
    """The zero count that h would have with a threshold that is no lower than its own.

    A threshold inside a populated bucket is moved to that bucket's end. `lost` comes with the compensation of the zero
    count; NULL for the others where h has none.
    """
    cdef int64_t i
    cdef double end
    cdef bint again = threshold[0] != h.zero_threshold
    count[0] = h.zero_count
    while again:
        again = False
        count[0] = h.zero_count
        for i in range(h.positive.size):
            if exponential_bound(h.positive.index[i] - 1, h.schema) >= threshold[0]:
                break
            kahan(h.positive.count[i], count, lost)
            if positive_lost != NULL:
                kahan(positive_lost[i], count, lost)
            end = exponential_bound(h.positive.index[i], h.schema)
            if end > threshold[0]:
                if h.positive.count[i] != 0:
                    threshold[0] = end
                break
        for i in range(h.negative.size):
            if exponential_bound(h.negative.index[i] - 1, h.schema) >= threshold[0]:
                break
            kahan(h.negative.count[i], count, lost)
            if negative_lost != NULL:
                kahan(negative_lost[i], count, lost)
            end = exponential_bound(h.negative.index[i], h.schema)
            if end > threshold[0]:
                if h.negative.count[i] != 0:
                    # What was taken from the positive side no longer holds.
                    threshold[0] = end
                    again = True
                break


cdef void _empty_below(Side* s, int32_t schema, double threshold) noexcept nogil:
    cdef int64_t i
    for i in range(s.size):
        if exponential_bound(s.index[i] - 1, schema) >= threshold:
            break
        s.count[i] = s.lost[i] = 0


cdef void _reconcile_zero(
    Value* h, const View* other, bint compensated, double* other_count, double* other_lost
) noexcept nogil:
    """Widens the zero bucket of h until both can share it; gives what the other's would then count."""
    cdef View v
    cdef double threshold = other.zero_threshold, wanted, count, lost
    while threshold != h.zero_threshold:
        if h.zero_threshold > threshold:
            threshold = h.zero_threshold
            other_lost[0] = 0
            grown_zero_count(other, NULL, NULL, &threshold, other_count, other_lost)
        if threshold > h.zero_threshold:
            v = view_of(h)
            wanted, lost = threshold, h.zero_lost if compensated else 0
            grown_zero_count(
                &v, h.positive.lost if compensated else NULL, h.negative.lost if compensated else NULL, &wanted, &count,
                &lost,
            )
            h.zero_count, h.zero_threshold = count, wanted
            if compensated:
                h.zero_lost = lost
            _empty_below(&h.positive, h.schema, wanted)
            _empty_below(&h.negative, h.schema, wanted)
            compact_value(h)
        elif not threshold <= h.zero_threshold:
            return  # NaN, of which there is no order


cdef bint _widen(Side* s, const Buckets* b, int64_t first, int64_t missing) noexcept nogil:
    """Puts the buckets of b that s lacks into s, empty, from the back so that nothing is overwritten."""
    cdef int64_t i = s.size - 1, j = b.size - 1, at = s.size + missing - 1
    if not reserve_side(s, s.size + missing):
        return False
    s.size += missing
    while at > i and j >= first:
        if i >= 0 and s.index[i] >= b.index[j]:
            j -= s.index[i] == b.index[j]
            s.index[at] = s.index[i]
            s.count[at] = s.count[i]
            s.lost[at] = s.lost[i]
            i -= 1
        else:
            s.index[at] = b.index[j]
            # Minus zero, so that adding the first count gives its very bits.
            s.count[at] = -0.0
            s.lost[at] = 0
            j -= 1
        at -= 1
    return True


cdef int64_t _missing(const Side* s, const Buckets* b, int64_t first) noexcept nogil:
    """How many buckets of b, from `first` on, are not in s."""
    cdef int64_t i = 0, j, missing = 0
    for j in range(first, b.size):
        while i < s.size and s.index[i] < b.index[j]:
            i += 1
        missing += i == s.size or s.index[i] != b.index[j]
    return missing


cdef inline int64_t _common_run(const Side* s, int64_t i, const Buckets* b, int64_t j) noexcept nogil:
    """How many buckets from these two on, which are the same, both have; most layouts differ at their edges alone."""
    cdef int64_t run = 1, most = min(s.size - i, b.size - j)
    while run < most and s.index[i + run] == b.index[j + run]:
        run += 1
    return run


cdef inline void _add_run(
    Side* s, int64_t at, const double* count, int64_t n, bint subtract, bint compensated
) noexcept nogil:
    cdef int64_t k
    if compensated:
        sum_row(count, s.count + at, s.lost + at, n)
    elif subtract:
        for k in range(n):
            s.count[at + k] -= count[k]
    else:
        for k in range(n):
            s.count[at + k] += count[k]


cdef bint _add_side(
    Side* s, const Buckets* b, const double* lost, int32_t schema, double threshold, bint subtract, bint compensated
) noexcept nogil:
    """Adds the buckets that end above the threshold; False where memory is short."""
    cdef int64_t i = 0, j, first = 0, missing, run
    if threshold > 0 and not is_custom(schema):
        while first < b.size and exponential_bound(b.index[first], schema) <= threshold:
            first += 1
    if first == 0 and s.size == b.size and memcmp(s.index, b.index, b.size * sizeof(int32_t)) == 0 and lost == NULL:
        _add_run(s, 0, b.count, b.size, subtract, compensated)
        return True
    missing = _missing(s, b, first)
    if missing and not _widen(s, b, first, missing):
        return False
    j = first
    while j < b.size:
        while i < s.size - 1 and s.index[i] < b.index[j]:
            i += 1
        if lost != NULL:
            run = 1
            if s.count[i] == 0 and s.lost[i] == 0 and signbit(s.count[i]):
                # A bucket that was missing takes both as they are: where the remainder is half a unit of the last
                # place, adding it could round the count up.
                s.count[i], s.lost[i] = b.count[j], lost[j]
            else:
                kahan(b.count[j], &s.count[i], &s.lost[i])
                if lost[j] != 0:
                    kahan(lost[j], &s.count[i], &s.lost[i])
        else:
            run = _common_run(s, i, b, j)
            _add_run(s, i, b.count + j, run, subtract, compensated)
        i += run
        j += run
    return True


cdef void _map_custom(
    const Buckets* b, const double* lost, const double* bounds, int64_t bound_count, const double* common,
    int64_t common_count, double sign, double* count, double* comp,
) noexcept nogil:
    """Adds buckets into those of the bounds that two histograms have in common."""
    cdef int64_t i, at = 0, target
    for i in range(b.size):
        target = common_count
        if 0 <= b.index[i] < bound_count:
            while at < common_count and not common[at] >= bounds[b.index[i]]:
                at += 1
            target = at
        kahan(sign * b.count[i], &count[target], &comp[target])
        if lost != NULL:
            kahan(lost[i], &count[target], &comp[target])


cdef bint _add_reconciled(Value* h, const View* other, double sign, bint compensated) noexcept nogil:
    """Adds a histogram of other custom bounds: both go into the buckets of the bounds that both have."""
    cdef int64_t i = 0, j = 0, common = 0, most = min(h.bound_count, other.bound_count) + 1
    cdef double* bounds = <double*>malloc(3 * most * sizeof(double))
    cdef View own = view_of(h)
    cdef double* count
    cdef double* lost
    if bounds == NULL:
        return False
    count, lost = bounds + most, bounds + 2 * most
    memset(count, 0, 2 * most * sizeof(double))
    while i < h.bound_count and j < other.bound_count:
        if h.bounds[i] == other.bounds[j]:
            bounds[common] = h.bounds[i]
            common += 1
            i += 1
            j += 1
        elif h.bounds[i] < other.bounds[j]:
            i += 1
        else:
            j += 1
    _map_custom(
        &own.positive, h.positive.lost if compensated else NULL, h.bounds, h.bound_count, bounds, common, 1, count, lost
    )
    _map_custom(&other.positive, NULL, other.bounds, other.bound_count, bounds, common, sign, count, lost)
    h.positive.size = 0
    if not reserve_side(&h.positive, common + 1) or not set_bounds(h, bounds, common):
        free(bounds)
        return False
    for i in range(common + 1):
        if count[i] != 0 or lost[i] != 0:
            h.positive.index[h.positive.size] = <int32_t>i
            h.positive.count[h.positive.size] = count[i]
            h.positive.lost[h.positive.size] = lost[i] if compensated else 0
            h.positive.size += 1
    free(bounds)
    return True


cdef int _merge_hint(Value* h, uint8_t other) noexcept nogil:
    """The hint of a sum, and RESET_COLLISION where the two contradict."""
    if other == h.hint or h.hint == GAUGE:
        return 0
    if other == GAUGE:
        h.hint = GAUGE
        return 0
    if h.hint == UNKNOWN_RESET or other == UNKNOWN_RESET:
        h.hint = UNKNOWN_RESET
        return 0
    h.hint = UNKNOWN_RESET
    return RESET_COLLISION


cdef inline void _accumulate(double x, bint subtract, bint compensated, double* sum, double* lost) noexcept nogil:
    if compensated:
        kahan(x, sum, lost)
    elif subtract:
        sum[0] -= x
    else:
        sum[0] += x


cdef inline bint _has_side_of(const Side* s, const Buckets* b) noexcept nogil:
    return s.size == b.size and (b.size == 0 or memcmp(s.index, b.index, b.size * sizeof(int32_t)) == 0)


cdef bint has_buckets_of(const Value* h, const View* v) noexcept nogil:
    """Whether both have the same buckets, zero bucket and bounds included."""
    return (
        h.schema == v.schema
        and h.zero_threshold == v.zero_threshold
        and same_bounds(h.bound_count, h.bounds, v.bound_count, v.bounds)
        and _has_side_of(&h.positive, &v.positive)
        and _has_side_of(&h.negative, &v.negative)
    )


cdef void add_alike(Value* h, const View* v) noexcept nogil:
    """h += v, compensated, as ``add_value`` where both have the same buckets and none of them ends in the zero bucket."""
    _merge_hint(h, v.hint)
    if not is_custom(h.schema):
        kahan(v.zero_count, &h.zero_count, &h.zero_lost)
    kahan(v.count, &h.count, &h.count_lost)
    kahan(v.sum, &h.sum, &h.sum_lost)
    sum_row(v.positive.count, h.positive.count, h.positive.lost, v.positive.size)
    sum_row(v.negative.count, h.negative.count, h.negative.lost, v.negative.size)


cdef int add_value(Value* h, const View* other, bint subtract, bint compensated, Value* spare) noexcept nogil:
    """h += other or h -= other; compensated additions leave their remainders in the `lost` fields (see ``settle``).

    Returns flags. `spare` is scratch. Compensated subtractions do not exist.
    """
    cdef int flags
    cdef View reduced
    cdef double zero = other.zero_count, zero_lost = 0
    cdef const View* b = other
    cdef bint lossy = False
    if is_custom(h.schema) != is_custom(other.schema):
        return INCOMPATIBLE
    flags = _merge_hint(h, other.hint)
    if not is_custom(h.schema):
        if h.zero_threshold != other.zero_threshold:
            _reconcile_zero(h, other, compensated, &zero, &zero_lost)
        _accumulate(zero, subtract, compensated, &h.zero_count, &h.zero_lost)
        if compensated and zero_lost != 0:
            kahan(zero_lost, &h.zero_count, &h.zero_lost)
    _accumulate(other.count, subtract, compensated, &h.count, &h.count_lost)
    _accumulate(other.sum, subtract, compensated, &h.sum, &h.sum_lost)
    if is_custom(h.schema) and not same_bounds(h.bound_count, h.bounds, other.bound_count, other.bounds):
        if not _add_reconciled(h, other, -1 if subtract else 1, compensated):
            return NO_MEMORY
        return flags | RECONCILED
    if other.schema < h.schema:
        reduce_value(h, other.schema, compensated)
    elif other.schema > h.schema:
        if not set_value(spare, other):
            return NO_MEMORY
        reduce_value(spare, h.schema, compensated)
        reduced = view_of(spare)
        b = &reduced
        lossy = compensated
    if not (
        _add_side(
            &h.positive, &b.positive, spare.positive.lost if lossy else NULL, h.schema, h.zero_threshold, subtract,
            compensated,
        )
        and _add_side(
            &h.negative, &b.negative, spare.negative.lost if lossy else NULL, h.schema, h.zero_threshold, subtract,
            compensated,
        )
    ):
        return NO_MEMORY
    return flags
