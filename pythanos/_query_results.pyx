"""Series of QueryResponse and QueryRangeResponse messages -> rows of a step matrix.

Design. Messages laid end to end scan like one: each top-level field is a warning, a series, statistics or a batch of
series. A first pass finds where the series lie, a second one reads them with the GIL released: labels are written as a
label block, a float goes straight to its step, histograms are appended to growing columns (`_query_histograms.pxd`)
with the place that each belongs to. Nothing but the columns is allocated.

The numbers are those of query.proto of Thanos and of prompb's types.proto: TimeSeries (1 labels, 2 samples,
4 histograms), Sample (1 value, 2 timestamp).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from pythanos._arena cimport Growing, append, release, reserve
from pythanos._cursor cimport Cursor, cursor, offset, read_uvarint
from pythanos._histogram_columns cimport columns_of
from pythanos._label_rows cimport compare_text, label_size, put_label, sealed_column
from pythanos._message_fields cimport BYTES, NO_MEMORY, Packed, inside, read_double, skip
from pythanos._query_histograms cimport HistogramReading, put_histogram, read_histogram, release_histograms

from dataclasses import replace

from pythanos.errors import CorruptData

cdef enum:
    WARNINGS = 1
    SERIES = 2
    BATCH = 4

# The bits that mark absence in a step matrix (model.series.STALE_NAN_BITS).
cdef uint64_t ABSENT = 0x7FF0000000000002ULL


cdef struct Grid:
    int64_t start
    int64_t step
    int64_t count


cdef struct Reading:
    Grid grid
    double* values          # of the row that is read: grid.count, absent before
    int64_t row
    int64_t next_time       # where the next sample is expected: at next_step
    int64_t next_step
    Growing labels
    const char* reason
    HistogramReading histograms     # each belongs to row * count + step


cdef inline bint fault(Reading* r, const char* reason) noexcept nogil:
    if r.reason == NULL:
        r.reason = reason
    return False


cdef inline int64_t step_of(const Grid* grid, int64_t timestamp) noexcept nogil:
    """The step of a time, -1 where it is none; an instant query has one step, whatever the time says."""
    cdef uint64_t since
    if grid.count == 1:
        return 0
    if timestamp < grid.start:
        return -1
    since = <uint64_t>timestamp - <uint64_t>grid.start
    if since % <uint64_t>grid.step or since // <uint64_t>grid.step >= <uint64_t>grid.count:
        return -1
    return <int64_t>(since // <uint64_t>grid.step)


cdef bint read_label(Reading* r, Cursor* c, Packed* before) noexcept nogil:
    """Appends one label; `before` is the name of the one before it."""
    cdef Cursor label = inside(c)
    cdef Packed name, value
    cdef Cursor text
    cdef uint64_t key
    cdef Py_ssize_t size
    memset(&name, 0, sizeof(Packed))
    memset(&value, 0, sizeof(Packed))
    while label.at < label.end and not label.bad:
        key = read_uvarint(&label)
        if key == 0x0A or key == 0x12:
            text = inside(&label)
            if key == 0x0A:
                name.data, name.size = text.at, text.end - text.at
            else:
                value.data, value.size = text.at, text.end - text.at
        else:
            skip(&label, key)
    if label.bad:
        c.bad = True
        return fault(r, b"label runs past its end")
    if value.size == 0:
        return True
    if before.data != NULL and compare_text(before.data, before.size, name.data, name.size) >= 0:
        return fault(r, b"labels are not sorted")
    before[0] = name
    size = label_size(name.size, value.size)
    if not reserve(&r.labels, size):
        return fault(r, NO_MEMORY)
    put_label(r.labels.data + r.labels.size, name.data, name.size, value.data, value.size)
    r.labels.size += size
    return True


cdef inline bint read_usual_sample(Reading* r, Cursor* c) noexcept nogil:
    """A value and a time after it, as every writer puts them; False, and nothing read, for anything else."""
    cdef const uint8_t* at = c.at
    cdef const uint8_t* end
    cdef uint64_t timestamp = 0
    cdef int shift = 0
    cdef int64_t step
    if c.end - at < 13 or not 11 <= at[0] <= 20 or at[1] != 0x09 or at[10] != 0x10 or at[0] >= c.end - at:
        return False
    end = at + 1 + at[0]
    at += 11
    while at < end - 1 and at[0] >= 0x80:
        timestamp |= <uint64_t>(at[0] & 0x7F) << shift
        shift += 7
        at += 1
    # The time is the last field; one of ten bytes is left to the careful reader.
    if at != end - 1 or at[0] >= 0x80 or shift > 56:
        return False
    timestamp |= <uint64_t>at[0] << shift
    if <int64_t>timestamp == r.next_time and r.next_step < r.grid.count:
        step = r.next_step
    else:
        step = step_of(&r.grid, <int64_t>timestamp)
        if step < 0:
            return False
    memcpy(&r.values[step], c.at + 2, 8)
    r.next_step = step + 1
    r.next_time = <int64_t>(timestamp + <uint64_t>r.grid.step)
    c.at = end
    return True


cdef bint read_sample(Reading* r, Cursor* c) noexcept nogil:
    cdef Cursor sample = inside(c)
    cdef uint64_t key
    cdef double value = 0
    cdef int64_t timestamp = 0, step
    while sample.at < sample.end and not sample.bad:
        key = read_uvarint(&sample)
        if key == 0x09:
            value = read_double(&sample)
        elif key == 0x10:
            timestamp = <int64_t>read_uvarint(&sample)
        else:
            skip(&sample, key)
    if sample.bad:
        return fault(r, b"sample runs past its end")
    step = step_of(&r.grid, timestamp)
    if step < 0:
        return fault(r, b"sample at a time that was not asked for")
    r.values[step] = value
    return True


cdef bint read_native(Reading* r, Cursor* c) noexcept nogil:
    cdef int64_t step
    if read_histogram(&r.histograms, c):
        step = step_of(&r.grid, r.histograms.timestamp)
        if step < 0:
            return fault(r, b"histogram at a time that was not asked for")
        if put_histogram(&r.histograms, r.row * r.grid.count + step):
            return True
    return fault(r, r.histograms.reason)


cdef bint read_series(Reading* r, Cursor* c) noexcept nogil:
    """One TimeSeries message: its label block is appended, its samples go to the row."""
    cdef uint64_t key
    cdef Packed before
    memset(&before, 0, sizeof(Packed))
    while c.at < c.end and not c.bad and r.reason == NULL:
        key = read_uvarint(c)
        if key == 0x0A:
            read_label(r, c, &before)
        elif key == 0x12:
            if not read_usual_sample(r, c):
                read_sample(r, c)
        elif key == 0x22:
            read_native(r, c)
        else:
            skip(c, key)
    if c.bad:
        return fault(r, b"series runs past its end")
    return r.reason == NULL


cdef bint find_series(Reading* r, Cursor* c, Growing* found) noexcept nogil:
    """Appends (offset, size) of each TimeSeries of a TimeSeriesBatch."""
    cdef Cursor series
    cdef uint64_t key
    cdef int64_t place[2]
    while c.at < c.end and not c.bad:
        key = read_uvarint(c)
        if key != 0x0A:
            skip(c, key)
            continue
        series = inside(c)
        place[0], place[1] = series.at - series.start, series.end - series.at
        if not append(found, <const uint8_t*>place, 16):
            return fault(r, NO_MEMORY)
    return not c.bad or fault(r, b"batch runs past its end")


cdef list scan(Reading* r, Cursor* c, bytes data, Growing* found):
    """The fields that are no series, as (number, bytes); the places of the series are appended to `found`."""
    cdef Cursor inner
    cdef uint64_t key
    cdef int64_t place[2]
    others = []
    while c.at < c.end and not c.bad and r.reason == NULL:
        key = read_uvarint(c)
        if key & 7 != BYTES:
            skip(c, key)
            continue
        inner = inside(c)
        if c.bad:
            break
        if key >> 3 == BATCH:
            find_series(r, &inner, found)
        elif key >> 3 == SERIES:
            place[0], place[1] = inner.at - inner.start, inner.end - inner.at
            if not append(found, <const uint8_t*>place, 16):
                fault(r, NO_MEMORY)
        else:
            others.append((<int>(key >> 3), data[inner.at - inner.start : inner.end - inner.start]))
    if c.bad:
        fault(r, b"message runs past its end")
    return others


cdef int failed(const Reading* r, str source, Py_ssize_t at) except -1:
    if r.reason == NO_MEMORY:
        raise MemoryError
    raise CorruptData(source, at, (<bytes>r.reason).decode())


cdef void free_reading(Reading* r) noexcept nogil:
    release(&r.labels)
    release_histograms(&r.histograms)


cdef object finished(Reading* r, Py_ssize_t n, offsets, lengths, values):
    """(labels, values, histogram rows or None, histogram columns or None)."""
    cdef const Growing* found = &r.histograms.places
    cdef Py_ssize_t size = found.size // 8
    row = columns = None
    if size:
        places = np.empty(size, np.int64)
        memcpy(<void*><size_t>places.ctypes.data, found.data, found.size)
        row = np.full(values.size, -1, np.int64)
        row[places] = np.arange(size)
        row = row.reshape(values.shape)
        columns = columns_of(&r.histograms.sink)
        columns = replace(columns, timestamps=r.grid.start + r.grid.step * (places % r.grid.count))
        values.reshape(-1)[places] = np.array([ABSENT], np.uint64).view(np.float64)[0]
    return sealed_column(&r.labels, offsets, lengths), values, row, columns


def decode_results(bytes data, int64_t start_ms, int64_t step_ms, int64_t count, *, str source):
    """The series of QueryResponse or QueryRangeResponse messages laid end to end, at the steps that were asked for.

    ``start_ms``, ``step_ms`` (at least 1) and ``count`` are the steps of the question; with one step a sample belongs to
    it whatever its time. Returns ((labels, values, row, columns) or None where there is no series, others): LabelColumn of n in the
    order of arrival; float64[n, count], absent where there is no float; int64[n, count] rows of HistogramColumns or -1,
    and those columns, both None where there is no native histogram. Other fields come as (number, bytes): 1 a warning,
    3 statistics. Raises CorruptData naming ``source``, also for a sample between the steps, and MemoryError. The GIL
    is released while series are read.
    """
    if step_ms < 1 or count < 0:
        raise ValueError("steps must be at least 1 ms apart")
    cdef Reading r
    cdef Growing found
    cdef const uint8_t* base = data
    cdef Cursor c = cursor(base, len(data))
    cdef Cursor series
    cdef Py_ssize_t i, n, at = 0
    cdef const int64_t* places
    memset(&r, 0, sizeof(Reading))
    memset(&found, 0, sizeof(Growing))
    r.grid.start, r.grid.step, r.grid.count = start_ms, step_ms, count
    try:
        others = scan(&r, &c, data, &found)
        if r.reason != NULL:
            failed(&r, source, offset(&c))
        n = found.size // 16
        if n == 0:
            return None, others
        values = np.full((n, count), ABSENT, np.uint64).view(np.float64)
        offsets, lengths = np.empty(n, np.int64), np.empty(n, np.int32)
        _fill(&r, base, <const int64_t*>found.data, n, values, offsets, lengths, &at)
        if r.reason != NULL:
            failed(&r, source, at)
        return finished(&r, n, offsets, lengths, values), others
    finally:
        release(&found)
        free_reading(&r)


cdef int _fill(
    Reading* r, const uint8_t* base, const int64_t* places, Py_ssize_t n, double[:, ::1] values, int64_t[::1] offsets,
    int32_t[::1] lengths, Py_ssize_t* at,
) except -1:
    """Reads the series of `places`; `at` becomes the byte where a bad one stopped."""
    cdef Py_ssize_t i
    cdef Cursor series
    with nogil:
        for i in range(n):
            series = cursor(base, places[2 * i] + places[2 * i + 1])
            series.at = base + places[2 * i]
            r.row = i
            r.next_time, r.next_step = r.grid.start, 0
            r.values = &values[i, 0] if r.grid.count else NULL
            offsets[i] = r.labels.size
            if not read_series(r, &series):
                at[0] = series.at - base
                break
            lengths[i] = <int32_t>(r.labels.size - offsets[i])
    return 0
