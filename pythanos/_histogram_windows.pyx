"""Range functions over step windows that hold native histograms.

Windows are those of ``_windows``, which computes what the float samples give; here the windows with histograms in them
are put right. Semantics: Prometheus 3.14, ``promql/functions.go``.
"""

# Design: per series, staleness markers are left out, resets or changes between neighbours are found once, and two
# pointers a kind of sample move over the windows. A window's result is a row of new columns; that of first_over_time
# and last_over_time refers to the row that came in. Most rates are the difference of two rows times a number, which is
# left to a receiver that adds them up: it then reads and writes each bucket once.

import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.stdlib cimport free
from libc.string cimport memset

from pythanos._histogram_accumulate cimport (
    add_mean, add_sum, clear_running, finish_running, is_settled, release_running, result_flags,
)
from pythanos._histogram_add cimport INCOMPATIBLE, RECONCILED, RESET_COLLISION
from pythanos._histogram_columns cimport HistogramReader, columns_of, put_growth, put_value, release_sink
from pythanos._histogram_rate cimport (
    GIVES_NOTHING, GIVES_VALUE, LACKS_MEMORY, SAID_COLLISION, SAID_IGNORED, SAID_MIXED, SAID_MIXED_SCHEMAS,
    SAID_NOT_COUNTER, SAID_NOT_GAUGE, SAID_OVERLAP, SAID_RECONCILED_ADD, SAID_RECONCILED_AGG, SAID_RECONCILED_SUB,
    Train, Work, find_resets, growth_factor, histogram_rate, is_plain, last_difference, member,
)
from pythanos._histogram_series cimport (
    Floats, Window, check_columns, find_changes, load_floats, load_histograms, longest_series, move_behind,
    series_scratch, transitions,
)
from pythanos._histogram_totals cimport Totals, add_totals, find_totals, has_totals, release_totals
from pythanos._histogram_value cimport View, release_value
from pythanos._looks cimport Looks, spend
from pythanos._window_leaves cimport Windows, absent_value, range_seconds
from pythanos._windows cimport (
    AVG, CHANGES, COUNT, DELTA, FIRST, IDELTA, INCREASE, IRATE, LAST, PRESENT, RATE, RESETS, SUM, TS_OF_FIRST,
    TS_OF_LAST,
)

# What a window has to say, as bits.
MIXED, IGNORED = SAID_MIXED, SAID_IGNORED
NOT_COUNTER, NOT_GAUGE = SAID_NOT_COUNTER, SAID_NOT_GAUGE
MIXED_SCHEMAS, COLLISION, OVERLAP = SAID_MIXED_SCHEMAS, SAID_COLLISION, SAID_OVERLAP
RECONCILED_ADD, RECONCILED_SUB, RECONCILED_AGG = SAID_RECONCILED_ADD, SAID_RECONCILED_SUB, SAID_RECONCILED_AGG

# Where the result of a window goes; `base` is NULL where none may be left as the growth from one row to another.
cdef struct Results:
    double* value
    int64_t* row
    uint16_t* said
    int64_t* base
    double* factor
    int64_t made            # the number of the first new row

cdef int _difference(const Floats* f, Train* h, const Window* w, bint rate, Work* work, double* value) noexcept nogil:
    """irate or idelta: of the last two samples, whatever they are."""
    cdef int64_t floats = w.fhi - w.flo, histograms = w.hhi - w.hlo
    cdef bint last, before
    if floats + histograms < 2:
        return GIVES_NOTHING
    last = floats == 0 or h.times[w.hhi - 1] > f.times[w.fhi - 1]
    floats -= not last
    histograms -= last
    before = histograms > 0 and (
        floats == 0 or h.times[w.hlo + histograms - 1] > f.times[w.flo + floats - 1]
    )
    if not last and not before:
        return GIVES_NOTHING
    value[0] = absent_value()
    if last != before:
        work.said |= SAID_MIXED
        return GIVES_NOTHING
    return last_difference(h, w.hhi - 1, rate, work)


