"""Range functions over step windows: samples of many series in, one row of steps per series out.

Window k of a series holds its samples in ``(end - range, end]`` with ``end = first_end + k * end_step``; staleness
markers are no samples. A row has the staleness marker's bit pattern where a function has no result. Semantics:
Prometheus 3.x ``promql/functions.go``, in its order of floating-point operations, so that results agree bit by bit.
"""

# Design: per series, (1) staleness markers are taken out where there are any, (2) two pointers move over the samples
# and leave the bounds of every window in `lo` and `hi`, (3) one leaf of _window_leaves.pxd fills the row. Scratch
# memory is one block per call, sized by the longest series.

import numpy as np

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from pythanos._window_leaves cimport (
    Scratch, Windows, absent, absent_value, avg_windows, count_until, force_width, has_stale, last_two, max_windows,
    min_windows, newest, ranked, rate, smooth, sum_windows, time_of_extreme, transitions, trend_windows,
    variance_windows, window_sizes,
)
from pythanos._window_starts cimport began_anew, started_rate


cdef int64_t _padded(int64_t n) noexcept nogil:
    return (n + 7) & ~<int64_t>7


cdef bint fit(RangeCall* call, int64_t samples) noexcept nogil:
    cdef Scratch* s = &call.scratch
    cdef int64_t room = _padded(samples + 1)
    cdef char* block
    if call.block != NULL and samples <= call.capacity:
        return True
    free(call.block)
    # One block behind all scratch arrays.
    block = <char*>malloc((2 * _padded(call.windows.steps) + call.shift) * 4 + room * (4 * 8 + 4) + 64)
    call.block = block
    if block == NULL:
        return False
    call.capacity = samples
    s.values = <double*>block
    s.sorted = s.values + room
    s.timestamps = <int64_t*>(s.sorted + room)
    s.starts = s.timestamps + room
    s.marks = <int32_t*>(s.starts + room)
    s.bounds = s.marks + room
    return True


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
    """How many steps the range takes, so that window k begins where window k - shift ends; 0 if they do not fit."""
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
    scanned[0] += window_sizes(s.lo, s.hi, w.steps)
    if w.range_ms >= w.end_step:
        # No window begins behind the end of the one before it.
        read[0] += s.hi[w.steps - 1] - s.lo[0]
        return
    read[0] += s.hi[0] - s.lo[0]
    for k in range(1, w.steps):
        read[0] += s.hi[k] - max(s.lo[k], s.hi[k - 1])


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
                resets += v[i] < v[i - 1] or began_anew(st[i - 1], t[i - 1], st[i], t[i])
            out[k] = resets
        elif function == IRATE:
            i = hi - 1
            change = v[i]
            if not (v[i] < v[i - 1] or began_anew(st[i - 1], t[i - 1], st[i], t[i])):
                change -= v[i - 1]
            out[k] = change / (<double>(t[i] - t[i - 1]) / 1000)
        else:
            out[k] = started_rate(t, v, st, w, lo, hi, end, function == RATE, overlaps)
        end += w.end_step


cdef void _row(
    int function, const int64_t* t, const double* v, int32_t n, const Windows* w, Scratch* s,
    const double* p0, const double* p1, double* out,
) noexcept nogil:
    if function == RATE or function == INCREASE or function == DELTA:
        rate(t, v, n, w, s, function != DELTA, function == RATE, out)
    elif function == SUM:
        sum_windows(v, s.lo, s.hi, w.steps, out)
    elif function == AVG:
        avg_windows(v, s.lo, s.hi, w.steps, out)
    elif function == MAX:
        max_windows(v, s.lo, s.hi, w.steps, out)
    elif function == MIN:
        min_windows(v, s.lo, s.hi, w.steps, out)
    elif function == IRATE or function == IDELTA:
        last_two(t, v, w, s, function == IRATE, out)
    elif function == CHANGES or function == RESETS:
        transitions(function == CHANGES, v, n, w, s, out)
    elif function == STDDEV or function == STDVAR:
        variance_windows(v, s.lo, s.hi, w.steps, function == STDDEV, out)
    elif function == DERIV or function == PREDICT_LINEAR:
        # For deriv p0 is NULL.
        trend_windows(t, v, s.lo, s.hi, w.steps, w.eval_start, w.eval_step, p0, out)
    elif function == QUANTILE or function == MAD:
        ranked(function == MAD, v, w, s, p0, out)
    elif function == SMOOTH:
        smooth(v, w, s, p0, p1, out)
    elif function == TS_OF_MIN or function == TS_OF_MAX:
        time_of_extreme(function == TS_OF_MAX, t, v, w, s, out)
    else:
        _simple(function, t, v, w, s, out)


cdef void range_row(
    RangeCall* call, const int64_t* t, const double* v, const int64_t* st, int64_t n, double* out, int64_t* overlaps
) noexcept nogil:
    cdef const Windows* w = &call.windows
    cdef Scratch* s = &call.scratch
    n = _without_stale(&t, &v, &st, n, s)
    _bounds(t, <int32_t>n, w, call.shift, s)
    _count_samples(w, s, &call.scanned, &call.read)
    if st != NULL:
        _started_row(call.function, t, v, st, w, s, out, overlaps)
    else:
        _row(call.function, t, v, <int32_t>n, w, s, call.first, call.second, out)


