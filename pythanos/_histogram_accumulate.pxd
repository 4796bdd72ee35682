# Running sums and means of native histograms, with compensated summation.
#
# Semantics: Prometheus 3.14, promql/engine.go (aggregation) and promql/functions.go (sum_over_time, avg_over_time): a
# mean is the sum divided by the count, until a sum overflows; from there on it is kept as a mean.

from libc.stdint cimport uint8_t

from pythanos._histogram_add cimport INCOMPATIBLE, NO_MEMORY, RECONCILED, RESET_COLLISION, add_value
from pythanos._histogram_value cimport (
    COUNTER_RESET, NOT_COUNTER_RESET, Value, View, copy_value, divide, is_finite, multiply, overflows, release_value,
    set_value, settle, view_of,
)

cdef enum:
    SEEN_RESET = 1
    SEEN_NO_RESET = 2

# Zeroed, it is empty; cleared by setting `count` and `flags` to 0, it keeps its memory.
cdef struct Running:
    Value value
    double count
    bint incremental
    uint8_t flags           # INCOMPATIBLE, RECONCILED
    uint8_t seen


cdef inline void clear_running(Running* r) noexcept nogil:
    r.count = 0
    r.incremental = False
    r.flags = r.seen = 0


cdef inline void see_hint(Running* r, uint8_t hint) noexcept nogil:
    if hint == COUNTER_RESET:
        r.seen |= SEEN_RESET
    elif hint == NOT_COUNTER_RESET:
        r.seen |= SEEN_NO_RESET


cdef inline uint8_t result_flags(const Running* r) noexcept nogil:
    """The flags of the result; resets collide only where there is one."""
    if not r.flags & INCOMPATIBLE and r.seen == (SEEN_RESET | SEEN_NO_RESET):
        return r.flags | RESET_COLLISION
    return r.flags


cdef inline bint take_flags(Running* r, int found) noexcept nogil:
    r.flags |= <uint8_t>(found & (INCOMPATIBLE | RECONCILED))
    return not found & NO_MEMORY


cdef inline bint add_sum(Running* r, const View* v, Value* spare) noexcept nogil:
    """False where memory is short. After INCOMPATIBLE nothing is added any more."""
    if r.flags & INCOMPATIBLE:
        return True
    see_hint(r, v.hint)
    r.count += 1
    if r.count == 1:
        return set_value(&r.value, v)
    return take_flags(r, add_value(&r.value, v, False, True, spare))


cdef inline bint add_mean(Running* r, const View* v, Value* spare, Value* trial) noexcept nogil:
    """As ``add_sum``; `spare` and `trial` are scratch."""
    cdef Value swapped
    cdef View part
    cdef int found
    if r.flags & INCOMPATIBLE:
        return True
    see_hint(r, v.hint)
    r.count += 1
    if r.count == 1:
        return set_value(&r.value, v)
    if not r.incremental:
        if not copy_value(trial, &r.value):
            return False
        found = add_value(trial, v, False, True, spare)
        if not take_flags(r, found) or found & INCOMPATIBLE:
            return not found & NO_MEMORY
        if not overflows(trial):
            swapped = r.value
            r.value = trial[0]
            trial[0] = swapped
            return True
        r.incremental = True
        divide(&r.value, r.count - 1)
    if not set_value(trial, v):
        return False
    divide(trial, r.count)
    multiply(&r.value, (r.count - 1) / r.count)
    part = view_of(trial)
    return take_flags(r, add_value(&r.value, &part, False, True, spare))


cdef inline bint is_settled(const Running* r) noexcept nogil:
    """Whether no sum on the way to this one can have overflowed, so that ``add_mean`` would have gone the same way."""
    return r.flags & INCOMPATIBLE or not r.flags & RECONCILED and is_finite(&r.value)


cdef inline void finish_running(Running* r, bint mean) noexcept nogil:
    """Makes the value the sum or the mean; not compacted."""
    if mean and not r.incremental:
        divide(&r.value, r.count)
    if r.count > 1:
        settle(&r.value)


cdef inline void release_running(Running* r) noexcept nogil:
    release_value(&r.value)
