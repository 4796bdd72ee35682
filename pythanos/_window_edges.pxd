# Where the windows of a series begin and end.

from libc.stdint cimport int64_t


cdef inline int64_t first_after(const int64_t* t, int64_t lo, int64_t hi, int64_t at) noexcept nogil:
    """The first of [lo, hi) whose time is later than `at`, or hi."""
    cdef int64_t middle
    while lo < hi:
        middle = (lo + hi) // 2
        if t[middle] > at:
            hi = middle
        else:
            lo = middle + 1
    return lo
