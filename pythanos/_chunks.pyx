# cython: language_level=3
"""Chunks to columns and back: float chunks (XOR, XOR2), many per call, and Thanos' aggregate chunks.

Two passes over a batch: the headers give the sample counts and with them the size of the output, then every
chunk is decoded straight into its rows. The headers are not trusted: a count that the bytes cannot hold is a fault
before anything is allocated. Histogram chunks are in ``_histogram_decode``. docs/formats/chunks.md draws all layouts.

Sources: the Gorilla paper (Pelkonen et al., VLDB 2015) as varied by Prometheus' tsdb/chunkenc; XOR2 came with
Prometheus 3.11.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

import numpy as np

from pythanos._chunk_faults cimport (
    AGGREGATE, FAULT_AGGREGATE, FAULT_BOUNDS, FAULT_CAPACITY, FAULT_COUNT, FAULT_ENCODING, FAULT_HEADER, FAULT_VARINT,
    FLOAT_HISTOGRAM, FLOAT_HISTOGRAM_ST, HISTOGRAM, HISTOGRAM_ST, XOR, XOR2, chunk_fault,
)
from pythanos._cursor cimport Cursor, cursor, offset as cursor_offset, read_uvarint, take
from pythanos._instructions cimport has_bmi2
from pythanos._xor_decode cimport decode_xor, decode_xor2
from pythanos._xor_encode cimport CHUNK_ROOM, SAMPLE_ROOM, encode_xor, encode_xor2

from pythanos._histogram_decode import decode_histograms
from pythanos._histogram_encode import encode_histograms  # noqa: F401, the histograms' counterpart of encode_floats
from pythanos.model.chunks import ChunkRows, DecodedChunks

ctypedef int64_t (*XorDecoder)(
    const uint8_t*, uint64_t, uint64_t, int64_t, int64_t*, uint64_t*, uint64_t*
) noexcept nogil
ctypedef int64_t (*Xor2Decoder)(
    const uint8_t*, uint64_t, uint64_t, int64_t, int64_t*, uint64_t*, int64_t*, uint64_t*
) noexcept nogil

# The same source twice, in instructions that every processor has or not.
cdef XorDecoder xor_decoder
cdef Xor2Decoder xor2_decoder
if has_bmi2():
    from pythanos._xor_bmi2 import addresses
else:
    addresses = None


def limit_instructions(bint plain):
    """Uses only instructions of every processor from now on (False: those of this one), so that tests can compare."""
    global xor_decoder, xor2_decoder
    xor_decoder, xor2_decoder = decode_xor, decode_xor2
    if addresses is not None and not plain:
        xor_decoder, xor2_decoder = <XorDecoder><size_t>addresses()[0], <Xor2Decoder><size_t>addresses()[1]


limit_instructions(False)


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
        return xor_decoder(data, length, readable, n, timestamps, <uint64_t*>values, fault_at)
    return xor2_decoder(data, length, readable, n, timestamps, <uint64_t*>values, start_timestamps, fault_at)


cdef inline bint inside(int64_t offset, int64_t length, int64_t size) noexcept nogil:
    return 0 <= offset <= size and 0 <= length <= size - offset


cdef inline bint is_histogram(uint8_t encoding) noexcept nogil:
    return encoding in (HISTOGRAM, FLOAT_HISTOGRAM, HISTOGRAM_ST, FLOAT_HISTOGRAM_ST)


cdef int64_t count_rows(
    const uint8_t* base, int64_t size, const int64_t[::1] offset, const int32_t[::1] length,
    const uint8_t[::1] encoding, int64_t[::1] start, int64_t* row, bint* with_st, bint* with_histograms,
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
    const uint8_t* base, int64_t size, const int64_t[::1] offset, const int32_t[::1] length,
    const uint8_t[::1] encoding, const int64_t[::1] start, int64_t* timestamps, double* values, int64_t* starts,
    int64_t* row, uint64_t* fault_at,
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

    arena: readable buffer; offset: int64[m] bytes into it; length: int32[m] bytes; encoding: uint8[m]. A chunk is its
    data without encoding byte and checksum. Returns DecodedChunks; with ``exact`` its histograms carry the integer
    counts too. Nothing of the arena is kept. Raises CorruptData with ``file``, and the offset in the arena. The GIL is
    released while decoding.
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
    histograms = None
    if with_histograms:
        histograms = decode_histograms(arena, offset, length, encoding, file=file, exact=exact)
    return DecodedChunks(start, timestamps, values, start_timestamps, histograms)


cdef int64_t encode_rows(
    uint8_t* out, const int64_t[::1] start, const int64_t* timestamps, const uint64_t* values, const int64_t* starts,
    uint8_t encoding, bint spare_byte, int64_t[::1] offset, int32_t[::1] length,
) noexcept nogil:
    cdef uint8_t* at = out
    cdef uint8_t* end
    cdef int64_t i, begin, n
    for i in range(offset.shape[0]):
        begin = start[i]
        n = start[i + 1] - begin
        if encoding == XOR:
            end = encode_xor(at, n, timestamps + begin, values + begin, spare_byte)
        else:
            end = encode_xor2(at, n, timestamps + begin, values + begin, starts + begin if starts != NULL else NULL)
        offset[i] = at - out
        length[i] = <int32_t>(end - at)
        at = end
    return at - out


def encode_floats(timestamps, values, start, encoding=XOR, start_timestamps=None, *, bint spare_byte=False):
    """Float chunks, bit for bit as Prometheus writes them.

    timestamps: int64[n] ms; values: float64[n]; start: int64[c + 1], chunk i holds rows [start[i], start[i + 1]), at
    most 65535; encoding: XOR or XOR2; start_timestamps: int64[n] ms with 0 for unknown, for XOR2 only. Returns (arena:
    bytes, offset: int64[c], length: int32[c]), the chunks' data one after another. Raises ValueError where the columns
    do not match. The GIL is released while encoding.
    """
    cdef const int64_t[::1] rows = np.ascontiguousarray(start, np.int64)
    cdef const int64_t[::1] times = np.ascontiguousarray(timestamps, np.int64)
    cdef const uint64_t[::1] bits = np.ascontiguousarray(values, np.float64).view(np.uint64)
    cdef const int64_t[::1] starts = None
    if start_timestamps is not None:
        starts = np.ascontiguousarray(start_timestamps, np.int64)
    cdef uint8_t kind = encoding
    cdef int64_t n = times.shape[0], size = 0
    if kind != XOR and kind != XOR2:
        raise ValueError(f"encoding {encoding} does not hold floats")
    if bits.shape[0] != n or (starts is not None and starts.shape[0] != n):
        raise ValueError("timestamps, values and start_timestamps differ in length")
    check_starts(np.asarray(rows), n, 65535)
    cdef int64_t c = rows.shape[0] - 1
    offset = np.empty(c, np.int64)
    length = np.empty(c, np.int32)
    if c == 0:
        return b"", offset, length
    cdef int64_t[::1] offsets = offset
    cdef int32_t[::1] lengths = length
    cdef const int64_t* start_at = &starts[0] if starts is not None and n else NULL
    cdef const int64_t* time_at = &times[0] if n else NULL
    cdef const uint64_t* bits_at = &bits[0] if n else NULL
    cdef uint8_t* out = <uint8_t*>malloc(<size_t>(c * CHUNK_ROOM + n * SAMPLE_ROOM))
    if out == NULL:
        raise MemoryError
    try:
        with nogil:
            size = encode_rows(out, rows, time_at, bits_at, start_at, kind, spare_byte, offsets, lengths)
        return out[:size], offset, length
    finally:
        free(out)


def check_starts(start, int64_t n, int64_t most):
    """Raises ValueError unless ``start`` (int64[c + 1]) cuts n rows into chunks of at most ``most``."""
    steps = np.diff(start)
    inside_limits = (steps >= 0).all() and (steps <= most).all()
    if len(start) == 0 or start[0] != 0 or start[len(steps)] != n or not inside_limits:
        raise ValueError(f"start does not cut {n} rows into chunks of at most {most}")


cdef int64_t split_chunk(
    const uint8_t* base, int64_t offset, int64_t length, int64_t* k, uint8_t* kind, uint8_t* encoding, int64_t* at,
    int32_t* size
) noexcept nogil:
    """The aggregates of one chunk to rows from k on: five times a length, with encoding byte and data where not 0."""
    cdef Cursor c = cursor(base + offset, length)
    cdef uint64_t n
    cdef int i
    for i in range(5):
        n = read_uvarint(&c)
        if c.bad:
            return FAULT_VARINT
        if n == 0:
            continue
        if n >= <uint64_t>(c.end - c.at):
            return FAULT_AGGREGATE
        kind[k[0]] = <uint8_t>(i + 1)
        encoding[k[0]] = c.at[0]
        at[k[0]] = offset + cursor_offset(&c) + 1
        size[k[0]] = <int32_t>n
        take(&c, n + 1)
        k[0] += 1
    return 0


def join_aggregates(arena, start, kind, offset, length, encoding):
    """Thanos' aggregate chunks from the chunks of their aggregates; what split_aggregates takes apart.

    start: int64[m + 1], chunk i is made of rows [start[i], start[i + 1]); kind: uint8[k], COUNT .. COUNTER, rising
    within a chunk; offset: int64[k], length: int32[k], encoding: uint8[k]: the inner chunks in the arena. Returns (arena:
    bytes, offset: int64[m], length: int32[m]). Raises ValueError where kinds do not rise or a chunk is not inside the
    arena.
    """
    view = memoryview(arena).cast("B")
    starts, kinds = np.ascontiguousarray(start, np.int64), np.ascontiguousarray(kind, np.uint8)
    begins, lengths = np.ascontiguousarray(offset, np.int64), np.ascontiguousarray(length, np.int64)
    cdef const uint8_t[::1] inner = np.ascontiguousarray(encoding, np.uint8)
    check_starts(starts, len(kinds), 5)
    if not len(kinds) == len(begins) == len(lengths) == len(inner):
        raise ValueError("kind, offset, length and encoding differ in length")
    if len(kinds) and (kinds.min() < 1 or kinds.max() > 5 or begins.min() < 0 or lengths.min() < 1):
        raise ValueError("a kind that is no aggregate, or a chunk that is none")
    if len(kinds) and (begins + lengths).max() > len(view):
        raise ValueError("a chunk that is not inside the arena")
    cdef const uint8_t[::1] source = view
    cdef const int64_t[::1] first = starts, at = begins, size = lengths
    cdef const uint8_t[::1] kind_view = kinds
    cdef int64_t m = len(starts) - 1, i
    cdef int64_t room = int(lengths.sum()) + 6 * len(kinds) + 5 * m
    cdef uint8_t* out = <uint8_t*>malloc(<size_t>room + 1)
    cdef uint8_t* end = out
    cdef const uint8_t* base = &source[0] if len(kinds) else NULL
    if out == NULL:
        raise MemoryError
    out_offset = np.empty(m, np.int64)
    out_length = np.empty(m, np.int32)
    try:
        for i in range(m):
            out_offset[i] = end - out
            end = join_chunk(end, base, first[i], first[i + 1], kind_view, at, size, inner)
            if end == NULL:
                raise ValueError("kinds do not rise")
            out_length[i] = end - out - out_offset[i]
        return out[: end - out], out_offset, out_length
    finally:
        free(out)


cdef uint8_t* join_chunk(
    uint8_t* out, const uint8_t* base, int64_t begin, int64_t end,
    const uint8_t[::1] kind, const int64_t[::1] at, const int64_t[::1] size, const uint8_t[::1] encoding,
) noexcept nogil:
    """One aggregate chunk to `out`; its end, or NULL where the kinds do not rise."""
    cdef int64_t row = begin
    cdef int64_t n
    cdef int wanted
    for wanted in range(1, 6):
        n = size[row] if row < end and kind[row] == wanted else 0
        while n >= 0x80:
            out[0] = <uint8_t>(n | 0x80)
            n >>= 7
            out += 1
        out[0] = <uint8_t>n
        out += 1
        if row < end and kind[row] == wanted:
            out[0] = encoding[row]
            memcpy(out + 1, base + at[row], <size_t>size[row])
            out += 1 + size[row]
            row += 1
    return out if row == end else NULL


def split_aggregates(arena, offset, length, encoding, *, str file="chunks"):
    """Where the chunks inside Thanos' aggregate chunks are; other chunks stay as they are, with kind RAW.

    Arguments as for decode_chunks. Returns ChunkRows, whose kinds are numbered as in ``model.resolution`` (COUNT = 1
    ...). No bytes are copied. Raises CorruptData where a length goes beyond its chunk.
    """
    cdef const uint8_t[::1] view = memoryview(arena).cast("B")
    cdef const int64_t[::1] offsets = np.ascontiguousarray(offset, np.int64)
    cdef const int32_t[::1] lengths = np.ascontiguousarray(length, np.int32)
    cdef const uint8_t[::1] encodings = np.ascontiguousarray(encoding, np.uint8)
    cdef int64_t m = offsets.shape[0], size = view.shape[0]
    cdef int64_t i = 0, k = 0, fault = 0
    cdef const uint8_t* base = &view[0] if size else NULL
    if lengths.shape[0] != m or encodings.shape[0] != m:
        raise ValueError("offset, length and encoding differ in length")
    start = np.zeros(m + 1, np.int64)
    kind = np.zeros(5 * m, np.uint8)
    inner = np.empty(5 * m, np.uint8)
    at = np.empty(5 * m, np.int64)
    inner_length = np.empty(5 * m, np.int32)
    cdef int64_t[::1] starts = start
    cdef uint8_t[::1] kinds = kind, inners = inner
    cdef int64_t[::1] ats = at
    cdef int32_t[::1] inner_lengths = inner_length
    with nogil:
        for i in range(m):
            if not inside(offsets[i], lengths[i], size):
                fault = FAULT_BOUNDS
            elif encodings[i] == AGGREGATE:
                fault = split_chunk(base, offsets[i], lengths[i], &k, &kinds[0], &inners[0], &ats[0], &inner_lengths[0])
            else:
                inners[k] = encodings[i]
                ats[k] = offsets[i]
                inner_lengths[k] = lengths[i]
                k += 1
            if fault:
                break
            starts[i + 1] = k
    if fault:
        raise chunk_fault(fault, file, offsets[i], encodings[i])
    return ChunkRows(start, kind[:k].copy(), inner[:k].copy(), at[:k].copy(), inner_length[:k].copy())
