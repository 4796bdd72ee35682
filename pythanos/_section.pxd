# Writing sections into growing buffers: big-endian numbers, varints, strings, padding; and strings in byte order.
#
# Design: every put_ writes without a check into room that its caller has reserved; push32 makes room itself.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcpy

from pythanos._arena cimport Growing, Interner, reserve
from pythanos._cursor cimport PYTHANOS_BSWAP32, PYTHANOS_BSWAP64
from pythanos._labels cimport compare_text, put_varint


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


cdef struct SortKey:
    uint64_t prefix
    const uint8_t* data
    int64_t size
    int64_t id


cdef inline int compare_keys(const void* a, const void* b) noexcept nogil:
    cdef const SortKey* x = <const SortKey*>a
    cdef const SortKey* y = <const SortKey*>b
    if x.prefix != y.prefix:
        return -1 if x.prefix < y.prefix else 1
    return compare_text(x.data, x.size, y.data, y.size)


cdef inline void sort_texts(const Interner* texts, SortKey* keys) noexcept nogil:
    """Keys of all texts in byte order."""
    cdef Py_ssize_t i
    cdef uint64_t head
    for i in range(texts.count):
        keys[i].data = texts.bytes.data + texts.offset[i]
        keys[i].size = texts.length[i]
        keys[i].id = i
        head = 0
        memcpy(&head, keys[i].data, 8 if keys[i].size >= 8 else keys[i].size)
        keys[i].prefix = PYTHANOS_BSWAP64(head)
    qsort(keys, texts.count, sizeof(SortKey), compare_keys)
