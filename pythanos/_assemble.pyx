"""Chunks out of fetched byte ranges, put together with their label sets into one SeriesBatch.

Design. A first pass reads each chunk's record where it was fetched (uvarint data length | encoding byte | data |
CRC-32C of encoding and data), checks it and adds up what it will take; a chunk that goes on after the end of its
range is named for another fetch. If none is, a second pass copies each label block and the data of its chunks into
one arena, series by series. Of a Thanos aggregate chunk (encoding 0xFF: five times uvarint length | encoding byte |
data, in the order count, sum, min, max, counter, length 0 where absent) only the wanted aggregates are copied, as
chunk rows of their own.
"""

import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from pythanos._arena cimport Growing, release, reserve, seal
from pythanos._cursor cimport Cursor, cursor, read_u32be, read_u8, read_uvarint, remaining, take
from pythanos._hash cimport crc32c
from pythanos._labels cimport LabelRows, Rows

from pythanos.errors import CorruptData
from pythanos.model.series import LabelColumn, SeriesBatch

cdef enum:
    AGGREGATE = 0xFF
    LAST_ENCODING = 6
    AGGREGATES = 5
    CRC_SIZE = 4
    # Enough for any length varint and the encoding byte.
    HEADER_SIZE = 16
    # Zero bytes behind the last chunk, so that decoders may load whole words from any chunk.
    SLACK = 16

cdef enum Fault:
    FINE = 0
    SHORT = 1
    TOO_LONG = 2
    ENCODING = 3
    CHECKSUM = 4
    INNER = 5
    PLACE = 6

REASONS = {
    TOO_LONG: "chunk length that no chunk has",
    ENCODING: "unknown chunk encoding",
    CHECKSUM: "checksum of a chunk does not match",
    INNER: "aggregate chunk with a length beyond its end",
    PLACE: "chunk outside of what was fetched",
}


cdef struct Range:
    const uint8_t* data
    Py_ssize_t size


cdef struct Record:
    # A chunk where it was fetched; `needed` is how many bytes from its start on it takes.
    const uint8_t* data
    int64_t length
    int64_t needed
    uint8_t encoding


cdef struct Inner:
    const uint8_t* data
    int64_t length
    uint8_t encoding
    uint8_t kind


cdef inline Fault read_record(const Range* part, int64_t place, bint check, Record* out) noexcept nogil:
    cdef Cursor c
    cdef uint64_t length
    cdef const uint8_t* start
    cdef uint32_t sum
    if place < 0 or place > part.size:
        return PLACE
    c = cursor(part.data + place, part.size - place)
    length = read_uvarint(&c)
    if c.bad:
        out.needed = HEADER_SIZE
        return SHORT if part.size - place < HEADER_SIZE else TOO_LONG
    if length > 0x7FFFFFF0:
        return TOO_LONG
    start = c.at
    out.needed = (start - (part.data + place)) + 1 + <int64_t>length + CRC_SIZE
    out.encoding = read_u8(&c)
    out.data = take(&c, length)
    sum = read_u32be(&c)
    if c.bad:
        return SHORT
    out.length = <int64_t>length
    if check and crc32c(0, start, length + 1) != sum:
        return CHECKSUM
    if (out.encoding == 0 or out.encoding > LAST_ENCODING) and out.encoding != AGGREGATE:
        return ENCODING
    return FINE


cdef inline int inner_chunks(const Record* record, uint32_t wanted, Inner* out) noexcept nogil:
    """The wanted aggregates of an aggregate chunk (bit k of `wanted` is kind k); -1 where its lengths do not fit."""
    cdef Cursor c = cursor(record.data, record.length)
    cdef uint64_t length
    cdef uint8_t encoding
    cdef const uint8_t* data
    cdef int kind, n = 0
    for kind in range(1, AGGREGATES + 1):
        if remaining(&c) == 0 and (wanted >> kind) == 0:
            break
        length = read_uvarint(&c)
        if c.bad:
            return -1
        if length == 0:
            continue
        encoding = read_u8(&c)
        data = take(&c, length)
        if c.bad:
            return -1
        if wanted >> kind & 1:
            out[n].data = data
            out[n].length = <int64_t>length
            out[n].encoding = encoding
            out[n].kind = kind
            n += 1
    return n


