# cython: language_level=3
"""Histogram chunks to columns: integer and float histograms, with and without start timestamps.

Two passes. The first reads every chunk's header and layout (spans, bounds) and so learns the size of the output; a
layout that announces more buckets than there are bits behind it is a fault before anything is allocated. The second
reads the samples: integer histograms are deltas of deltas of each number, float histograms XOR values that have a
window each. docs/formats/chunks.md draws the layouts.

Source: Prometheus' tsdb/chunkenc (histogram.go, float_histogram.go, histogram_meta.go, st.go).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

import numpy as np

from pythanos._bits cimport (
    BitReader, bit_reader, left, read_bits, read_varbit_int, read_varbit_uint,
)
from pythanos._chunk_faults cimport (
    FAULT_BOUNDS, FAULT_COUNT, FAULT_HEADER, FAULT_SHORT, FAULT_WINDOW,
    FLOAT_HISTOGRAM, FLOAT_HISTOGRAM_ST, HISTOGRAM, HISTOGRAM_ST, chunk_fault,
)
from pythanos._histogram_layout cimport Extent, LayoutColumns, as_double, keep_layout, read_layout
from pythanos._histogram_numbers cimport (
    DeltaState, StartState, XorState, read_all, read_start, read_xor, step, step_all,
)
from pythanos._xor_decode cimport STALE

from pythanos.model.histogram import HistogramColumns, HistogramLayouts, IntegerCounts
from pythanos.model.histogram_resolution import reduce_resolution

# Where the samples go. Row `row` is the next one, `bucket` the next bucket.
cdef struct RowColumns:
    int64_t row
    int64_t bucket
    int64_t* timestamps
    double* count
    double* zero_count
    double* sum
    uint8_t* reset_hint
    int32_t* layout
    int64_t* bucket_start
    double* buckets
    int64_t* start_timestamps
    uint8_t* integer        # NULL, with the three below, where exact counts are not wanted
    uint64_t* exact_count
    uint64_t* exact_zero_count
    int64_t* exact_buckets


cdef inline bint with_starts(uint8_t encoding) noexcept nogil:
    return encoding == HISTOGRAM_ST or encoding == FLOAT_HISTOGRAM_ST


cdef inline bint is_float(uint8_t encoding) noexcept nogil:
    return encoding == FLOAT_HISTOGRAM or encoding == FLOAT_HISTOGRAM_ST


cdef inline int64_t row_count(const uint8_t* data, uint8_t encoding) noexcept nogil:
    cdef int64_t n = (<int64_t>data[0] << 8) | data[1]
    return n & 0x3FFF if with_starts(encoding) else n


cdef inline uint8_t reset_hint_of(const uint8_t* data, uint8_t encoding) noexcept nogil:
    """The two header bits as a hint: 00 unknown, 10 reset, 01 no reset, 11 gauge."""
    cdef int bits = (data[0] if with_starts(encoding) else data[2]) >> 6
    return 1 if bits == 2 else 2 if bits == 1 else <uint8_t>bits


cdef int64_t measure(const uint8_t* data, uint64_t length, uint8_t encoding, Extent* e) noexcept nogil:
    """What one chunk holds at most, checked against the bits it has. 0 or a fault."""
    cdef BitReader r
    cdef int64_t fault, width, least
    memset(e, 0, sizeof(Extent))
    if length < 3:
        return FAULT_HEADER
    e.rows = row_count(data, encoding)
    if e.rows == 0:
        return 0
    r = bit_reader(data, length, 3)
    fault = read_layout(&r, e, NULL)
    if fault:
        return fault
    width = e.positive + e.negative
    # The first sample sends all numbers, each later one at least a bit for the time, both counts and the sum. A bucket
    # that is sent costs a bit, so all buckets together are no more than the bits (stale samples send none).
    least = 193 + 64 * width if is_float(encoding) else 67 + width
    if <int64_t>left(&r) < least + 4 * (e.rows - 1):
        return FAULT_COUNT
    e.buckets = min(width * e.rows, <int64_t>left(&r))
    return 0


cdef inline void put_row(
    RowColumns* out, uint64_t t, double count, double zero_count, uint64_t sum, int64_t start
) noexcept nogil:
    cdef int64_t i = out.row
    out.timestamps[i] = <int64_t>t
    out.count[i] = count
    out.zero_count[i] = zero_count
    out.sum[i] = as_double(sum)
    if out.start_timestamps != NULL:
        out.start_timestamps[i] = start
    if out.integer != NULL:
        out.integer[i] = False
        out.exact_count[i] = 0
        out.exact_zero_count[i] = 0
    out.row += 1
    out.bucket_start[out.row] = out.bucket


cdef inline void put_integer_buckets(RowColumns* out, const DeltaState* buckets, const Extent* e) noexcept nogil:
    """Absolute counts from the differences between neighbours; the negative ones start anew at zero."""
    cdef uint64_t total = 0
    cdef int64_t i, width = e.positive + e.negative, positive = e.positive
    cdef double* counts = out.buckets + out.bucket
    cdef int64_t* exact
    for i in range(positive):
        total += buckets[i].value
        counts[i] = <double><int64_t>total
    total = 0
    for i in range(positive, width):
        total += buckets[i].value
        counts[i] = <double><int64_t>total
    if out.exact_buckets != NULL:
        exact = out.exact_buckets + out.bucket
        for i in range(width):
            total = buckets[i].value if i == positive or i == 0 else total + buckets[i].value
            exact[i] = <int64_t>total
    out.bucket += width


cdef int64_t decode_integers(
    BitReader* from_here, const Extent* e, StartState* starts, int64_t capacity, DeltaState* buckets, RowColumns* out
) noexcept nogil:
    """The samples of an integer histogram chunk. `buckets` is scratch for one row. 0 or a fault."""
    # A copy that nothing else can point at, so that it stays in registers.
    cdef BitReader own = from_here[0]
    cdef BitReader* r = &own
    cdef DeltaState t, count, zero_count
    cdef XorState sum
    cdef uint64_t before = 0
    cdef int64_t width = e.positive + e.negative
    cdef int64_t i, k
    cdef bint stale
    memset(&t, 0, sizeof(t))
    memset(&count, 0, sizeof(count))
    memset(&zero_count, 0, sizeof(zero_count))
    memset(buckets, 0, <size_t>width * sizeof(DeltaState))
    sum.bits = 0
    sum.width = 64
    sum.trailing = 0
    for i in range(e.rows):
        before = t.value
        if i == 0:
            t.value = <uint64_t>read_varbit_int(r)
            count.value = read_varbit_uint(r)
            zero_count.value = read_varbit_uint(r)
            sum.bits = read_bits(r, 64)
        else:
            step(r, &t)
            step(r, &count)
            step(r, &zero_count)
            if not read_xor(r, &sum):
                return FAULT_WINDOW
        stale = sum.bits == STALE
        if i == 0:
            for k in range(width):
                buckets[k].value = <uint64_t>read_varbit_int(r)
        elif not stale:
            step_all(r, buckets, width)
        read_start(r, starts, i, t.value, before)
        if r.bad or (not stale and out.bucket + width > capacity):
            return FAULT_SHORT
        if not stale:
            put_integer_buckets(out, buckets, e)
        put_row(
            out, t.value, 0 if stale else <double>count.value, 0 if stale else <double>zero_count.value,
            sum.bits, starts.start,
        )
        if out.integer != NULL:
            out.integer[out.row - 1] = True
            out.exact_count[out.row - 1] = 0 if stale else count.value
            out.exact_zero_count[out.row - 1] = 0 if stale else zero_count.value
    return 0


cdef int64_t decode_floats(
    BitReader* r, const Extent* e, StartState* starts, int64_t capacity, XorState* numbers, RowColumns* out
) noexcept nogil:
    """The samples of a float histogram chunk. `numbers` is scratch: count, zero count, sum, buckets. 0 or a fault."""
    cdef DeltaState t
    cdef uint64_t before
    cdef int64_t width = e.positive + e.negative
    cdef int64_t i, k
    cdef bint stale
    memset(&t, 0, sizeof(t))
    for i in range(e.rows):
        before = t.value
        if i == 0:
            t.value = <uint64_t>read_varbit_int(r)
            for k in range(3 + width):
                numbers[k].bits = read_bits(r, 64)
                numbers[k].width = 64
                numbers[k].trailing = 0
            stale = numbers[2].bits == STALE
        else:
            step(r, &t)
            for k in range(3):
                if not read_xor(r, &numbers[k]):
                    return FAULT_WINDOW
            stale = numbers[2].bits == STALE
            if not stale and not read_all(r, numbers + 3, width):
                return FAULT_WINDOW
        read_start(r, starts, i, t.value, before)
        if r.bad or (not stale and out.bucket + width > capacity):
            return FAULT_SHORT
        if not stale:
            for k in range(3, 3 + width):
                out.buckets[out.bucket] = as_double(numbers[k].bits)
                if out.exact_buckets != NULL:
                    out.exact_buckets[out.bucket] = 0
                out.bucket += 1
        put_row(
            out, t.value, 0 if stale else as_double(numbers[0].bits), 0 if stale else as_double(numbers[1].bits),
            numbers[2].bits, starts.start,
        )
    return 0


cdef int64_t decode_one(
    const uint8_t* data, uint64_t length, uint8_t encoding, int64_t capacity, void* scratch,
    LayoutColumns* layouts, RowColumns* out, uint64_t* fault_at,
) noexcept nogil:
    """Appends the samples of one chunk, which `measure` has accepted. 0 or a fault."""
    cdef BitReader r = bit_reader(data, length, 3)
    cdef int64_t first = out.row
    cdef int64_t layout, fault, i
    cdef uint8_t hint = reset_hint_of(data, encoding)
    cdef Extent e
    cdef StartState starts
    memset(&starts, 0, sizeof(starts))
    if with_starts(encoding):
        starts.known = data[2] >> 7
        starts.change_on = data[2] & 0x7F
    e.rows = row_count(data, encoding)
    if e.rows == 0:
        return 0
    layout = keep_layout(&r, &e, layouts)
    if layout < 0:
        fault = layout
    elif is_float(encoding):
        fault = decode_floats(&r, &e, &starts, capacity, <XorState*>scratch, out)
    else:
        fault = decode_integers(&r, &e, &starts, capacity, <DeltaState*>scratch, out)
    fault_at[0] = r.at >> 3
    for i in range(first, out.row):
        out.layout[i] = <int32_t>layout
        # The header speaks of a chunk that may be gone, so the first row's hint says nothing, as in Prometheus.
        out.reset_hint[i] = hint if hint == 3 else 0 if i == first else 2
    return fault


cdef int64_t measure_all(
    const uint8_t* base, int64_t size, const int64_t[::1] offset, const int32_t[::1] length,
    const uint8_t[::1] encoding, int64_t[::1] start, uint8_t[::1] chunk_reset, Extent* total, int64_t* widest,
    bint* any_starts, int64_t* row,
) noexcept nogil:
    cdef Extent e
    cdef int64_t fault, i
    memset(total, 0, sizeof(Extent))
    start[0] = 0
    for i in range(offset.shape[0]):
        row[0] = i
        chunk_reset[i] = 0
        start[i + 1] = start[i]
        if not HISTOGRAM <= encoding[i] <= FLOAT_HISTOGRAM and not with_starts(encoding[i]):
            continue
        if not (0 <= offset[i] <= size and 0 <= length[i] <= size - offset[i]):
            return FAULT_BOUNDS
        fault = measure(base + offset[i], <uint64_t>length[i], encoding[i], &e)
        if fault:
            return fault
        start[i + 1] += e.rows
        chunk_reset[i] = reset_hint_of(base + offset[i], encoding[i])
        total.rows += e.rows
        total.spans += e.spans
        total.bounds += e.bounds
        total.buckets += e.buckets
        widest[0] = max(widest[0], e.positive + e.negative)
        if with_starts(encoding[i]):
            any_starts[0] = True
    return 0


cdef int64_t decode_all(
    const uint8_t* base, const int64_t[::1] offset, const int32_t[::1] length, const uint8_t[::1] encoding,
    int64_t capacity, void* scratch, LayoutColumns* layouts, RowColumns* out, int64_t* row, uint64_t* fault_at,
) noexcept nogil:
    cdef int64_t fault, i
    out.bucket_start[0] = 0
    layouts.span_start[0] = 0
    layouts.bound_start[0] = 0
    for i in range(offset.shape[0]):
        row[0] = i
        if HISTOGRAM <= encoding[i] <= FLOAT_HISTOGRAM or with_starts(encoding[i]):
            fault = decode_one(
                base + offset[i], <uint64_t>length[i], encoding[i], capacity, scratch, layouts, out, fault_at
            )
            if fault:
                return fault
    return 0


cdef inline void* at(array) except? NULL:
    """The address of a C-contiguous array's data."""
    return <void*><size_t>array.ctypes.data