cdef int open_range(
    RangeCall* call, int function, const Windows* windows, const double[::1] first, const double[::1] second
) except -1:
    memset(call, 0, sizeof(RangeCall))
    call.function, call.windows, call.shift = function, windows[0], _shift(windows)
    if function in (QUANTILE, PREDICT_LINEAR, SMOOTH):
        if first is None or first.shape[0] < windows.steps:
            raise ValueError("a parameter row is missing")
        call.first = &first[0] if windows.steps else NULL
    if function == SMOOTH:
        if second is None or second.shape[0] < windows.steps:
            raise ValueError("a parameter row is missing")
        call.second = &second[0] if windows.steps else NULL
    return 0


cdef void close_range(RangeCall* call) noexcept nogil:
    free(call.block)
    call.block = NULL


cdef int64_t _longest(const int64_t[::1] start, int64_t samples) except -1:
    """The most samples of a series; raises ValueError for a start column that does not fit the samples."""
    cdef int64_t i, n, longest = 0
    if start.shape[0] == 0:
        raise ValueError("start does not fit the samples")
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

    start int64[n + 1], timestamps int64[rows] ms, values float64[rows] as in SampleBatch; ``function`` is a Function.
    ``eval_start`` and ``eval_step`` give the time of each step, which predict_linear starts from. Parameters are
    float64[steps]: q of quantile_over_time, t of predict_linear, the two factors of double_exponential_smoothing.
    ``scanned`` is the sum of the windows' sizes, ``read`` counts a sample once. Runs without the GIL.

    ``start_timestamps`` int64[rows] ms (0: unknown) make rate, increase, irate and resets use them; ``overlaps``
    int64[n] then receives the number of windows of each series in which a start lies before the previous sample and
    is not that sample's own.
    """
    cdef Windows w
    cdef RangeCall call
    cdef int64_t i, at, series = start.shape[0] - 1
    cdef bint started = start_timestamps is not None and function in (RATE, INCREASE, IRATE, RESETS)
    if out.shape[0] != series or timestamps.shape[0] != values.shape[0]:
        raise ValueError("columns of different lengths")
    if started and (start_timestamps.shape[0] != values.shape[0] or overlaps is None or overlaps.shape[0] != series):
        raise ValueError("columns of different lengths")
    w.steps = out.shape[1]
    w.first_end, w.end_step, w.range_ms = first_end, end_step, range_ms
    w.eval_start, w.eval_step = eval_start, eval_step
    open_range(&call, function, &w, first_parameter, second_parameter)
    if series == 0 or w.steps == 0:
        return 0, 0
    if not fit(&call, _longest(start, values.shape[0])):
        raise MemoryError
    with nogil:
        for i in range(series):
            at = start[i]
            range_row(
                &call, &timestamps[0] + at, &values[0] + at, &start_timestamps[0] + at if started else NULL,
                start[i + 1] - at, &out[i, 0], &overlaps[i] if started else NULL,
            )
    close_range(&call)
    return call.scanned, call.read


cdef int64_t _newest_times(
    const int64_t* t, const double* v, int32_t n, int64_t first, int64_t step, int64_t steps, int64_t lookback,
    double* out,
) noexcept nogil:
    """As `newest`, with the samples' times in seconds."""
    cdef int64_t k, found = 0
    cdef int32_t at = 0
    for k in range(steps):
        while at < n and t[at] <= first:
            at += 1
        out[k] = absent_value()
        if at > 0 and t[at - 1] > first - lookback and not absent(v[at - 1]):
            out[k] = <double>t[at - 1] / 1000
            found += 1
        first += step
    return found


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
    """Fills ``out`` (float64[n, steps]) with the last samples in ``(end - lookback, end]``; returns how many there are.

    A staleness marker found there means absence, and is copied as such. ``times``: the sample's time in seconds
    instead. Runs without the GIL.
    """
    cdef int64_t i, found = 0, series = start.shape[0] - 1, steps = out.shape[1]
    cdef int32_t n
    cdef const double* v
    cdef const int64_t* t
    if out.shape[0] != series or timestamps.shape[0] != values.shape[0]:
        raise ValueError("columns of different lengths")
    _longest(start, values.shape[0])
    if series == 0 or steps == 0:
        return 0
    with nogil:
        for i in range(series):
            t = &timestamps[0] + start[i]
            v = &values[0] + start[i]
            n = <int32_t>(start[i + 1] - start[i])
            if times:
                found += _newest_times(t, v, n, first_end, end_step, steps, lookback_ms, &out[i, 0])
            else:
                found += newest(t, v, n, first_end, end_step, steps, lookback_ms, &out[i, 0])
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
    """Rows as samples at the steps' times: (start int64[n + 1], timestamps int64[rows], values float64[rows])."""
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
