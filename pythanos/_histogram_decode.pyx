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

from pythanos._bits cimport BitReader, bit_reader, left
from pythanos._chunk_faults cimport (
    FAULT_BOUNDS, FAULT_COUNT, FAULT_HEADER, FLOAT_HISTOGRAM, FLOAT_HISTOGRAM_ST, HISTOGRAM, HISTOGRAM_ST, chunk_fault,
)
from pythanos._histogram_layout cimport Extent, LayoutColumns, keep_layout, read_layout
from pythanos._histogram_numbers cimport StartState, XorState, make_runs
from pythanos._histogram_samples cimport RowColumns, decode_floats, decode_integers
from pythanos._instructions cimport has_bmi2_avx2_lzcnt

from pythanos.model.histogram import HistogramColumns, HistogramLayouts, IntegerCounts
from pythanos.model.histogram_resolution import reduce_resolution

ctypedef int64_t (*IntegerDecoder)(
    BitReader*, uint64_t, const Extent*, StartState*, int64_t, uint64_t*, RowColumns*
) noexcept nogil
ctypedef int64_t (*FloatDecoder)(
    BitReader*, uint64_t, const Extent*, StartState*, int64_t, XorState*, RowColumns*
) noexcept nogil

make_runs()

# The same source twice, in instructions that every processor has or not.
cdef IntegerDecoder integer_decoder
cdef FloatDecoder float_decoder
if has_bmi2_avx2_lzcnt():
    from pythanos._histogram_bmi2 import addresses
else:
    addresses = None


def limit_instructions(bint plain):
    """Uses only instructions of every processor from now on (False: those of this one), so that tests can compare."""
    global integer_decoder, float_decoder
    integer_decoder, float_decoder = decode_integers, decode_floats
    if addresses is not None and not plain:
        integer_decoder, float_decoder = <IntegerDecoder><size_t>addresses()[0], <FloatDecoder><size_t>addresses()[1]


limit_instructions(False)


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


cdef int64_t decode_one(
    const uint8_t* data, uint64_t length, uint64_t readable, uint8_t encoding, int64_t capacity, void* scratch,
    LayoutColumns* layouts, RowColumns* out, uint64_t* fault_at,
) noexcept nogil:
    """Appends the samples of one chunk, which `measure` has accepted; `readable` bytes begin with it. 0 or a fault."""
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
    r.end = readable << 3
    if layout < 0:
        fault = layout
    elif is_float(encoding):
        fault = float_decoder(&r, length << 3, &e, &starts, capacity, <XorState*>scratch, out)
    else:
        fault = integer_decoder(&r, length << 3, &e, &starts, capacity, <uint64_t*>scratch, out)
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
    const uint8_t* base, int64_t size, const int64_t[::1] offset, const int32_t[::1] length,
    const uint8_t[::1] encoding, int64_t capacity, void* scratch, LayoutColumns* layouts, RowColumns* out,
    int64_t* row, uint64_t* fault_at,
) noexcept nogil:
    cdef int64_t fault, i
    out.bucket_start[0] = 0
    layouts.span_start[0] = 0
    layouts.bound_start[0] = 0
    for i in range(offset.shape[0]):
        row[0] = i
        if HISTOGRAM <= encoding[i] <= FLOAT_HISTOGRAM or with_starts(encoding[i]):
            fault = decode_one(
                base + offset[i], <uint64_t>length[i], <uint64_t>(size - offset[i]), encoding[i], capacity, scratch,
                layouts, out, fault_at,
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
                base, size, offsets, lengths, encodings, total.buckets, scratch, &layouts, &out, &row, &fault_at
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
