# Looks at whether the query has ended, from inside a long loop that runs without the GIL.

from libc.stdint cimport int64_t

cdef enum:
    # Buckets or samples looked at between two looks: about 20 ms.
    BETWEEN_LOOKS = 1 << 22

# What was done since the last look. `check` is a callable that raises when the work is to end, borrowed, or NULL.
cdef struct Looks:
    void* check
    int64_t done


cdef inline int look(Looks* looks) except -1 nogil:
    looks.done = 0
    if looks.check != NULL:
        with gil:
            (<object>looks.check)()
    return 0


cdef inline int spend(Looks* looks, int64_t work) except -1 nogil:
    """Counts buckets or samples that were or will be looked at; raises what `check` raises when it is time to look."""
    looks.done += work
    if looks.done >= BETWEEN_LOOKS:
        look(looks)
    return 0
