# cython: language_level=3
"""Histogram chunks from columns, bit for bit as Prometheus' appenders write them.

What goes into one chunk is decided by the caller: its rows share a layout. Which rows may share a chunk (counter
resets, buckets that appear) is a matter of ``tsdb``. docs/formats/chunks.md draws the layouts.

Source: Prometheus' tsdb/chunkenc (histogram.go, float_histogram.go, histogram_meta.go, st.go).
"""

cimport cython
from libc.math cimport frexp, round as round_half_away
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

import numpy as np

from pythanos._bits cimport (
    BitWriter, bit_writer, finish_bits, put_bits, put_varbit_int, put_varbit_uint,
)
from pythanos._chunk_faults cimport FLOAT_HISTOGRAM, FLOAT_HISTOGRAM_ST, HISTOGRAM, HISTOGRAM_ST
from pythanos._histogram_table cimport HistogramTable, Table
from pythanos._xor_decode cimport STALE
from pythanos._xor_encode cimport StartState, XorValue, put_start, put_xor, start_state_of, xor_value

cdef enum:
    NUMBER_ROOM = 10        # bytes a number takes at most in any form
    SPAN_ROOM = 18
    CHUNK_ROOM = 96         # headers of layout and chunk, and a store behind the end

# The columns of one call; see model.histogram for shapes.
cdef struct Source:
    const int64_t* start
    const uint8_t* chunk_reset
    const int64_t* timestamps
    const int64_t* start_timestamps     # NULL: chunks without start timestamps
    const uint8_t* integer              # NULL: float histograms only
    const uint64_t* exact_count
    const uint64_t* exact_zero_count
    const int64_t* exact_buckets
    Table rows


# A number of an integer histogram, as it was written last.
cdef struct DeltaState:
    uint64_t value
    uint64_t delta


cdef inline uint64_t bits_of(double value) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &value, 8)
    return bits


cdef inline void put_zero_threshold(BitWriter* w, double threshold) noexcept nogil:
    cdef int exponent = 0
    if threshold == 0:
        put_bits(w, 0, 8)
    elif frexp(threshold, &exponent) == 0.5 and -242 <= exponent <= 11:
        put_bits(w, <uint64_t>(exponent + 243), 8)
    else:
        put_bits(w, 255, 8)
        put_bits(w, bits_of(threshold), 64)


cdef inline void put_bound(BitWriter* w, double bound) noexcept nogil:
    """Thousandths plus one where that is exact, else 0 and the raw float."""
    cdef double scaled = bound * 1000
    if 0 <= scaled <= 33554430 and <double><uint64_t>round_half_away(scaled) / 1000 == bound:
        put_varbit_uint(w, <uint64_t>round_half_away(scaled) + 1)
    else:
        put_bits(w, 0, 1)
        put_bits(w, bits_of(bound), 64)


cdef inline void put_spans(BitWriter* w, const Source* s, int64_t begin, int64_t end) noexcept nogil:
    cdef int64_t i
    put_varbit_uint(w, <uint64_t>(end - begin))
    for i in range(begin, end):
        put_varbit_uint(w, s.rows.span_length[i])
        put_varbit_int(w, s.rows.span_offset[i])


cdef inline void put_layout(BitWriter* w, const Source* s, int64_t layout) noexcept nogil:
    """Layout number -1 is the empty one, of a chunk that starts with a stale sample."""
    cdef int64_t i
    if layout < 0:
        put_bits(w, 0, 11)
        return
    put_zero_threshold(w, s.rows.zero_threshold[layout])
    put_varbit_int(w, s.rows.schema[layout])
    put_spans(w, s, s.rows.span_start[layout], s.rows.negative_start[layout])
    put_spans(w, s, s.rows.negative_start[layout], s.rows.span_start[layout + 1])
    if s.rows.schema[layout] == -53:
        put_varbit_uint(w, <uint64_t>(s.rows.bound_start[layout + 1] - s.rows.bound_start[layout]))
        for i in range(s.rows.bound_start[layout], s.rows.bound_start[layout + 1]):
            put_bound(w, s.rows.bounds[i])


cdef inline void put_step(BitWriter* w, DeltaState* d, uint64_t value) noexcept nogil:
    cdef uint64_t delta = value - d.value
    put_varbit_int(w, <int64_t>(delta - d.delta))
    d.value = value
    d.delta = delta


