"""Windows that look beyond their edges: ``anchored`` and ``smoothed`` selectors, and Thanos' xrate, xincrease, xdelta.

Arguments are those of ``_windows``; but samples must hold no staleness markers, see ``without_stale``. Sources:
``extendedRate``, ``smoothSeries``, ``extendFloats``, ``pickFirstSampleIndices`` of ``prometheus:promql`` 3.14 and
``extendedRate`` of ``promql-engine:ringbuffer/functions.go``, in their order of floating-point operations.
"""

# Design: per series two pointers move over the samples, `lo` and `hi`, which bound what a step may look at; one function
# for each kind of result works on the samples between them.

import numpy as np

from libc.stdint cimport int64_t

from pythanos._window_edges cimport first_after
from pythanos._window_leaves cimport absent, absent_value
from pythanos._window_starts cimport began_anew

from pythanos.model.series import ABSENT, STALE_NAN_BITS

cdef struct Window:
    int64_t begin        # the left edge of the range
    int64_t end          # the right edge
    int64_t range_ms
    bint smoothed


cdef void _check(const int64_t[::1] start, Py_ssize_t rows, Py_ssize_t samples) except *:
    """Raises ValueError for a start column that does not fit the samples or the rows."""
    cdef Py_ssize_t i
    if rows < 0 or start.shape[0] != rows + 1 or start[0] < 0 or start[rows] > samples:
        raise ValueError("start does not fit the samples")
    for i in range(rows):
        if start[i + 1] < start[i]:
            raise ValueError("start does not fit the samples")


cdef inline double _between(
    const int64_t* t, const double* v, int64_t left, int64_t right, int64_t at, bint counter
) noexcept nogil:
    """The value on the line between two samples; a counter that was reset between them starts from zero."""
    cdef double first = v[left], second = v[right]
    if counter and second < first:
        first = 0
    return first + (second - first) * <double>(at - t[left]) / <double>(t[right] - t[left])