def decode_histograms(arena, offset, length, encoding, *, str file="chunks", bint exact=False):
    """The samples of the histogram chunks among m chunks; the others contribute no rows.

    Arguments, errors and ownership as for ``_chunks.decode_chunks``. Returns HistogramColumns, schemas above 8 reduced
    to 8; with ``exact`` as they were written, and the integer histograms' counts as integers too, so that
    encode_histograms gives the same chunks back.
    """
    cdef const uint8_t[::1] view = memoryview(arena).cast("B")
    cdef const int64_t[::1] offsets = np.ascontiguousarray(offset, np.int64)
    cdef const int32_t[::1] lengths = np.ascontiguousarray(length, np.int32)
    cdef const uint8_t[::1] encodings = np.ascontiguousarray(encoding, np.uint8)
    cdef int64_t m = offsets.shape[0], size = view.shape[0], row = 0, fault, widest = 0
    cdef uint64_t fault_at = 0
    cdef bint any_starts = False
    cdef const uint8_t* base = &view[0] if size else NULL
    cdef Extent total
    if lengths.shape[0] != m or encodings.shape[0] != m:
        raise ValueError("offset, length and encoding differ in length")
    start = np.empty(m + 1, np.int64)
    chunk_reset = np.empty(m, np.uint8)
    cdef int64_t[::1] start_view = start
    cdef uint8_t[::1] reset_view = chunk_reset
    with nogil:
        fault = measure_all(
            base, size, offsets, lengths, encodings, start_view, reset_view, &total, &widest, &any_starts, &row
        )
    if fault:
        raise chunk_fault(fault, file, offsets[row], encodings[row])

    columns = _Columns(total.rows, total.buckets, any_starts, exact)
    table = _Layouts(m, total.spans, total.bounds)
    cdef RowColumns out = _row_columns(columns)
    cdef LayoutColumns layouts = _layout_columns(table)
    cdef void* scratch = malloc(<size_t>(3 + widest) * sizeof(XorState))
    if scratch == NULL:
        raise MemoryError
    try:
        with nogil:
            fault = decode_all(
                base, offsets, lengths, encodings, total.buckets, scratch, &layouts, &out, &row, &fault_at
            )
    finally:
        free(scratch)
    if fault:
        raise chunk_fault(fault, file, offsets[row] + <int64_t>fault_at, encodings[row])
    decoded = columns.finish(start, chunk_reset, table.finish(layouts.count), out.bucket)
    return decoded if exact else reduce_resolution(decoded)