cdef inline uint64_t bucket_delta(const Source* s, int64_t row, int64_t k, int64_t positive) noexcept nogil:
    """Bucket k of a row as the difference to its neighbour before it; the negative buckets start anew."""
    cdef int64_t i = s.rows.bucket_start[row] + k
    cdef uint64_t value = <uint64_t>s.exact_buckets[i]
    return value if k == 0 or k == positive else value - <uint64_t>s.exact_buckets[i - 1]


cdef void put_integers(
    BitWriter* w, const Source* s, int64_t begin, int64_t end, bint with_starts, DeltaState* buckets, StartState* st
) noexcept nogil:
    cdef int64_t layout = s.rows.layout[begin]
    cdef int64_t positive = s.rows.positive_buckets[layout] if layout >= 0 else 0
    cdef DeltaState t, count, zero_count
    cdef XorValue sum
    cdef uint64_t bits
    cdef int64_t i, k, width
    memset(&t, 0, sizeof(t))
    memset(&count, 0, sizeof(count))
    memset(&zero_count, 0, sizeof(zero_count))
    sum = xor_value(0)
    for i in range(begin, end):
        bits = bits_of(s.rows.sum[i])
        width = 0 if bits == STALE else s.rows.bucket_start[i + 1] - s.rows.bucket_start[i]
        if i == begin:
            t.value = <uint64_t>s.timestamps[i]
            count.value = 0 if bits == STALE else s.exact_count[i]
            zero_count.value = 0 if bits == STALE else s.exact_zero_count[i]
            put_varbit_int(w, s.timestamps[i])
            put_varbit_uint(w, count.value)
            put_varbit_uint(w, zero_count.value)
            put_bits(w, bits, 64)
            sum = xor_value(bits)
            for k in range(width):
                buckets[k].value = bucket_delta(s, i, k, positive)
                buckets[k].delta = 0
                put_varbit_int(w, <int64_t>buckets[k].value)
        else:
            put_step(w, &t, <uint64_t>s.timestamps[i])
            if bits == STALE:
                put_bits(w, 0, 2)
            else:
                put_step(w, &count, s.exact_count[i])
                put_step(w, &zero_count, s.exact_zero_count[i])
            put_xor(w, &sum, bits)
            for k in range(width):
                put_step(w, &buckets[k], bucket_delta(s, i, k, positive))
        if with_starts:
            put_start(w, st, i - begin, s.timestamps[i], s.timestamps[i - 1] if i > begin else 0, s.start_timestamps[i])


cdef void put_floats(
    BitWriter* w, const Source* s, int64_t begin, int64_t end, bint with_starts, XorValue* numbers, StartState* st
) noexcept nogil:
    """`numbers` is scratch for a row: count, zero count, sum, buckets."""
    cdef DeltaState t
    cdef uint64_t bits, count, zero_count
    cdef int64_t i, k, width
    memset(&t, 0, sizeof(t))
    for i in range(begin, end):
        bits = bits_of(s.rows.sum[i])
        width = 0 if bits == STALE else s.rows.bucket_start[i + 1] - s.rows.bucket_start[i]
        count = 0 if bits == STALE else bits_of(s.rows.count[i])
        zero_count = 0 if bits == STALE else bits_of(s.rows.zero_count[i])
        if i == begin:
            t.value = <uint64_t>s.timestamps[i]
            put_varbit_int(w, s.timestamps[i])
            numbers[0] = xor_value(count)
            numbers[1] = xor_value(zero_count)
            numbers[2] = xor_value(bits)
            for k in range(width):
                numbers[3 + k] = xor_value(bits_of(s.rows.buckets[s.rows.bucket_start[i] + k]))
            for k in range(3 + width):
                put_bits(w, numbers[k].bits, 64)
        else:
            put_step(w, &t, <uint64_t>s.timestamps[i])
            put_xor(w, &numbers[0], count)
            put_xor(w, &numbers[1], zero_count)
            put_xor(w, &numbers[2], bits)
            for k in range(width):
                put_xor(w, &numbers[3 + k], bits_of(s.rows.buckets[s.rows.bucket_start[i] + k]))
        if with_starts:
            put_start(w, st, i - begin, s.timestamps[i], s.timestamps[i - 1] if i > begin else 0, s.start_timestamps[i])


cdef inline uint8_t header_bits(uint8_t hint) noexcept nogil:
    """A hint as the two header bits, on top of a byte: unknown 00, reset 10, no reset 01, gauge 11."""
    return 0x80 if hint == 1 else 0x40 if hint == 2 else 0xC0 if hint == 3 else 0