cdef class Sources:
    """The fetched ranges as C pointers, held while a kernel reads them."""

    cdef Py_buffer* buffers
    cdef Range* ranges
    cdef Py_ssize_t count

    def __cinit__(self, list parts):
        cdef Py_ssize_t i
        self.buffers = <Py_buffer*>calloc(len(parts) + 1, sizeof(Py_buffer))
        self.ranges = <Range*>calloc(len(parts) + 1, sizeof(Range))
        if self.buffers == NULL or self.ranges == NULL:
            raise MemoryError
        for i in range(len(parts)):
            PyObject_GetBuffer(parts[i], &self.buffers[i], PyBUF_SIMPLE)
            self.ranges[i].data = <const uint8_t*>self.buffers[i].buf
            self.ranges[i].size = self.buffers[i].len
            self.count = i + 1

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.buffers != NULL:
            for i in range(self.count):
                PyBuffer_Release(&self.buffers[i])
        free(self.buffers)
        free(self.ranges)


def measure(list parts, const int32_t[::1] part, const int64_t[::1] place, *, tuple aggregates=(), bint check_crc=True,
            list files=None, part_start=None):
    """Checks m chunk records and says what they take: (rows int64[m], sizes int64[m], missing int64[r], needed
    int64[r]).

    parts: buffers; chunk i's record is at place[i] of parts[part[i]]. aggregates: the kinds wanted of aggregate
    chunks. rows: chunk rows that each record gives (1, or its wanted aggregates), sizes: their data bytes. missing:
    the records that go on after the end of their part, needed: how many bytes each one has (or, for a length that is
    cut itself, might have). files, part_start: object name and byte offset of each part, for errors. Raises
    CorruptData.
    """
    cdef Sources sources = Sources(parts)
    cdef Py_ssize_t m = part.shape[0], i, r = 0
    cdef uint32_t wanted = 0
    cdef Record record
    cdef Inner inner[AGGREGATES]
    cdef Fault fault = FINE
    cdef int n, k
    for kind in aggregates:
        wanted |= 1 << <int>kind
    if place.shape[0] != m:
        raise ValueError("part and place differ in length")
    record.encoding = 0
    rows, sizes, missing, needed = (np.zeros(m, np.int64) for _ in range(4))
    cdef int64_t[::1] row_view = rows, size_view = sizes, missing_view = missing, needed_view = needed
    i = 0
    with nogil:
        while i < m:
            if part[i] < 0 or part[i] >= sources.count:
                fault = PLACE
                break
            fault = read_record(&sources.ranges[part[i]], place[i], check_crc, &record)
            if fault == SHORT:
                missing_view[r] = i
                needed_view[r] = record.needed
                r += 1
            elif fault != FINE:
                break
            elif record.encoding != AGGREGATE:
                row_view[i] = 1
                size_view[i] = record.length
            else:
                n = inner_chunks(&record, wanted, inner)
                if n < 0:
                    fault = INNER
                    break
                row_view[i] = n
                for k in range(n):
                    size_view[i] += inner[k].length
            i += 1
    if i < m:
        at = int(part[i])
        start = int(part_start[at]) if part_start is not None and 0 <= at < sources.count else 0
        name = files[at] if files is not None and 0 <= at < sources.count else "chunks"
        reason = REASONS[fault]
        raise CorruptData(name, start + int(place[i]), f"{reason} {record.encoding}" if fault == ENCODING else reason)
    return rows, sizes, missing[:r].copy(), needed[:r].copy()


