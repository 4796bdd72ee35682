"""Chunks out of fetched byte ranges, put together with their label sets into one SeriesBatch.

Design. One pass, series by series: the label block and the data of its chunks are copied into one arena. Each chunk's
record (uvarint data length | encoding byte | data | CRC-32C of encoding and data) is read where it was fetched, checked
and, for the wire, hashed right before it is copied, so that its bytes are fetched from memory once. A chunk that goes on
after the end of its range is named for another fetch; from then on records are only checked. Of a Thanos aggregate chunk
(encoding 0xFF: five times uvarint length | encoding byte | data, in the order count, sum, min, max, counter, length 0
where absent) only the wanted aggregates are copied, as chunk rows of their own.
"""

import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from pythanos._arena cimport Growing, append, release, reserve
from pythanos._batches cimport Output, allocate, built_batch
from pythanos._cursor cimport Cursor, cursor, read_u32be, read_u8, read_uvarint, remaining, take
from pythanos._hash cimport crc32c, xxh64, xxh64_crc32c
from pythanos._labels cimport LabelRows, Rows
from pythanos._series_wire cimport AGGREGATE_ROOM, RECORD_ROOM, WireChunk, put_aggregates, put_record_header

from pythanos.errors import CorruptData

cdef enum:
    AGGREGATE = 0xFF
    LAST_ENCODING = 6
    AGGREGATES = 5
    CRC_SIZE = 4
    # Enough for any length varint and the encoding byte.
    HEADER_SIZE = 16
    # Zero bytes behind the last chunk, so that decoders may load whole words from any chunk.
    SLACK = 16
    # What a chunk is taken to need where its neighbour does not tell, and at most where it does.
    GUESS = 512
    GUESS_MAX = 1 << 16

cdef enum Fault:
    FINE = 0
    SHORT = 1
    TOO_LONG = 2
    ENCODING = 3
    CHECKSUM = 4
    INNER = 5
    PLACE = 6
    MEMORY = 7
    ROWS = 8

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
    # A chunk where it was fetched; `needed` is how many bytes from its start on it takes. `hash` is that of the data.
    const uint8_t* data
    uint64_t hash
    int64_t length
    int64_t needed
    uint8_t encoding


cdef inline Fault read_record(const Range* part, int64_t place, bint check, bint hashed, Record* out) noexcept nogil:
    cdef Cursor c
    cdef uint64_t length
    cdef const uint8_t* start
    cdef uint32_t sum, found = 0
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
    hashed = hashed and out.encoding != AGGREGATE
    if check:
        found = crc32c(0, start, 1)
        if hashed:
            out.hash = xxh64_crc32c(out.data, length, 0, &found)
        else:
            found = crc32c(found, out.data, length)
        if found != sum:
            return CHECKSUM
    elif hashed:
        out.hash = xxh64(out.data, length, 0)
    if (out.encoding == 0 or out.encoding > LAST_ENCODING) and out.encoding != AGGREGATE:
        return ENCODING
    return FINE


cdef inline int inner_chunks(const Record* record, uint32_t wanted, WireChunk* out) noexcept nogil:
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


cdef struct Job:
    const Range* ranges
    Py_ssize_t range_count
    const int32_t* part
    const int64_t* place
    const int64_t* starts
    const int64_t* mint
    const int64_t* maxt
    uint32_t wanted
    bint check
    bint wire
    Output out
    Py_ssize_t room
    Growing missing
    Growing needed
    uint8_t encoding
    Py_ssize_t at


cdef inline void put_raw(Output* out, WireChunk* chunks, int count) noexcept nogil:
    """The data of chunks, one after another."""
    cdef int i
    for i in range(count):
        memcpy(out.arena.data + out.arena.size, chunks[i].data, chunks[i].length)
        chunks[i].data = out.arena.data + out.arena.size
        out.arena.size += chunks[i].length


cdef inline void put_wired(Output* out, int64_t mint, int64_t maxt, WireChunk* chunks, int count) noexcept nogil:
    """The chunks as one AggrChunk."""
    cdef uint8_t* start = out.arena.data + out.arena.size
    out.arena.size += put_aggregates(start, mint, maxt, chunks, count) - start


