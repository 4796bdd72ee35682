# Writing one Series message for kernels: `chunks` fields with the XXH64 of their data, and the header before all of it.
#
# Design: a record is `0x0A size body`, the `series` field of a SeriesBatch and of a SeriesResponse alike. The body is
# written first, behind RECORD_ROOM bytes, and its header then right before it, so that nothing is measured twice; the few
# bytes between two records belong to none. An AggrChunk is small enough to be measured.

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from pythanos._label_rows cimport put_varint, varint_size

cdef enum:
    # The most that the header of a record takes, and all of an AggrChunk but its data, for each of its aggregates.
    RECORD_ROOM = 11
    AGGREGATE_ROOM = 64
    AGGREGATES_MAX = 6


cdef struct WireChunk:
    # One aggregate of an AggrChunk; `kind` 0 is raw, `size` that of its Chunk message.
    const uint8_t* data
    int64_t length
    uint64_t hash
    uint8_t encoding
    uint8_t kind
    int64_t size


cdef inline int64_t wire_chunk_size(const WireChunk* chunk) noexcept nogil:
    """Bytes inside one Chunk message."""
    cdef int64_t size = 0
    if chunk.encoding > 1:
        size += 1 + varint_size(chunk.encoding - 1)
    if chunk.length:
        size += 1 + varint_size(chunk.length) + chunk.length
    if chunk.hash:
        size += 1 + varint_size(chunk.hash)
    return size


cdef inline uint8_t* put_wire_chunk(uint8_t* out, WireChunk* chunk) noexcept nogil:
    if chunk.encoding > 1:
        out[0] = 0x08
        out = put_varint(out + 1, chunk.encoding - 1)
    if chunk.length:
        out[0] = 0x12
        out = put_varint(out + 1, chunk.length)
        memcpy(out, chunk.data, chunk.length)
        chunk.data = out
        out += chunk.length
    else:
        chunk.data = out
    if chunk.hash:
        out[0] = 0x18
        out = put_varint(out + 1, chunk.hash)
    return out


cdef inline uint8_t* put_aggregates(uint8_t* out, int64_t mint, int64_t maxt, WireChunk* chunks, int count) noexcept nogil:
    """Writes one `chunks` field, the AggrChunk of `count` rising kinds, and points each chunk's data at its copy."""
    cdef int64_t size = 0
    cdef int i
    if mint:
        size += 1 + varint_size(<uint64_t>mint)
    if maxt:
        size += 1 + varint_size(<uint64_t>maxt)
    for i in range(count):
        chunks[i].size = wire_chunk_size(&chunks[i])
        size += 1 + varint_size(chunks[i].size) + chunks[i].size
    out[0] = 0x12
    out = put_varint(out + 1, size)
    if mint:
        out[0] = 0x08
        out = put_varint(out + 1, <uint64_t>mint)
    if maxt:
        out[0] = 0x10
        out = put_varint(out + 1, <uint64_t>maxt)
    for i in range(count):
        out[0] = <uint8_t>(((chunks[i].kind + 3) << 3) | 2)
        out = put_varint(out + 1, chunks[i].size)
        out = put_wire_chunk(out, &chunks[i])
    return out


cdef inline uint8_t* put_record_header(uint8_t* body, int64_t size) noexcept nogil:
    """Writes the header that ends where the body begins; returns where it starts."""
    cdef uint8_t* start = body - 1 - varint_size(size)
    start[0] = 0x0A
    put_varint(start + 1, size)
    return start
