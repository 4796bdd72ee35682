# Rates with start timestamps: a sample may say when its counter began, and that is a reset, or a left edge.

from libc.stdint cimport int32_t, int64_t

from pythanos._window_leaves cimport Windows, absent_value, range_seconds


cdef inline bint began_anew(int64_t before_start, int64_t before, int64_t start, int64_t now) noexcept nogil:
    """Whether the start of a sample lies behind the sample before it, or at it where that one's own start is known."""
    if start == 0 or start >= now or start < before:
        return False
    if start > before:
        return True
    return before_start != 0 and before_start < before


cdef inline double started_rate(
    const int64_t* t, const double* v, const int64_t* st, const Windows* w, int32_t lo, int32_t hi, int64_t end,
    bint per_second, int64_t* overlaps,
) noexcept nogil:
    cdef int64_t begin = end - w.range_ms
    cdef int32_t i, intervals = hi - 1 - lo
    cdef double increase = v[hi - 1] - v[lo], to_start = <double>(t[lo] - begin) / 1000
    cdef double to_end = <double>(end - t[hi - 1]) / 1000, sampled = <double>(t[hi - 1] - t[lo]) / 1000
    cdef double average = sampled / intervals if intervals else 0, threshold = average * 1.1, to_zero, factor = 1
    cdef bint overlap = False
    for i in range(lo + 1, hi):
        overlap |= st[i] != 0 and st[i] < t[i - 1] and st[i] != st[i - 1]
        if v[i] < v[i - 1] or began_anew(st[i - 1], t[i - 1], st[i], t[i]):
            increase += v[i - 1]
    overlaps[0] += overlap
    if begin < st[lo] < t[lo] and st[lo] != 0:
        # The counter is known to have been zero inside the range: nothing is guessed to the left of it.
        to_start = 0
        sampled = <double>(t[hi - 1] - st[lo]) / 1000
        increase += v[lo]
    elif intervals == 0:
        return absent_value()
    else:
        if to_start >= threshold:
            to_start = average / 2
        to_zero = sampled * (v[lo] / increase) if increase > 0 and v[lo] >= 0 else to_start
        if to_zero < to_start:
            to_start = to_zero
    if to_end >= threshold:
        to_end = average / 2
    if sampled != 0:
        factor = (sampled + to_start + to_end) / sampled
    if per_second:
        factor /= range_seconds(w)
    return increase * factor