class _Columns:
    """The rows' arrays while they are filled."""

    def __init__(self, rows, buckets, with_starts, exact):
        self.timestamps = np.empty(rows, np.int64)
        self.count, self.zero_count, self.sum = (np.empty(rows, np.float64) for _ in range(3))
        self.reset_hint = np.empty(rows, np.uint8)
        self.layout = np.empty(rows, np.int32)
        self.bucket_start = np.empty(rows + 1, np.int64)
        self.buckets = np.empty(buckets, np.float64)
        self.start_timestamps = np.empty(rows, np.int64) if with_starts else None
        self.integers = None
        if exact:
            self.integers = IntegerCounts(
                np.empty(rows, np.bool_), np.empty(rows, np.uint64), np.empty(rows, np.uint64),
                np.empty(buckets, np.int64),
            )

    def finish(self, start, chunk_reset, layouts, used):
        integers = self.integers
        if integers is not None:
            kept = _cut(integers.buckets, used)
            integers = IntegerCounts(integers.integer, integers.count, integers.zero_count, kept)
        return HistogramColumns(
            start=start, chunk_reset=chunk_reset, timestamps=self.timestamps, count=self.count,
            zero_count=self.zero_count, sum=self.sum, reset_hint=self.reset_hint, layout=self.layout, layouts=layouts,
            bucket_start=self.bucket_start, buckets=_cut(self.buckets, used), start_timestamps=self.start_timestamps,
            integers=integers,
        )


