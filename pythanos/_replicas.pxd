# Folding the samples of two replicas of a series into one.
#
# Design: samples are columns in growing buffers. `fold_penalty` is Thanos' penalty algorithm: take the replica whose next sample
# is earlier; the other must then jump past twice the current spacing, so that jitter does not switch replicas and a missed
# scrape or two do. Two refinements, both for data that would be lost or wrong else:
#
# - The spacing is the smallest one around the two heads, not only the distance to the last sample taken. After a gap in both
#   replicas that distance is the gap, and the other replica would be shut out for twice its length.
# - Counters: a switch must not look like a reset. A value below the last one taken is lifted to it, and the offset kept, unless
#   the replica itself fell since then: that is a real reset, which rate() and resets() have to see. Where a replica was not there
#   all the time, the delay between timestamp and value explains a fall only within half a scrape interval, and hardly one to
#   less than half of the value.
#
# `rising` is for counters whose resets were summed away (downsampled counter chunks): their totals start anywhere, so a switch
# continues from the last value taken with what the replica itself gained since.

#
# Two scrapers that both work differ by jitter only: after a step or two one of them is taken and stays taken. `reigns` proves that
# for all that is left, and the rest is copied.

from libc.stdint cimport INT64_MAX, INT64_MIN, UINT64_MAX, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memmove

from pythanos._arena cimport Growing, release, reserve

cdef enum Counter:
    NO_COUNTER = 0
    FALLING = 1     # resets show as falls
    RISING = 2      # resets were summed away


# Each is a walk over what is left: a replica with holes soon stops being asked.
cdef enum:
    REIGN_ATTEMPTS = 3


cdef struct Samples:
    # n samples. `st` (start timestamps) and `ref` (row of a histogram, -1 for a float) exist where the batch has any.
    # The value of a histogram sample is what the histogram is to be divided by.
    Growing t
    Growing v
    Growing st
    Growing ref
    Py_ssize_t n
    bint with_st
    bint with_ref


cdef struct Replica:
    # One side of a fold: its samples, how far they are passed, and what a counter needs to know about them.
    const Samples* samples
    Py_ssize_t at
    int64_t penalty
    double correction
    int attempts            # how often `reigns` has said no
    bint seen               # a number was passed: the last one, and its time
    double last
    int64_t last_t
    int64_t reset_t         # when the last fall was met, and the time of the sample before it
    int64_t before_reset_t


cdef inline int64_t* times(const Samples* s) noexcept nogil:
    return <int64_t*>s.t.data


cdef inline double* values(const Samples* s) noexcept nogil:
    return <double*>s.v.data


cdef inline int64_t* starts(const Samples* s) noexcept nogil:
    return <int64_t*>s.st.data


cdef inline int64_t* refs(const Samples* s) noexcept nogil:
    return <int64_t*>s.ref.data


cdef inline bint room(Samples* s, Py_ssize_t more) noexcept nogil:
    """Room for `more` samples behind the n there are; False where memory is short."""
    s.t.size = s.v.size = s.st.size = s.ref.size = 8 * s.n
    return (
        reserve(&s.t, 8 * more)
        and reserve(&s.v, 8 * more)
        and (not s.with_st or reserve(&s.st, 8 * more))
        and (not s.with_ref or reserve(&s.ref, 8 * more))
    )


cdef inline void release_samples(Samples* s) noexcept nogil:
    release(&s.t)
    release(&s.v)
    release(&s.st)
    release(&s.ref)


cdef inline void put(Samples* out, const Samples* source, Py_ssize_t i, double value) noexcept nogil:
    """Appends sample i of `source` with another value; there is room."""
    cdef Py_ssize_t n = out.n
    times(out)[n] = times(source)[i]
    values(out)[n] = value
    if out.with_st:
        starts(out)[n] = starts(source)[i]
    if out.with_ref:
        refs(out)[n] = refs(source)[i]
    out.n = n + 1


cdef inline void shift(Samples* s, Py_ssize_t to, Py_ssize_t start, Py_ssize_t count) noexcept nogil:
    """Moves samples [start, start + count) to `to`."""
    if to == start or count == 0:
        return
    memmove(times(s) + to, times(s) + start, 8 * count)
    memmove(values(s) + to, values(s) + start, 8 * count)
    if s.with_st:
        memmove(starts(s) + to, starts(s) + start, 8 * count)
    if s.with_ref:
        memmove(refs(s) + to, refs(s) + start, 8 * count)


