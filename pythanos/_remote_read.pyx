"""Series as the answers of Prometheus' remote read: frames of encoded chunks, or decoded samples.

Design. A label block already is the ``labels`` field of a ChunkedSeries and of a TimeSeries message (field 1 in both, as
in thanos.Series), so a series is one copied run of bytes with headers and chunks, or samples, behind it. One pass with
the GIL released appends to a growing buffer. Lengths of messages whose size is known only afterwards are varints padded
to five bytes, which every decoder of protobuf takes; a frame, whose length and checksum stand before it, is
written behind a gap and moved back over what the gap had too much.

The numbers are those of prompb's remote.proto and types.proto.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

import numpy as np

from pythanos._arena cimport Growing, append, release, reserve
from pythanos._hash cimport crc32c
from pythanos._histogram_table cimport HistogramTable, Table
from pythanos._label_rows cimport LabelRows, put_varint, varint_size

cdef enum:
    # Bytes of a padded length, and of what stands before a frame at most: a varint of 64 bits and the checksum.
    LENGTH_BYTES = 5
    FRAME_HEAD_BYTES = 14
    HISTOGRAM_HEAD_BYTES = 128

# The bit pattern by which Prometheus marks the end of a series.
cdef uint64_t STALE_NAN = 0x7FF0000000000002ULL


cdef struct Chunks:
    const int64_t* mint
    const int64_t* maxt
    const uint8_t* encoding
    const int64_t* offset
    const int32_t* length
    const uint8_t* arena


cdef inline void put_length(uint8_t* out, uint64_t value) noexcept nogil:
    """A varint of exactly LENGTH_BYTES."""
    cdef int i
    for i in range(LENGTH_BYTES - 1):
        out[i] = <uint8_t>((value >> (7 * i)) & 0x7F) | 0x80
    out[LENGTH_BYTES - 1] = <uint8_t>((value >> (7 * (LENGTH_BYTES - 1))) & 0x7F)


cdef inline uint8_t* put_field(uint8_t* out, uint8_t tag, uint64_t value) noexcept nogil:
    """A varint field; zero is left out."""
    if value == 0:
        return out
    out[0] = tag
    return put_varint(out + 1, value)


cdef inline uint8_t* put_double(uint8_t* out, uint8_t tag, const double* value) noexcept nogil:
    """A double field; zero is left out, but not the negative one."""
    cdef uint64_t bits
    memcpy(&bits, value, 8)
    if bits == 0:
        return out
    out[0] = tag
    memcpy(out + 1, value, 8)
    return out + 9


cdef inline int64_t chunk_size(const Chunks* c, Py_ssize_t row) noexcept nogil:
    """Bytes inside one Chunk message."""
    cdef int64_t size = 1 + varint_size(c.encoding[row])
    if c.mint[row]:
        size += 1 + varint_size(<uint64_t>c.mint[row])
    if c.maxt[row]:
        size += 1 + varint_size(<uint64_t>c.maxt[row])
    if c.length[row]:
        size += 1 + varint_size(c.length[row]) + c.length[row]
    return size


cdef bint put_chunk(Growing* out, const Chunks* c, Py_ssize_t row) noexcept nogil:
    cdef int64_t size = chunk_size(c, row)
    cdef uint8_t* at
    if not reserve(out, size + 12):
        return False
    at = out.data + out.size
    at[0] = 0x12
    at = put_varint(at + 1, <uint64_t>size)
    at = put_field(at, 0x08, <uint64_t>c.mint[row])
    at = put_field(at, 0x10, <uint64_t>c.maxt[row])
    at[0] = 0x18
    at = put_varint(at + 1, c.encoding[row])
    if c.length[row]:
        at[0] = 0x22
        at = put_varint(at + 1, <uint64_t>c.length[row])
        memcpy(at, c.arena + c.offset[row], c.length[row])
        at += c.length[row]
    out.size = at - out.data
    return True


cdef bint put_frame(Growing* out, const uint8_t* labels, Py_ssize_t labels_size, const Chunks* c, Py_ssize_t row, Py_ssize_t end, uint64_t query) noexcept nogil:
    """The frame of the chunks [row, end) of one series: size, checksum, ChunkedReadResponse."""
    cdef Py_ssize_t start = out.size
    cdef Py_ssize_t body = start + FRAME_HEAD_BYTES
    cdef Py_ssize_t size
    cdef uint8_t* at
    cdef uint32_t sum
    if not reserve(out, FRAME_HEAD_BYTES + 1 + LENGTH_BYTES):
        return False
    out.size = body
    out.data[body] = 0x0A
    out.size += 1 + LENGTH_BYTES
    if not append(out, labels, labels_size):
        return False
    while row < end:
        if not put_chunk(out, c, row):
            return False
        row += 1
    put_length(out.data + body + 1, <uint64_t>(out.size - body - 1 - LENGTH_BYTES))
    if query:
        if not reserve(out, 11):
            return False
        out.size = put_field(out.data + out.size, 0x10, query) - out.data
    size = out.size - body
    sum = crc32c(0, out.data + body, size)
    at = put_varint(out.data + start, <uint64_t>size)
    at[0], at[1], at[2], at[3] = <uint8_t>(sum >> 24), <uint8_t>(sum >> 16), <uint8_t>(sum >> 8), <uint8_t>sum
    at += 4
    memmove(at, out.data + body, size)
    out.size = at + size - out.data
    return True


def chunk_frames(batch, *, uint64_t query_index=0, int64_t frame_bytes=1 << 20, chunk_arena=None):
    """The chunks of a SeriesBatch as frames of a STREAMED_XOR_CHUNKS answer, laid end to end.

    Raw chunks only, their type is the encoding byte. Each frame holds chunks of one series, and ends with the chunk by
    which its labels and chunks reach ``frame_bytes``; series without chunks make none. A frame is a varint with its
    size, its CRC-32C (big endian) and a ChunkedReadResponse with ``query_index``. Returns bytes. Raises ValueError for columns
    that do not fit together or point outside the arena. The GIL is released.
    """
    cdef LabelRows source = LabelRows(batch.labels)
    cdef const uint8_t[::1] arena = memoryview(batch.labels.arena if chunk_arena is None else chunk_arena).cast("B")
    cdef const int64_t[::1] start = np.ascontiguousarray(batch.chunk_start, np.int64)
    cdef const int64_t[::1] mint = np.ascontiguousarray(batch.chunk_mint, np.int64)
    cdef const int64_t[::1] maxt = np.ascontiguousarray(batch.chunk_maxt, np.int64)
    cdef const uint8_t[::1] encoding = np.ascontiguousarray(batch.chunk_encoding, np.uint8)
    cdef const int64_t[::1] offset = np.ascontiguousarray(batch.chunk_offset, np.int64)
    cdef const int32_t[::1] length = np.ascontiguousarray(batch.chunk_length, np.int32)
    cdef Py_ssize_t n = source.rows.count, m = mint.shape[0], i, row, first, end
    cdef int64_t left, room
    cdef bint fine = True
    cdef Chunks c
    cdef Growing out
    if start.shape[0] != n + 1 or min(maxt.shape[0], encoding.shape[0], offset.shape[0], length.shape[0]) != m:
        raise ValueError("the columns of a batch differ in length")
    if m == 0:
        return b""
    memset(&out, 0, sizeof(Growing))
    c.mint, c.maxt, c.encoding, c.offset, c.length = &mint[0], &maxt[0], &encoding[0], &offset[0], &length[0]
    c.arena = &arena[0] if arena.shape[0] else NULL
    try:
        with nogil:
            for i in range(n):
                fine = fine and 0 <= start[i] <= start[i + 1] <= m
            for row in range(m):
                fine = fine and 0 <= length[row] and 0 <= offset[row] <= arena.shape[0] - length[row]
        if not fine:
            raise ValueError("a batch points outside its columns")
        with nogil:
            for i in range(n):
                room = frame_bytes - source.rows.length[i]
                left = room
                first = row = start[i]
                end = start[i + 1]
                while row < end and fine:
                    left -= chunk_size(&c, row)
                    row += 1
                    if left > 0 and row < end:
                        continue
                    fine = put_frame(&out, source.rows.arena + source.rows.offset[i], source.rows.length[i], &c, first, row, query_index)
                    first = row
                    left = room
        if not fine:
            raise MemoryError
        return PyBytes_FromStringAndSize(<char*>out.data, out.size)
    finally:
        release(&out)


# Series i has the rows [start[i], start[i + 1]).
cdef struct Histograms:
    const int64_t* start
    const int64_t* time
    Table rows


cdef inline uint64_t zigzag(int32_t value) noexcept nogil:
    return (<uint32_t>value << 1) ^ <uint32_t>(value >> 31)


cdef uint8_t* put_spans(uint8_t* out, uint8_t tag, const Table* t, int64_t span, int64_t end) noexcept nogil:
    """BucketSpan messages; each takes 14 bytes at most."""
    cdef uint8_t* at
    while span < end:
        out[0] = tag
        at = put_field(out + 2, 0x08, zigzag(t.span_offset[span]))
        at = put_field(at, 0x10, t.span_length[span])
        out[1] = <uint8_t>(at - out - 2)
        out = at
        span += 1
    return out


cdef uint8_t* put_doubles(uint8_t* out, uint16_t tag, const double* values, int64_t count) noexcept nogil:
    """A packed field of doubles; ``tag`` may have two bytes, the first one low."""
    if count <= 0:
        return out
    out[0] = <uint8_t>tag
    out += 1
    if tag > 0xFF:
        out[0] = <uint8_t>(tag >> 8)
        out += 1
    out = put_varint(out, <uint64_t>(count * 8))
    memcpy(out, values, count * 8)
    return out + count * 8


cdef bint put_histogram(Growing* out, const Histograms* h, int64_t row) noexcept nogil:
    """One Histogram message with float counts."""
    cdef const Table* t = &h.rows
    cdef int32_t kind = t.layout[row]
    cdef int64_t filled = t.bucket_start[row + 1] - t.bucket_start[row]
    cdef int64_t positive = t.positive_buckets[kind] if t.positive_buckets[kind] < filled else filled
    cdef int64_t spans = t.span_start[kind + 1] - t.span_start[kind]
    cdef int64_t bounds = t.bound_start[kind + 1] - t.bound_start[kind]
    cdef const double* buckets = t.buckets + t.bucket_start[row]
    cdef uint64_t bits
    cdef Py_ssize_t head
    cdef uint8_t* at
    if not reserve(out, HISTOGRAM_HEAD_BYTES + 14 * spans + 8 * (filled + bounds)):
        return False
    out.data[out.size] = 0x22
    head = out.size + 1
    at = out.data + head + LENGTH_BYTES
    # A oneof is written even where it is zero: it says that the counts are floats.
    at[0] = 0x11
    memcpy(at + 1, &t.count[row], 8)
    at = put_double(at + 9, 0x19, &t.sum[row])
    at = put_field(at, 0x20, zigzag(t.schema[kind]))
    at = put_double(at, 0x29, &t.zero_threshold[kind])
    at[0] = 0x39
    memcpy(at + 1, &t.zero_count[row], 8)
    at += 9
    memcpy(&bits, &t.sum[row], 8)
    if bits != STALE_NAN:
        at = put_spans(at, 0x42, t, t.negative_start[kind], t.span_start[kind + 1])
        at = put_doubles(at, 0x52, buckets + positive, filled - positive)
        at = put_spans(at, 0x5A, t, t.span_start[kind], t.negative_start[kind])
        at = put_doubles(at, 0x6A, buckets, positive)
    at = put_field(at, 0x70, t.hint[row])
    at = put_field(at, 0x78, <uint64_t>h.time[row])
    at = put_doubles(at, 0x0182, t.bounds + t.bound_start[kind], bounds)
    out.size = at - out.data
    put_length(out.data + head, <uint64_t>(out.size - head - LENGTH_BYTES))
    return True


cdef bint put_series(Growing* out, const uint8_t* labels, Py_ssize_t labels_size, const int64_t* times, const double* values, Py_ssize_t count, const Histograms* h, int64_t row, int64_t end) noexcept nogil:
    """One TimeSeries message as an entry of a QueryResult."""
    cdef Py_ssize_t i, head = out.size + 1
    cdef uint8_t* at
    cdef uint8_t* inner
    if not reserve(out, 1 + LENGTH_BYTES):
        return False
    out.data[out.size] = 0x0A
    out.size += 1 + LENGTH_BYTES
    if not append(out, labels, labels_size) or not reserve(out, count * 22):
        return False
    at = out.data + out.size
    for i in range(count):
        at[0] = 0x12
        inner = put_double(at + 2, 0x09, &values[i])
        inner = put_field(inner, 0x10, <uint64_t>times[i])
        at[1] = <uint8_t>(inner - at - 2)
        at = inner
    out.size = at - out.data
    while row < end:
        if not put_histogram(out, h, row):
            return False
        row += 1
    put_length(out.data + head, <uint64_t>(out.size - head - LENGTH_BYTES))
    return True


def sample_series(samples):
    """A SampleBatch as the ``timeseries`` of a QueryResult message, laid end to end.

    Series without samples are left out; histograms are written with float counts, which say the same to PromQL. Returns
    bytes. Raises ValueError for columns that do not fit together. The GIL is released.
    """
    cdef LabelRows source = LabelRows(samples.labels)
    cdef const int64_t[::1] start = np.ascontiguousarray(samples.start, np.int64)
    cdef const int64_t[::1] times = np.ascontiguousarray(samples.timestamps, np.int64)
    cdef const double[::1] values = np.ascontiguousarray(samples.values, np.float64)
    cdef Py_ssize_t n = source.rows.count, i
    cdef const int64_t* time_at = &times[0] if times.shape[0] else NULL
    cdef const double* value_at = &values[0] if values.shape[0] else NULL
    cdef HistogramTable held
    cdef Histograms histograms
    cdef const Histograms* h = NULL
    cdef int64_t row = 0, end = 0
    cdef bint fine = True
    cdef Growing out
    if start.shape[0] != n + 1 or times.shape[0] != values.shape[0]:
        raise ValueError("the columns of samples differ in length")
    if start[0] < 0 or start[n] > times.shape[0] or (np.diff(samples.start) < 0).any():
        raise ValueError("a start of samples lies outside its column")
    if samples.histograms is not None:
        held = HistogramTable(samples.histograms)
        histograms.rows = held.table
        histograms.start = held.keep_start(samples.histograms.start, n, held.rows)
        histograms.time = <const int64_t*>held.keep(samples.histograms.timestamps, np.int64, held.rows)
        h = &histograms
    memset(&out, 0, sizeof(Growing))
    try:
        with nogil:
            for i in range(n):
                if h != NULL:
                    row, end = h.start[i], h.start[i + 1]
                if start[i + 1] == start[i] and row == end:
                    continue
                fine = put_series(
                    &out, source.rows.arena + source.rows.offset[i], source.rows.length[i], time_at + start[i],
                    value_at + start[i], start[i + 1] - start[i], h, row, end,
                )
                if not fine:
                    break
        if not fine:
            raise MemoryError
        return PyBytes_FromStringAndSize(<char*>out.data, out.size)
    finally:
        release(&out)
