# One row of a range function: what a series' samples give in each of its windows.
#
# Design: a leaf gets the samples of one series (times `t`, values `v`, no staleness markers), the bounds of all
# windows in `s.lo` and `s.hi`, and fills `out`, absent where a window has no result. Operations and their order are
# those of Prometheus' promql/functions.go. Leaves that work on several steps at once are in _lanes.h.

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

cdef extern from "_lanes.h" nogil:
    ctypedef struct Rate "pt_rate":
        const int64_t* t
        const double* v
        int32_t n
        const int32_t* lo
        const int32_t* hi
        int64_t steps
        int64_t first_end
        int64_t end_step
        int64_t range_ms
        bint counter
        double range_seconds
        const int32_t* reset
        int32_t resets
    int force_width "pt_force_width"
    bint absent "pt_absent"(double) noexcept
    double absent_value "pt_absent_value"() noexcept
    bint has_stale "pt_has_stale"(const double* v, int64_t n) noexcept
    void count_until "pt_count_until"(
        const int64_t* t, int32_t n, int64_t first, int64_t step, int64_t steps, int32_t* out) noexcept
    int64_t window_sizes "pt_window_sizes"(const int32_t* lo, const int32_t* hi, int64_t steps) noexcept
    int64_t newest "pt_newest"(
        const int64_t* t, const double* v, int32_t n, int64_t first, int64_t step, int64_t steps, int64_t lookback,
        double* out) noexcept
    void kahan "pt_kahan"(double x, double* sum, double* comp) noexcept
    void sum_windows "pt_sum_windows"(const double*, const int32_t*, const int32_t*, int64_t, double*) noexcept
    void avg_windows "pt_avg_windows"(const double*, const int32_t*, const int32_t*, int64_t, double*) noexcept
    void max_windows "pt_max_windows"(const double*, const int32_t*, const int32_t*, int64_t, double*) noexcept
    void min_windows "pt_min_windows"(const double*, const int32_t*, const int32_t*, int64_t, double*) noexcept
    void variance_windows "pt_variance_windows"(
        const double*, const int32_t*, const int32_t*, int64_t, bint root, double*) noexcept
    void trend_windows "pt_trend_windows"(
        const int64_t*, const double*, const int32_t*, const int32_t*, int64_t, int64_t now, int64_t now_step,
        const double* ahead, double*) noexcept
    void rate_windows "pt_rate_windows"(const Rate*, double*) noexcept
    bint has_drop "pt_has_drop"(const double* v, int64_t n) noexcept

cdef extern from "_order.h" nogil:
    double quantile "pt_quantile"(double q, double* values, int64_t n) noexcept
    double deviation "pt_mad"(double* values, int64_t n) noexcept

cdef struct Windows:
    int64_t steps
    int64_t first_end
    int64_t end_step
    int64_t range_ms
    int64_t eval_start   # the step's own time, which `@` and offset do not move
    int64_t eval_step

cdef struct Scratch:
    int32_t* bounds      # behind lo and hi
    int32_t* lo
    int32_t* hi
    int32_t* marks       # positions of resets or changes
    int64_t* timestamps
    int64_t* starts
    double* values
    double* sorted


cdef inline double range_seconds(const Windows* w) noexcept nogil:
    """As Go's Duration.Seconds: whole seconds plus the rest."""
    return <double>(w.range_ms // 1000) + <double>(w.range_ms % 1000 * 1000000) / 1e9


cdef inline void rate(
    const int64_t* t, const double* v, int32_t n, const Windows* w, Scratch* s, bint counter, bint per_second,
    double* out,
) noexcept nogil:
    cdef Rate r
    cdef int32_t i
    cdef int64_t k
    if n == 0:
        for k in range(w.steps):
            out[k] = absent_value()
        return
    r.t, r.v, r.n, r.lo, r.hi = t, v, n, s.lo, s.hi
    r.steps, r.first_end, r.end_step, r.range_ms = w.steps, w.first_end, w.end_step, w.range_ms
    r.counter = counter
    r.range_seconds = range_seconds(w) if per_second else 0
    r.reset = s.marks
    r.resets = 0
    if counter and has_drop(v, n):
        for i in range(1, n):
            s.marks[r.resets] = i
            r.resets += v[i] < v[i - 1]
    rate_windows(&r, out)


cdef inline void last_two(
    const int64_t* t, const double* v, const Windows* w, const Scratch* s, bint per_second, double* out
) noexcept nogil:
    cdef int64_t k
    cdef int32_t i
    cdef double change
    for k in range(w.steps):
        i = s.hi[k] - 1
        if i - s.lo[k] < 1:
            out[k] = absent_value()
            continue
        if per_second:
            change = v[i] if v[i] < v[i - 1] else v[i] - v[i - 1]
            out[k] = change / (<double>(t[i] - t[i - 1]) / 1000)
        else:
            out[k] = v[i] - v[i - 1]


cdef inline void transitions(
    bint changes, const double* v, int32_t n, const Windows* w, Scratch* s, double* out
) noexcept nogil:
    """Changes or resets between neighbours of a window: marks[i] counts them in v[0..i]."""
    cdef int64_t k
    cdef int32_t i, seen = 0
    if n:
        s.marks[0] = 0
    for i in range(1, n):
        if changes:
            seen += v[i] != v[i - 1] and not (v[i] != v[i] and v[i - 1] != v[i - 1])
        else:
            seen += v[i] < v[i - 1]
        s.marks[i] = seen
    for k in range(w.steps):
        if s.hi[k] > s.lo[k]:
            out[k] = s.marks[s.hi[k] - 1] - s.marks[s.lo[k]]
        else:
            out[k] = absent_value()


cdef inline void ranked(
    bint mad, const double* v, const Windows* w, const Scratch* s, const double* q, double* out
) noexcept nogil:
    cdef int64_t k, n
    for k in range(w.steps):
        n = s.hi[k] - s.lo[k]
        if n <= 0:
            out[k] = absent_value()
            continue
        memcpy(s.sorted, v + s.lo[k], n * sizeof(double))
        out[k] = deviation(s.sorted, n) if mad else quantile(q[k], s.sorted, n)


cdef inline void smooth(
    const double* v, const Windows* w, const Scratch* s, const double* smoothing, const double* trend, double* out
) noexcept nogil:
    """Double exponential smoothing (Holt)."""
    cdef int64_t k
    cdef int32_t i, lo, n
    cdef double before, now, slope, level
    for k in range(w.steps):
        lo = s.lo[k]
        n = s.hi[k] - lo
        if n < 2:
            out[k] = absent_value()
            continue
        before = 0
        now = v[lo]
        slope = v[lo + 1] - v[lo]
        for i in range(1, n):
            level = smoothing[k] * v[lo + i]
            if i > 1:
                slope = trend[k] * (now - before) + (1 - trend[k]) * slope
            before, now = now, level + (1 - smoothing[k]) * (now + slope)
        out[k] = now


cdef inline void time_of_extreme(
    bint largest, const int64_t* t, const double* v, const Windows* w, const Scratch* s, double* out
) noexcept nogil:
    """The time of the last of the largest or smallest values, in seconds."""
    cdef int64_t k
    cdef int32_t i, best
    for k in range(w.steps):
        if s.hi[k] <= s.lo[k]:
            out[k] = absent_value()
            continue
        best = s.lo[k]
        for i in range(s.lo[k], s.hi[k]):
            if v[best] != v[best] or (v[i] >= v[best] if largest else v[i] <= v[best]):
                best = i
        out[k] = <double>t[best] / 1000
