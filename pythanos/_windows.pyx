"""Range functions over step windows: samples of many series in, one row of steps per series out.

Window k of a series holds its samples in ``(end - range, end]`` with ``end = first_end + k * end_step``; staleness markers are
no samples. A row has the staleness marker's bit pattern where a function has no result. Semantics: Prometheus 3.x
``promql/functions.go``, in its order of floating-point operations, so that results agree bit by bit.
"""

# Design: per series, (1) staleness markers are taken out where there are any, (2) two pointers move over the samples and leave
# the bounds of every window in `lo` and `hi`, (3) one leaf fills the row. Leaves that can work on eight steps at once
# are in _lanes.h. Scratch memory is one block per call, sized by the longest series.

import numpy as np

from libc.math cimport NAN, isinf, sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc
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
    void kahan "pt_kahan"(double x, double* sum, double* comp) noexcept
    void sum_windows "pt_sum_windows"(const double*, const int32_t*, const int32_t*, int64_t, double*) noexcept
    void avg_windows "pt_avg_windows"(const double*, const int32_t*, const int32_t*, int64_t, double*) noexcept
    void max_windows "pt_max_windows"(const double*, const int32_t*, const int32_t*, int64_t, double*) noexcept
    void min_windows "pt_min_windows"(const double*, const int32_t*, const int32_t*, int64_t, double*) noexcept
    void rate_windows "pt_rate_windows"(const Rate*, double*) noexcept
    bint has_drop "pt_has_drop"(const double* v, int64_t n) noexcept

cdef extern from "_order.h" nogil:
    double quantile "pt_quantile"(double q, double* values, int64_t n) noexcept
    double deviation "pt_mad"(double* values, int64_t n) noexcept

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


cdef int64_t _padded(int64_t n) noexcept nogil:
    return (n + 7) & ~<int64_t>7


cdef void* _allocate(Scratch* s, int64_t steps, int64_t shift, int64_t samples) noexcept nogil:
    """One block behind all scratch arrays; NULL where memory is short."""
    cdef int64_t room = _padded(samples + 1)
    cdef char* block = <char*>malloc((2 * _padded(steps) + shift) * 4 + room * (4 * 8 + 4) + 64)
    if block == NULL:
        return NULL
    s.values = <double*>block
    s.sorted = s.values + room
    s.timestamps = <int64_t*>(s.sorted + room)
    s.starts = s.timestamps + room
    s.marks = <int32_t*>(s.starts + room)
    s.bounds = s.marks + room
    return block


cdef int64_t _without_stale(
    const int64_t** t, const double** v, const int64_t** st, int64_t n, Scratch* s
) noexcept nogil:
    """Points t, v and st at copies without staleness markers, where there are any; returns how many samples are left.

    A NULL `st` stays NULL; one without any start time becomes NULL.
    """
    cdef int64_t i, kept = 0, known = 0
    if st[0] != NULL:
        for i in range(n):
            known |= st[0][i]
        if known == 0:
            st[0] = NULL
    if not has_stale(v[0], n):
        return n
    for i in range(n):
        if not absent(v[0][i]):
            s.timestamps[kept] = t[0][i]
            s.values[kept] = v[0][i]
            if st[0] != NULL:
                s.starts[kept] = st[0][i]
            kept += 1
    t[0] = s.timestamps
    v[0] = s.values
    if st[0] != NULL:
        st[0] = s.starts
    return kept


cdef int64_t _shift(const Windows* w) noexcept nogil:
    """How many steps fit into the range exactly, so that window k begins where window k - shift ends; 0 if none does."""
    if w.end_step <= 0 or w.range_ms % w.end_step or w.range_ms // w.end_step > 2 * w.steps + 64:
        return 0
    return w.range_ms // w.end_step


