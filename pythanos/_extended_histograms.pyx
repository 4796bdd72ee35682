"""Native histograms in windows that look beyond their edges: ``anchored`` and ``smoothed`` selectors.

Windows are those of ``_extended``, which computes what the float samples give; here the windows with histograms in
them are put right. Source: ``extendedHistogramRate``, ``smoothSeries``, ``pickFirstSampleIndices`` of
``prometheus:promql`` 3.14, in their order of floating-point operations.
"""

# Design: as in _histogram_windows, which shares how a series is loaded. Histograms at the edges are made in `left` and
# `right`, what counters had reached when they were reset is added up in `lost`.

import numpy as np

from libc.stdint cimport int64_t, uint16_t
from libc.stdlib cimport free
from libc.string cimport memset

from pythanos._extended cimport CHANGES, DELTA, INCREASE, RATE, RESETS
from pythanos._histogram_add cimport INCOMPATIBLE, NO_MEMORY, RECONCILED, add_value
from pythanos._histogram_columns cimport HistogramReader, Sink, columns_of, put_value, put_view, release_sink
from pythanos._histogram_rate cimport (
    GIVES_NOTHING, GIVES_VALUE, LACKS_MEMORY, SAID_MIXED, SAID_MIXED_SCHEMAS, SAID_NOT_COUNTER, SAID_NOT_GAUGE,
    SAID_RECONCILED_ADD, SAID_RECONCILED_SUB, Train, find_resets, member,
)
from pythanos._histogram_reset cimport was_reset
from pythanos._histogram_series cimport (
    Floats, Window, check_columns, find_changes, load_floats, load_histograms, longest_series, move_behind,
    series_scratch, transitions,
)
from pythanos._histogram_value cimport (
    GAUGE, UNKNOWN_RESET, Value, View, compact_value, copy_value, divide, is_custom, multiply, release_value, set_value,
    view_of,
)
from pythanos._looks cimport Looks, spend
from pythanos._window_edges cimport first_after
from pythanos._window_leaves cimport Windows, absent_value, range_seconds

# What is asked of every window.
cdef struct Question:
    int function
    bint smoothed
    int64_t before_ms       # how far before its begin a window looks, and how far behind its end
    int64_t behind_ms
    double seconds

# Scratch; `right` has the result.
cdef struct Work:
    Value left
    Value right
    Value edge
    Value lost
    Value spare
    Sink sink
    uint16_t said


cdef int _add(Value* h, const View* other, bint subtract, Work* work) noexcept nogil:
    """h += other or h -= other, with what there is to say about it."""
    cdef int flags = add_value(h, other, subtract, False, &work.spare)
    if flags & NO_MEMORY:
        return LACKS_MEMORY
    if flags & INCOMPATIBLE:
        work.said |= SAID_MIXED_SCHEMAS
        return GIVES_NOTHING
    if flags & RECONCILED:
        work.said |= SAID_RECONCILED_SUB if subtract else SAID_RECONCILED_ADD
    return GIVES_VALUE


cdef int _between(const Train* s, int64_t j, int64_t at, bint counter, Value* out, Work* work) noexcept nogil:
    """The histogram on the line between the samples j - 1 and j; a counter that was reset there starts from nothing."""
    cdef View before = member(s, j - 1), behind = member(s, j)
    cdef double fraction = <double>(at - s.times[j - 1]) / <double>(s.times[j] - s.times[j - 1])
    cdef int found
    if at == s.times[j]:
        return GIVES_VALUE if set_value(out, &behind) else LACKS_MEMORY
    if not set_value(out, &behind):
        return LACKS_MEMORY
    if counter and s.reset[j]:
        multiply(out, fraction)
        return GIVES_VALUE
    found = _add(out, &before, True, work)
    if found != GIVES_VALUE:
        return found
    multiply(out, fraction)
    return _add(out, &before, False, work)


cdef bint _agree(const Train* s, int64_t first, int64_t last, bint counter, Work* work) noexcept nogil:
    """Looks at the hints and kinds of the samples first to last; False where the kinds differ."""
    cdef int64_t j
    cdef View v
    cdef bint custom
    if s.uniform and not s.gauges:
        return True
    v = member(s, first)
    custom = is_custom(v.schema)
    for j in range(first, last + 1):
        v = member(s, j)
        if is_custom(v.schema) != custom:
            work.said |= SAID_MIXED_SCHEMAS
            return False
        if counter and v.hint == GAUGE:
            work.said |= SAID_NOT_COUNTER
    return True


