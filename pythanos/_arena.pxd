# Arenas: byte buffers that grow without the GIL and end as Python buffers without a copy, and the
# interning of byte strings into one, as dense ids.
#
# Design: plain structs that a kernel keeps on its stack; every function here is nogil and reports a
# failed allocation by a zero return, which the caller turns into MemoryError. `Arena` takes over the
# memory of a finished buffer.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset


cdef struct Growing:
    uint8_t* data
    Py_ssize_t size
    Py_ssize_t capacity


cdef struct Interner:
    # Open addressing; a slot is (upper half of the hash, id + 1), 0 where empty.
    Growing bytes
    int64_t* offset
    int32_t* length
    uint64_t* hash
    Py_ssize_t count
    Py_ssize_t capacity
    uint64_t* slots
    uint64_t mask


cdef class Arena:
    """The owner of a finished buffer; readable through the buffer protocol, never written again."""

    cdef uint8_t* data
    cdef Py_ssize_t size


cdef object seal(Growing* growing)


cdef inline bint reserve(Growing* g, Py_ssize_t more) noexcept nogil:
    """Room for `more` bytes behind `size`; False where memory is short."""
    cdef Py_ssize_t capacity
    cdef void* data
    if g.capacity - g.size >= more:
        return True
    capacity = g.capacity * 2 if g.capacity * 2 >= g.size + more else g.size + more
    data = realloc(g.data, capacity if capacity > 64 else 64)
    if data == NULL:
        return False
    g.data = <uint8_t*>data
    g.capacity = capacity if capacity > 64 else 64
    return True


cdef inline bint append(Growing* g, const uint8_t* data, Py_ssize_t size) noexcept nogil:
    if not reserve(g, size):
        return False
    if size:
        memcpy(g.data + g.size, data, size)
    g.size += size
    return True


cdef inline bint push64(Growing* g, uint64_t value) noexcept nogil:
    if g.capacity - g.size < 8 and not reserve(g, 8):
        return False
    memcpy(g.data + g.size, &value, 8)
    g.size += 8
    return True


cdef inline bint push32(Growing* g, uint32_t value) noexcept nogil:
    if g.capacity - g.size < 4 and not reserve(g, 4):
        return False
    memcpy(g.data + g.size, &value, 4)
    g.size += 4
    return True


cdef inline void release(Growing* g) noexcept nogil:
    free(g.data)
    g.data = NULL
    g.size = g.capacity = 0


cdef inline void release_interner(Interner* interner) noexcept nogil:
    release(&interner.bytes)
    free(interner.offset)
    free(interner.length)
    free(interner.hash)
    free(interner.slots)
    memset(interner, 0, sizeof(Interner))


cdef bint widen(Interner* interner) noexcept nogil


cdef inline Py_ssize_t intern_bytes(Interner* interner, const uint8_t* data, Py_ssize_t size, uint64_t hash) noexcept nogil:
    """The id of a byte string whose XXH64 is `hash`; ids are dense, in order of first sight. -1 where memory is short."""
    cdef uint64_t slot, at, tag = hash & 0xFFFFFFFF00000000ULL
    cdef Py_ssize_t found
    if interner.count * 2 >= <Py_ssize_t>interner.mask and not widen(interner):
        return -1
    at = hash & interner.mask
    while True:
        slot = interner.slots[at]
        if slot == 0:
            break
        if (slot & 0xFFFFFFFF00000000ULL) == tag:
            found = <Py_ssize_t>(slot & 0xFFFFFFFFULL) - 1
            if interner.length[found] == size and (
                size == 0 or memcmp(interner.bytes.data + interner.offset[found], data, size) == 0
            ):
                return found
        at = (at + 1) & interner.mask
    if interner.count == 0x7FFFFFFF or not append(&interner.bytes, data, size):
        return -1
    found = interner.count
    interner.offset[found] = interner.bytes.size - size
    interner.length[found] = <int32_t>size
    interner.hash[found] = hash
    interner.slots[at] = tag | <uint64_t>(found + 1)
    interner.count = found + 1
    return found