cdef inline bint append_samples(Samples* out, const Samples* source) noexcept nogil:
    if not room(out, source.n):
        return False
    if source.n:
        memcpy(times(out) + out.n, times(source), 8 * source.n)
        memcpy(values(out) + out.n, values(source), 8 * source.n)
        if out.with_st:
            memcpy(starts(out) + out.n, starts(source), 8 * source.n)
        if out.with_ref:
            memcpy(refs(out) + out.n, refs(source), 8 * source.n)
    out.n += source.n
    return True


cdef inline bint is_number(const Samples* s, Py_ssize_t i) noexcept nogil:
    """Whether sample i is a float that is not NaN (and not a staleness marker)."""
    return values(s)[i] == values(s)[i] and (not s.with_ref or refs(s)[i] < 0)


cdef inline Replica replica_of(const Samples* samples) noexcept nogil:
    cdef Replica r
    r.samples = samples
    r.at = 0
    r.penalty = 0
    r.correction = 0
    r.attempts = 0
    r.seen = False
    r.last = 0
    r.last_t = r.reset_t = r.before_reset_t = INT64_MIN
    return r


cdef inline void pass_sample(Replica* r, Py_ssize_t i) noexcept nogil:
    """Remembers a counter's sample; a fall ends the correction that was made before it."""
    cdef double value
    if not is_number(r.samples, i):
        return
    value = values(r.samples)[i]
    if r.seen and value < r.last:
        r.reset_t = times(r.samples)[i]
        r.before_reset_t = r.last_t
        r.correction = 0
    r.seen = True
    r.last = value
    r.last_t = times(r.samples)[i]


cdef inline void seek(Replica* r, int64_t last_t, bint watch) noexcept nogil:
    """To the first sample after last_t + penalty."""
    cdef const int64_t* t = times(r.samples)
    cdef int64_t target
    if last_t == INT64_MIN:
        return
    target = last_t + r.penalty if last_t <= INT64_MAX - r.penalty else INT64_MAX
    while r.at < r.samples.n and t[r.at] <= target:
        if watch:
            pass_sample(r, r.at)
        r.at += 1


cdef inline int64_t spacing(const Replica* r, int64_t most) noexcept nogil:
    """The distance from the sample at hand to its nearer neighbour, at most `most`."""
    cdef const int64_t* t = times(r.samples)
    if r.at + 1 < r.samples.n and t[r.at + 1] - t[r.at] < most:
        most = t[r.at + 1] - t[r.at]
    if r.at > 0 and t[r.at] - t[r.at - 1] < most:
        most = t[r.at] - t[r.at - 1]
    return most


cdef inline void continue_rising(Replica* r, int64_t last_t, double last) noexcept nogil:
    """The correction under which a rising replica goes on from (last_t, last)."""
    cdef const int64_t* t = times(r.samples)
    cdef const double* v = values(r.samples)
    cdef Py_ssize_t i = r.at
    while i > 0 and t[i - 1] > last_t:
        i -= 1
    if i == 0:
        if v[r.at] + r.correction < last:
            r.correction = last - v[r.at]
        return
    r.correction = last - (v[i - 1] + (v[i] - v[i - 1]) * (<double>(last_t - t[i - 1]) / <double>(t[i] - t[i - 1])))


cdef inline bint was_watching(const Replica* r, int64_t last_t, int64_t interval) noexcept nogil:
    """Whether the replica has a sample from before last_t, and from there to the one at hand no hole of several scrapes."""
    cdef const int64_t* t = times(r.samples)
    cdef Py_ssize_t i = r.at
    while i > 0 and t[i] > last_t:
        if t[i] - t[i - 1] > 3 * interval:
            return False
        i -= 1
    return t[i] <= last_t


cdef inline bint is_reset(const Replica* r, int64_t last_t, double last, int64_t out_reset_t) noexcept nogil:
    """Whether a fall from the last value taken to this replica's sample at hand is a reset that was not taken yet."""
    cdef int64_t interval = spacing(r, INT64_MAX / 4)
    if was_watching(r, last_t, interval):
        return r.reset_t > last_t and out_reset_t <= r.before_reset_t
    return times(r.samples)[r.at] - last_t > interval / 2 or values(r.samples)[r.at] < last / 2