cdef int _note_loss(const View* before, bint* some, Work* work) noexcept nogil:
    """Adds what a counter had reached."""
    if some[0]:
        return _add(&work.lost, before, False, work)
    some[0] = True
    return GIVES_VALUE if set_value(&work.lost, before) else LACKS_MEMORY


cdef int _find_losses(
    const Train* s, int64_t first, int64_t last, bint skipping, bint* some, Work* work
) noexcept nogil:
    """Adds up in work.lost what was reset after the left edge, up to the right one; `some` is False for nothing.

    skipping: the left edge is behind the reset of the sample after `first`, which then takes its place.
    """
    cdef int64_t j = first + 1
    cdef View before = view_of(&work.left), now, right = view_of(&work.edge)
    cdef int found = GIVES_VALUE
    if skipping:
        before = member(s, j)
        j += 1
    if j > last:
        return GIVES_VALUE
    while j < last and found == GIVES_VALUE:
        now = member(s, j)
        if was_reset(&now, &before):
            found = _note_loss(&before, some, work)
        before = now
        j += 1
    if found == GIVES_VALUE and was_reset(&right, &before):
        found = _note_loss(&before, some, work)
    return found


cdef int _rate(Train* s, const Window* w, const Question* q, Work* work) noexcept nogil:
    """rate, increase, delta between the histograms at the two edges, into work.right."""
    cdef bint counter = q.function != DELTA, some = False, left_of, right_of
    cdef int64_t last = w.hhi - 1, first = max(w.hlo, first_after(s.times, w.hlo, last, w.begin) - 1)
    cdef int found
    cdef View v
    if q.smoothed:
        last = first_after(s.times, w.hlo, last, w.end - 1)
    if s.times[last] <= w.begin or (q.smoothed and s.times[first] > w.end):
        return GIVES_NOTHING
    if not _agree(s, first, last, counter, work):
        return GIVES_NOTHING
    left_of = q.smoothed and s.times[first] < w.begin
    right_of = q.smoothed and last > w.hlo and s.times[last] > w.end
    found = _edge(s, first + 1 if left_of else first, left_of, w.begin, counter, &work.left, work)
    if found != GIVES_VALUE:
        return found
    found = _edge(s, last, right_of, w.end, counter, &work.edge, work)
    if found != GIVES_VALUE:
        return found
    if not counter and (work.left.hint != GAUGE or work.edge.hint != GAUGE):
        work.said |= SAID_NOT_GAUGE
    if not copy_value(&work.right, &work.edge):
        return LACKS_MEMORY
    v = view_of(&work.left)
    found = _add(&work.right, &v, True, work)
    if found == GIVES_VALUE and counter:
        found = _find_losses(s, first, last, left_of and s.reset[first + 1], &some, work)
    if found == GIVES_VALUE and some:
        v = view_of(&work.lost)
        found = _add(&work.right, &v, False, work)
    if found != GIVES_VALUE:
        return found
    if q.function == RATE:
        divide(&work.right, q.seconds)
    work.right.hint = GAUGE
    compact_value(&work.right)
    return GIVES_VALUE


cdef int _edge(
    const Train* s, int64_t j, bint between, int64_t at, bint counter, Value* out, Work* work
) noexcept nogil:
    """Sample j, or what is between it and the one before."""
    cdef View v
    if between:
        return _between(s, j, at, counter, out, work)
    v = member(s, j)
    return GIVES_VALUE if set_value(out, &v) else LACKS_MEMORY


cdef double _count(const Floats* f, const Train* h, const Window* reach, bint changes) noexcept nogil:
    """changes or resets from the last sample before the range on, whatever that is."""
    cdef Window w = reach[0]
    w.flo = first_after(f.times, reach.flo, reach.fhi, w.begin)
    w.hlo = first_after(h.times, reach.hlo, reach.hhi, w.begin)
    if w.flo == w.fhi and w.hlo == w.hhi:
        return absent_value()
    if w.flo > reach.flo and (w.hlo == reach.hlo or f.times[w.flo - 1] >= h.times[w.hlo - 1]):
        w.flo -= 1
    elif w.hlo > reach.hlo:
        w.hlo -= 1
    return transitions(f, h, &w, changes)