cdef bint _add_up(const Train* h, const Window* w, bint mean, Work* work) noexcept nogil:
    """The running sum or mean of a window; False where memory is short."""
    cdef int64_t j
    cdef View v
    clear_running(&work.running)
    for j in range(w.hlo, w.hhi):
        v = member(h, j)
        if not (
            add_mean(&work.running, &v, &work.spare, &work.trial) if mean
            else add_sum(&work.running, &v, &work.spare)
        ):
            return False
    return True


cdef int _total(const Train* h, const Totals* totals, const Window* w, bint mean, Work* work) noexcept nogil:
    """sum_over_time or avg_over_time."""
    cdef uint8_t flags
    cdef int found = 0
    if has_totals(totals, w.hlo, w.hhi):
        found = add_totals(h, totals, w.hlo, w.hhi, mean, &work.running, &work.spare)
    if found < 0:
        return LACKS_MEMORY
    if found == 0:
        if not _add_up(h, w, False, work):
            return LACKS_MEMORY
        # What has overflowed stays so; as long as nothing has, a mean is the sum divided.
        if mean and not is_settled(&work.running) and not _add_up(h, w, True, work):
            return LACKS_MEMORY
    flags = result_flags(&work.running)
    if flags & INCOMPATIBLE:
        work.said |= SAID_MIXED_SCHEMAS
        return GIVES_NOTHING
    if flags & RECONCILED:
        work.said |= SAID_RECONCILED_AGG
    if flags & RESET_COLLISION:
        work.said |= SAID_COLLISION
    if found == 0:
        finish_running(&work.running, mean)
    return GIVES_VALUE


cdef bint _take_plain(Train* h, const Window* w, double seconds, Work* work, const Results* to) noexcept nogil:
    """rate or increase of a plain window; False where memory is short."""
    cdef int64_t first_row = h.row[w.hlo], last_row = h.row[w.hhi - 1]
    cdef double count = h.rows.count[first_row], grown = h.rows.count[last_row] - count
    cdef double factor = growth_factor(h, w.hlo, w.hhi, w.begin, w.end, True, 0, count, grown, seconds)
    cdef View first, last
    if to.base != NULL:
        to.row[0], to.base[0], to.factor[0] = last_row, first_row, factor
        return True
    first, last = member(h, w.hlo), member(h, w.hhi - 1)
    to.row[0] = to.made + work.sink.size
    return put_growth(&work.sink, &last, &first, factor)


cdef bint _answer(
    int function, const Floats* f, Train* h, const Totals* totals, const Window* w, double seconds, Work* work,
    const Results* to,
) noexcept nogil:
    """The result of a window that holds histograms; False where memory is short."""
    cdef double* value = to.value
    cdef int64_t* row = to.row
    cdef bint floats = w.fhi > w.flo
    cdef int found = GIVES_NOTHING
    if function == COUNT:
        value[0] = <double>(w.fhi - w.flo + w.hhi - w.hlo)
    elif function == PRESENT:
        value[0] = 1
    elif function == CHANGES or function == RESETS:
        value[0] = transitions(f, h, w, function == CHANGES)
    elif function == TS_OF_FIRST:
        if not floats or h.times[w.hlo] < f.times[w.flo]:
            value[0] = <double>h.times[w.hlo] / 1000
    elif function == TS_OF_LAST:
        if not floats or h.times[w.hhi - 1] > f.times[w.fhi - 1]:
            value[0] = <double>h.times[w.hhi - 1] / 1000
    elif function == FIRST:
        if not floats or h.times[w.hlo] <= f.times[w.flo]:
            value[0], row[0] = absent_value(), h.row[w.hlo]
    elif function == LAST:
        if not floats or h.times[w.hhi - 1] >= f.times[w.fhi - 1]:
            value[0], row[0] = absent_value(), h.row[w.hhi - 1]
    elif function == IRATE or function == IDELTA:
        found = _difference(f, h, w, function == IRATE, work, value)
    elif function not in (RATE, INCREASE, DELTA, SUM, AVG):
        if floats:
            work.said |= SAID_IGNORED
    elif floats:
        value[0] = absent_value()
        work.said |= SAID_MIXED
    elif function == SUM or function == AVG:
        found = _total(h, totals, w, function == AVG, work)
    elif function != DELTA and is_plain(h, w.hlo, w.hhi):
        return _take_plain(h, w, seconds if function == RATE else 0, work, to)
    else:
        found = histogram_rate(
            h, w.hlo, w.hhi, w.begin, w.end, function != DELTA, seconds if function == RATE else 0, work
        )
    if found == GIVES_VALUE:
        row[0] = to.made + work.sink.size
        if not put_value(&work.sink, &work.running.value if function == SUM or function == AVG else &work.sum):
            return False
    return found != LACKS_MEMORY