cdef uint8_t* encode_one(uint8_t* out, const Source* s, int64_t chunk, uint8_t encoding, void* scratch) noexcept nogil:
    """Writes chunk number `chunk` to `out`; returns its end."""
    cdef int64_t begin = s.start[chunk], end = s.start[chunk + 1]
    cdef int64_t n = end - begin
    cdef bint with_starts = encoding == HISTOGRAM_ST or encoding == FLOAT_HISTOGRAM_ST
    cdef BitWriter w = bit_writer(out + 3)
    cdef StartState st = start_state_of(0)
    cdef uint8_t flags = header_bits(s.chunk_reset[chunk])
    if n > 0:
        put_layout(&w, s, -1 if bits_of(s.rows.sum[begin]) == STALE else s.rows.layout[begin])
        if encoding == HISTOGRAM or encoding == HISTOGRAM_ST:
            put_integers(&w, s, begin, end, with_starts, <DeltaState*>scratch, &st)
        else:
            put_floats(&w, s, begin, end, with_starts, <XorValue*>scratch, &st)
    out[0] = <uint8_t>(n >> 8) | (flags if with_starts else 0)
    out[1] = <uint8_t>n
    out[2] = st.header if with_starts else flags
    return finish_bits(&w)


cdef void encode_all(
    uint8_t* out, const Source* s, void* scratch, uint8_t[::1] encoding, int64_t[::1] offset, int32_t[::1] length
) noexcept nogil:
    cdef uint8_t* at = out
    cdef uint8_t* end
    cdef int64_t i
    for i in range(offset.shape[0]):
        end = encode_one(at, s, i, encoding[i], scratch)
        offset[i] = at - out
        length[i] = <int32_t>(end - at)
        at = end


def encode_histograms(columns, encoding=None):
    """Histogram chunks, one for each entry of ``columns.start``.

    columns: HistogramColumns whose rows share one layout within a chunk; a stale row is followed by stale rows only.
    encoding: uint8[m], as in a batch that was decoded; without it chunks are integer histograms where ``integers`` says
    so, and of the ST encodings where there are start timestamps. The header bits are ``chunk_reset``. Returns (arena:
    bytes, offset: int64[m], length: int32[m], encoding: uint8[m]); a chunk without rows is an empty float histogram
    chunk. Raises ValueError where the columns do not fit together. The GIL is released while encoding.
    """
    encoding = _encodings(columns, encoding)
    _check_rows(columns, encoding)
    cdef int64_t m = len(encoding)
    offset = np.empty(m, np.int64)
    length = np.empty(m, np.int32)
    cdef int64_t[::1] offsets = offset
    cdef int32_t[::1] lengths = length
    cdef uint8_t[::1] encodings = encoding
    cdef Source s
    kept = _fill(&s, columns)
    cdef size_t size = _room(columns)
    cdef int64_t widest = int(np.diff(columns.bucket_start).max(initial=0))
    cdef uint8_t* out = <uint8_t*>malloc(size)
    cdef void* scratch = malloc(<size_t>(3 + widest) * max(sizeof(XorValue), sizeof(DeltaState)))
    try:
        if out == NULL or scratch == NULL:
            raise MemoryError
        with nogil:
            encode_all(out, &s, scratch, encodings, offsets, lengths)
        size = <size_t>(offsets[m - 1] + lengths[m - 1]) if m else 0
        return out[:size], offset, length, encoding
    finally:
        free(out)
        free(scratch)
        del kept


@cython.wraparound(True)
def _encodings(columns, wanted):
    """uint8[m]: the encoding that each chunk's rows ask for, or the wanted one where it holds them."""
    start = np.asarray(columns.start)
    integer = np.zeros(len(columns), np.bool_) if columns.integers is None else columns.integers.integer
    filled = start[:-1] < start[1:]
    of_chunk = np.zeros(len(start) - 1, np.bool_)
    of_chunk[filled] = integer[start[:-1][filled]]
    if not np.array_equal(np.repeat(of_chunk, np.diff(start)), integer):
        raise ValueError("a chunk mixes integer and float histograms")
    if wanted is not None:
        wanted = np.array(wanted, np.uint8)
        if len(wanted) != len(of_chunk):
            raise ValueError("encoding and start differ in length")
        if not np.isin(wanted[filled], (HISTOGRAM, FLOAT_HISTOGRAM, HISTOGRAM_ST, FLOAT_HISTOGRAM_ST)).all():
            raise ValueError("an encoding that does not hold histograms")
        if (np.isin(wanted, (HISTOGRAM, HISTOGRAM_ST)) != of_chunk)[filled].any():
            raise ValueError("an encoding that does not hold its chunk's counts")
        if columns.start_timestamps is None and (wanted[filled] > FLOAT_HISTOGRAM).any():
            raise ValueError("an encoding with start timestamps, and none are given")
        return wanted
    with_starts = columns.start_timestamps is not None
    integers, floats = (HISTOGRAM_ST, FLOAT_HISTOGRAM_ST) if with_starts else (HISTOGRAM, FLOAT_HISTOGRAM)
    return np.where(of_chunk, integers, floats).astype(np.uint8)