cdef inline uint64_t least_step(const int64_t* t, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    """The smallest distance between neighbours in t[start : end], which rise."""
    cdef uint64_t least = UINT64_MAX, step
    cdef Py_ssize_t i
    for i in range(start + 1, end):
        step = <uint64_t>t[i] - <uint64_t>t[i - 1]
        least = step if step < least else least
    return least


cdef inline bint reigns(const Replica* taken, const Replica* other) noexcept nogil:
    """Whether all samples after the one at hand will be taken too, and none of `other`; the one before it was taken.

    The penalty is at least twice the least spacing of both. So it shuts the other replica out as long as no step is longer, and
    for good if the other one ends within it.
    """
    cdef const int64_t* t = times(taken.samples)
    cdef const int64_t* o = times(other.samples)
    cdef Py_ssize_t n = taken.samples.n, i
    cdef uint64_t least = least_step(t, taken.at - 1, n), least_other, longest = 0, step
    if other.at < other.samples.n:
        least_other = least_step(o, other.at - 1 if other.at > 0 else 0, other.samples.n)
        least = least_other if least_other < least else least
    if least >= <uint64_t>1 << 62:
        return False
    for i in range(taken.at + 1, n):
        step = <uint64_t>t[i] - <uint64_t>t[i - 1]
        longest = step if step > longest else longest
    if longest > 2 * least:
        return False
    return other.at >= other.samples.n or o[other.samples.n - 1] <= t[n - 1] or (
        <uint64_t>o[other.samples.n - 1] - <uint64_t>t[n - 1] <= 2 * least
    )


cdef inline void take_rest(Replica* taken, Samples* out, Counter counter) noexcept nogil:
    """Appends what comes after the sample at hand; there is room."""
    cdef const Samples* s = taken.samples
    cdef Py_ssize_t i, start = taken.at + 1, count = s.n - taken.at - 1, n = out.n
    memcpy(times(out) + n, times(s) + start, 8 * count)
    memcpy(values(out) + n, values(s) + start, 8 * count)
    if out.with_st:
        memcpy(starts(out) + n, starts(s) + start, 8 * count)
    if out.with_ref:
        memcpy(refs(out) + n, refs(s) + start, 8 * count)
    out.n += count
    if counter == NO_COUNTER or taken.correction == 0:
        return
    for i in range(start, s.n):
        if counter == FALLING:
            pass_sample(taken, i)
        if is_number(s, i):
            values(out)[n + i - start] += taken.correction


cdef inline bint fold_penalty(const Samples* a, const Samples* b, Samples* out, Counter counter) noexcept nogil:
    """Appends the deduplicated samples of two replicas to `out`; False where memory is short."""
    cdef Replica left = replica_of(a), right = replica_of(b)
    cdef Replica* taken
    cdef Replica* other
    cdef Replica* before = &left
    cdef int64_t last_t = INT64_MIN, gap, last_number_t = INT64_MIN, out_reset_t = INT64_MIN
    cdef double last = 0, value
    cdef bint any_number = False, watch = counter == FALLING
    if not room(out, a.n + b.n):
        return False
    while True:
        seek(&left, last_t, watch)
        seek(&right, last_t, watch)
        if left.at >= a.n and right.at >= b.n:
            return True
        if right.at >= b.n or (left.at < a.n and times(a)[left.at] <= times(b)[right.at]):
            taken, other = &left, &right
        else:
            taken, other = &right, &left
        taken.penalty = 0
        if other.at < other.samples.n:
            if last_t == INT64_MIN:
                other.penalty = 5000
            else:
                gap = spacing(other, spacing(taken, times(taken.samples)[taken.at] - last_t))
                other.penalty = 2 * gap if gap < INT64_MAX / 2 else INT64_MAX
        value = values(taken.samples)[taken.at]
        if counter != NO_COUNTER and is_number(taken.samples, taken.at):
            if watch:
                pass_sample(taken, taken.at)
            if taken != before and any_number:
                if counter == RISING:
                    continue_rising(taken, last_number_t, last)
                elif value + taken.correction < last and not is_reset(taken, last_number_t, last, out_reset_t):
                    taken.correction = last - value
            value += taken.correction
            if any_number and value < last:
                out_reset_t = times(taken.samples)[taken.at]
            any_number = True
            last = value
            last_number_t = times(taken.samples)[taken.at]
        last_t = times(taken.samples)[taken.at]
        put(out, taken.samples, taken.at, value)
        if taken == before and taken.at > 0 and taken.attempts < REIGN_ATTEMPTS:
            if reigns(taken, other):
                take_rest(taken, out, counter)
                return True
            taken.attempts += 1
        before = taken


cdef inline bint fold_chain(const Samples* a, const Samples* b, Samples* out) noexcept nogil:
    """Appends all samples of both by time, one of those at the same time (a's); False where memory is short."""
    cdef Py_ssize_t i = 0, j = 0
    if not room(out, a.n + b.n):
        return False
    while i < a.n or j < b.n:
        if j >= b.n or (i < a.n and times(a)[i] <= times(b)[j]):
            j += j < b.n and times(a)[i] == times(b)[j]
            put(out, a, i, values(a)[i])
            i += 1
        else:
            put(out, b, j, values(b)[j])
            j += 1
    return True