cdef void _bounds(const int64_t* t, int32_t n, const Windows* w, int64_t shift, Scratch* s) noexcept nogil:
    if shift:
        count_until(t, n, w.first_end - w.range_ms, w.end_step, w.steps + shift, s.bounds)
        s.lo = s.bounds
        s.hi = s.bounds + shift
    else:
        s.lo = s.bounds
        s.hi = s.bounds + w.steps
        count_until(t, n, w.first_end - w.range_ms, w.end_step, w.steps, s.lo)
        count_until(t, n, w.first_end, w.end_step, w.steps, s.hi)


cdef void _count_samples(const Windows* w, const Scratch* s, int64_t* scanned, int64_t* read) noexcept nogil:
    cdef int64_t k
    cdef int32_t begin
    scanned[0] += s.hi[0] - s.lo[0]
    read[0] += s.hi[0] - s.lo[0]
    for k in range(1, w.steps):
        begin = s.lo[k] if s.lo[k] > s.hi[k - 1] else s.hi[k - 1]
        scanned[0] += s.hi[k] - s.lo[k]
        read[0] += s.hi[k] - begin


cdef double _range_seconds(const Windows* w) noexcept nogil:
    """As Go's Duration.Seconds: whole seconds plus the rest."""
    return <double>(w.range_ms // 1000) + <double>(w.range_ms % 1000 * 1000000) / 1e9


# Leaves: one row each.


cdef void _rate(
    const int64_t* t, const double* v, int32_t n, const Windows* w, Scratch* s, bint counter, bint per_second, double* out
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
    r.range_seconds = _range_seconds(w) if per_second else 0
    r.reset = s.marks
    r.resets = 0
    if counter and has_drop(v, n):
        for i in range(1, n):
            s.marks[r.resets] = i
            r.resets += v[i] < v[i - 1]
    rate_windows(&r, out)


cdef void _last_two(
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


cdef void _simple(
    int function, const int64_t* t, const double* v, const Windows* w, const Scratch* s, double* out
) noexcept nogil:
    """What only the bounds decide."""
    cdef int64_t k
    cdef int32_t lo, hi
    for k in range(w.steps):
        lo = s.lo[k]
        hi = s.hi[k]
        if hi <= lo:
            out[k] = absent_value()
        elif function == COUNT:
            out[k] = hi - lo
        elif function == PRESENT:
            out[k] = 1
        elif function == FIRST:
            out[k] = v[lo]
        elif function == LAST:
            out[k] = v[hi - 1]
        elif function == TS_OF_FIRST:
            out[k] = <double>t[lo] / 1000
        else:
            out[k] = <double>t[hi - 1] / 1000


cdef void _transitions(
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


cdef void _variance(bint root, const double* v, const Windows* w, const Scratch* s, double* out) noexcept nogil:
    cdef int64_t k
    cdef int32_t i
    cdef double count, delta, mean, mean_c, aux, aux_c
    for k in range(w.steps):
        if s.hi[k] <= s.lo[k]:
            out[k] = absent_value()
            continue
        count = mean = mean_c = aux = aux_c = 0
        for i in range(s.lo[k], s.hi[k]):
            count += 1
            delta = v[i] - (mean + mean_c)
            kahan(delta / count, &mean, &mean_c)
            kahan(delta * (v[i] - (mean + mean_c)), &aux, &aux_c)
        out[k] = sqrt((aux + aux_c) / count) if root else (aux + aux_c) / count


cdef void _regression(
    const int64_t* t, const double* v, int32_t n, int64_t zero, double* slope, double* intercept
) noexcept nogil:
    """Least squares over n > 1 samples; the intercept is at time `zero`."""
    cdef double x, sum_x = 0, c_x = 0, sum_y = 0, c_y = 0, sum_xy = 0, c_xy = 0, sum_xx = 0, c_xx = 0
    cdef bint constant = True
    cdef int32_t i
    for i in range(n):
        constant &= not v[i] != v[0]
        x = <double>(t[i] - zero) / 1e3
        kahan(x, &sum_x, &c_x)
        kahan(v[i], &sum_y, &c_y)
        kahan(x * v[i], &sum_xy, &c_xy)
        kahan(x * x, &sum_xx, &c_xx)
    if constant and v[0] == v[0]:
        slope[0] = NAN if isinf(v[0]) else 0
        intercept[0] = NAN if isinf(v[0]) else v[0]
        return
    sum_x += c_x
    sum_y += c_y
    sum_xy += c_xy
    sum_xx += c_xx
    slope[0] = (sum_xy - sum_x * sum_y / n) / (sum_xx - sum_x * sum_x / n)
    intercept[0] = sum_y / n - slope[0] * sum_x / n


cdef void _trend(
    bint predict, const int64_t* t, const double* v, const Windows* w, const Scratch* s, const double* ahead, double* out
) noexcept nogil:
    cdef int64_t k, zero
    cdef int32_t lo, n
    cdef double slope, intercept
    for k in range(w.steps):
        lo = s.lo[k]
        n = s.hi[k] - lo
        if n < 2:
            out[k] = absent_value()
            continue
        zero = w.eval_start + k * w.eval_step if predict else t[lo]
        _regression(t + lo, v + lo, n, zero, &slope, &intercept)
        out[k] = slope * ahead[k] + intercept if predict else slope


cdef void _ranked(
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


cdef void _smooth(
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


cdef void _time_of_extreme(
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


# The same with start timestamps: a sample may say when its counter began, and that is a reset, or a left edge.


cdef bint _began_anew(int64_t before_start, int64_t before, int64_t start, int64_t now) noexcept nogil:
    """Whether the start of a sample lies behind the sample before it, or at it where that one's own start is known."""
    if start == 0 or start >= now or start < before:
        return False
    if start > before:
        return True
    return before_start != 0 and before_start < before


cdef double _started_rate(
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
        if v[i] < v[i - 1] or _began_anew(st[i - 1], t[i - 1], st[i], t[i]):
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
        factor /= _range_seconds(w)
    return increase * factor


cdef void _started_row(
    int function, const int64_t* t, const double* v, const int64_t* st, const Windows* w, const Scratch* s, double* out,
    int64_t* overlaps,
) noexcept nogil:
    """rate, increase, irate or resets of a series whose samples have start timestamps."""
    cdef int64_t k, end = w.first_end
    cdef int32_t i, lo, hi, resets
    cdef double change
    for k in range(w.steps):
        lo = s.lo[k]
        hi = s.hi[k]
        if hi <= lo or (function == IRATE and hi - lo < 2):
            out[k] = absent_value()
        elif function == RESETS:
            resets = 0
            for i in range(lo + 1, hi):
                resets += v[i] < v[i - 1] or _began_anew(st[i - 1], t[i - 1], st[i], t[i])
            out[k] = resets
        elif function == IRATE:
            i = hi - 1
            change = v[i]
            if not (v[i] < v[i - 1] or _began_anew(st[i - 1], t[i - 1], st[i], t[i])):
                change -= v[i - 1]
            out[k] = change / (<double>(t[i] - t[i - 1]) / 1000)
        else:
            out[k] = _started_rate(t, v, st, w, lo, hi, end, function == RATE, overlaps)
        end += w.end_step


cdef void _row(
    int function, const int64_t* t, const double* v, int32_t n, const Windows* w, Scratch* s,
    const double* p0, const double* p1, double* out,
) noexcept nogil:
    if function == RATE or function == INCREASE or function == DELTA:
        _rate(t, v, n, w, s, function != DELTA, function == RATE, out)
    elif function == SUM:
        sum_windows(v, s.lo, s.hi, w.steps, out)
    elif function == AVG:
        avg_windows(v, s.lo, s.hi, w.steps, out)
    elif function == MAX:
        max_windows(v, s.lo, s.hi, w.steps, out)
    elif function == MIN:
        min_windows(v, s.lo, s.hi, w.steps, out)
    elif function == IRATE or function == IDELTA:
        _last_two(t, v, w, s, function == IRATE, out)
    elif function == CHANGES or function == RESETS:
        _transitions(function == CHANGES, v, n, w, s, out)
    elif function == STDDEV or function == STDVAR:
        _variance(function == STDDEV, v, w, s, out)
    elif function == DERIV or function == PREDICT_LINEAR:
        _trend(function == PREDICT_LINEAR, t, v, w, s, p0, out)
    elif function == QUANTILE or function == MAD:
        _ranked(function == MAD, v, w, s, p0, out)
    elif function == SMOOTH:
        _smooth(v, w, s, p0, p1, out)
    elif function == TS_OF_MIN or function == TS_OF_MAX:
        _time_of_extreme(function == TS_OF_MAX, t, v, w, s, out)
    else:
        _simple(function, t, v, w, s, out)


cdef int64_t _longest(const int64_t[::1] start, int64_t samples) except -1:
    """The most samples of a series; raises ValueError for a start column that does not fit the samples."""
    cdef int64_t i, n, longest = 0
    cdef bint bad = start[0] < 0 or start[start.shape[0] - 1] > samples
    for i in range(start.shape[0] - 1):
        n = start[i + 1] - start[i]
        bad |= n < 0
        if n > longest:
            longest = n
    if bad or longest > 0x7FFFFFF0:
        raise ValueError("start does not fit the samples")
    return longest


def limit_lanes(int lanes):
    """Uses vectors of at most 8, 4 or 2 lanes from now on (0: what the CPU has), so that tests can compare them."""
    global force_width
    force_width = lanes


def range_rows(
    int function,
    const int64_t[::1] start,
    const int64_t[::1] timestamps,
    const double[::1] values,
    double[:, ::1] out,
    *,
    int64_t first_end,
    int64_t end_step,
    int64_t range_ms,
    int64_t eval_start,
    int64_t eval_step,
    const double[::1] first_parameter=None,
    const double[::1] second_parameter=None,
    const int64_t[::1] start_timestamps=None,
    int64_t[::1] overlaps=None,
):
    """Fills ``out`` (float64[n, steps]) with a range function of n series; returns (scanned, read).

    start int64[n + 1], timestamps int64[rows] ms, values float64[rows] as in SampleBatch; ``function`` is a Function. ``eval_start``
    and ``eval_step`` give the time of each step, which predict_linear starts from. Parameters are float64[steps]: q of
    quantile_over_time, t of predict_linear, the two factors of double_exponential_smoothing. ``scanned`` is the sum of
    the windows' sizes, ``read`` counts a sample once. Runs without the GIL.

    ``start_timestamps`` int64[rows] ms (0: unknown) make rate, increase, irate and resets use them; ``overlaps`` int64[n] then
    receives the number of windows of each series in which a start lies before the previous sample and is not that sample's own.
    """
    cdef Windows w
    cdef Scratch s
    cdef int64_t i, n, scanned = 0, read = 0, series = start.shape[0] - 1
    cdef const int64_t* t
    cdef const double* v
    cdef const int64_t* st
    cdef const double* p0 = NULL
    cdef const double* p1 = NULL
    cdef bint started = start_timestamps is not None and function in (RATE, INCREASE, IRATE, RESETS)
    if out.shape[0] != series or timestamps.shape[0] != values.shape[0]:
        raise ValueError("columns of different lengths")
    if started and (start_timestamps.shape[0] != values.shape[0] or overlaps is None or overlaps.shape[0] != series):
        raise ValueError("columns of different lengths")
    w.steps = out.shape[1]
    w.first_end, w.end_step, w.range_ms, w.eval_start, w.eval_step = first_end, end_step, range_ms, eval_start, eval_step
    if function in (QUANTILE, PREDICT_LINEAR, SMOOTH):
        if first_parameter is None or first_parameter.shape[0] < w.steps:
            raise ValueError("a parameter row is missing")
        p0 = &first_parameter[0]
    if function == SMOOTH:
        if second_parameter is None or second_parameter.shape[0] < w.steps:
            raise ValueError("a parameter row is missing")
        p1 = &second_parameter[0]
    if series == 0 or w.steps == 0:
        return 0, 0
    cdef int64_t shift = _shift(&w)
    cdef void* block = _allocate(&s, w.steps, shift, _longest(start, values.shape[0]))
    if block == NULL:
        raise MemoryError
    with nogil:
        for i in range(series):
            t = &timestamps[0] + start[i]
            v = &values[0] + start[i]
            st = &start_timestamps[0] + start[i] if started else NULL
            n = _without_stale(&t, &v, &st, start[i + 1] - start[i], &s)
            _bounds(t, <int32_t>n, &w, shift, &s)
            _count_samples(&w, &s, &scanned, &read)
            if st != NULL:
                _started_row(function, t, v, st, &w, &s, &out[i, 0], &overlaps[i])
            else:
                _row(function, t, v, <int32_t>n, &w, &s, p0, p1, &out[i, 0])
    free(block)
    return scanned, read


def instant_rows(
    const int64_t[::1] start,
    const int64_t[::1] timestamps,
    const double[::1] values,
    double[:, ::1] out,
    *,
    int64_t first_end,
    int64_t end_step,
    int64_t lookback_ms,
    bint times=False,
):
    """Fills ``out`` (float64[n, steps]) with the last sample of each series in ``(end - lookback, end]``; returns how many.

    A staleness marker found there means absence, and is copied as such. ``times``: the sample's time in seconds instead.
    Runs without the GIL.
    """
    cdef int64_t i, k, end, found = 0, series = start.shape[0] - 1, steps = out.shape[1]
    cdef int64_t at, stop
    cdef double value
    if out.shape[0] != series or timestamps.shape[0] != values.shape[0]:
        raise ValueError("columns of different lengths")
    _longest(start, values.shape[0])
    with nogil:
        for i in range(series):
            at = start[i]
            stop = start[i + 1]
            end = first_end
            for k in range(steps):
                while at < stop and timestamps[at] <= end:
                    at += 1
                value = absent_value()
                if at > start[i] and timestamps[at - 1] > end - lookback_ms and not absent(values[at - 1]):
                    value = <double>timestamps[at - 1] / 1000 if times else values[at - 1]
                    found += 1
                out[i, k] = value
                end += end_step
    return found


def select_samples(
    const int64_t[::1] start, const int64_t[::1] timestamps, const double[::1] values, int64_t mint, int64_t maxt
):
    """The samples in ``(mint, maxt]`` without staleness markers: (start int64[n + 1], timestamps, values), all new."""
    cdef int64_t i, j, kept = 0, series = start.shape[0] - 1
    _longest(start, values.shape[0])
    new_start, new_times = np.zeros(series + 1, np.int64), np.empty(values.shape[0], np.int64)
    new_values = np.empty(values.shape[0], np.float64)
    cdef int64_t[::1] starts = new_start, times = new_times
    cdef double[::1] out = new_values
    with nogil:
        for i in range(series):
            for j in range(start[i], start[i + 1]):
                if mint < timestamps[j] <= maxt and not absent(values[j]):
                    times[kept] = timestamps[j]
                    out[kept] = values[j]
                    kept += 1
            starts[i + 1] = kept
    return new_start, new_times[:kept].copy(), new_values[:kept].copy()


def row_samples(const double[:, ::1] rows, int64_t start_ms, int64_t step_ms):
    """Rows of steps as samples at the steps' times: (start int64[n + 1], timestamps int64[rows], values float64[rows])."""
    cdef int64_t i, k, kept = 0, series = rows.shape[0], steps = rows.shape[1]
    new_start, new_times = np.zeros(series + 1, np.int64), np.empty(series * steps, np.int64)
    new_values = np.empty(series * steps, np.float64)
    cdef int64_t[::1] starts = new_start, times = new_times
    cdef double[::1] out = new_values
    with nogil:
        for i in range(series):
            for k in range(steps):
                if not absent(rows[i, k]):
                    times[kept] = start_ms + k * step_ms
                    out[kept] = rows[i, k]
                    kept += 1
            starts[i + 1] = kept
    return new_start, new_times[:kept], new_values[:kept]
