# cython: language_level=3
"""Chunks to columns and back: float chunks (XOR, XOR2), many per call, and Thanos' aggregate chunks.

Two passes over a batch: the headers give the sample counts and with them the size of the output, then every
chunk is decoded straight into its rows. The headers are not trusted: a count that the bytes cannot hold is a fault
before anything is allocated. Histogram chunks are in ``_histogram_chunks``. docs/formats/chunks.md draws all layouts.

Sources: the Gorilla paper (Pelkonen et al., VLDB 2015) as varied by Prometheus' tsdb/chunkenc; XOR2 is Prometheus 3.11's.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from pythanos._bits cimport (
    PYTHANOS_CLZ64, PYTHANOS_CTZ64, PYTHANOS_RARE,
    BitReader, BitWriter, bit_reader, bit_writer, finish_bits, fits, low_bits, peek, peek64,
    put_bits, put_signed_varint, put_unsigned_varint, put_varbit_int, read_signed_varint, read_varbit_int, widen,
)
from pythanos._cursor cimport Cursor, cursor, offset as cursor_offset, read_u64be, read_uvarint, read_varint

from pythanos.errors import CorruptData
from pythanos.model.chunks import ENCODING_NAMES, ChunkRows, DecodedChunks

cdef extern from *:
    """
    #define PYTHANOS_STALE 0x7FF0000000000002ULL
    """
    const uint64_t STALE "PYTHANOS_STALE"

cdef enum:
    SAMPLE_REACH = 28       # bytes from a sample's first byte that decoding it may load: 147 bits, and nine bytes
    TAIL = 80               # what is left where SAMPLE_REACH bytes are not, and SAMPLE_REACH behind its end

_REASONS = {
    FAULT_HEADER: "chunk is shorter than its header",
    FAULT_COUNT: "chunk announces more samples than it can hold",
    FAULT_SHORT: "chunk ends inside a sample",
    FAULT_WINDOW: "value has more than 64 bits",
    FAULT_VARINT: "varint is cut off or too long",
    FAULT_ENCODING: "unknown chunk encoding",
    FAULT_CAPACITY: "chunk has more samples than expected",
    FAULT_SCHEMA: "unknown histogram schema",
    FAULT_LAYOUT: "histogram layout is larger than its chunk",
    FAULT_BOUNDS: "chunk is not inside its data",
    FAULT_AGGREGATE: "aggregate is longer than its chunk",
}


cdef object chunk_fault(int64_t fault, str file, int64_t offset, int encoding):
    name = ENCODING_NAMES.get(encoding, f"encoding {encoding}")
    return CorruptData(file, offset, f"{name}: {_REASONS[fault]}")


# The state between two samples. Position and data move when the tail is copied.
cdef struct FloatState:
    const uint8_t* data
    int64_t at              # bits
    int64_t end             # bits, where the chunk's data ends
    int64_t safe            # the last position from which a whole sample may be loaded
    int64_t moved           # bytes that were left behind by moving to the tail copy
    uint64_t timestamp      # unsigned: sums of untrusted numbers wrap
    uint64_t delta
    uint64_t value
    int width               # of the window of significant bits
    int trailing


cdef inline bint past_safe(FloatState* s, uint8_t* tail) noexcept nogil:
    """Behind `safe`: copies what is left to `tail`, followed by zeros, and goes on there. False where nothing is left."""
    cdef int64_t byte = s.at >> 3
    if s.at > s.end:
        return False
    memset(tail, 0, TAIL)
    memcpy(tail, s.data + byte, (s.end >> 3) - byte)
    s.data = tail
    s.at -= byte << 3
    s.end -= byte << 3
    s.moved += byte
    s.safe = s.end
    return True


cdef inline bint take_window(FloatState* s, uint64_t word) noexcept nogil:
    """A new window (5 bits of leading zeros, 6 bits of width) at the top of `word`, and the value's bits behind it."""
    cdef int leading = <int>(word >> 59)
    cdef int width = <int>((word >> 53) & 63)
    if width == 0:
        width = 64
    if PYTHANOS_RARE(leading + width > 64):
        return False
    s.width = width
    s.trailing = 64 - leading - width
    s.at += 11
    take_bits(s)
    return True


cdef inline void take_bits(FloatState* s) noexcept nogil:
    """The significant bits of a value, in the window."""
    s.value ^= (peek64(s.data, s.at) >> (64 - s.width)) << s.trailing
    s.at += s.width


