# Writing into growing buffers: big-endian numbers, varints, strings, padding.
#
# Design: every put_ writes without a check into room that its caller has reserved; push32 makes room itself.

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from pythanos._arena cimport Growing, Interner, reserve
from pythanos._cursor cimport PYTHANOS_BSWAP32
from pythanos._labels cimport put_varint


cdef inline void put_u32(Growing* g, uint32_t value) noexcept nogil:
    value = PYTHANOS_BSWAP32(value)
    memcpy(g.data + g.size, &value, 4)
    g.size += 4


cdef inline void put_uvarint(Growing* g, uint64_t value) noexcept nogil:
    g.size = put_varint(g.data + g.size, value) - g.data


cdef inline void put_zigzag(Growing* g, int64_t value) noexcept nogil:
    put_uvarint(g, (<uint64_t>value << 1) ^ <uint64_t>(value >> 63))


cdef inline void put_text(Growing* g, const Interner* texts, Py_ssize_t id) noexcept nogil:
    cdef Py_ssize_t size = texts.length[id]
    put_uvarint(g, size)
    if size:
        memcpy(g.data + g.size, texts.bytes.data + texts.offset[id], size)
    g.size += size


cdef inline void put_padding(Growing* g, int64_t position, int align) noexcept nogil:
    while (position + g.size) % align:
        g.data[g.size] = 0
        g.size += 1


cdef inline bint push32(Growing* g, uint32_t value) noexcept nogil:
    if not reserve(g, 4):
        return False
    memcpy(g.data + g.size, &value, 4)
    g.size += 4
    return True
