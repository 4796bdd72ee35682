# Native histograms of query responses: prompb's Histogram messages appended to growing columns.
#
# Spans and buckets of one histogram at a time are held in buffers that are used again. The numbers are those of
# types.proto: Histogram (1 to 16, counts as integers or floats).

from libc.stdint cimport INT32_MAX, INT32_MIN, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from pythanos._arena cimport Growing, append, release, reserve
from pythanos._cursor cimport Cursor, cursor, read_uvarint, read_varint
from pythanos._histogram_columns cimport Sink, put_view, release_sink
from pythanos._histogram_value cimport CUSTOM, View
from pythanos._message_fields cimport NO_MEMORY, Packed, inside, packed, read_double, skip


# One side of a histogram: where its repeated fields lie.
cdef struct Side:
    int64_t first_span      # in Reading.spans
    int64_t span_count
    Packed deltas
    Packed counts


cdef struct HistogramReading:
    View view               # what was read last, with what is not in it yet
    Side up
    Side down
    Packed upper_bounds
    int64_t timestamp
    Growing places          # int64: where each histogram belongs
    Growing buckets         # double: of one histogram, positive, then negative
    Growing numbers         # int32: their bucket numbers
    Growing bounds
    Growing spans           # int32 pairs: offset, length
    Sink sink
    const char* reason      # why it cannot go on


cdef inline bint refuse(HistogramReading* r, const char* reason) noexcept nogil:
    if r.reason == NULL:
        r.reason = reason
    return False


cdef inline void release_histograms(HistogramReading* r) noexcept nogil:
    release(&r.places)
    release(&r.buckets)
    release(&r.numbers)
    release(&r.bounds)
    release(&r.spans)
    release_sink(&r.sink)


cdef inline bint read_span(HistogramReading* r, Cursor* c, Side* side) noexcept nogil:
    cdef Cursor span = inside(c)
    cdef uint64_t key, length = 0
    cdef int64_t gap = 0
    cdef int32_t pair[2]
    while span.at < span.end and not span.bad:
        key = read_uvarint(&span)
        if key == 0x08:
            gap = read_varint(&span)
        elif key == 0x10:
            length = read_uvarint(&span)
        else:
            skip(&span, key)
    if span.bad or length > INT32_MAX or not INT32_MIN <= gap <= INT32_MAX:
        return refuse(r, b"bad span")
    pair[0], pair[1] = <int32_t>gap, <int32_t>length
    if side.span_count == 0:
        side.first_span = r.spans.size // 8
    elif r.spans.size // 8 != side.first_span + side.span_count:
        return refuse(r, b"spans of both sides are mixed")
    side.span_count += 1
    return append(&r.spans, <const uint8_t*>pair, 8) or refuse(r, NO_MEMORY)