cdef Fault put_record(Job* job, Py_ssize_t i) noexcept nogil:
    """One chunk record: its wanted chunks go into the arena and the columns, or its number to the missing ones."""
    cdef Output* out = &job.out
    cdef Record record
    cdef WireChunk chunks[AGGREGATES]
    cdef Fault fault
    cdef int64_t number = i
    cdef int count = 1, k
    job.encoding = record.encoding = 0
    record.hash = 0
    if job.part[i] < 0 or job.part[i] >= job.range_count:
        return PLACE
    fault = read_record(&job.ranges[job.part[i]], job.place[i], job.check, job.wire, &record)
    if fault == SHORT:
        if append(&job.missing, <uint8_t*>&number, 8) and append(&job.needed, <uint8_t*>&record.needed, 8):
            return FINE
        return MEMORY
    job.encoding = record.encoding
    if fault != FINE:
        return fault
    if record.encoding == AGGREGATE:
        count = inner_chunks(&record, job.wanted, chunks)
        if count < 0:
            return INNER
        for k in range(count):
            chunks[k].hash = xxh64(chunks[k].data, chunks[k].length, 0) if job.wire else 0
    else:
        chunks[0].data, chunks[0].length = record.data, record.length
        chunks[0].encoding, chunks[0].kind, chunks[0].hash = record.encoding, 0, record.hash
    if job.missing.size or count == 0:
        return FINE
    if not reserve(&out.arena, record.length + AGGREGATES * AGGREGATE_ROOM):
        return MEMORY
    if out.chunks + count > job.room:
        return ROWS
    if job.wire:
        put_wired(out, job.mint[i], job.maxt[i], chunks, count)
    else:
        put_raw(out, chunks, count)
    for k in range(count):
        out.mint[out.chunks] = job.mint[i]
        out.maxt[out.chunks] = job.maxt[i]
        out.encoding[out.chunks] = chunks[k].encoding
        out.aggregate[out.chunks] = chunks[k].kind
        out.offset[out.chunks] = chunks[k].data - out.arena.data
        out.length[out.chunks] = <int32_t>chunks[k].length
        out.chunks += 1
    return FINE


cdef Fault put_series(Job* job, const Rows* labels, Py_ssize_t i) noexcept nogil:
    """One series: its labels, its chunks, and for the wire the header before them."""
    cdef Output* out = &job.out
    cdef int64_t body
    cdef Fault fault
    if not reserve(&out.arena, labels.length[i] + RECORD_ROOM):
        return MEMORY
    if job.wire:
        out.arena.size += RECORD_ROOM
    body = out.arena.size
    memcpy(out.arena.data + body, labels.arena + labels.offset[i], labels.length[i])
    out.label_offset[i] = body
    out.label_length[i] = labels.length[i]
    out.hash[i] = labels.hash[i]
    out.arena.size += labels.length[i]
    for job.at in range(job.starts[i], job.starts[i + 1]):
        fault = put_record(job, job.at)
        if fault != FINE:
            return fault
    out.chunk_start[i + 1] = out.chunks
    if job.wire:
        out.wire[2 * i] = put_record_header(out.arena.data + body, out.arena.size - body) - out.arena.data
        out.wire[2 * i + 1] = out.arena.size
    return FINE


cdef int64_t guessed(const Job* job, const Rows* labels, Py_ssize_t chunks) noexcept nogil:
    """Bytes that the arena will take, about: chunks that follow each other tell their sizes."""
    cdef int64_t total = SLACK, size
    cdef Py_ssize_t i
    for i in range(labels.count):
        total += labels.length[i] + RECORD_ROOM
    for i in range(chunks):
        size = GUESS
        if i + 1 < chunks and job.part[i] == job.part[i + 1] and job.place[i] < job.place[i + 1]:
            size = min(job.place[i + 1] - job.place[i], <int64_t>GUESS_MAX)
        total += size + (AGGREGATE_ROOM if job.wire else 0)
    return total + AGGREGATES * AGGREGATE_ROOM


