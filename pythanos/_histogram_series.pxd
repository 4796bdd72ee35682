# The floats and the native histograms of one series side by side, as kernels of windows take them.
#
# Staleness markers are left out while a series is loaded; resets or changes between neighbours are found once, for all
# windows.

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport malloc

from pythanos._histogram_rate cimport Train, member
from pythanos._histogram_reset cimport is_equal
from pythanos._histogram_value cimport View
from pythanos._window_leaves cimport absent
from pythanos._window_starts cimport began_anew

# The floats of one series without staleness markers; `starts` may be NULL.
cdef struct Floats:
    int64_t size
    int64_t* times
    double* values
    int64_t* starts

# One window: samples [flo, fhi) and [hlo, hhi) of (begin, end].
cdef struct Window:
    int64_t flo
    int64_t fhi
    int64_t hlo
    int64_t hhi
    int64_t begin
    int64_t end


cdef inline bint float_reset(const Floats* f, int64_t j) noexcept nogil:
    return f.values[j] < f.values[j - 1] or (
        f.starts != NULL and began_anew(f.starts[j - 1], f.times[j - 1], f.starts[j], f.times[j])
    )


cdef inline double transitions(const Floats* f, const Train* h, const Window* w, bint changes) noexcept nogil:
    """Resets or changes from sample to sample; a float after a histogram, or the reverse, is one."""
    cdef int64_t i = w.flo, j = w.hlo, found = 0
    cdef int last = -1, kind
    while i < w.fhi or j < w.hhi:
        kind = j < w.hhi and (i >= w.fhi or h.times[j] < f.times[i])
        if last >= 0 and kind != last:
            found += 1
        elif last == 1:
            found += h.reset[j]
        elif last == 0 and changes:
            found += f.values[i] != f.values[i - 1] and not (
                f.values[i] != f.values[i] and f.values[i - 1] != f.values[i - 1]
            )
        elif last == 0:
            found += float_reset(f, i)
        last = kind
        if kind:
            j += 1
        else:
            i += 1
    return <double>found


cdef inline void find_changes(Train* h) noexcept nogil:
    """Puts the changes in the place of the resets."""
    cdef int64_t j
    cdef View before, now
    for j in range(h.size):
        now = member(h, j)
        h.reset[j] = j > 0 and not is_equal(&now, &before)
        before = now


cdef inline void load_floats(
    Floats* f, const int64_t[::1] times, const double[::1] values, const int64_t[::1] starts, int64_t begin, int64_t end
) noexcept nogil:
    cdef int64_t i
    f.size = 0
    for i in range(begin, end):
        if not absent(values[i]):
            f.times[f.size] = times[i]
            f.values[f.size] = values[i]
            if f.starts != NULL:
                f.starts[f.size] = starts[i]
            f.size += 1


cdef inline void load_histograms(
    Train* h, const int64_t[::1] times, const int64_t[::1] row, const int64_t[::1] starts, const int64_t[::1] sizes,
    int64_t begin, int64_t end,
) noexcept nogil:
    cdef int64_t i
    h.size = 0
    h.worth[0] = 0
    for i in range(begin, end):
        if not absent(h.rows.sum[row[i]]):
            h.times[h.size] = times[i]
            h.row[h.size] = row[i]
            if h.starts != NULL:
                h.starts[h.size] = starts[i]
            h.worth[h.size + 1] = h.worth[h.size] + sizes[row[i]]
            h.size += 1


cdef inline int64_t longest_series(const int64_t[::1] start, int64_t samples) except -1:
    cdef int64_t i, longest = 0
    if start.shape[0] == 0 or start[0] < 0 or start[start.shape[0] - 1] > samples:
        raise ValueError("start does not fit the samples")
    for i in range(start.shape[0] - 1):
        if start[i + 1] < start[i]:
            raise ValueError("start does not fit the samples")
        longest = max(longest, start[i + 1] - start[i])
    return longest


cdef inline void move_behind(const int64_t* times, int64_t size, int64_t limit, int64_t* at) noexcept nogil:
    while at[0] < size and times[at[0]] <= limit:
        at[0] += 1


cdef inline void* series_scratch(
    Floats* f, Train* h, int64_t floats, int64_t histograms, bint floats_started, bint started
) except NULL:
    cdef int64_t words = 3 * floats + 6 * histograms + 1
    cdef int64_t* block = <int64_t*>malloc(words * 8 + 64)
    if block == NULL:
        raise MemoryError
    f.times = block
    f.values = <double*>(block + floats)
    f.starts = block + 2 * floats if floats_started else NULL
    h.times = block + 3 * floats
    h.row = h.times + histograms
    h.starts = h.row + histograms if started else NULL
    h.since = h.row + 2 * histograms
    h.worth = h.row + 3 * histograms
    h.reset = <uint8_t*>(h.worth + histograms + 1)
    return block


cdef inline int check_columns(
    const int64_t[::1] fstart, const int64_t[::1] ftimes, const double[::1] fvalues, const int64_t[::1] fstarts,
    const int64_t[::1] start, const int64_t[::1] times, const int64_t[::1] row, const int64_t[::1] starts,
    const int64_t[::1] sizes, int64_t rows,
) except -1:
    """Raises ValueError where columns of floats and histograms do not belong together, IndexError for a wrong row."""
    cdef int64_t i
    if fstart.shape[0] != start.shape[0] or ftimes.shape[0] != fvalues.shape[0]:
        raise ValueError("columns of different lengths")
    if fstarts is not None and fstarts.shape[0] != fvalues.shape[0]:
        raise ValueError("columns of different lengths")
    if times.shape[0] != row.shape[0] or sizes.shape[0] != rows:
        raise ValueError("columns of different lengths")
    if starts is not None and starts.shape[0] != row.shape[0]:
        raise ValueError("columns of different lengths")
    for i in range(row.shape[0]):
        if not 0 <= row[i] < rows:
            raise IndexError("row out of range")
    return 0
