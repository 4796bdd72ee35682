# cython: language_level=3
"""Chunk records, as segment files hold them: found, checked and framed, many per call.

A record is: uvarint length of the data | encoding byte | data | CRC-32C of encoding byte and data, big-endian. A
segment file is a header of 8 bytes and records without gaps. docs/formats/chunks.md draws both.

Source: Prometheus' tsdb/chunks/chunks.go.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

import numpy as np

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from pythanos._cursor cimport PYTHANOS_BSWAP32, Cursor, cursor, offset as cursor_offset, read_uvarint, remaining
from pythanos._hash cimport crc32c

from pythanos.errors import CorruptData

cdef enum:
    HEADER_SIZE = 8
    LENGTH_SIZE_MAX = 5     # the length is read from at most five bytes, as Prometheus does
    TRAILER_SIZE = 4

cdef enum:
    FAULT_OUTSIDE = 1       # the record does not begin inside the buffer
    FAULT_LENGTH = 2        # no length, or one of more than 32 bits
    FAULT_CUT = 3           # the record ends behind the buffer
    FAULT_CHECKSUM = 4

_REASONS = {
    FAULT_OUTSIDE: "chunk reference outside the segment",
    FAULT_LENGTH: "chunk length is not readable",
    FAULT_CUT: "chunk goes beyond the end of the segment",
    FAULT_CHECKSUM: "checksum mismatch of chunk",
}


cdef inline int read_record(
    const uint8_t* base, int64_t size, int64_t at, bint check_crc, int64_t* data, int32_t* length, uint8_t* encoding,
    int64_t* need
) noexcept nogil:
    """One record at byte `at`. `need` is its size in bytes as far as that can be told. 0 or a fault."""
    cdef Cursor c
    cdef uint64_t n
    cdef uint32_t stored
    data[0] = at
    length[0] = 0
    encoding[0] = 0
    need[0] = LENGTH_SIZE_MAX
    if at < 0 or at >= size:
        return FAULT_OUTSIDE
    c = cursor(base + at, min(size - at, LENGTH_SIZE_MAX))
    n = read_uvarint(&c)
    if c.bad:
        return FAULT_CUT if size - at < LENGTH_SIZE_MAX else FAULT_LENGTH
    if n > 0x7FFFFFFF:
        return FAULT_LENGTH
    need[0] = cursor_offset(&c) + 1 + <int64_t>n + TRAILER_SIZE
    if need[0] > size - at:
        return FAULT_CUT
    data[0] = at + cursor_offset(&c) + 1
    length[0] = <int32_t>n
    encoding[0] = base[data[0] - 1]
    if check_crc:
        memcpy(&stored, base + data[0] + length[0], 4)
        if crc32c(0, base + data[0] - 1, <size_t>n + 1) != PYTHANOS_BSWAP32(stored):
            return FAULT_CHECKSUM
    return 0


def locate_chunks(arena, record, *, bint check_crc=True, str file="chunks", int64_t file_offset=0, bint partial=False):
    """Where the data of chunks is, given where their records begin.

    arena: readable buffer, a segment file or the part of it that starts at ``file_offset``; record: int64[n], bytes in
    the arena. Returns (encoding: uint8[n], offset: int64[n], length: int32[n], need: int64[k], rows: int64[k]): the
    data's place in the arena. With ``partial`` a record that begins in the arena and ends behind it is no error: its
    row is listed in ``rows``, the bytes that it needs (5 where not even the length is there) in ``need``, and its
    length is 0. Without, both are empty. Raises CorruptData with the offset in ``file``. The GIL is released.
    """
    cdef const uint8_t[::1] view = memoryview(arena).cast("B")
    cdef const int64_t[::1] records = np.ascontiguousarray(record, np.int64)
    cdef int64_t n = records.shape[0], size = view.shape[0], i = 0, k = 0
    cdef const uint8_t* base = &view[0] if size else NULL
    cdef int fault = 0
    encoding = np.empty(n, np.uint8)
    offset = np.empty(n, np.int64)
    length = np.empty(n, np.int32)
    need = np.empty(n if partial else 1, np.int64)
    rows = np.empty(n if partial else 0, np.int64)
    cdef uint8_t[::1] encodings = encoding
    cdef int64_t[::1] offsets = offset, needs = need, row_view = rows
    cdef int32_t[::1] lengths = length
    with nogil:
        for i in range(n):
            fault = read_record(base, size, records[i], check_crc, &offsets[i], &lengths[i], &encodings[i], &needs[k])
            if fault == FAULT_CUT and partial:
                row_view[k] = i
                k += 1
                fault = 0
            if fault:
                break
    if fault:
        raise CorruptData(file, file_offset + records[i], _REASONS[fault])
    return encoding, offset, length, need[:k].copy(), rows[:k].copy()


def scan_chunks(arena, *, bint check_crc=True, str file="chunks"):
    """All records of a whole segment file, in order.

    Returns (record: int64[n], encoding: uint8[n], offset: int64[n], length: int32[n]): where records and their data
    begin. The file's header is not looked at. Raises CorruptData. The GIL is released.
    """
    cdef const uint8_t[::1] view = memoryview(arena).cast("B")
    cdef int64_t size = view.shape[0]
    # The smallest record is six bytes, so this many fit; the pages behind what is used are never touched.
    cdef int64_t most = max(<int64_t>0, size - HEADER_SIZE) // (1 + 1 + TRAILER_SIZE) + 1
    cdef int64_t at = HEADER_SIZE, n = 0, need = 0
    cdef const uint8_t* base = &view[0] if size else NULL
    cdef int fault = 0
    record = np.empty(most, np.int64)
    encoding = np.empty(most, np.uint8)
    offset = np.empty(most, np.int64)
    length = np.empty(most, np.int32)
    cdef int64_t[::1] records = record, offsets = offset
    cdef uint8_t[::1] encodings = encoding
    cdef int32_t[::1] lengths = length
    with nogil:
        while at < size:
            fault = read_record(base, size, at, check_crc, &offsets[n], &lengths[n], &encodings[n], &need)
            if fault:
                break
            records[n] = at
            at += need
            n += 1
    if fault:
        raise CorruptData(file, at, _REASONS[fault])
    return record[:n].copy(), encoding[:n].copy(), offset[:n].copy(), length[:n].copy()


cdef inline int uvarint_size(uint64_t value) noexcept nogil:
    cdef int size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


def plan_segments(length, series_start, int64_t position, int64_t limit):
    """Where chunks go in segment files: Prometheus' decision, made per series with a pessimistic size per chunk.

    length: int32[m] bytes of data; series_start: int64[s + 1], series i has the chunks
    [series_start[i], series_start[i + 1]); position: bytes in the current segment file (8 for a new one); limit: bytes
    that a file should not exceed. Returns (segment: int64[m], 0 for the current file and rising; record: int64[m] bytes
    in that file; position in the last file).
    """
    cdef const int32_t[::1] lengths = np.ascontiguousarray(length, np.int32)
    cdef const int64_t[::1] starts = np.ascontiguousarray(series_start, np.int64)
    cdef int64_t m = lengths.shape[0], s = starts.shape[0] - 1
    cdef int64_t i, k, batch, entry, chunk, current = 0
    cdef bint first, cut
    if s < 0 or starts[0] != 0 or starts[s] != m or (s and int(np.diff(series_start).min()) < 0):
        raise ValueError(f"series_start does not cut {m} chunks")
    segment = np.empty(m, np.int64)
    record = np.empty(m, np.int64)
    cdef int64_t[::1] segments = segment, records = record
    with nogil:
        for i in range(s):
            batch = 0
            first = True
            entry = position
            for k in range(starts[i], starts[i + 1]):
                chunk = LENGTH_SIZE_MAX + 1 + <int64_t>lengths[k] + TRAILER_SIZE
                batch += chunk
                cut = k != starts[i] and batch + HEADER_SIZE > limit
                if first and entry > HEADER_SIZE:
                    cut = batch + entry > limit
                    first = not cut
                if cut:
                    batch = chunk
                    current += 1
                    position = HEADER_SIZE
                segments[k] = current
                records[k] = position
                position += uvarint_size(<uint64_t>lengths[k]) + 1 + <int64_t>lengths[k] + TRAILER_SIZE
    return segment, record, position


def frame_chunks(arena, offset, length, encoding):
    """The records of chunks, one after another, as bytes.

    arena: readable buffer; offset: int64[n], length: int32[n], encoding: uint8[n]: the chunks' data in it. Raises
    ValueError where a chunk is not inside the arena. The GIL is released.
    """
    cdef const uint8_t[::1] view = memoryview(arena).cast("B")
    cdef const int64_t[::1] offsets = np.ascontiguousarray(offset, np.int64)
    cdef const int32_t[::1] lengths = np.ascontiguousarray(length, np.int32)
    cdef const uint8_t[::1] encodings = np.ascontiguousarray(encoding, np.uint8)
    cdef int64_t n = offsets.shape[0], size = view.shape[0], total = 0, i
    cdef const uint8_t* base = &view[0] if size else NULL
    cdef uint8_t* out
    if lengths.shape[0] != n or encodings.shape[0] != n:
        raise ValueError("offset, length and encoding differ in length")
    for i in range(n):
        if not (0 <= offsets[i] <= size and 0 <= lengths[i] <= size - offsets[i]):
            raise ValueError("a chunk that is not inside the arena")
        total += uvarint_size(<uint64_t>lengths[i]) + 1 + <int64_t>lengths[i] + TRAILER_SIZE
    framed = PyBytes_FromStringAndSize(NULL, total)
    out = <uint8_t*>PyBytes_AS_STRING(framed)
    with nogil:
        for i in range(n):
            out = put_record(out, base + offsets[i], <uint64_t>lengths[i], encodings[i])
    return framed


cdef inline uint8_t* put_record(uint8_t* out, const uint8_t* data, uint64_t length, uint8_t encoding) noexcept nogil:
    cdef uint64_t n = length
    cdef uint32_t checksum
    while n >= 0x80:
        out[0] = <uint8_t>(n | 0x80)
        n >>= 7
        out += 1
    out[0] = <uint8_t>n
    out[1] = encoding
    memcpy(out + 2, data, length)
    checksum = PYTHANOS_BSWAP32(crc32c(0, out + 1, length + 1))
    memcpy(out + 2 + length, &checksum, 4)
    return out + 2 + length + TRAILER_SIZE