def assemble(labels, chunk_start, chunk_mint, chunk_maxt, list parts, const int32_t[::1] part,
             const int64_t[::1] place, *, const int64_t[::1] rows, const int64_t[::1] sizes, tuple aggregates=()):
    """SeriesBatch of n series and their chunks, all bytes copied into an arena of its own.

    labels: LabelColumn of n. chunk_start: int64[n + 1], chunk_mint, chunk_maxt: int64[m], as in SeriesEntries. parts,
    part, place, aggregates: as given to `measure`, whose rows and sizes these are and which found nothing missing.
    """
    cdef LabelRows label_rows = LabelRows(labels)
    cdef Rows source = label_rows.rows
    cdef Sources sources = Sources(parts)
    cdef const int64_t[::1] starts = np.ascontiguousarray(chunk_start, np.int64)
    cdef const int64_t[::1] mints = np.ascontiguousarray(chunk_mint, np.int64)
    cdef const int64_t[::1] maxts = np.ascontiguousarray(chunk_maxt, np.int64)
    cdef Py_ssize_t n = source.count, m = part.shape[0], i, j, row = 0, total = SLACK, k = 0
    cdef uint32_t wanted = 0
    cdef Record record
    cdef Inner inner[AGGREGATES]
    cdef int count, one
    cdef Growing arena
    cdef bint good = True
    if starts.shape[0] != n + 1 or place.shape[0] != m or rows.shape[0] != m or sizes.shape[0] != m:
        raise ValueError("columns of different lengths")
    if mints.shape[0] != m or maxts.shape[0] != m:
        raise ValueError("columns of different lengths")
    if starts[0] != 0 or starts[n] != m:
        raise ValueError("chunk_start does not cover the chunks")
    for kind in aggregates:
        wanted |= 1 << <int>kind
    for i in range(n):
        total += source.length[i]
    for j in range(m):
        total += sizes[j]
        k += rows[j]
    label_offset, label_length = np.empty(n, np.int64), np.empty(n, np.int32)
    out_start, out_mint, out_maxt = np.zeros(n + 1, np.int64), np.empty(k, np.int64), np.empty(k, np.int64)
    encoding, kinds = np.empty(k, np.uint8), np.empty(k, np.uint8)
    offset, length = np.empty(k, np.int64), np.empty(k, np.int32)
    cdef int64_t[::1] label_offsets = label_offset, out_starts = out_start, out_mints = out_mint, out_maxts = out_maxt
    cdef int64_t[::1] offsets = offset
    cdef int32_t[::1] label_lengths = label_length, lengths = length
    cdef uint8_t[::1] encodings = encoding, kind_view = kinds
    memset(&arena, 0, sizeof(Growing))
    if not reserve(&arena, total):
        raise MemoryError
    with nogil:
        for i in range(n):
            if starts[i + 1] < starts[i] or starts[i + 1] > m:
                good = False
                break
            memcpy(arena.data + arena.size, source.arena + source.offset[i], source.length[i])
            label_offsets[i] = arena.size
            label_lengths[i] = source.length[i]
            arena.size += source.length[i]
            for j in range(starts[i], starts[i + 1]):
                if part[j] < 0 or part[j] >= sources.count:
                    good = False
                    break
                if read_record(&sources.ranges[part[j]], place[j], False, &record) != FINE:
                    good = False
                    break
                if record.encoding != AGGREGATE:
                    inner[0].data, inner[0].length = record.data, record.length
                    inner[0].encoding, inner[0].kind = record.encoding, 0
                    count = 1
                else:
                    count = inner_chunks(&record, wanted, inner)
                if count != rows[j] or row + count > k:
                    good = False
                    break
                for one in range(count):
                    if arena.size + inner[one].length + SLACK > total:
                        good = False
                        break
                    memcpy(arena.data + arena.size, inner[one].data, inner[one].length)
                    out_mints[row] = mints[j]
                    out_maxts[row] = maxts[j]
                    encodings[row] = inner[one].encoding
                    kind_view[row] = inner[one].kind
                    offsets[row] = arena.size
                    lengths[row] = <int32_t>inner[one].length
                    arena.size += inner[one].length
                    row += 1
            if not good:
                break
            out_starts[i + 1] = row
        memset(arena.data + arena.size, 0, total - arena.size)
        arena.size = total
    if not good:
        release(&arena)
        raise ValueError("chunks differ from what was measured")
    return SeriesBatch(
        LabelColumn(seal(&arena), label_offset, label_length, labels.hash),
        out_start, out_mint, out_maxt, encoding, kinds, offset, length,
    )