cdef bint rising(const int64_t[::1] starts, Py_ssize_t n, Py_ssize_t m) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if starts[i] > starts[i + 1]:
            return False
    return starts[0] == 0 and starts[n] == m


cdef int fail(const Job* job, Fault fault, list files, part_start) except -1:
    """Raises what a fault at chunk `at` means."""
    if fault == MEMORY:
        raise MemoryError
    if fault == ROWS:
        raise ValueError("more aggregates in a chunk than there are")
    number = job.part[job.at]
    start = int(part_start[number]) if part_start is not None and 0 <= number < job.range_count else 0
    name = files[number] if files is not None and 0 <= number < job.range_count else "chunks"
    reason = f"{REASONS[fault]} {job.encoding}" if fault == ENCODING else REASONS[fault]
    raise CorruptData(name, start + job.place[job.at], reason)


cdef object numbers_in(Growing* g):
    if not g.size:
        return np.empty(0, np.int64)
    return np.frombuffer(<bytes>(<char*>g.data)[: g.size], np.int64)


def assemble(labels, chunk_start, chunk_mint, chunk_maxt, list parts, const int32_t[::1] part,
             const int64_t[::1] place, *, tuple aggregates=(), bint check_crc=True, bint wire=False,
             list files=None, part_start=None):
    """``(batch, missing, needed)``: the SeriesBatch of n series with their m chunk records.

    labels: LabelColumn of n. chunk_start: int64[n + 1], chunk_mint, chunk_maxt: int64[m], as in SeriesEntries. parts:
    buffers; chunk i's record is at place[i] of parts[part[i]]. aggregates: the kinds wanted of aggregate chunks, each a
    chunk row. wire: also make a Series message of each series, with the XXH64 of each chunk (``SeriesBatch.wire``). All
    bytes are copied into an arena of the batch's own. missing: int64[r], the records that go on after the end of their
    part, needed: int64[r], how many bytes each one has (or, for a length that is cut itself, might have); with any, the
    batch is None. files, part_start: object name and byte offset of each part, for errors. Raises CorruptData, and
    ValueError for columns that do not fit together.
    """
    cdef LabelRows label_rows = LabelRows(labels)
    cdef Sources sources = Sources(parts)
    cdef const int64_t[::1] starts = np.ascontiguousarray(chunk_start, np.int64)
    cdef const int64_t[::1] mints = np.ascontiguousarray(chunk_mint, np.int64)
    cdef const int64_t[::1] maxts = np.ascontiguousarray(chunk_maxt, np.int64)
    cdef Py_ssize_t n = label_rows.rows.count, m = part.shape[0], i = 0
    cdef Job job
    cdef Fault fault = FINE
    if starts.shape[0] != n + 1 or place.shape[0] != m or mints.shape[0] != m or maxts.shape[0] != m:
        raise ValueError("columns of different lengths")
    if not rising(starts, n, m):
        raise ValueError("chunk_start does not cover the chunks")
    memset(&job, 0, sizeof(Job))
    for kind in aggregates:
        job.wanted |= 1 << <int>kind
    job.ranges, job.range_count, job.starts = sources.ranges, sources.count, &starts[0]
    if m:
        job.part, job.place, job.mint, job.maxt = &part[0], &place[0], &mints[0], &maxts[0]
    job.check, job.wire, job.room = check_crc, wire, m * max(1, len(aggregates))
    columns = allocate(&job.out, n, job.room, wire)
    try:
        with nogil:
            if not reserve(&job.out.arena, guessed(&job, &label_rows.rows, m)):
                fault = MEMORY
            while fault == FINE and i < n:
                fault = put_series(&job, &label_rows.rows, i)
                i += 1
            if fault == FINE and not reserve(&job.out.arena, SLACK):
                fault = MEMORY
            if fault == FINE:
                memset(job.out.arena.data + job.out.arena.size, 0, SLACK)
                job.out.arena.size += SLACK
        if fault != FINE:
            fail(&job, fault, files, part_start)
        missing, needed = numbers_in(&job.missing), numbers_in(&job.needed)
        return None if len(missing) else built_batch(&job.out, columns), missing, needed
    finally:
        release(&job.out.arena)
        release(&job.missing)
        release(&job.needed)