cdef inline bint take_value(FloatState* s, uint64_t word) noexcept nogil:
    """The value code at the position; `word` holds its first 13 bits or more at the top. False where it is impossible."""
    if not (word >> 63):
        s.at += 1
        return True
    if not (word >> 62) & 1:
        s.at += 2
        take_bits(s)
        return True
    s.at += 2
    return take_window(s, word << 2)


cdef inline int start_state(
    FloatState* s, const uint8_t* data, uint64_t length, uint64_t readable, uint64_t header, int64_t n, bint first_st,
    int64_t* st,
) noexcept nogil:
    """Reads the parts that are whole bytes: sample 0 and the time of sample 1. `n` >= 1."""
    cdef Cursor c = cursor(data, <Py_ssize_t>length)
    c.at += header
    s.timestamp = <uint64_t>read_varint(&c)
    s.value = read_u64be(&c)
    s.delta = 0
    if first_st:
        st[0] = <int64_t>(s.timestamp - <uint64_t>read_varint(&c))
    if n > 1:
        s.delta = read_uvarint(&c)
    s.data = data
    s.at = cursor_offset(&c) << 3
    s.end = <int64_t>length << 3
    s.safe = min(s.end, (<int64_t>readable - SAMPLE_REACH) << 3)
    s.moved = 0
    s.width = 64
    s.trailing = 0
    return FAULT_VARINT if c.bad else 0


cdef int64_t decode_xor(
    const uint8_t* data, uint64_t length, uint64_t readable, int64_t n, int64_t* timestamps, uint64_t* values, uint64_t* fault_at
) noexcept nogil:
    cdef uint8_t tail[TAIL]
    cdef FloatState s
    cdef uint64_t word
    cdef int64_t i, fault
    fault = start_state(&s, data, length, readable, 2, n, False, NULL)
    if fault:
        fault_at[0] = <uint64_t>(s.at >> 3)
        return fault
    timestamps[0] = <int64_t>s.timestamp
    values[0] = s.value
    for i in range(1, n):
        if PYTHANOS_RARE(s.at > s.safe) and not past_safe(&s, tail):
            fault = FAULT_SHORT
            break
        word = peek(s.data, s.at)
        if i > 1:
            if not (word >> 63):
                s.at += 1
                word <<= 1
            elif not (word >> 62) & 1:
                s.delta += <uint64_t>widen((word >> 48) & 0x3FFF, 14)
                s.at += 16
                word <<= 16
            elif not (word >> 61) & 1:
                s.delta += <uint64_t>widen((word >> 44) & 0x1FFFF, 17)
                s.at += 20
                word <<= 20
            elif not (word >> 60) & 1:
                s.delta += <uint64_t>widen((word >> 40) & 0xFFFFF, 20)
                s.at += 24
                word <<= 24
            else:
                s.delta += peek64(s.data, s.at + 4)
                s.at += 68
                word = peek(s.data, s.at)
        s.timestamp += s.delta
        if PYTHANOS_RARE(not take_value(&s, word)):
            fault = FAULT_WINDOW
            break
        timestamps[i] = <int64_t>s.timestamp
        values[i] = s.value
    if not fault and s.at > s.end:
        fault = FAULT_SHORT
    fault_at[0] = <uint64_t>(s.moved + (min(s.at, s.end) >> 3))
    return fault if fault else n


cdef inline int64_t take_start(
    FloatState* s, const uint8_t* data, uint64_t length, int64_t index, int64_t first_change, int64_t* difference
) noexcept nogil:
    """The start timestamp field behind a sample: a change of (time of the sample before - start timestamp)."""
    cdef BitReader r = bit_reader(data, length, 0)
    cdef int64_t step
    r.at = <uint64_t>(s.at + (s.moved << 3))
    if r.at > r.end:
        return FAULT_SHORT
    step = read_varbit_int(&r)
    if r.bad:
        return FAULT_SHORT
    difference[0] = step if index == first_change else <int64_t>(<uint64_t>difference[0] + <uint64_t>step)
    s.at = <int64_t>r.at - (s.moved << 3)
    return 0


cdef inline int64_t take_xor2_value(FloatState* s, uint64_t word, bint* stale) noexcept nogil:
    """The value code where the time changed too: 0 | 10 bits | 110 window bits | 111 stale."""
    if not (word >> 63):
        s.at += 1
        return 0
    if not (word >> 62) & 1:
        s.at += 2
        take_bits(s)
        return 0
    s.at += 3
    if (word >> 61) & 1:
        stale[0] = True
        return 0
    return 0 if take_window(s, word << 3) else FAULT_WINDOW