cdef inline int64_t put_buckets(HistogramReading* r, const Side* side) noexcept nogil:
    """Appends counts and numbers of one side; returns how many, -1 for spans and counts that do not fit."""
    cdef int64_t i, k, filled = 0, number = 0
    cdef const int32_t* spans = <const int32_t*>r.spans.data
    cdef int32_t index
    cdef int64_t total = 0
    cdef double value, running = 0
    cdef Cursor deltas = cursor(side.deltas.data, side.deltas.size)
    cdef bint floats = side.counts.size > 0
    for i in range(side.first_span, side.first_span + side.span_count):
        total += spans[2 * i + 1]
    # No more than there are counts of, before anything is written.
    if total > (side.counts.size // 8 if floats else side.deltas.size) or side.counts.size % 8:
        return -1
    if not reserve(&r.buckets, 8 * total + 8) or not reserve(&r.numbers, 4 * total + 4):
        refuse(r, NO_MEMORY)
        return -1
    for i in range(side.first_span, side.first_span + side.span_count):
        if spans[2 * i] < 0 and i > side.first_span:
            return -1
        number += spans[2 * i]
        for k in range(spans[2 * i + 1]):
            if not INT32_MIN < number < INT32_MAX:
                return -1
            index = <int32_t>number
            if floats:
                memcpy(&value, side.counts.data + 8 * filled, 8)
            else:
                running += <double>read_varint(&deltas)
                value = running
            append(&r.numbers, <const uint8_t*>&index, 4)
            append(&r.buckets, <const uint8_t*>&value, 8)
            number += 1
            filled += 1
    if deltas.bad or (not floats and deltas.at != deltas.end) or (floats and filled * 8 != side.counts.size):
        return -1
    return filled


cdef inline bint put_histogram(HistogramReading* r, int64_t place) noexcept nogil:
    """Appends the histogram whose message has been read, and the place that it belongs to."""
    cdef int64_t ups, downs
    cdef View* v = &r.view
    if not (v.schema == CUSTOM or -4 <= v.schema <= 8) or v.hint > 3 or r.upper_bounds.size % 8:
        return refuse(r, b"histogram of an unknown kind")
    r.buckets.size = r.numbers.size = r.bounds.size = 0
    ups = put_buckets(r, &r.up)
    downs = put_buckets(r, &r.down) if ups >= 0 else -1
    if downs < 0:
        return refuse(r, b"spans and buckets do not fit")
    if not append(&r.bounds, r.upper_bounds.data, r.upper_bounds.size):
        return refuse(r, NO_MEMORY)
    if not append(&r.places, <const uint8_t*>&place, 8):
        return refuse(r, NO_MEMORY)
    v.positive.size, v.negative.size, v.bound_count = ups, downs, r.upper_bounds.size // 8
    v.positive.index, v.positive.count = <const int32_t*>r.numbers.data, <const double*>r.buckets.data
    v.negative.index, v.negative.count = v.positive.index + ups, v.positive.count + ups
    v.bounds = <const double*>r.bounds.data
    return put_view(&r.sink, v) or refuse(r, NO_MEMORY)


cdef inline bint read_histogram(HistogramReading* r, Cursor* c) noexcept nogil:
    """Reads one Histogram message, for `put_histogram`."""
    cdef Cursor h = inside(c)
    cdef uint64_t key, hint = 0
    cdef int64_t schema = 0
    cdef View* v = &r.view
    cdef Side* up = &r.up
    cdef Side* down = &r.down
    memset(v, 0, sizeof(View))
    memset(up, 0, sizeof(Side))
    memset(down, 0, sizeof(Side))
    memset(&r.upper_bounds, 0, sizeof(Packed))
    r.timestamp = 0
    r.spans.size = 0
    while h.at < h.end and not h.bad and r.reason == NULL:
        key = read_uvarint(&h)
        if key == 0x08:
            v.count = <double>read_uvarint(&h)
        elif key == 0x11:
            v.count = read_double(&h)
        elif key == 0x19:
            v.sum = read_double(&h)
        elif key == 0x20:
            schema = read_varint(&h)
        elif key == 0x29:
            v.zero_threshold = read_double(&h)
        elif key == 0x30:
            v.zero_count = <double>read_uvarint(&h)
        elif key == 0x39:
            v.zero_count = read_double(&h)
        elif key == 0x42:
            read_span(r, &h, down)
        elif key == 0x4A:
            down.deltas = packed(&h)
        elif key == 0x52:
            down.counts = packed(&h)
        elif key == 0x5A:
            read_span(r, &h, up)
        elif key == 0x62:
            up.deltas = packed(&h)
        elif key == 0x6A:
            up.counts = packed(&h)
        elif key == 0x70:
            hint = read_uvarint(&h)
        elif key == 0x78:
            r.timestamp = <int64_t>read_uvarint(&h)
        elif key == 0x82:
            r.upper_bounds = packed(&h)
        else:
            skip(&h, key)
    if h.bad or r.reason != NULL:
        return refuse(r, b"histogram runs past its end")
    v.schema = <int32_t>schema if INT32_MIN <= schema <= INT32_MAX else INT32_MAX
    v.hint = <uint8_t>hint if hint <= 3 else 4
    return True