cdef void _grow(
    const Train* h, const Windows* windows, double seconds, Results to, int64_t* scanned, int64_t* read
) noexcept nogil:
    """As ``_series`` for rates and increases that are left to the receiver, of a series of which all windows are plain."""
    cdef int64_t k, lo = 0, hi = 0, seen = 0, end = windows.first_end, first, last
    cdef double count
    for k in range(windows.steps):
        move_behind(h.times, h.size, end - windows.range_ms, &lo)
        move_behind(h.times, h.size, end, &hi)
        scanned[0] += h.worth[hi] - h.worth[lo]
        read[0] += h.worth[hi] - h.worth[max(lo, seen)]
        seen = hi
        if hi - lo > 1:
            first, last = h.row[lo], h.row[hi - 1]
            count = h.rows.count[first]
            to.row[k], to.base[k] = last, first
            to.factor[k] = growth_factor(
                h, lo, hi, end - windows.range_ms, end, True, 0, count, h.rows.count[last] - count, seconds
            )
        end += windows.end_step


cdef int64_t _effort(int function, const Train* h, const Totals* totals, const Window* w) noexcept nogil:
    """About how many buckets or samples the answer to a window looks at."""
    cdef int64_t row = h.row[w.hhi - 1], buckets = h.rows.bucket_start[row + 1] - h.rows.bucket_start[row] + 16
    if (function == SUM or function == AVG) and not has_totals(totals, w.hlo, w.hhi):
        return (w.hhi - w.hlo) * buckets
    return w.hhi - w.hlo + w.fhi - w.flo + 4 * buckets


cdef int _series(
    int function, const Floats* f, Train* h, Totals* totals, const Windows* windows, Work* work, Looks* looks,
    Results to, int64_t* scanned, int64_t* read,
) except -1 nogil:
    """One row of results; 0 where memory is short. `scanned` and `read` count the samples that histograms are worth."""
    cdef Window w
    cdef int64_t k, seen = 0
    cdef double seconds = range_seconds(windows)
    memset(&w, 0, sizeof(w))
    spend(looks, h.size + h.rows.bucket_start[h.row[h.size - 1] + 1] - h.rows.bucket_start[h.row[0]] + windows.steps)
    if function == CHANGES:
        find_changes(h)
    elif function == SUM or function == AVG:
        if not find_totals(h, totals):
            return 0
    elif function in (RATE, INCREASE, IRATE, RESETS):
        find_resets(h)
        if to.base != NULL and f.size == 0 and h.since[h.size - 1] == 0 and function in (RATE, INCREASE):
            _grow(h, windows, seconds if function == RATE else 0, to, scanned, read)
            return True
    w.end = windows.first_end
    for k in range(windows.steps):
        w.begin = w.end - windows.range_ms
        move_behind(f.times, f.size, w.begin, &w.flo)
        move_behind(f.times, f.size, w.end, &w.fhi)
        move_behind(h.times, h.size, w.begin, &w.hlo)
        move_behind(h.times, h.size, w.end, &w.hhi)
        if w.hhi > w.hlo:
            scanned[0] += h.worth[w.hhi] - h.worth[w.hlo]
            read[0] += h.worth[w.hhi] - h.worth[max(w.hlo, seen)]
            seen = max(seen, w.hhi)
            spend(looks, _effort(function, h, totals, &w))
            work.said = 0
            if not _answer(function, f, h, totals, &w, seconds, work, &to):
                return False
            to.said[0] = work.said
        to.value += 1
        to.row += 1
        to.said += 1
        if to.base != NULL:
            to.base += 1
            to.factor += 1
        w.end += windows.end_step
    return True


cdef void _release(Work* work) noexcept:
    release_value(&work.sum)
    release_value(&work.empty)
    release_value(&work.spare)
    release_value(&work.trial)
    release_running(&work.running)
    release_sink(&work.sink)


