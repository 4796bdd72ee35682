# The samples of one replica put in order: rising in time, inside the range, and as one counter.
#
# All of them work in place on the samples from `start` on; those before are of other series or chunks.

from libc.stdint cimport INT64_MAX, int64_t

from pythanos._replicas cimport Samples, is_number, refs, shift, times, values

cdef extern from "_lanes.h" nogil:
    bint has_halt "pt_has_halt"(const int64_t* t, int64_t n) noexcept


cdef inline void make_rise(Samples* s, Py_ssize_t start, int64_t last_t) noexcept nogil:
    """Removes samples from `start` on that are not later than the one before them; the first must be after last_t."""
    cdef int64_t* t = times(s)
    cdef Py_ssize_t i, kept = start
    if start >= s.n or (t[start] > last_t and not has_halt(t + start, s.n - start)):
        return
    for i in range(start, s.n):
        if t[i] > last_t:
            last_t = t[i]
            shift(s, kept, i, 1)
            kept += 1
    s.n = kept


cdef inline void sum_resets(Samples* s, Py_ssize_t start) noexcept nogil:
    """Counter chunks, one after another, to totals that only rise, in place.

    A sample at the time of the one before it says where the counter really stood at the end of its chunk. Markers and
    other NaN are left out, samples that go back in time too; histograms pass.
    """
    cdef int64_t* t = times(s)
    cdef double* v = values(s)
    cdef Py_ssize_t i, kept = start
    cdef bint any_sample = False, any_number = False
    cdef int64_t last_t = 0
    cdef double last = 0, total = 0, value
    for i in range(start, s.n):
        if s.with_ref and refs(s)[i] >= 0:
            if any_sample and t[i] <= last_t:
                continue
            shift(s, kept, i, 1)
        else:
            value = v[i]
            if value != value:
                continue
            if any_sample and t[i] <= last_t:
                if t[i] == last_t:
                    last = value
                continue
            total = value if not any_number else total + (value - last if value >= last else value)
            any_number = True
            last = value
            shift(s, kept, i, 1)
            v[kept] = total
        any_sample = True
        last_t = t[i]
        kept += 1
    s.n = kept


cdef inline void lift_part(Samples* s, Py_ssize_t start, Py_ssize_t part) noexcept nogil:
    """Undoes a small fall where the chunks of two real replicas met in one virtual one: [start, part) and [part, n).

    Over more than half a scrape interval a fall is a reset, as in `fold_penalty`.
    """
    cdef double* v = values(s)
    cdef int64_t* t = times(s)
    cdef double lift, last
    cdef int64_t interval = INT64_MAX
    cdef Py_ssize_t before = part - 1, i = part
    while before >= start and not is_number(s, before):
        before -= 1
    while i < s.n and not is_number(s, i):
        i += 1
    if before < start or i >= s.n or not v[before] / 2 <= v[i] < v[before]:
        return
    if i + 1 < s.n:
        interval = t[i + 1] - t[i]
    elif before > start:
        # The step before may be another such meeting.
        interval = t[before] - t[before - 1]
        if before > start + 1 and t[before - 1] - t[before - 2] > interval:
            interval = t[before - 1] - t[before - 2]
    if t[i] - t[before] > interval / 2:
        return
    lift = v[before] - v[i]
    last = v[i]
    for i in range(i, s.n):
        if is_number(s, i):
            if v[i] < last:
                return
            last = v[i]
            v[i] += lift


cdef inline void cut(Samples* s, Py_ssize_t start, int64_t mint, int64_t maxt) noexcept nogil:
    """Removes the samples from `start` on that are outside [mint, maxt]; they rise in time."""
    cdef int64_t* t = times(s)
    cdef Py_ssize_t first = start
    while s.n > start and t[s.n - 1] > maxt:
        s.n -= 1
    while first < s.n and t[first] < mint:
        first += 1
    shift(s, start, first, s.n - first)
    s.n -= first - start