class _Layouts:
    """The layout table's arrays while they are filled; one layout more than is kept may be written."""

    def __init__(self, layouts, spans, bounds):
        self.schema = np.empty(layouts, np.int32)
        self.zero_threshold = np.empty(layouts, np.float64)
        self.span_start, self.bound_start = (np.empty(layouts + 1, np.int64) for _ in range(2))
        self.negative_start = np.empty(layouts, np.int64)
        self.positive_buckets, self.negative_buckets = (np.empty(layouts, np.int64) for _ in range(2))
        self.span_offset = np.empty(spans, np.int32)
        self.span_length = np.empty(spans, np.uint32)
        self.bounds = np.empty(bounds, np.float64)

    def finish(self, n):
        return HistogramLayouts(
            self.schema[:n].copy(), self.zero_threshold[:n].copy(), self.span_start[: n + 1].copy(),
            self.negative_start[:n].copy(), _cut(self.span_offset, self.span_start[n]),
            _cut(self.span_length, self.span_start[n]), self.bound_start[: n + 1].copy(),
            _cut(self.bounds, self.bound_start[n]), self.positive_buckets[:n].copy(), self.negative_buckets[:n].copy(),
        )


def _cut(array, used):
    return array if used == len(array) else array[:used].copy()


cdef RowColumns _row_columns(columns) except *:
    cdef RowColumns out
    memset(&out, 0, sizeof(out))
    out.timestamps = <int64_t*>at(columns.timestamps)
    out.count = <double*>at(columns.count)
    out.zero_count = <double*>at(columns.zero_count)
    out.sum = <double*>at(columns.sum)
    out.reset_hint = <uint8_t*>at(columns.reset_hint)
    out.layout = <int32_t*>at(columns.layout)
    out.bucket_start = <int64_t*>at(columns.bucket_start)
    out.buckets = <double*>at(columns.buckets)
    if columns.start_timestamps is not None:
        out.start_timestamps = <int64_t*>at(columns.start_timestamps)
    if columns.integers is not None:
        out.integer = <uint8_t*>at(columns.integers.integer)
        out.exact_count = <uint64_t*>at(columns.integers.count)
        out.exact_zero_count = <uint64_t*>at(columns.integers.zero_count)
        out.exact_buckets = <int64_t*>at(columns.integers.buckets)
    return out


cdef LayoutColumns _layout_columns(table) except *:
    cdef LayoutColumns out
    out.count = 0
    out.schema = <int32_t*>at(table.schema)
    out.zero_threshold = <double*>at(table.zero_threshold)
    out.span_start = <int64_t*>at(table.span_start)
    out.negative_start = <int64_t*>at(table.negative_start)
    out.span_offset = <int32_t*>at(table.span_offset)
    out.span_length = <uint32_t*>at(table.span_length)
    out.bound_start = <int64_t*>at(table.bound_start)
    out.bounds = <double*>at(table.bounds)
    out.positive_buckets = <int64_t*>at(table.positive_buckets)
    out.negative_buckets = <int64_t*>at(table.negative_buckets)
    return out