cdef bint _answer(
    const Floats* f, Train* h, const Window* w, const Question* q, Work* work, double* value, int64_t* row
) noexcept nogil:
    """The result of a window with histograms in reach; False where memory is short."""
    cdef int found
    if q.function == CHANGES or q.function == RESETS:
        value[0] = _count(f, h, w, q.function == CHANGES)
        return True
    if w.fhi > w.flo:
        value[0] = absent_value()
        work.said |= SAID_MIXED
        return True
    found = _rate(h, w, q, work)
    if found == GIVES_VALUE:
        row[0] = work.sink.size
        return put_value(&work.sink, &work.right)
    return found != LACKS_MEMORY


cdef bint _look(
    const Floats* f, const Train* h, const Window* w, Work* work, double* value, int64_t* row
) noexcept nogil:
    """The histogram on the line between samples at the end of a window; False where memory is short."""
    cdef int64_t j
    cdef int found = GIVES_VALUE
    cdef View v, before
    if w.fhi > w.flo:
        value[0] = absent_value()
        work.said |= SAID_MIXED
        return True
    j = first_after(h.times, w.hlo, w.hhi, w.end - 1)
    if j < w.hhi and h.times[j] == w.end:
        v = member(h, j)
    elif j == w.hlo:
        return True
    elif j == w.hhi:
        v = member(h, j - 1)
        # A hint is about two samples that follow one another.
        v.hint = UNKNOWN_RESET
    else:
        before, v = member(h, j - 1), member(h, j)
        if is_custom(before.schema) != is_custom(v.schema):
            work.said |= SAID_MIXED_SCHEMAS
            return True
        found = _between(h, j, w.end, before.hint != GAUGE or v.hint != GAUGE, &work.right, work)
        v = view_of(&work.right)
    if found != GIVES_VALUE:
        return found != LACKS_MEMORY
    row[0] = work.sink.size
    return put_view(&work.sink, &v)


cdef int64_t _effort(const Train* h, const Window* w, const Question* q) noexcept nogil:
    """About how many buckets or samples the answer to a window looks at; rates look for resets in all of it."""
    cdef int64_t row = h.row[w.hhi - 1], buckets = h.rows.bucket_start[row + 1] - h.rows.bucket_start[row] + 16
    if q.function == RATE or q.function == INCREASE:
        return (w.hhi - w.hlo) * buckets
    return w.hhi - w.hlo + w.fhi - w.flo + 4 * buckets


cdef int _series(
    const Floats* f, Train* h, const Windows* windows, const Question* q, Work* work, Looks* looks, double* out,
    int64_t* row, uint16_t* said, int64_t* scanned, int64_t* read,
) except -1 nogil:
    """One row of results, those of an instant selector where the function is below zero; 0 where memory is short."""
    cdef Window w
    cdef int64_t k, seen = 0
    cdef bint good
    memset(&w, 0, sizeof(w))
    spend(looks, h.size + h.rows.bucket_start[h.row[h.size - 1] + 1] - h.rows.bucket_start[h.row[0]] + windows.steps)
    if q.function == CHANGES:
        find_changes(h)
    else:
        find_resets(h)
    w.end = windows.first_end
    for k in range(windows.steps):
        w.begin = w.end - windows.range_ms
        move_behind(f.times, f.size, w.begin - q.before_ms, &w.flo)
        move_behind(f.times, f.size, w.end + q.behind_ms, &w.fhi)
        move_behind(h.times, h.size, w.begin - q.before_ms, &w.hlo)
        move_behind(h.times, h.size, w.end + q.behind_ms, &w.hhi)
        if w.hhi > w.hlo:
            scanned[0] += h.worth[w.hhi] - h.worth[w.hlo]
            read[0] += h.worth[w.hhi] - h.worth[max(w.hlo, seen)]
            seen = max(seen, w.hhi)
            spend(looks, _effort(h, &w, q))
            work.said = 0
            if q.function < 0:
                good = _look(f, h, &w, work, &out[k], &row[k])
            else:
                good = _answer(f, h, &w, q, work, &out[k], &row[k])
            if not good:
                return False
            said[k] = work.said
        w.end += windows.end_step
    return True


cdef void _release(Work* work) noexcept:
    release_value(&work.left)
    release_value(&work.right)
    release_value(&work.edge)
    release_value(&work.lost)
    release_value(&work.spare)
    release_sink(&work.sink)


