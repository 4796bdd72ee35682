# Range functions series by series, for kernels that have one at a time, and which function is meant, for all of them.

from libc.stdint cimport int64_t

from pythanos._window_leaves cimport Scratch, Windows

cpdef enum Function:
    RATE
    INCREASE
    DELTA
    IRATE
    IDELTA
    SUM
    AVG
    MIN
    MAX
    COUNT
    PRESENT
    FIRST
    LAST
    STDDEV
    STDVAR
    QUANTILE
    MAD
    CHANGES
    RESETS
    DERIV
    PREDICT_LINEAR
    SMOOTH
    TS_OF_FIRST
    TS_OF_LAST
    TS_OF_MIN
    TS_OF_MAX


cdef struct RangeCall:
    # A range function over many series: what it is, scratch memory, and how many samples were in windows: the sum of
    # the windows' sizes, and each counted once.
    int function
    Windows windows
    const double* first
    const double* second
    int64_t shift
    int64_t capacity
    Scratch scratch
    void* block
    int64_t scanned
    int64_t read


# Begins a call; `first` and `second` are parameters of the function, None or float64[steps], and stay the caller's.
# Raises ValueError where the function has one that is missing. `close_range` frees what the call holds.
cdef int open_range(
    RangeCall* call, int function, const Windows* windows, const double[::1] first, const double[::1] second
) except -1

cdef void close_range(RangeCall* call) noexcept nogil

# Scratch memory for a series of so many samples, fewer than 2^31; False where memory is short.
cdef bint fit(RangeCall* call, int64_t samples) noexcept nogil

# One row: out float64[steps] from n samples that rise in time, n at most what was made to fit. `st`: their start
# timestamps or NULL; where there are any, `overlaps` receives the number of windows with overlapping samples.
cdef void range_row(
    RangeCall* call, const int64_t* t, const double* v, const int64_t* st, int64_t n, double* out, int64_t* overlaps
) noexcept nogil