cdef double _rate(
    const int64_t* t, const double* v, int64_t lo, int64_t hi, const Window* w, bint counter, bint per_second
) noexcept nogil:
    """rate, increase, delta between the values at the two edges; samples lo to hi - 1 are in reach."""
    cdef int64_t last = hi - 1, first = first_after(t, lo, last, w.begin) - 1, i
    cdef double left, right, result, before
    if first < lo:
        first = lo
    if w.smoothed:
        last = first_after(t, lo, last, w.end - 1)
    if t[last] <= w.begin or (w.smoothed and t[first] > w.end):
        return absent_value()
    left = _between(t, v, first, first + 1, w.begin, counter) if w.smoothed and t[first] < w.begin else v[first]
    right = _between(t, v, last - 1, last, w.end, counter) if w.smoothed and last > lo and t[last] > w.end else v[last]
    result = right - left
    if counter:
        # At the edges resets have been taken care of.
        first += t[first] <= w.begin
        last -= t[last] >= w.end
        before = left
        left = 0
        for i in range(first, last + 1):
            if v[i] < before:
                left += before
            before = v[i]
        if right < before:
            left += before
        result += left
    if per_second:
        result /= <double>(w.range_ms // 1000) + <double>(w.range_ms % 1000 * 1000000) / 1e9
    return result


cdef double _transitions(
    const int64_t* t, const double* v, const int64_t* st, int64_t lo, int64_t hi, const Window* w, bint changes
) noexcept nogil:
    """changes or resets from the last sample before the range on."""
    cdef int64_t first = first_after(t, lo, hi, w.begin) - 1, i, seen = 0
    if first == hi - 1:
        return absent_value()
    if first < lo:
        first = lo
    for i in range(first + 1, hi):
        if changes:
            seen += v[i] != v[i - 1] and not (v[i] != v[i] and v[i - 1] != v[i - 1])
        else:
            seen += v[i] < v[i - 1] or (st != NULL and began_anew(st[i - 1], t[i - 1], st[i], t[i]))
    return seen


cdef double _x_rate(
    const int64_t* t, const double* v, int64_t lo, int64_t hi, const Window* w, int function, int64_t appeared
) noexcept nogil:
    """xrate, xincrease, xdelta; sample lo may be the last one before the range."""
    cdef int64_t first = lo, i
    cdef double interval, average, result, correction = 0, before = 0, to_end
    cdef bint same = True
    if function == XINCREASE:
        for i in range(lo + 1, hi):
            if v[i] != v[i - 1]:
                same = False
                break
        # A series that has just appeared has risen from zero.
        if same and w.end <= w.range_ms + appeared:
            return v[lo]
    interval = <double>(t[hi - 1] - t[lo])
    average = interval / <double>(hi - lo - 1)
    if function != XINCREASE and <double>(w.begin - t[lo]) > average:
        # The sample before the range is too far away.
        if hi - lo < 3:
            return 0
        first = lo + 1
        interval = <double>(t[hi - 1] - t[first])
        average = interval / <double>(hi - lo - 2)
    if function != XDELTA:
        for i in range(first, hi):
            if v[i] < before:
                correction += before
            before = v[i]
    result = v[hi - 1] - v[first] + correction
    if function == XINCREASE:
        return result
    to_end = <double>(w.end - t[hi - 1])
    if t[first] <= w.begin and to_end < average:
        result = result * (<double>(w.range_ms // 1000) / (interval / 1000))
    if function == XRATE:
        result = result / <double>(w.range_ms // 1000)
    return result


cdef double _value(
    int function, const int64_t* t, const double* v, const int64_t* st, int64_t lo, int64_t hi, const Window* w,
    int64_t appeared,
) noexcept nogil:
    if function >= XRATE:
        return _x_rate(t, v, lo, hi, w, function, appeared)
    if function == CHANGES or function == RESETS:
        return _transitions(t, v, st, lo, hi, w, function == CHANGES)
    return _rate(t, v, lo, hi, w, function != DELTA, function == RATE)


def extended_rows(
    int function,
    const int64_t[::1] start,
    const int64_t[::1] timestamps,
    const double[::1] values,
    double[:, ::1] out,
    *,
    int64_t first_end,
    int64_t end_step,
    int64_t range_ms,
    int64_t lookback_ms,
    bint smoothed=False,
    const int64_t[::1] start_timestamps=None,
):
    """Fills ``out`` (float64[n, steps]) with a Function of n series; returns (scanned, read).

    A window takes in ``lookback_ms`` before its range, and with ``smoothed`` after it too. ``start_timestamps``
    int64[rows] ms (0: unknown) make RESETS use them. Runs without the GIL.
    """
    cdef Window w
    cdef int64_t i, k, lo, hi, first, seen, end, after, appeared, scanned = 0, read = 0, steps = out.shape[1]
    cdef const int64_t* t
    cdef const double* v
    cdef const int64_t* st
    if timestamps.shape[0] != values.shape[0]:
        raise ValueError("columns of different lengths")
    if start_timestamps is not None and start_timestamps.shape[0] != values.shape[0]:
        raise ValueError("columns of different lengths")
    _check(start, out.shape[0], values.shape[0])
    if values.shape[0] == 0:
        np.asarray(out)[:] = ABSENT
        return 0, 0
    w.range_ms = range_ms
    w.smoothed = smoothed
    after = lookback_ms if smoothed else 0
    with nogil:
        for i in range(out.shape[0]):
            t = &timestamps[0]
            v = &values[0]
            st = &start_timestamps[0] if start_timestamps is not None else NULL
            end = first_end
            lo = hi = start[i]
            while lo < start[i + 1] and t[lo] < first_end - range_ms - lookback_ms:
                lo += 1
            appeared = t[lo] if lo < start[i + 1] else 0
            for k in range(steps):
                while lo < start[i + 1] and t[lo] <= end - range_ms - lookback_ms:
                    lo += 1
                seen = hi if hi > lo else lo
                if hi < lo:
                    hi = lo
                while hi < start[i + 1] and t[hi] <= end + after:
                    hi += 1
                w.end = end
                w.begin = end - range_ms
                # Of what lies before the range, an x function looks at the last sample only.
                first = max(lo, first_after(t, lo, hi, w.begin) - 1) if function >= XRATE else lo
                scanned += hi - first
                read += hi - (seen if seen > first else first)
                out[i, k] = _value(function, t, v, st, first, hi, &w, appeared) if hi > lo else absent_value()
                end += end_step
    return scanned, read


def smoothed_rows(
    const int64_t[::1] start,
    const int64_t[::1] timestamps,
    const double[::1] values,
    double[:, ::1] out,
    *,
    int64_t first_end,
    int64_t end_step,
    int64_t lookback_ms,
):
    """Fills ``out`` (float64[n, steps]) with values on the lines between samples; returns how many there are.

    Behind the last sample its value holds for ``lookback_ms``; before the first there is none. Runs without the GIL.
    """
    cdef int64_t i, k, at, end, found = 0, steps = out.shape[1]
    cdef double value
    if timestamps.shape[0] != values.shape[0]:
        raise ValueError("columns of different lengths")
    _check(start, out.shape[0], values.shape[0])
    with nogil:
        for i in range(out.shape[0]):
            at = start[i]
            end = first_end
            for k in range(steps):
                while at < start[i + 1] and timestamps[at] < end:
                    at += 1
                value = absent_value()
                if at < start[i + 1] and timestamps[at] == end:
                    value = values[at]
                elif at > start[i] and timestamps[at - 1] > end - lookback_ms:
                    value = values[at - 1]
                    if at < start[i + 1] and timestamps[at] <= end + lookback_ms:
                        value = _between(&timestamps[0], &values[0], at - 1, at, end, False)
                found += not absent(value)
                out[i, k] = value
                end += end_step
    return found


def extended_samples(
    const int64_t[::1] start,
    const int64_t[::1] timestamps,
    const double[::1] values,
    int64_t mint,
    int64_t maxt,
    *,
    int64_t lookback_ms,
    bint smoothed=False,
):
    """The samples of a range with one at each of its edges: (start int64[n + 1], timestamps, values), all new.

    A series without a sample behind ``mint`` has none.
    """
    cdef int64_t i, j, lo, hi, first, last, kept = 0, series = start.shape[0] - 1
    cdef int64_t after = lookback_ms if smoothed else 0
    if timestamps.shape[0] != values.shape[0]:
        raise ValueError("columns of different lengths")
    _check(start, series, values.shape[0])
    new_start = np.zeros(series + 1, np.int64)
    new_times = np.empty(values.shape[0] + 2 * series, np.int64)
    new_values = np.empty(values.shape[0] + 2 * series, np.float64)
    cdef int64_t[::1] starts = new_start, times = new_times
    cdef double[::1] out = new_values
    cdef const int64_t* t
    cdef const double* v
    with nogil:
        for i in range(series):
            starts[i + 1] = kept
            if start[i] == start[i + 1]:
                continue
            t = &timestamps[0]
            v = &values[0]
            lo = first_after(t, start[i], start[i + 1], mint - lookback_ms)
            hi = first_after(t, lo, start[i + 1], maxt + after)
            last = hi - 1
            if last < lo:
                continue
            first = max(lo, first_after(t, lo, last, mint) - 1)
            if smoothed:
                last = first_after(t, lo, last, maxt - 1)
            if t[last] <= mint:
                continue
            times[kept] = mint
            out[kept] = _between(t, v, first, first + 1, mint, False) if smoothed and t[first] < mint else v[first]
            kept += 1
            for j in range(first + (t[first] <= mint), last + 1 - (t[last] >= maxt)):
                times[kept] = t[j]
                out[kept] = v[j]
                kept += 1
            times[kept] = maxt
            out[kept] = v[last]
            if smoothed and last > lo and t[last] > maxt:
                out[kept] = _between(t, v, last - 1, last, maxt, False)
            kept += 1
            starts[i + 1] = kept
    return new_start, new_times[:kept].copy(), new_values[:kept].copy()


def without_stale(const int64_t[::1] start, const double[::1] values):
    """(start int64[n + 1] after staleness markers are left out, rows int64 that are kept), or None if there is none."""
    cdef Py_ssize_t i
    cdef bint found = False
    with nogil:
        for i in range(values.shape[0]):
            found |= absent(values[i])
    if not found:
        return None
    _check(start, start.shape[0] - 1, values.shape[0])
    kept = np.asarray(values).view(np.int64) != STALE_NAN_BITS
    counts = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept, dtype=np.int64)])
    return counts[np.asarray(start)], np.nonzero(kept)[0]