cdef tuple _rows(
    Question q, Windows w, samples, columns, const int64_t[::1] start, const int64_t[::1] timestamps,
    const int64_t[::1] row, double[:, ::1] out, const int64_t[::1] sizes, const int64_t[::1] start_timestamps, check,
):
    cdef HistogramReader reader = HistogramReader(columns)
    cdef const int64_t[::1] fstart = samples.start, ftimes = samples.timestamps, fstarts = samples.start_timestamps
    cdef const double[::1] fvalues = samples.values
    cdef int64_t i, n = start.shape[0] - 1, scanned = 0, read = 0
    cdef Floats f
    cdef Train h
    cdef Work work
    cdef Looks looks
    cdef bint good = True
    if out.shape[0] != n:
        raise ValueError("columns of different lengths")
    check_columns(fstart, ftimes, fvalues, fstarts, start, timestamps, row, start_timestamps, sizes, reader.rows.size)
    w.steps = out.shape[1]
    q.seconds = range_seconds(&w)
    rows, marks = np.full((n, w.steps), -1, np.int64), np.zeros((n, w.steps), np.uint16)
    cdef int64_t[:, ::1] found = rows
    cdef uint16_t[:, ::1] said = marks
    if n == 0 or w.steps == 0:
        return rows, columns, marks, 0, 0
    memset(&work, 0, sizeof(work))
    looks.check, looks.done = NULL if check is None else <void*>check, 0
    h.rows = &reader.rows
    cdef void* block = series_scratch(
        &f, &h, longest_series(fstart, ftimes.shape[0]), longest_series(start, row.shape[0]), fstarts is not None,
        start_timestamps is not None,
    )
    try:
        with nogil:
            for i in range(n):
                load_histograms(&h, timestamps, row, start_timestamps, sizes, start[i], start[i + 1])
                if h.size == 0:
                    continue
                load_floats(&f, ftimes, fvalues, fstarts, fstart[i], fstart[i + 1])
                good = _series(&f, &h, &w, &q, &work, &looks, &out[i, 0], &found[i, 0], &said[i, 0], &scanned, &read)
                if not good:
                    break
        if not good:
            raise MemoryError
        made = columns_of(&work.sink)
    finally:
        free(block)
        _release(&work)
    return rows, made, marks, scanned, read


def extended_histogram_rows(
    int function,
    samples,
    columns,
    const int64_t[::1] start,
    const int64_t[::1] timestamps,
    const int64_t[::1] row,
    double[:, ::1] out,
    *,
    int64_t first_end,
    int64_t end_step,
    int64_t range_ms,
    int64_t lookback_ms,
    const int64_t[::1] sizes,
    bint smoothed=False,
    const int64_t[::1] start_timestamps=None,
    check=None,
):
    """Puts the windows of a Function right that have native histograms in reach.

    Arguments and results are those of ``_histogram_windows.histogram_rows``; a window takes in ``lookback_ms`` before
    its range, and with ``smoothed`` after it too. Start timestamps are used by RESETS only. Runs without the GIL. Raises
    ValueError for an x function, CorruptData for columns that contradict themselves.
    """
    cdef Question q
    cdef Windows w
    if function not in (RATE, INCREASE, DELTA, CHANGES, RESETS):
        raise ValueError("not a function of native histograms")
    q.function, q.smoothed, q.before_ms, q.behind_ms = function, smoothed, lookback_ms, lookback_ms if smoothed else 0
    w.first_end, w.end_step, w.range_ms = first_end, end_step, range_ms
    return _rows(
        q, w, samples, columns, start, timestamps, row, out, sizes, start_timestamps if function == RESETS else None,
        check,
    )


def smoothed_histogram_rows(
    samples,
    columns,
    const int64_t[::1] start,
    const int64_t[::1] timestamps,
    const int64_t[::1] row,
    double[:, ::1] out,
    *,
    int64_t first_end,
    int64_t end_step,
    int64_t lookback_ms,
    const int64_t[::1] sizes,
    check=None,
):
    """Puts the steps of a smoothed instant selector right that have native histograms in reach.

    Arguments and results as in ``extended_histogram_rows``. Runs without the GIL.
    """
    cdef Question q
    cdef Windows w
    q.function, q.smoothed, q.before_ms, q.behind_ms = -1, True, lookback_ms, lookback_ms
    w.first_end, w.end_step, w.range_ms = first_end, end_step, 0
    return _rows(q, w, samples, columns, start, timestamps, row, out, sizes, None, check)
