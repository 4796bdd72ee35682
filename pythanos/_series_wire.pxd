# Writing one Series message for kernels: `chunks` fields with the XXH64 of their data, and the header before all of it.
#
# Design: a record is `0x0A size body`, the `series` field of a SeriesBatch and of a SeriesResponse alike. The body is
# written first, behind RECORD_ROOM bytes, and its header then right before it, so that nothing is measured twice; the few
# bytes between two records belong to none. An AggrChunk is small enough to be measured.

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #define PYTHANOS_CLZ64(x) __builtin_clzll(x)
    """
    int PYTHANOS_CLZ64(uint64_t) noexcept nogil

cdef enum:
    # The most that the header of a record takes, and all of an AggrChunk but its data, for each of its aggregates.
    RECORD_ROOM = 11
    AGGREGATE_ROOM = 64


cdef struct WireChunk:
    # One aggregate of an AggrChunk; `kind` 0 is raw, `size` that of its Chunk message.
    const uint8_t* data
    int64_t length
    uint64_t hash
    uint8_t encoding
    uint8_t kind
    int64_t size


cdef inline int varint_bytes(uint64_t value) noexcept nogil:
    """The size of a varint: a byte for each 7 bits begun."""
    return ((64 - PYTHANOS_CLZ64(value | 1)) * 9 + 64) >> 6


cdef inline uint8_t* put_wide_varint(uint8_t* out, uint64_t value, int size) noexcept nogil:
    """Writes a varint of `size` bytes; up to 8 bytes from `out` on are overwritten, whatever its size."""
    cdef uint64_t low = value & 0x00FFFFFFFFFFFFFFULL
    # Seven bits to each byte, by halves.
    low = (low & 0x000000000FFFFFFFULL) | (low & 0x00FFFFFFF0000000ULL) << 4
    low = (low & 0x00003FFF00003FFFULL) | (low & 0x0FFFC0000FFFC000ULL) << 2
    low = (low & 0x007F007F007F007FULL) | (low & 0x3F803F803F803F80ULL) << 1
    if size <= 8:
        low |= 0x8080808080808080ULL & ((1ULL << (8 * (size - 1))) - 1)
        memcpy(out, &low, 8)
    else:
        low |= 0x8080808080808080ULL
        memcpy(out, &low, 8)
        out[8] = <uint8_t>((value >> 56) & 0x7F | (0x80 if size == 10 else 0))
        out[9] = <uint8_t>(value >> 63)
    return out + size


cdef inline uint8_t* put_number(uint8_t* out, uint8_t key, uint64_t value) noexcept nogil:
    """One varint field, with room for 10 bytes behind `out`."""
    out[0] = key
    return put_wide_varint(out + 1, value, varint_bytes(value))


cdef inline int64_t wire_chunk_size(const WireChunk* chunk) noexcept nogil:
    """Bytes inside one Chunk message."""
    cdef int64_t size = 0
    if chunk.encoding > 1:
        size += 1 + varint_bytes(chunk.encoding - 1)
    if chunk.length:
        size += 1 + varint_bytes(chunk.length) + chunk.length
    if chunk.hash:
        size += 1 + varint_bytes(chunk.hash)
    return size


cdef inline uint8_t* put_wire_chunk(uint8_t* out, WireChunk* chunk) noexcept nogil:
    if chunk.encoding > 1:
        out = put_number(out, 0x08, chunk.encoding - 1)
    if chunk.length:
        out = put_number(out, 0x12, chunk.length)
        memcpy(out, chunk.data, chunk.length)
        chunk.data = out
        out += chunk.length
    else:
        chunk.data = out
    if chunk.hash:
        out = put_number(out, 0x18, chunk.hash)
    return out


cdef inline uint8_t* put_aggregates(uint8_t* out, int64_t mint, int64_t maxt, WireChunk* chunks, int count) noexcept nogil:
    """Writes one `chunks` field, the AggrChunk of `count` rising kinds, and points each chunk's data at its copy."""
    cdef int64_t size = 0
    cdef int i
    if mint:
        size += 1 + varint_bytes(<uint64_t>mint)
    if maxt:
        size += 1 + varint_bytes(<uint64_t>maxt)
    for i in range(count):
        chunks[i].size = wire_chunk_size(&chunks[i])
        size += 1 + varint_bytes(chunks[i].size) + chunks[i].size
    out = put_number(out, 0x12, size)
    if mint:
        out = put_number(out, 0x08, <uint64_t>mint)
    if maxt:
        out = put_number(out, 0x10, <uint64_t>maxt)
    for i in range(count):
        out = put_number(out, <uint8_t>(((chunks[i].kind + 3) << 3) | 2), chunks[i].size)
        out = put_wire_chunk(out, &chunks[i])
    return out


cdef inline uint8_t* put_record_header(uint8_t* body, int64_t size) noexcept nogil:
    """Writes the header that ends where the body begins; returns where it starts."""
    cdef uint8_t header[2 + RECORD_ROOM]
    cdef Py_ssize_t length = put_number(header, 0x0A, size) - header
    memcpy(body - length, header, length)
    return body - length