cdef inline int64_t take_joint(FloatState* s, uint64_t word, bint* stale) noexcept nogil:
    """One sample behind the second: its joint control bits, delta of delta and value."""
    if not (word >> 63):
        s.at += 1
        return 0
    if not (word >> 62) & 1:
        if (word >> 61) & 1:
            s.at += 3
            return 0 if take_window(s, word << 3) else FAULT_WINDOW
        s.at += 3
        take_bits(s)
        return 0
    if not (word >> 61) & 1:
        s.delta += <uint64_t>(<int64_t>(word << 3) >> 51)
        s.at += 16
        return take_xor2_value(s, word << 16, stale)
    if not (word >> 60) & 1:
        s.delta += <uint64_t>(<int64_t>(word << 4) >> 44)
        s.at += 24
        return take_xor2_value(s, word << 24, stale)
    s.at += 5
    if (word >> 59) & 1:
        stale[0] = True
        return 0
    s.delta += peek64(s.data, s.at)
    s.at += 64
    return take_xor2_value(s, peek(s.data, s.at), stale)


cdef int64_t decode_xor2(
    const uint8_t* data, uint64_t length, uint64_t readable, int64_t n,
    int64_t* timestamps, uint64_t* values, int64_t* starts, uint64_t* fault_at,
) noexcept nogil:
    cdef uint8_t tail[TAIL]
    cdef FloatState s
    cdef int64_t first_change = data[2] & 0x7F
    cdef int64_t i, fault, difference = 0, st = 0
    cdef uint64_t before
    cdef bint stale
    cdef uint64_t word
    fault = start_state(&s, data, length, readable, 3, n, data[2] >> 7, &st)
    if fault:
        fault_at[0] = <uint64_t>(s.at >> 3)
        return fault
    timestamps[0] = <int64_t>s.timestamp
    values[0] = s.value
    if starts != NULL:
        starts[0] = st
    if s.value == STALE:
        s.value = 0         # a stale value is never the base of the next one
    for i in range(1, n):
        if PYTHANOS_RARE(s.at > s.safe) and not past_safe(&s, tail):
            fault = FAULT_SHORT
            break
        word = peek(s.data, s.at)
        stale = False
        before = s.timestamp
        fault = take_joint(&s, word, &stale) if i > 1 else take_xor2_value(&s, word, &stale)
        if PYTHANOS_RARE(fault):
            break
        s.timestamp += s.delta
        timestamps[i] = <int64_t>s.timestamp
        values[i] = STALE if stale else s.value
        if first_change and i >= first_change:
            fault = take_start(&s, data, length, i, first_change, &difference)
            if PYTHANOS_RARE(fault):
                break
            st = <int64_t>(before - <uint64_t>difference)
        if starts != NULL:
            starts[i] = st
    if not fault and s.at > s.end:
        fault = FAULT_SHORT
    fault_at[0] = <uint64_t>(s.moved + (min(s.at, s.end) >> 3))
    return fault if fault else n


cdef int64_t count_float_chunk(const uint8_t* data, uint64_t length, uint8_t encoding) noexcept nogil:
    # A first sample takes 72 bits, a second one 9, and each one after it at least 2 (XOR) or 1 (XOR2).
    cdef uint64_t header = 2 if encoding == XOR else 3
    cdef int64_t n, bits
    if encoding != XOR and encoding != XOR2:
        return FAULT_ENCODING
    if length < header:
        return FAULT_HEADER
    n = (<int64_t>data[0] << 8) | data[1]
    if n == 0:
        return 0
    bits = (<int64_t>(length - header) << 3) - 72
    if n > 1:
        bits -= 9 + (n - 2) * (2 if encoding == XOR else 1)
    return n if bits >= 0 else FAULT_COUNT


cdef int64_t decode_float_chunk(
    const uint8_t* data, uint64_t length, uint64_t readable, uint8_t encoding,
    int64_t* timestamps, double* values, int64_t* start_timestamps, int64_t capacity, uint64_t* fault_at,
) noexcept nogil:
    cdef int64_t n = count_float_chunk(data, length, encoding)
    fault_at[0] = 0
    if n <= 0:
        return n
    if n > capacity:
        return FAULT_CAPACITY
    if encoding == XOR:
        if start_timestamps != NULL:
            memset(start_timestamps, 0, <size_t>n * sizeof(int64_t))
        return decode_xor(data, length, readable, n, timestamps, <uint64_t*>values, fault_at)
    return decode_xor2(data, length, readable, n, timestamps, <uint64_t*>values, start_timestamps, fault_at)


