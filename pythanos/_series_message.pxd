# Series messages of SeriesResponse written from columns: measured first, with the XXH64 of each chunk, then written
# into exactly that many bytes.
#
# Rows of chunks with one time range are the aggregates of one AggrChunk. The numbers are those of types.proto.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from pythanos._hash cimport xxh64
from pythanos._label_rows cimport put_varint, varint_size


cdef struct ChunkColumns:
    const int64_t* mint
    const int64_t* maxt
    const uint8_t* encoding
    const uint8_t* aggregate
    const int64_t* offset
    const int32_t* length
    uint64_t* hash
    const uint8_t* arena


cdef inline int64_t data_message_size(const ChunkColumns* c, Py_ssize_t row) noexcept nogil:
    """Bytes inside one Chunk message."""
    cdef int64_t size = 0
    if c.encoding[row] > 1:
        size += 1 + varint_size(c.encoding[row] - 1)
    if c.length[row]:
        size += 1 + varint_size(c.length[row]) + c.length[row]
    if c.hash[row]:
        size += 1 + varint_size(c.hash[row])
    return size


cdef inline bint same_aggregate_chunk(const ChunkColumns* c, Py_ssize_t row, Py_ssize_t end) noexcept nogil:
    """Whether the row after `row` belongs to the same AggrChunk."""
    return (
        row + 1 < end
        and c.mint[row + 1] == c.mint[row]
        and c.maxt[row + 1] == c.maxt[row]
        and c.aggregate[row + 1] > c.aggregate[row]
    )


cdef inline int64_t aggregate_chunk_size(
    const ChunkColumns* c, Py_ssize_t row, Py_ssize_t end, Py_ssize_t* after
) noexcept nogil:
    """Bytes inside the AggrChunk message that starts at `row`; `after` is set to the first row behind it."""
    cdef int64_t size = 0
    cdef int64_t inner
    if c.mint[row]:
        size += 1 + varint_size(<uint64_t>c.mint[row])
    if c.maxt[row]:
        size += 1 + varint_size(<uint64_t>c.maxt[row])
    while True:
        inner = data_message_size(c, row)
        size += 1 + varint_size(inner) + inner
        if not same_aggregate_chunk(c, row, end):
            break
        row += 1
    after[0] = row + 1
    return size


cdef inline uint8_t* put_aggregate_chunk(
    uint8_t* out, const ChunkColumns* c, Py_ssize_t row, Py_ssize_t after
) noexcept nogil:
    if c.mint[row]:
        out[0] = 0x08
        out = put_varint(out + 1, <uint64_t>c.mint[row])
    if c.maxt[row]:
        out[0] = 0x10
        out = put_varint(out + 1, <uint64_t>c.maxt[row])
    while row < after:
        out[0] = <uint8_t>(((c.aggregate[row] + 3) << 3) | 2)
        out = put_varint(out + 1, data_message_size(c, row))
        if c.encoding[row] > 1:
            out[0] = 0x08
            out = put_varint(out + 1, c.encoding[row] - 1)
        if c.length[row]:
            out[0] = 0x12
            out = put_varint(out + 1, c.length[row])
            memcpy(out, c.arena + c.offset[row], c.length[row])
            out += c.length[row]
        if c.hash[row]:
            out[0] = 0x18
            out = put_varint(out + 1, c.hash[row])
        row += 1
    return out


cdef inline int64_t measure(
    const ChunkColumns* c, const int64_t* chunk_start, const int32_t* label_length,
    Py_ssize_t first, Py_ssize_t last, int64_t* series_size,
) noexcept nogil:
    """Fills the hash column and the size of each Series message; returns the bytes of all with their headers."""
    cdef int64_t total = 0
    cdef int64_t inner, size
    cdef Py_ssize_t series, row, after
    for row in range(chunk_start[first], chunk_start[last]):
        c.hash[row] = xxh64(c.arena + c.offset[row], c.length[row], 0)
    for series in range(first, last):
        inner = label_length[series]
        row = chunk_start[series]
        while row < chunk_start[series + 1]:
            size = aggregate_chunk_size(c, row, chunk_start[series + 1], &after)
            inner += 1 + varint_size(size) + size
            row = after
        series_size[series - first] = inner
        total += 1 + varint_size(inner) + inner
    return total


cdef inline uint8_t* write_series(
    uint8_t* out, const ChunkColumns* c, Py_ssize_t row, Py_ssize_t end,
    const uint8_t* labels, int32_t label_length, int64_t size,
) noexcept nogil:
    cdef Py_ssize_t after
    cdef int64_t inner
    out[0] = 0x0A
    out = put_varint(out + 1, size)
    memcpy(out, labels, label_length)
    out += label_length
    while row < end:
        inner = aggregate_chunk_size(c, row, end, &after)
        out[0] = 0x12
        out = put_varint(out + 1, inner)
        out = put_aggregate_chunk(out, c, row, after)
        row = after
    return out