@cython.wraparound(True)
def _check_rows(columns, encoding):
    """ValueError unless the encoder can trust the columns: it checks nothing itself."""
    rows, start, layouts = len(columns), np.asarray(columns.start), columns.layouts
    steps = np.diff(start)
    most = np.where(encoding > FLOAT_HISTOGRAM, 0x3FFF, 0xFFFF)
    if start[0] != 0 or start[len(steps)] != rows or (steps < 0).any() or (steps > most).any():
        raise ValueError(f"start does not cut {rows} rows into chunks of at most 65535, or 16383 with start timestamps")
    buckets = len(columns.buckets)
    if columns.integers is not None:
        buckets = min(buckets, len(columns.integers.buckets))
    widths = np.diff(columns.bucket_start)
    if columns.bucket_start[0] != 0 or columns.bucket_start[rows] > buckets or (widths < 0).any():
        raise ValueError("bucket_start does not fit the buckets")
    if rows == 0:
        return
    if columns.layout.min() < 0 or columns.layout.max() >= len(layouts):
        raise ValueError("a layout that is not in the table")
    stale = columns.sum.view(np.uint64) == STALE
    expected = (layouts.positive_buckets + layouts.negative_buckets)[columns.layout]
    if (widths[~stale] != expected[~stale]).any():
        raise ValueError("a row's buckets do not fit its layout")
    chunk = np.repeat(np.arange(len(steps)), steps)
    inner = chunk[1:] == chunk[:-1]
    if (inner & stale[:-1] & ~stale[1:]).any():
        raise ValueError("a stale row is followed by another in its chunk")
    if (inner & ~stale[1:] & (columns.layout[1:] != columns.layout[:-1])).any():
        raise ValueError("the rows of a chunk differ in layout")


@cython.wraparound(True)
def _room(columns):
    """Bytes that the chunks take at most."""
    start, layouts = np.asarray(columns.start), columns.layouts
    first = columns.layout[start[:-1][start[:-1] < start[1:]]]
    spans = int(np.diff(layouts.span_start)[first].sum()) if len(first) else 0
    bounds = int(np.diff(layouts.bound_start)[first].sum()) if len(first) else 0
    numbers = 5 * len(columns) + int(columns.bucket_start[len(columns)])
    return (len(start) - 1) * CHUNK_ROOM + spans * SPAN_ROOM + (bounds + numbers) * NUMBER_ROOM + 8


cdef HistogramTable _fill(Source* s, columns):
    """Points s at the columns, made contiguous and of the right type; returns what is to be kept alive."""
    cdef HistogramTable held = HistogramTable(columns)
    cdef Py_ssize_t rows = held.rows
    memset(s, 0, sizeof(Source))
    s.rows = held.table
    s.start = held.keep_start(columns.start, len(columns.start) - 1, rows)
    s.chunk_reset = <const uint8_t*>held.keep(columns.chunk_reset, np.uint8, len(columns.start) - 1)
    s.timestamps = <const int64_t*>held.keep(columns.timestamps, np.int64, rows)
    if columns.start_timestamps is not None:
        s.start_timestamps = <const int64_t*>held.keep(columns.start_timestamps, np.int64, rows)
    integers = columns.integers
    if integers is not None:
        s.integer = <const uint8_t*>held.keep(integers.integer, np.bool_, rows)
        s.exact_count = <const uint64_t*>held.keep(integers.count, np.uint64, rows)
        s.exact_zero_count = <const uint64_t*>held.keep(integers.zero_count, np.uint64, rows)
        s.exact_buckets = <const int64_t*>held.keep(integers.buckets, np.int64, s.rows.bucket_start[rows])
    return held