cdef inline bint inside(int64_t offset, int64_t length, int64_t size) noexcept nogil:
    return 0 <= offset <= size and 0 <= length <= size - offset


cdef inline bint is_histogram(uint8_t encoding) noexcept nogil:
    return encoding in (HISTOGRAM, FLOAT_HISTOGRAM, HISTOGRAM_ST, FLOAT_HISTOGRAM_ST)


cdef int64_t count_rows(
    const uint8_t* base, int64_t size, const int64_t[::1] offset, const int32_t[::1] length, const uint8_t[::1] encoding,
    int64_t[::1] start, int64_t* row, bint* with_st, bint* with_histograms,
) noexcept nogil:
    """Fills start from the headers; a ChunkFault, with the chunk's number in `row`, where one is wrong."""
    cdef int64_t m = offset.shape[0]
    cdef int64_t n
    start[0] = 0
    for row[0] in range(m):
        if not inside(offset[row[0]], length[row[0]], size):
            return FAULT_BOUNDS
        n = 0
        if is_histogram(encoding[row[0]]):
            with_histograms[0] = True
        else:
            n = count_float_chunk(base + offset[row[0]], <uint64_t>length[row[0]], encoding[row[0]])
            if n < 0:
                return n
            if encoding[row[0]] == XOR2 and base[offset[row[0]] + 2]:
                with_st[0] = True
        start[row[0] + 1] = start[row[0]] + n
    return 0


cdef int64_t decode_rows(
    const uint8_t* base, int64_t size, const int64_t[::1] offset, const int32_t[::1] length, const uint8_t[::1] encoding,
    const int64_t[::1] start, int64_t* timestamps, double* values, int64_t* starts, int64_t* row, uint64_t* fault_at,
) noexcept nogil:
    cdef int64_t m = offset.shape[0]
    cdef int64_t begin, n
    for row[0] in range(m):
        begin = start[row[0]]
        n = start[row[0] + 1] - begin
        if n:
            n = decode_float_chunk(
                base + offset[row[0]], <uint64_t>length[row[0]], <uint64_t>(size - offset[row[0]]), encoding[row[0]],
                timestamps + begin, values + begin, starts + begin if starts != NULL else NULL, n, fault_at,
            )
            if n < 0:
                return n
    return 0


def decode_chunks(arena, offset, length, encoding, *, str file="chunks", bint exact=False):
    """The samples of many chunks of any encoding but AGGREGATE (see split_aggregates).

    arena: readable buffer; offset: int64[m] bytes into it; length: int32[m] bytes; encoding: uint8[m]. A chunk is its data
    without encoding byte and checksum. Returns DecodedChunks; with ``exact`` its histograms carry the integer counts too. Nothing
    of the arena is kept. Raises CorruptData with ``file``, and the offset in the arena. The GIL is released while decoding.
    """
    cdef const uint8_t[::1] view = memoryview(arena).cast("B")
    cdef const int64_t[::1] offsets = np.ascontiguousarray(offset, np.int64)
    cdef const int32_t[::1] lengths = np.ascontiguousarray(length, np.int32)
    cdef const uint8_t[::1] encodings = np.ascontiguousarray(encoding, np.uint8)
    cdef int64_t m = offsets.shape[0], size = view.shape[0]
    cdef int64_t fault, row = 0
    cdef uint64_t fault_at = 0
    cdef bint with_st = False, with_histograms = False
    cdef const uint8_t* base = &view[0] if size else NULL
    if lengths.shape[0] != m or encodings.shape[0] != m:
        raise ValueError("offset, length and encoding differ in length")
    start = np.empty(m + 1, np.int64)
    cdef int64_t[::1] starts = start
    with nogil:
        fault = count_rows(base, size, offsets, lengths, encodings, starts, &row, &with_st, &with_histograms)
    if fault:
        raise chunk_fault(fault, file, offsets[row], encodings[row])
    timestamps = np.empty(starts[m], np.int64)
    values = np.empty(starts[m], np.float64)
    start_timestamps = np.empty(starts[m], np.int64) if with_st else None
    cdef int64_t[::1] timestamp_view = timestamps
    cdef double[::1] value_view = values
    cdef int64_t[::1] st_view = start_timestamps
    if starts[m]:
        with nogil:
            fault = decode_rows(
                base, size, offsets, lengths, encodings, starts,
                &timestamp_view[0], &value_view[0], &st_view[0] if with_st else NULL, &row, &fault_at,
            )
        if fault:
            raise chunk_fault(fault, file, offsets[row] + <int64_t>fault_at, encodings[row])
    return DecodedChunks(start, timestamps, values, start_timestamps, None)