def histogram_rows(
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
    const int64_t[::1] sizes,
    const int64_t[::1] start_timestamps=None,
    int64_t[:, ::1] base=None,
    double[:, ::1] factor=None,
    check=None,
):
    """Puts the windows of a range function right that hold native histograms.

    ``samples`` is the SampleBatch whose floats gave ``out`` (float64[n, steps], written to); its histograms are rows
    ``row`` (int64[h]) of ``columns`` at ``timestamps`` (int64[h] ms, rising in a series), cut into series by ``start``
    (int64[n + 1]). ``sizes`` int64: as how many samples each row of ``columns`` counts. ``start_timestamps`` int64[h]
    where they are to be used; those of the floats are used if ``samples`` has them.

    Returns (row int64[n, steps], HistogramColumns, said uint16[n, steps], scanned, read): the histograms that the
    windows gave, -1 for none, in new columns or, of first_over_time and last_over_time, in ``columns``; what the
    windows have to say; what their histograms count as, in each window and once. Runs without the GIL. Raises
    CorruptData for columns that contradict themselves.

    With ``base`` (int64[n, steps], all -1) and ``factor`` (float64[n, steps]), both written to, rates and increases may
    be left to the receiver: ``(columns[row] - columns[base]) * factor`` where there is a base, the two of one layout
    without a bucket that ends in the zero bucket; the new columns are then numbered behind ``columns``.

    ``check``, a callable, is called every 20 ms or so and may raise what ends the work.
    """
    cdef HistogramReader reader = HistogramReader(columns)
    cdef const int64_t[::1] fstart = samples.start, ftimes = samples.timestamps, fstarts = samples.start_timestamps
    cdef const double[::1] fvalues = samples.values
    cdef int64_t i, n = start.shape[0] - 1, scanned = 0, read = 0
    cdef Floats f
    cdef Train h
    cdef Totals totals
    cdef Work work
    cdef Windows w
    cdef Looks looks
    cdef Results to
    cdef bint good = True, started = start_timestamps is not None, growing = base is not None
    if out.shape[0] != n or growing and (
        base.shape[0] != n or factor.shape[0] != n or base.shape[1] != out.shape[1] or factor.shape[1] != out.shape[1]
    ):
        raise ValueError("columns of different lengths")
    check_columns(fstart, ftimes, fvalues, fstarts, start, timestamps, row, start_timestamps, sizes, reader.rows.size)
    w.steps, w.first_end, w.end_step, w.range_ms = out.shape[1], first_end, end_step, range_ms
    rows, marks = np.full((n, w.steps), -1, np.int64), np.zeros((n, w.steps), np.uint16)
    cdef int64_t[:, ::1] found = rows
    cdef uint16_t[:, ::1] said = marks
    if n == 0 or w.steps == 0:
        return rows, columns, marks, 0, 0
    memset(&work, 0, sizeof(work))
    memset(&to, 0, sizeof(to))
    memset(&totals, 0, sizeof(totals))
    to.made = reader.rows.size if growing else 0
    looks.check, looks.done = NULL if check is None else <void*>check, 0
    h.rows = &reader.rows
    cdef void* block = series_scratch(
        &f, &h, longest_series(fstart, ftimes.shape[0]), longest_series(start, row.shape[0]), fstarts is not None, started
    )
    made = columns
    try:
        with nogil:
            for i in range(n):
                load_histograms(&h, timestamps, row, start_timestamps, sizes, start[i], start[i + 1])
                if h.size == 0:
                    continue
                load_floats(&f, ftimes, fvalues, fstarts, fstart[i], fstart[i + 1])
                to.value, to.row, to.said = &out[i, 0], &found[i, 0], &said[i, 0]
                if growing:
                    to.base, to.factor = &base[i, 0], &factor[i, 0]
                good = _series(function, &f, &h, &totals, &w, &work, &looks, to, &scanned, &read)
                if not good:
                    break
        if not good:
            raise MemoryError
        if function != FIRST and function != LAST:
            made = columns_of(&work.sink)
    finally:
        free(block)
        _release(&work)
        release_totals(&totals)
    return rows, made, marks, scanned, read
